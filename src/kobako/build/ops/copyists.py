"""Processes that do parts of one job side by side and hand over bytes in the order of the parts.

Processes, since threads would wait for each other's Python. Of n of them each does every nth part;
what it has to say goes through its pipe, so none gets far ahead of whoever listens.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import signal

from kobako.errors import KobakoError, Unavailable
from kobako.linux import fork, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

    Work = Callable[[int, Callable[[bytes], object]], None]

_HEAD = 4
_END, _FAULT = bytes(_HEAD), b"\xff" * _HEAD
_HELD = 256 << 10
_PIPE = 1 << 20


class Copyists:
    """`work(part, tell)` is called for each part from 0 to `parts`, in one of `count` processes.

    Call `stop` at the end, whatever happened: none is left then. The caller has one thread.
    """

    def __init__(self, count: int, parts: int, work: Work) -> None:
        process.require_single_thread("copy files")
        self._pids: list[int] = []
        self._pipes: list[int] = []
        try:
            for first in range(count):
                self._start(range(first, parts, count), work)
        except BaseException:
            self.stop()
            raise

    def _start(self, parts: range, work: Work) -> None:
        parent = os.getpid()
        reader, writer = os.pipe()
        self._pipes.append(reader)
        try:
            try:
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
            except OSError:
                pass  # more than is allowed to this user
            pid = fork.fork_helper()
            if pid == 0:
                _copy(parts, work, parent, writer)
            self._pids.append(pid)
        finally:
            os.close(writer)

    def told(self, part: int) -> Iterator[bytes]:
        """What the work on a part says; parts are asked for in their order. Its error is raised."""
        pipe = self._pipes[part % len(self._pipes)]
        while (head := _exactly(pipe, _HEAD)) != _END:
            if head == _FAULT:
                _raise(marshal.loads(_exactly(pipe, int.from_bytes(_exactly(pipe, _HEAD), "big"))))
            yield _exactly(pipe, int.from_bytes(head, "big"))

    def stop(self) -> None:
        """End what is still at work."""
        with fork.Undisturbed():
            for pid in self._pids:
                os.kill(pid, signal.SIGKILL)  # not waited for yet: the number is theirs
            for pid in self._pids:
                os.waitpid(pid, 0)
            for pipe in self._pipes:
                os.close(pipe)
            self._pids, self._pipes = [], []


def _copy(parts: range, work: Work, parent: int, pipe: int) -> NoReturn:
    """A copyist's life."""
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        told = _Told(pipe)
        try:
            for part in parts:
                work(part, told.add)
                told.end()
        except BaseException as fault:
            told.fail(fault)
    finally:
        os._exit(0)


class _Told:
    """What is to be said, in pieces worth a write."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._held: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size >= _HELD:
            self._send(b"")

    def end(self) -> None:
        self._send(_END)

    def fail(self, fault: BaseException) -> None:
        document: tuple[Any, ...] = "error", f"{type(fault).__name__}: {fault}", ""
        if isinstance(fault, KobakoError):
            document = "error", fault.message, fault.hint
        elif isinstance(fault, OSError) and fault.errno:
            document = "errno", fault.errno, fault.strerror or str(fault)
        data = marshal.dumps(document)
        self._send(_FAULT + len(data).to_bytes(_HEAD, "big") + data)

    def _send(self, tail: bytes) -> None:
        from kobako.linux.fs import write_all

        data = b"".join(self._held)
        head = len(data).to_bytes(_HEAD, "big") if data else b""
        self._held, self._size = [], 0
        write_all(self._pipe, head + data + tail)


def _raise(document: tuple[Any, ...]) -> NoReturn:
    kind, first, second = document
    if kind == "errno":
        raise OSError(first, second)
    raise Unavailable(first, hint=second)


def _exactly(pipe: int, count: int) -> bytes:
    parts = []
    while count:
        data = os.read(pipe, count)
        if not data:
            raise Unavailable("a process that copied files has died")
        parts.append(data)
        count -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)
