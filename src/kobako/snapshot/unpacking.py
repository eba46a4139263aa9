"""Filling, adopting and removing a layer's directory, one process at a time for each layer."""

from __future__ import annotations

import fcntl
import os

from kobako.errors import Corrupt, Unavailable
from kobako.linux import placement
from kobako.snapshot.driver import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import BinaryIO

    from kobako.oci.digest import DiffID
    from kobako.snapshot.trees import LayerTrees


class _Lock:
    """An exclusive flock on `<hex>.lock`, which its holder unlinks.

    The kernel releases it when the holder dies. Works between threads too: each opens the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def acquire(self, *, wait: bool = True) -> bool:
        """False when another holds it and we are not to wait."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if os.path.samestat(os.stat(self._path), os.fstat(fd)):
                    self._fd = fd
                    return True
            except BlockingIOError:
                os.close(fd)
                return False
            except FileNotFoundError:
                pass
            os.close(fd)  # the one before us unlinked it: line up at the new one

    def release(self) -> None:
        os.unlink(self._path)
        os.close(self._fd)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()


def _lock(trees: LayerTrees, diff_id: DiffID) -> _Lock:
    os.makedirs(trees.root_dir, exist_ok=True)
    return _Lock(f"{trees.root_dir}/{diff_id.encoded}.lock")


def unpack(
    trees: LayerTrees, diff_id: DiffID, open_blob: Callable[[], BinaryIO], verified: bool
) -> None:
    """`LayerTrees.unpack`, the layer not being there at the first look."""
    with _lock(trees, diff_id):
        if trees.has(diff_id):
            return
        part = f"{trees.root_dir}/{diff_id.encoded}.part"
        remove_tree(part)
        try:
            _fill(part, trees.form, diff_id, open_blob, verified)
            os.rename(part, f"{trees.root_dir}/{diff_id.encoded}")
        except OSError as fault:
            remove_tree(part)
            raise Unavailable(f"unpack layer {diff_id.short}: {fault}") from fault
        except BaseException:
            remove_tree(part)
            raise


def _fill(
    part: str, form: str, diff_id: DiffID, open_blob: Callable[[], BinaryIO], verified: bool
) -> None:
    from kobako.layer import codec
    from kobako.layer.apply import apply
    from kobako.linux.ownership import Owners

    tree = f"{part}/tree"
    os.mkdir(part)
    os.chmod(part, 0o755)
    placement.make_apart(tree)
    owners = Owners()
    blob = open_blob()
    try:
        stream, name = codec.open_reader(blob)
        known = diff_id if verified and name == codec.PLAIN else None
        fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            applied = apply(stream, fd, form, owners, known=known)
        finally:
            os.close(fd)
            stream.close()
    finally:
        blob.close()
    if applied.diff_id != diff_id:
        raise Corrupt(
            f"layer {diff_id.short}: its content has the DiffID {applied.diff_id}, not {diff_id}",
            hint="the image is damaged or was tampered with: pull it again",
        )
    if owners:
        owners.save(f"{part}/owners")


def adopt(trees: LayerTrees, diff_id: DiffID, upper_dir: str, owners_path: str) -> bool:
    """`LayerTrees.adopt`."""
    with _lock(trees, diff_id):
        if trees.has(diff_id) or not os.path.isdir(upper_dir):
            return False
        os.makedirs(trees.root_dir, exist_ok=True)
        if os.stat(upper_dir).st_dev != os.stat(trees.root_dir).st_dev:
            return False
        part = f"{trees.root_dir}/{diff_id.encoded}.part"
        remove_tree(part)
        os.mkdir(part, 0o755)
        os.rename(upper_dir, f"{part}/tree")
        if owners_path and os.path.exists(owners_path):
            os.rename(owners_path, f"{part}/owners")
        os.rename(part, f"{trees.root_dir}/{diff_id.encoded}")
    return True


def remove(trees: LayerTrees, diff_id: DiffID) -> None:
    """`LayerTrees.remove`: out of sight in one step, then deleted."""
    with _lock(trees, diff_id):
        part = f"{trees.root_dir}/{diff_id.encoded}.part"
        remove_tree(part)
        try:
            os.rename(f"{trees.root_dir}/{diff_id.encoded}", part)
        except FileNotFoundError:
            return
        remove_tree(part)


def sweep(trees: LayerTrees) -> int:
    """`LayerTrees.sweep`: parts whose lock nobody holds."""
    count = 0
    try:
        names = os.listdir(trees.root_dir)
    except FileNotFoundError:
        return 0
    for name in names:
        encoded, dot, suffix = name.partition(".")
        if not dot or suffix not in ("part", "lock") or len(encoded) != 64:
            continue
        lock = _Lock(f"{trees.root_dir}/{encoded}.lock")
        if not lock.acquire(wait=False):
            continue  # somebody is at work on it
        try:
            part = f"{trees.root_dir}/{encoded}.part"
            if os.path.lexists(part):
                remove_tree(part)
                count += 1
        finally:
            lock.release()
    return count
