"""The process that has a container's files during a copy, as its parent sees it."""

from __future__ import annotations

import os

from kobako import errors
from kobako.engine.copy_paths import Source
from kobako.errors import Corrupt, KobakoError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from kobako.engine.container_tree import ContainerTree
    from kobako.engine.engine import Engine
    from kobako.linux.channel import Channel

_SIGTERM = 15


class _Ended(Exception):
    """It has said its last word."""


class CopyProcess:
    """A context manager: leaving it by an exception ends the process.

    Raises `NotFound` when there is no such container.
    """

    def __init__(self, engine: Engine, name: str, *, writing: bool) -> None:
        from kobako.engine import containers
        from kobako.engine.container_tree import ContainerTree

        found = containers.find(engine, name)
        self._tree = ContainerTree(engine, found, writing=writing)
        self._pid = 0
        self._last: bytes | None = None
        self._channel: Channel

    def __enter__(self) -> CopyProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._pid:
            return
        if kind is not None:
            os.kill(self._pid, _SIGTERM)
        os.waitpid(self._pid, 0)
        self._channel.close()

    def start(self, work: Callable[[ContainerTree, Channel], None], kept: int) -> None:
        """Fork it. It keeps the descriptor `kept` and the standard streams."""
        from kobako.engine.copy_worker import attend
        from kobako.linux import process
        from kobako.linux.channel import Channel
        from kobako.linux.fork import fork_helper

        process.require_single_thread("copy files of a container")
        self._channel, theirs = Channel.pair()
        parent = os.getpid()
        self._pid = fork_helper()
        if self._pid == 0:
            process.close_all_but({kept, theirs.fileno()})
            attend(self._tree, theirs, work, parent)
        theirs.close()

    def source(self) -> Source:
        """What is copied out, as soon as that is known."""
        message, _ = self._channel.receive()
        kind, _, name = message.partition(b"\0")
        if kind not in (b"d", b"f"):
            self._last = message
            raise _Ended
        return Source(is_directory=kind == b"d", name=name.decode("utf-8", "surrogateescape"))

    def meanwhile(self, act: Callable[[], None], pipe: int) -> None:
        """Our own part; then, `pipe` being closed, how the other went.

        Where both have failed, a stream that breaks off has its reason at its other end.
        """
        fault: Exception | None = None
        try:
            act()
        except Exception as caught:
            fault = caught
        finally:
            if pipe >= 0:
                os.close(pipe)
        theirs = self._hear_out()
        if theirs is not None and isinstance(fault, None | BrokenPipeError | Corrupt | _Ended):
            raise theirs
        if fault is not None:
            raise fault

    def _hear_out(self) -> Exception | None:
        """What went wrong there."""
        message = self._last
        while message is None or message[:1] in (b"d", b"f"):
            message, _ = self._channel.receive()
        if message == b"+":
            return None
        if message == b"|":
            return BrokenPipeError()
        parts = [p.decode("utf-8", "surrogateescape") for p in message.split(b"\0")]
        if len(parts) != 4:
            return Unavailable("the process that had the container's files was killed")
        kind = getattr(errors, parts[1], KobakoError)
        made: KobakoError = kind(parts[2], hint=parts[3])
        return made
