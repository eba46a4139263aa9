"""Cache mounts: directories that outlive builds, shared as `sharing` says.

`<root>/cache-mounts/<format>/<name>/`: `tree` is what is mounted, `lock` is flocked by every RUN
that uses it (shared for `shared`, exclusive for `locked` and `private`), `id` is the id as it was
given; the directory itself is flocked by who makes the tree. Further places of a `private` mount
that was in use are `<name>.1`, `<name>.2`, ... The kernel takes a dead process's locks away.
"""

from __future__ import annotations

import fcntl
import os

from kobako.engine.build.plain_tree import PlainTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.worker import CacheMount
    from kobako.engine.build.worker import EngineWorker

_MODE, _OWNER = 0o755, (0, 0)


class Held:
    """A cache mount in use: `path` is the directory to bind."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Ends the use, in copies of the descriptor that other processes may have too."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)


class CacheMounts:
    """The cache mounts of a data root, in the format of its mode."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker
        self._form = worker.engine.mode.format
        self._base = place(worker.engine.settings.root, self._form)

    def hold(self, mount: CacheMount) -> Held:
        """The directory of a mount, filled when it is new and locked for this process. Waits while
        a `locked` one is in use elsewhere."""
        os.makedirs(self._base, mode=0o700, exist_ok=True)
        number = 0
        while True:
            directory = os.path.join(self._base, _name(mount) + (f".{number}" if number else ""))
            lock = self._lock(directory, mount)
            if lock < 0:  # private, and somebody has it
                number += 1
                continue
            try:
                return Held(self._source(directory, mount), lock)
            except BaseException:
                os.close(lock)
                raise

    def _lock(self, directory: str, mount: CacheMount) -> int:
        """A locked descriptor, -1 when a private place is another's."""
        exclusive = mount.sharing != "shared"
        how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        if mount.sharing == "private":
            how |= fcntl.LOCK_NB
        while True:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            path = os.path.join(directory, "lock")
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, how)
            except BlockingIOError:
                os.close(fd)
                return -1
            except BaseException:
                os.close(fd)
                raise
            try:  # a prune may have taken the place away while we waited
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    os.utime(fd)  # the time of its last use
                    return fd
            except FileNotFoundError:
                pass
            os.close(fd)

    def _source(self, directory: str, mount: CacheMount) -> str:
        """The directory to bind: the place's tree, made when it is new, or what `path` names."""
        from kobako.build.ops.rootpath import resolve

        tree = os.path.join(directory, "tree")
        alone = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Of those that share a new place one makes it and the others wait: a second tree, moved
            # to where the first is and still empty, would take that from under who has it mounted.
            fcntl.flock(alone, fcntl.LOCK_EX)
            if not os.path.isdir(tree):
                self._make(directory, tree, mount)
            path = resolve(tree, mount.path)
            if not os.path.isdir(path):
                os.makedirs(path)
            return path
        finally:
            os.close(alone)

    def _make(self, directory: str, tree: str, mount: CacheMount) -> None:
        """Makes the tree of a new place, complete or not at all."""
        new = f"{tree}.new"
        if os.path.lexists(new):  # of one that was killed
            from kobako.snapshot.driver import remove_tree

            remove_tree(new)
        os.mkdir(new, 0o755)
        if mount.layers:
            self._fill(new, mount)
        mode = mount.mode if mount.mode is not None else _MODE
        owner = (mount.uid or 0, mount.gid or 0)
        if mount.mode is not None or not mount.layers or owner != _OWNER:
            PlainTree(new, self._form).own("", *owner)
            os.chmod(new, mode & 0o7777)
        with open(os.path.join(directory, "id"), "w") as file:
            file.write(mount.id)
        os.rename(new, tree)

    def _fill(self, new: str, mount: CacheMount) -> None:
        """Copies the files of the stage or image a new cache starts from."""
        from kobako.build.files import TreeFiles
        from kobako.build.ops.copying import Copier

        with self._worker.mounted(mount.layers) as source:
            files = TreeFiles(source)
            try:
                entry = files.lookup("")
                assert entry is not None
                Copier(PlainTree(new, self._form)).place(files, entry, "", "/")
            finally:
                files.close()


def place(root: str, form: str) -> str:
    """Where a data root has its cache mounts of one format."""
    return os.path.join(root, "cache-mounts", form)


def name_of(identity: str) -> str:
    """The name of the place of a mount that says no more than its id."""
    from kobako.build.worker import CacheMount

    return _name(CacheMount("/", identity))


def _name(mount: CacheMount) -> str:
    """The name of a place: other owners, modes or contents to start from make another cache."""
    from kobako.build.cache import cache_key

    start = [layer.diff_id for layer in mount.layers]
    return cache_key("cache-mount", mount.id, mount.mode, mount.uid, mount.gid, start)
