"""Packing changes of a tree into a layer: tar, DiffID, blob and its digest in one pass.

image-spec layer.md ("Representing Changes"). Reproducible: same tree, same bytes. Times
are whole seconds, as docker packs them; entries are in path order with every parent before its
children; owners are numbers; sockets are left out.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Conflict, Corrupt, Invalid, NotFound, Unsupported
from kobako.layer import entry as kinds
from kobako.layer.attributes import UNPORTABLE
from kobako.layer.blocks import BLOCK
from kobako.layer.change import Change, path_order
from kobako.layer.entry import Entry, shown
from kobako.layer.format import OwnershipFormat, overlay_prefix
from kobako.layer.pump import CompressingSink
from kobako.layer.tar_writer import END, encode
from kobako.linux import fs
from kobako.linux.ownership import SHADOW_PREFIX, XATTR, XATTR_PREFIX, Own
from kobako.oci.digest import DiffID, Digest
from kobako.oci.mediatypes import oci_layer
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from kobako.layer.tar_writer import Sink
    from kobako.linux.ownership import Owners

    class Graft(Protocol):
        """Directories of a tree that are empty and are to be filled while the tree is packed.

        `begin` gets a descriptor of the tree, which is nobody else's, before anything is packed;
        then `tell` writes the tar of what is in each of the directories, which it `contains`;
        `finish` when all is packed. `stop` comes last whatever happened.
        """

        def begin(self, root: int) -> None: ...
        def __contains__(self, path: bytes) -> bool: ...
        def tell(self, path: bytes, write: Callable[[bytes], object]) -> None: ...
        def finish(self) -> None: ...
        def stop(self) -> None: ...


_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SECOND = 10**9
_OF_THE_SINK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)
"""Errors of writing, which who gave the sink explains: the tree is only read."""


class Packed(Record):
    """A layer: `diff_id` and `diff_size` of the tar, `digest` and `size` of the blob, in bytes."""

    diff_id: DiffID
    digest: Digest
    size: int
    diff_size: int
    media_type: str


def pack(
    source_fd: int,
    changes: Iterable[Change],
    sink: Sink,
    codec: str = "gzip",
    form: str = OwnershipFormat.NATIVE,
    owners: Owners | None = None,
    *,
    epoch: int | None = None,
    level: int | None = None,
    moving: bool = False,
    graft: Graft | None = None,
) -> Packed:
    """Writes the changes found in the tree `source_fd` to `sink` as a layer blob.

    Directories above a change come along from the tree, as a layer without them would change
    their modes. codec: "gzip", "zstd" or "plain". form, owners: how the tree says who owns what.
    epoch: no time later than this (seconds). Raises `Conflict` when the tree changes meanwhile,
    `Invalid` for a name no layer can say.
    moving: the tree is in use; what vanishes is left out, what shrinks is filled with zeros.
    graft: fills some directories of the tree meanwhile, and tells what is in them.
    """
    with CompressingSink(sink, codec, level) as out:
        packing = Packing(source_fd, out, form, owners, epoch, moving)
        packing.graft = graft
        packing.run(changes)
        out.write(END)
        out.finish()
    return Packed(out.diff_id, out.digest, out.size, out.diff_size, oci_layer(codec))


class Packing:
    """One pass over changes; what `pack` and the exports (`layer.export`) share."""

    def __init__(
        self,
        source_fd: int,
        out: Sink,
        form: str,
        owners: Owners | None,
        epoch: int | None,
        moving: bool,
    ) -> None:
        self._source = source_fd
        self._moving = moving
        self._write = out.write
        self._emulated = form == OwnershipFormat.EMULATED
        self._overlay = overlay_prefix(form)
        self._owners = {} if owners is None else owners
        self._epoch = epoch
        self._seen: dict[tuple[int, int], bytes] = {}  # inode -> first name, for hard links
        self._directories = {b""}  # written already
        self._parent = b""
        self._parent_fd = source_fd
        self.prefix = b""  # stands before every name
        self.graft: Graft | None = None
        self.exact = False  # the epoch is everything's time, not only its bound
        self.literal = False  # no archive of a layer: no name and no device means a deletion
        self.whole = moving  # no sparse members

    def run(self, changes: Iterable[Change]) -> None:
        try:
            for change in sorted(changes, key=path_order):
                try:
                    self._change(change)
                except FileNotFoundError:
                    if self._moving:
                        continue
                    raise NotFound(f"pack {change.path}: it is not in the tree") from None
                except OSError as fault:
                    if self._moving and fault.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
                        continue  # something else has taken its place
                    if fault.errno in _OF_THE_SINK:
                        raise
                    message = f"pack {change.path}: {fault.strerror or fault}"
                    raise Conflict(message, hint="did the tree change meanwhile?") from fault
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._parent_fd != self._source:
            os.close(self._parent_fd)
            self._parent_fd = self._source

    def _enter(self, directory: bytes) -> int:
        """The descriptor of a directory, whose own entry and those above it have been written."""
        if directory == self._parent:
            return self._parent_fd
        if directory not in self._directories:
            fd = self._enter(directory.rpartition(b"/")[0])
            self._member(fd, directory, directory.rpartition(b"/")[2], False)
            if directory not in self._directories:
                if self._moving:
                    raise FileNotFoundError
                raise Conflict(f"pack {shown(directory)}: it is no longer a directory")
        self._leave()
        self._parent_fd = fs.open_directory(self._source, directory) if directory else self._source
        self._parent = directory
        return self._parent_fd

    def _change(self, change: Change) -> None:
        path = os.fsencode(change.path).strip(b"/")
        if not path:
            self._root()
            return
        directory, _, name = path.rpartition(b"/")
        if name.startswith(b".wh.") and not self.literal:
            raise Invalid(
                f"pack {change.path}: names that begin with .wh. mean deletions in a layer",
                hint="rename or remove the file",
            )
        fd = self._enter(directory)
        if change.kind == "D":
            self._whiteout(directory, name)
        elif path not in self._directories:
            self._member(fd, path, name, change.opaque)

    def _whiteout(self, directory: bytes, name: bytes) -> None:
        hidden = directory + b"/.wh." + name if directory else b".wh." + name
        self._write(encode(Entry(hidden, mode=0, mtime_ns=self._time(0))))

    def _root(self) -> None:
        member = self._entry(b"./", kinds.DIRECTORY, os.fstat(self._source))
        self._owned(member, self._source, b"")
        self._write(encode(member))

    def _time(self, ns: int) -> int:
        seconds = ns // _SECOND
        if self._epoch is not None and (self.exact or seconds > self._epoch):
            seconds = self._epoch
        return seconds * _SECOND

    def _entry(self, path: bytes, kind: bytes, info: os.stat_result) -> Entry:
        mode = info.st_mode & 0o7777
        uid, gid = (0, 0) if self._emulated else (info.st_uid, info.st_gid)
        return Entry(self.prefix + path, kind, mode, uid, gid, 0, self._time(info.st_mtime_ns))

    def _member(self, fd: int, path: bytes, name: bytes, opaque: bool) -> None:
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFREG:
            if info.st_nlink > 1 and self._hard_link(path, info):
                return
            self._file(fd, name, path, info)
        elif kind == stat.S_IFDIR:
            self._directory(fd, name, path, info, opaque)
        elif kind == stat.S_IFLNK:
            member = self._entry(path, kinds.SYMLINK, info)
            member.link = os.readlink(name, dir_fd=fd)
            self._special(member, fd, name, path, info)
        elif kind == stat.S_IFIFO:
            self._special(self._entry(path, kinds.FIFO, info), fd, name, path, info)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            if kind == stat.S_IFCHR and info.st_rdev == 0 and not self.literal:
                self._whiteout(path[: -len(name)].rstrip(b"/"), name)
                return
            member = self._entry(path, kinds.FILE, info)
            _make_device(member, kind, info.st_rdev)
            self._special(member, fd, name, path, info)

    def _hard_link(self, path: bytes, info: os.stat_result) -> bool:
        first = self._seen.setdefault((info.st_dev, info.st_ino), path)
        if first == path:
            return False
        member = self._entry(path, kinds.HARDLINK, info)
        member.link = self.prefix + first
        self._write(encode(member))
        return True

    def _file(self, fd: int, name: bytes, path: bytes, info: os.stat_result) -> None:
        file = os.open(name, _OPEN_FILE, dir_fd=fd)
        try:
            member = self._entry(path, kinds.FILE, info)
            self._owned(member, file, path)
            size = info.st_size
            if member.type != kinds.FILE:  # the placeholder of a device
                self._write(encode(member))
                return
            member.size = size
            if size > BLOCK:
                from kobako.layer.content import write_large

                write_large(
                    member,
                    file,
                    self._write,
                    lambda count: self._missing(path, count),
                    whole=self.whole,
                )
                return
            data = os.read(file, size) if size else b""
            if len(data) != size:
                data += self._missing(path, size - len(data))
            self._write(encode(member) + data + bytes(-size % 512))
        finally:
            os.close(file)

    def _missing(self, path: bytes, size: int) -> bytes:
        """What stands for bytes that a file no longer has."""
        if not self._moving:
            raise Conflict(
                f"pack {shown(path)}: it shrank while it was read", hint="pause its writers"
            )
        return bytes(size)

    def _directory(
        self, fd: int, name: bytes, path: bytes, info: os.stat_result, opaque: bool
    ) -> None:
        directory = os.open(name, fs.DIRECTORY, dir_fd=fd)
        try:
            member = self._entry(path, kinds.DIRECTORY, info)
            self._owned(member, directory, path)
        finally:
            os.close(directory)
        self._write(encode(member))
        self._directories.add(path)
        if opaque and not self.literal:
            hidden = Entry(path + b"/.wh..wh..opq", mode=0, mtime_ns=self._time(0))
            self._write(encode(hidden))
        if self.graft is not None and path in self.graft:
            self.graft.tell(path, self._write)

    def _special(
        self, member: Entry, fd: int, name: bytes, path: bytes, info: os.stat_result
    ) -> None:
        if info.st_nlink > 1 and self._hard_link(path, info):
            return
        if self._emulated:
            member.uid, member.gid = self._owners.get(path, (0, 0))
        else:
            where = b"/proc/self/fd/%d/%b" % (fd, name)
            names = os.listxattr(where, follow_symlinks=False)
            if names:
                member.xattrs = self._portable(
                    {n: os.getxattr(where, n, follow_symlinks=False) for n in names}
                )
        self._write(encode(member))

    def _owned(self, member: Entry, fd: int, path: bytes) -> None:
        """Completes an entry from the xattrs of its file: portable ones and our own notes."""
        names = os.listxattr(fd)
        if not names:
            return
        found = {n: os.getxattr(fd, n) for n in names}
        note = found.get(XATTR)
        if note is not None and self._overlay == "user.overlay.":  # natively it is nobody's word
            try:
                own = Own.decode(note)
            except Corrupt as fault:
                raise Invalid(
                    f"pack {shown(b'/' + path)}: {fault}", hint="remove the attribute"
                ) from None
            if self._emulated:
                member.uid, member.gid = own.uid, own.gid
            if own.type and path:
                _make_device(member, own.type, own.rdev)
        member.xattrs = self._portable(found)

    def _portable(self, found: dict[str, bytes]) -> dict[bytes, bytes] | None:
        portable: dict[bytes, bytes] = {}
        escaped = self._overlay + "overlay."
        for name, value in found.items():
            key = name
            if name.startswith(SHADOW_PREFIX):
                portable.setdefault(os.fsencode(name[len(SHADOW_PREFIX) :]), value)
                continue
            if name.startswith(escaped):
                key = self._overlay + name[len(escaped) :]
            elif name.startswith((XATTR_PREFIX, "trusted.overlay.", "user.overlay.")):
                continue
            raw = os.fsencode(key)
            if raw not in UNPORTABLE:
                portable[raw] = value
        return portable or None


def _make_device(member: Entry, kind: int, rdev: int) -> None:
    if kind not in (stat.S_IFCHR, stat.S_IFBLK):
        raise Unsupported(f"pack {shown(member.name)}: it stands for a device of type {kind:o}")
    member.type = kinds.CHAR if kind == stat.S_IFCHR else kinds.BLOCK
    member.major, member.minor = os.major(rdev), os.minor(rdev)
