"""Whole trees: as changes, and as plain tars for `export`, local outputs and caches."""

from __future__ import annotations

import errno
import os

from kobako.layer import entry as kinds
from kobako.layer.change import Change, path_order
from kobako.layer.entry import Entry
from kobako.layer.format import OwnershipFormat, opaque_xattr
from kobako.layer.pack import Packed, Packing, pack
from kobako.layer.pump import CompressingSink
from kobako.layer.tar_writer import END, encode
from kobako.linux import fs
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.layer.tar_writer import Sink
    from kobako.linux.ownership import Owners


def export(
    tree_fd: int,
    sink: Sink,
    form: str = OwnershipFormat.NATIVE,
    owners: Owners | None = None,
) -> Packed:
    """Writes a whole merged tree to `sink` as a plain tar, its root directory (`./`) first.

    The tree may be in use (`pack`'s `moving`).
    """
    found = everything(tree_fd, form)
    return pack(tree_fd, found, sink, "plain", form, owners, moving=True)


class Exported(Record):
    """A merged tree to export: `prefix` is the directory it gets in the archive, b"" for none."""

    tree_fd: int
    owners: Owners | None = None
    prefix: bytes = b""


def export_all(
    trees: Iterable[Exported],
    sink: Sink,
    form: str = OwnershipFormat.NATIVE,
    *,
    files: Iterable[tuple[bytes, bytes]] = (),
    epoch: int | None = None,
) -> None:
    """Writes merged trees, then `files` (name, content; mode 0600), to `sink` as one plain tar.

    With `epoch` (seconds) everything gets exactly that time. Roots have no entry of their own.
    """
    time_ns = (epoch or 0) * 10**9
    with CompressingSink(sink, "plain") as out:
        for tree in trees:
            if tree.prefix:
                out.write(encode(Entry(tree.prefix, kinds.DIRECTORY, 0o755, mtime_ns=time_ns)))
            packing = Packing(tree.tree_fd, out, form, tree.owners, epoch, moving=False)
            packing.exact = epoch is not None
            packing.prefix = tree.prefix + b"/" if tree.prefix else b""
            packing.run(everything(tree.tree_fd, form)[1:])
        for name, data in files:
            header = encode(Entry(name, mode=0o600, size=len(data), mtime_ns=time_ns))
            out.write(header + data + bytes(-len(data) % 512))
        out.write(END)
        out.finish()


def everything(tree_fd: int, form: str = OwnershipFormat.NATIVE) -> list[Change]:
    """A whole tree as changes, its root directory first: for export, or to pack a layer's tree."""
    opaque = opaque_xattr(form)
    found = [Change("/", "A")]
    pending = [b""]
    while pending:
        path = pending.pop()
        try:
            fd = fs.open_directory(tree_fd, path)
        except OSError as fault:
            if path and fault.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                continue  # a running container has just removed it
            raise
        try:
            with os.scandir(fd) as entries:
                for item in entries:
                    child = path + b"/" + os.fsencode(item.name)
                    hides = False
                    if item.is_dir(follow_symlinks=False):
                        pending.append(child.lstrip(b"/"))
                        hides = _is_opaque(tree_fd, child.lstrip(b"/"), opaque)
                    name = os.fsdecode(child)
                    found.append(Change(name if name[0] == "/" else "/" + name, "A", hides))
        finally:
            os.close(fd)
    found.sort(key=path_order)
    return found


def _is_opaque(tree_fd: int, path: bytes, name: str) -> bool:
    try:
        fd = fs.open_directory(tree_fd, path)
    except FileNotFoundError:
        return False
    try:
        return os.getxattr(fd, name) == b"y"
    except OSError:
        return False
    finally:
        os.close(fd)
