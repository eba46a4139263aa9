"""The side of a copy that has the container: a process of its own, forked by `copying`.

It enters the user namespace the container's files are owned in, and touches nothing of the user's;
the parent does not enter, and touches nothing of the container's. Between them is a tar stream.
"""

from __future__ import annotations

import os
import stat

from kobako.engine import copy_paths
from kobako.engine.copy_paths import Source
from kobako.errors import Denied, Invalid, KobakoError, NotFound
from kobako.linux import process
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import BinaryIO, NoReturn

    from kobako.engine.container_tree import ContainerTree
    from kobako.linux.channel import Channel
else:
    import _signal  # `signal` itself imports enum: 2 ms

_PATH = os.O_PATH | os.O_CLOEXEC
_LINKS = 40  # the kernel's own limit of symlinks in a path
_READ_ONLY = 1  # ST_RDONLY
_SIGTERM = 15


class Found(Record):
    """Something in a container: the directory it lies in (O_PATH), its name there ("" for that
    directory itself) and what it is, itself a link or not."""

    directory: int
    name: str
    info: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)


def attend(
    tree: ContainerTree,
    channel: Channel,
    work: Callable[[ContainerTree, Channel], None],
    parent: int,
) -> NoReturn:
    """The process's whole life: opens the tree, does the work, and says how it went."""
    try:
        _signal.signal(_SIGTERM, _stop)
        try:
            tree.open()
            # Not before: a change of credentials clears it.
            process.set_parent_death_signal(_SIGTERM)
            if os.getppid() == parent:
                work(tree, channel)
        finally:
            tree.close()
        channel.send(b"+")
    except KeyboardInterrupt:
        pass  # who told us to stop does not listen
    except BrokenPipeError:
        channel.send(b"|")
    except KobakoError as fault:
        _tell(channel, type(fault).__name__, fault.message, fault.hint)
    except OSError as fault:
        words = f"{fault.filename or 'copy'}: {os.strerror(fault.errno or 0).lower()}"
        _tell(channel, "Unavailable", words)
    except BaseException as fault:
        _tell(channel, "KobakoError", repr(fault))
    finally:
        os._exit(0)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _tell(channel: Channel, kind: str, words: str, hint: str = "") -> None:
    channel.send(b"\0".join([b"-", *map(_encoded, (kind, words, hint))]))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").replace(b"\0", b"?")


class Outgoing:
    """Sends what is at `path` of the container to `sink` as a tar; with `shown`, under its name."""

    def __init__(self, name: str, path: str, sink: int, *, follow: bool, shown: bool) -> None:
        self.container = name
        self.path = self.followed = copy_paths.absolute(path)
        self.sink = sink
        self.follow = follow
        self.shown = shown

    def __call__(self, tree: ContainerTree, channel: Channel) -> None:
        from kobako.layer.send import Pipe, send
        from kobako.linux import fs

        found = self._find(tree)
        # docker gives what a link leads to the link's name in a directory, not in an archive.
        name = copy_paths.base(self.followed if self.shown else self.path)
        source = Source(found.is_directory, name)
        channel.send(b"\0".join([b"d" if source.is_directory else b"f", _encoded(name)]))
        inner = os.fsencode(found.name) if not found.is_directory else b""
        if found.is_directory and found.name:
            fd = os.open(found.name, fs.DIRECTORY, dir_fd=found.directory)
        else:
            fd = os.open(".", fs.DIRECTORY, dir_fd=found.directory)
        try:
            below = tree.path_of(fd)
            send(
                fd,
                inner,
                Pipe(self.sink),
                os.fsencode(name) if self.shown else b".",
                place="/" + os.fsdecode(below),
                form=tree.form,
                owners=tree.owners(below) if self.shown else None,
                moving=tree.running,
                whole=self.shown,
            )
        finally:
            os.close(fd)
            os.close(found.directory)

    def _find(self, tree: ContainerTree) -> Found:
        found = find(tree, self.container, self.path)
        if not (self.follow and stat.S_ISLNK(found.info.st_mode)):
            return found
        os.close(found.directory)
        self.followed = followed(tree, self.path)
        return find(tree, self.container, self.followed)


