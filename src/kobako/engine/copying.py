"""cp: files and directories between a container and the user's own.

Two processes with a tar stream between them, as docker's client and daemon: this one reads and
writes the user's files with the user's own rights, the other (`copy_worker`) the container's.
"""

from __future__ import annotations

import os

from kobako.engine import copy_local, copy_paths
from kobako.engine.copy_process import CopyProcess
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine

_BLOCK = 1 << 20


def copy_out(engine: Engine, name: str, path: str, target: str, *, follow: bool) -> int:
    """Copy what is at `path` of a container to the absolute `target`; the bytes of the tar stream.

    Everything belongs to the user then. With `follow` a link at `path` stands for what it leads
    to. Rules and words are docker's.
    """
    from kobako.engine.copy_worker import Outgoing

    _check(name, path)
    copy_local.check_output(target)
    there = copy_local.destination(target)
    with CopyProcess(engine, name, writing=False) as other:
        from_other, sink = _pipe()
        other.start(Outgoing(name, path, sink, follow=follow, shown=False), sink)
        os.close(sink)
        taking = _Taking(other, from_other, there)
        other.meanwhile(taking.run, from_other)
    _record(engine, name, "archive-path")
    return taking.size


class _Taking:
    """Unpacks what comes through a pipe."""

    def __init__(self, other: CopyProcess, pipe: int, there: copy_local.Place) -> None:
        self._other = other
        self._pipe = pipe
        self._there = there
        self.size = 0

    def run(self) -> None:
        from kobako.layer.receive import OfUser, receive

        there = self._there
        goal = copy_paths.destination(
            self._other.source(), there.path, exists=there.exists, is_directory=there.is_directory
        )
        into = copy_local.open_directory(goal.directory)
        try:
            receive(
                self._next_block,
                into,
                OfUser(),
                os.fsencode(goal.name),
                place=goal.directory,
                keeps=not goal.name,
            )
        finally:
            os.close(into)

    def _next_block(self) -> bytes:
        block = os.read(self._pipe, _BLOCK)
        self.size += len(block)
        return block


def copy_out_stream(engine: Engine, name: str, path: str, sink: int, *, follow: bool) -> None:
    """The same as a tar archive written to the descriptor `sink`, owners and all.

    `BrokenPipeError` when its reader goes away.
    """
    from kobako.engine.copy_worker import Outgoing

    _check(name, path)
    with CopyProcess(engine, name, writing=False) as other:
        other.start(Outgoing(name, path, sink, follow=follow, shown=True), sink)
        other.meanwhile(lambda: None, -1)
    _record(engine, name, "archive-path")


def copy_in(
    engine: Engine, source: str, name: str, path: str, *, follow: bool, archive: bool
) -> int:
    """Copy the user's file or directory at the absolute path `source` to `path` of a container; the
    bytes of the tar stream.

    With `follow` a link stands for what it leads to. It belongs to root there or, with `archive`,
    to the uid and gid it has here.
    """
    from kobako.engine.copy_worker import Incoming
    from kobako.layer.send import Pipe, send

    _check(name, path)
    with CopyProcess(engine, name, writing=True) as other:
        found = copy_local.find(source, follow=follow)
        try:
            stream, to_other = _pipe()
            other.start(Incoming(name, path, stream, found.source, owned=archive), stream)
            os.close(stream)
            pipe = Pipe(to_other)
            other.meanwhile(lambda: send(found.fd, found.name, pipe, place=found.place), to_other)
        finally:
            os.close(found.fd)
    _record(engine, name, "extract-to-dir")
    return pipe.size


def copy_in_stream(engine: Engine, stream: int, name: str, path: str) -> None:
    """Unpack a tar archive, compressed or not, that is read from the descriptor `stream`, in a
    directory of a container. Its files belong to whom it says."""
    from kobako.engine.copy_worker import Incoming

    _check(name, path)
    with CopyProcess(engine, name, writing=True) as other:
        other.start(Incoming(name, path, stream, None, owned=True), stream)
        other.meanwhile(lambda: None, -1)
    _record(engine, name, "extract-to-dir")


def _record(engine: Engine, name: str, action: str) -> None:
    from kobako.engine import containers, recording

    recording.container(engine, containers.find(engine, name), action)


def _check(name: str, path: str) -> None:
    if not path:
        raise Invalid(f"{name}: the path in the container cannot be empty")


def _pipe() -> tuple[int, int]:
    """(to read from, to write to)"""
    import fcntl

    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _BLOCK)
    except OSError:
        pass  # the user has many pipes
    return reader, writer
