"""`RUN --mount`: what a build's mounts become in the container of a RUN, and what is left of them.

Everything here lives as long as the `with` block: mounts are made in this process's own mount
namespace, secrets lie in a tmpfs, locks on cache mounts are flocks. A process that is killed leaves
nothing but directories of its scratch, which the next collection takes.
"""

from __future__ import annotations

import os
import stat

from kobako.build.worker import BindMount as BuildBind
from kobako.build.worker import CacheMount, FileMount, SshMount, TmpfsMount
from kobako.engine.build.plain_tree import PlainTree
from kobako.engine.scratch import Scratch
from kobako.errors import NotFound
from kobako.runtime.spec import BindMount, Tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from kobako.build.worker import Mount, RunRequest
    from kobako.engine.build.worker import EngineWorker


class Mounts:
    """The mounts of one RUN: `binds` and `tmpfs` for its container. A context manager."""

    def __init__(self, worker: EngineWorker, scratch: Scratch, request: RunRequest) -> None:
        self.worker = worker
        self.scratch = scratch
        self.binds: list[BindMount] = []
        self.tmpfs: list[Tmpfs] = []
        self._mounts = request.mounts
        self._tree = PlainTree(scratch.directory, worker.engine.mode.format)
        self._undo: list[Callable[[], None]] = []
        self._missing: dict[str, int] = {}
        self._private = ""

    def __enter__(self) -> Self:
        try:
            self._missing = self._places_to_make()
            # Locks are taken in one order, whatever the order of the mounts.
            caches = [m for m in self._mounts if isinstance(m, CacheMount)]
            held = {id(m): self._cache(m) for m in sorted(caches, key=lambda m: m.id)}
            for number, mount in enumerate(self._mounts):
                if isinstance(mount, CacheMount):
                    self.binds.append(BindMount(held[id(mount)], mount.target, mount.readonly))
                else:
                    self._place(number, mount)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *fault: object) -> None:
        try:
            self._clean()
        finally:
            self._end()

    def _end(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _place(self, number: int, mount: Mount) -> None:
        if isinstance(mount, TmpfsMount):
            options = ["exec"]
            if mount.size:
                options.append(f"size={mount.size}")
            if mount.readonly:
                options.append("ro")
            self.tmpfs.append(Tmpfs(mount.target, tuple(options)))
        elif isinstance(mount, FileMount):
            options = ["nosuid", *(() if mount.mode & 0o111 else ("noexec",))]
            path = self._file(number, mount)
            self.binds.append(BindMount(path, mount.target, True, tuple(options)))
        elif isinstance(mount, SshMount):
            from kobako.engine.build.ssh_forward import Forward

            forward = Forward(
                mount,
                os.path.join(self.scratch.directory, f"ssh-{number}"),
                self.worker.engine.settings.path,
            )
            self._undo.append(forward.close)
            self._tree.own(forward.socket, mount.uid, mount.gid)
            os.chmod(forward.socket, mount.mode & 0o777)
            self.binds.append(BindMount(forward.socket, mount.target))
        else:
            assert isinstance(mount, BuildBind)
            self._bind(number, mount)

    def _bind(self, number: int, mount: BuildBind) -> None:
        if mount.directory and mount.readonly and not mount.hidden and mount.mode is None:
            root = mount.directory
        else:
            root = self._merged(number, mount)
        source = _inside(root, mount.path)
        self.binds.append(BindMount(source, mount.target, mount.readonly))

    def _merged(self, number: int, mount: BuildBind) -> str:
        """The mount's files made visible at a path of ours; writes go nowhere."""
        if mount.directory:
            lowers = [mount.directory]
        else:
            lowers = self.worker.lowers(mount.layers)
        if mount.hidden or mount.mode is not None:
            veil = os.path.join(self.scratch.directory, f"veil-{number}")
            _veil(veil, mount.directory, mount.hidden)
            if mount.mode is not None:
                os.chmod(veil, mount.mode)
            lowers.insert(0, veil)
        view = Scratch(self.worker.engine, lowers).__enter__()
        self._undo.append(view.remove)
        return view.mount(readonly=mount.readonly)

    def _file(self, number: int, mount: FileMount) -> str:
        """A file of the mount's content, in memory."""
        from kobako.linux import mount as linux_mount

        if not self._private:
            self.worker.engine.own_mounts()
            self._private = os.path.join(self.scratch.directory, "private")
            os.mkdir(self._private, 0o700)
            tmpfs = linux_mount.Mount("tmpfs", "tmpfs", self._private, ("nosuid", "nodev"))
            tmpfs.replace(data="mode=700").apply()
            self._undo.append(lambda: linux_mount.unmount(self._private, detach=True))
        path = os.path.join(self._private, str(number))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(mount.data)
        self._tree.own(path, mount.uid, mount.gid)
        os.chmod(path, mount.mode & 0o777)
        return path

    def _cache(self, mount: CacheMount) -> str:
        from kobako.engine.build.cache_mounts import CacheMounts

        held = CacheMounts(self.worker).hold(mount)
        self._undo.append(held.release)
        return held.path

    def _places_to_make(self) -> dict[str, int]:
        """The paths in the root where nothing is yet and a mount's target, or a directory above
        it, will be made; relative. With each the time (ns) of the directory above it, 0 for one
        that will be made."""
        from kobako.build.ops.rootpath import resolve
        from kobako.linux import mount as linux_mount

        targets = [m.target for m in self._mounts if not m.target.startswith(("/dev/", "/proc/"))]
        if not targets:
            return {}
        engine, scratch = self.worker.engine, self.scratch
        engine.own_mounts()
        for one in engine.driver.mounts(scratch.directory, scratch.lowers, readonly=True):
            one.apply()
        try:
            found: dict[str, int] = {}
            for target in targets:
                path = resolve(scratch.tree, target)
                while path != scratch.tree and not os.path.lexists(path):
                    above = os.path.dirname(path)
                    time = os.lstat(above).st_mtime_ns if os.path.lexists(above) else 0
                    found.setdefault(path[len(scratch.tree) + 1 :], time)
                    path = above
            return found
        finally:
            linux_mount.unmount(scratch.tree)

    def _clean(self) -> None:
        """Removes what was made for the mounts and is still empty, directories that several have
        in common last. A directory above in which nothing else happened has its old time again, so
        that it is not taken for changed."""
        upper = os.path.join(self.scratch.directory, "upper")
        for relative, before in sorted(self._missing.items(), reverse=True):
            path = os.path.join(upper, relative)
            parent = os.path.dirname(path)
            try:
                info, above = os.lstat(path), os.lstat(parent)
                if not stat.S_ISDIR(above.st_mode):
                    continue
                if stat.S_ISDIR(info.st_mode):
                    os.rmdir(path)
                elif stat.S_ISREG(info.st_mode) and not info.st_size:
                    os.unlink(path)
                else:
                    continue
            except OSError:  # never made, or filled
                continue
            time = before if before and not os.listdir(parent) else above.st_mtime_ns
            os.utime(parent, ns=(above.st_atime_ns, time))


def _inside(root: str, path: str) -> str:
    from kobako.build.ops.rootpath import resolve

    found = resolve(root, path)
    if not os.path.lexists(found):
        raise NotFound(f'"{path}": not found', hint="It is the source of a RUN --mount.")
    return found


def _veil(veil: str, directory: str, hidden: tuple[str, ...]) -> None:
    """A tree to stack above `directory` that takes the paths `hidden` away."""
    os.mkdir(veil)
    made = {""}
    _like(directory, veil)
    for path in hidden:
        parent = os.path.dirname(path)
        above = []
        while parent not in made:
            above.append(parent)
            parent = os.path.dirname(parent)
        for relative in reversed(above):
            os.mkdir(os.path.join(veil, relative))
            _like(os.path.join(directory, relative), os.path.join(veil, relative))
            made.add(relative)
        os.mknod(os.path.join(veil, path), stat.S_IFCHR, 0)


def _like(source: str, target: str) -> None:
    info = os.lstat(source)
    os.chmod(target, stat.S_IMODE(info.st_mode))