class Incoming:
    """Takes a tar from the descriptor `stream` and puts it at `path` of the container. `source` is
    what its top is, None for an archive of the user's own."""

    def __init__(
        self, name: str, path: str, stream: int, source: Source | None, *, owned: bool
    ) -> None:
        self.container = name
        self.path = path
        self.stream = stream
        self.source = source
        self.owned = owned

    def __call__(self, tree: ContainerTree, channel: Channel) -> None:
        from kobako.layer.attributes import Attributes
        from kobako.layer.blocks import BLOCK
        from kobako.layer.receive import receive

        path, info = self._target(tree, copy_paths.absolute(self.path))
        is_directory = info is not None and stat.S_ISDIR(info.st_mode)
        if self.source is None:
            if not is_directory:
                raise Invalid(f'destination "{self.container}:{self.path}" must be a directory')
            goal = copy_paths.Destination(path, "")
        else:
            goal = copy_paths.destination(
                self.source, path, exists=info is not None, is_directory=is_directory
            )
        into = self._entry(tree, goal)
        table = tree.own_table()
        stream: BinaryIO = open(self.stream, "rb", closefd=False)
        if self.source is None:
            from kobako.layer.codec import open_reader

            stream, _ = open_reader(stream)
        try:
            receive(
                lambda: stream.read(BLOCK),
                tree.root,
                Attributes(tree.form, table),
                into,
                place="/",
                keeps=not goal.name,
                owner=None if self.owned else (0, 0),
            )
        finally:
            tree.note(table)

    def _target(self, tree: ContainerTree, path: str) -> tuple[str, os.stat_result | None]:
        """The destination, a link followed, and what is there."""
        try:
            info = self._look(tree, path)
            if stat.S_ISLNK(info.st_mode):
                path = followed(tree, path)
                info = self._look(tree, path)
        except KobakoError:
            return path, None
        if stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
            raise Invalid(
                f'destination "{self.container}:{self.path}" must be a directory or a regular '
                "file: got a device"
            )
        return path, info

    def _look(self, tree: ContainerTree, path: str) -> os.stat_result:
        found = find(tree, self.container, path)
        os.close(found.directory)
        return found.info

    def _entry(self, tree: ContainerTree, goal: copy_paths.Destination) -> bytes:
        """The path of a destination relative to the root, its directory really being there."""
        from kobako.linux import inroot

        try:
            fd = inroot.open_in_root(tree.root, goal.directory, _PATH)
        except OSError as fault:
            raise _missing(self.container, goal.directory, fault) from None
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                raise Invalid("extraction point is not a directory")
            where = tree.path_of(fd)
            if os.fstatvfs(fd).f_flag & _READ_ONLY:
                raise Denied(tree.why_read_only(where))
        finally:
            os.close(fd)
        return where + b"/" * bool(where and goal.name) + os.fsencode(goal.name)


def find(tree: ContainerTree, container: str, path: str) -> Found:
    """What is at an absolute path: a link that is its last component is not followed.

    Raises `NotFound`, `Invalid` in docker's words.
    """
    from kobako.linux import inroot

    directory, _, name = path.rpartition("/")
    if name == ".":
        name = ""
    try:
        fd = inroot.open_in_root(tree.root, directory, _PATH | os.O_DIRECTORY)
        try:
            info = os.stat(name or ".", dir_fd=fd, follow_symlinks=False)
        except BaseException:
            os.close(fd)
            raise
    except OSError as fault:
        raise _missing(container, path, fault) from None
    return Found(fd, name, info)


def _missing(container: str, path: str, fault: OSError) -> KobakoError:
    if isinstance(fault, FileNotFoundError):
        return NotFound(f"Could not find the file {path} in container {container}")
    return Invalid(f"lstat {path}: {os.strerror(fault.errno or 0).lower()}")


def followed(tree: ContainerTree, path: str) -> str:
    """Where a link really leads, within the container; of a dangling one, to what is not there."""
    from kobako.linux import inroot

    for _ in range(_LINKS):
        try:
            fd = inroot.open_in_root(tree.root, path, _PATH)
        except FileNotFoundError:
            directory, name = copy_paths.split_entry(path)
            try:
                fd = inroot.open_in_root(tree.root, directory, _PATH | os.O_DIRECTORY)
            except OSError:
                return path
            try:
                real = "/" + os.fsdecode(tree.path_of(fd))
                path = os.path.join(real, os.readlink(name, dir_fd=fd))
            except OSError:
                return os.path.join(real, name)
            finally:
                os.close(fd)
            continue
        except OSError as fault:
            raise Invalid(f"lstat {path}: {os.strerror(fault.errno or 0).lower()}") from None
        try:
            return "/" + os.fsdecode(tree.path_of(fd))
        finally:
            os.close(fd)
    raise Invalid(f"lstat {path}: too many levels of symbolic links")
