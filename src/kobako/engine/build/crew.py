"""Steps of a build beside each other: each in a process forked from the one that solves.

A process with threads must not fork, and a step forks (a container's monitor): so it is processes
all the way, none of which has more than one thread while it does. The child inherits all there is
to know about its step and sends back what comes of it. The database stays with the parent, which
looks up and keeps what a child asks it to.
"""

from __future__ import annotations

import _socket
import marshal
import os
import select
import sys

from kobako.build.progress import Waiting
from kobako.linux import fork, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any, NoReturn

    from kobako.build.graph import Output
    from kobako.engine.build.worker import EngineWorker
    from kobako.events import Event
    from kobako.store.cache import CacheRow
else:
    import _signal  # `signal` itself imports enum: 2 ms

_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
_HEAD = 4
_MOMENT = 500
"""Milliseconds without a word from any child after which that is told."""
_AGAIN = 500
"""Milliseconds after which who was told to end is told again."""
_CHUNK = 1 << 16


class Cancelled(BaseException):
    """The parent has told this process to end: a build has failed or was interrupted."""


class ForkingCrew:
    """`build.solver.Crew` on processes. `worker.sizes` learns what the children measured."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker
        self._children: dict[int, _Child] = {}

    def start(self, task: Callable[[Output], dict[str, Any]], output: Output) -> int:
        process.require_single_thread("run steps of a build beside each other")
        engine = self._worker.engine
        _ = engine.trees, engine.driver  # found out once, not by every child
        self._worker.settle()  # what was put off, and the monitor, are this process's
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
        parent = os.getpid()
        with fork.Undisturbed():
            pid = os.fork()
            if pid == 0:
                ours.close()
                for child in self._children.values():
                    child.end.close()
                _Apart(self._worker, theirs).run(task, parent)
            theirs.close()
            self._children[pid] = _Child(ours, output)
        return pid

    def wait(self) -> tuple[int, dict[str, Any] | BaseException]:
        poll = select.poll()
        for child in self._children.values():
            poll.register(child.end.fileno(), select.POLLIN)
        by_fd = {child.end.fileno(): pid for pid, child in self._children.items()}
        while True:
            ready = poll.poll(_MOMENT)
            if not ready:
                self._worker.on_event(Waiting())
            for fd, _ in ready:
                outcome = self._hear(self._children[by_fd[fd]])
                if outcome is not None:
                    pid = by_fd[fd]
                    self._reap(pid)
                    return pid, outcome

    def cancel(self) -> None:
        for pid in self._children:
            os.kill(pid, _signal.SIGTERM)
        for pid, child in list(self._children.items()):
            child.end.close()
            _insist(pid)
            self._reap(pid)

    def _reap(self, pid: int) -> None:
        self._children.pop(pid).end.close()
        os.waitpid(pid, 0)

    def _hear(self, child: _Child) -> dict[str, Any] | BaseException | None:
        """Does what the child says; its outcome once there is one."""
        for kind, *rest in child.messages():
            if kind == "output":
                child.output(*rest)
            elif kind == "event":
                import pickle

                self._worker.on_event(pickle.loads(rest[0]))
            elif kind == "get":
                child.send(*self._look_up(rest[0]))
            elif kind == "put":
                from kobako.store.cache import CacheRow

                self._worker.engine.store.db.cache.put(CacheRow(*rest))
            elif kind == "touch":
                self._worker.engine.store.db.cache.touch(rest[0])
            elif kind == "done":
                from kobako.fastjson import restore

                self._worker.sizes.update(rest[1])
                document: dict[str, Any] = restore(rest[0])
                return document
            else:
                return _rebuilt(rest[0])
        return None

    def _look_up(self, key: str) -> tuple[Any, ...]:
        row = self._worker.engine.store.db.cache.get(key)
        return () if row is None else tuple(getattr(row, field) for field in type(row)._fields)


def _insist(pid: int) -> None:
    """Waits for the end of a child that was told to end. A signal can come in vain: in the instant
    before a wait that it would have broken off, or where the exception of its handler cannot be
    raised. So it is sent until it is heeded."""
    fd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not poll.poll(_AGAIN):
            os.kill(pid, _signal.SIGTERM)
    finally:
        os.close(fd)


class _Link:
    """One end of the talk between parent and child: tuples of what marshal takes."""

    def __init__(self, end: _socket.socket) -> None:
        self.end = end
        self._buffer = b""

    def send(self, *message: Any) -> None:
        data = marshal.dumps(message)
        self.end.sendall(len(data).to_bytes(_HEAD, sys.byteorder) + data)

    def messages(self) -> list[tuple[Any, ...]]:
        """What has come whole, at least one; at the end of the talk, that the other has died."""
        while True:
            data = self.end.recv(_CHUNK)
            if not data:
                return [("failed", None)]
            self._buffer += data
            found = []
            while len(self._buffer) >= _HEAD:
                end = _HEAD + int.from_bytes(self._buffer[:_HEAD], sys.byteorder)
                if len(self._buffer) < end:
                    break
                found.append(marshal.loads(self._buffer[_HEAD:end]))
                self._buffer = self._buffer[end:]
            if found:
                return found


class _Child(_Link):
    def __init__(self, end: _socket.socket, output: Output) -> None:
        super().__init__(end)
        self.output = output


class _Apart:
    """The child's life."""

    def __init__(self, worker: EngineWorker, end: _socket.socket) -> None:
        self._worker = worker
        self._link = _Link(end)

    def run(self, task: Callable[[Output], dict[str, Any]], parent: int) -> NoReturn:
        """Carries out the task and tells what came of it; never returns.

        An interrupt from the keyboard is for the parent, which cancels. When the parent is killed
        this process is told, and ends what it started.
        """
        code = 1
        try:
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
            _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)
            _signal.signal(_signal.SIGTERM, _cancelled)
            sys.unraisablehook = _unraised
            process.set_parent_death_signal(_signal.SIGTERM)
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _ENDING)
            if os.getppid() != parent:
                raise Cancelled
            self._settle()
            try:
                document = task(lambda stream, data: self._link.send("output", stream, data))
            finally:
                self._worker.settle()
            from kobako.fastjson import dumps

            self._link.send("done", dumps(document), dict(self._made_sizes()))
            code = 0
        except (Cancelled, BrokenPipeError):
            pass
        except BaseException as error:
            self._link.send("failed", _taken_apart(error))
        finally:
            os._exit(code)

    def _settle(self) -> None:
        """What this process mounts is seen by itself alone, and goes with it."""
        from kobako.linux import mount

        process.unshare(process.CLONE_NEWNS)
        mount.set_propagation("/", "rprivate" if self._worker.engine.mode.entered else "rslave")
        self._parents = self._worker.engine.store.db  # never to be closed here
        self._worker.engine.store.db = _ParentsDatabase(self._link)  # type: ignore[assignment]  # as much of it as a step needs
        self._worker.on_event = self._event

    def _event(self, event: Event) -> None:
        import pickle

        self._link.send("event", pickle.dumps(event))

    def _made_sizes(self) -> list[tuple[str, int]]:
        return [(str(diff_id), size) for diff_id, size in self._worker.sizes.items()]


def _cancelled(number: int, frame: object) -> None:
    _signal.signal(number, _signal.SIG_IGN)  # once is enough: the ending is not to be disturbed
    raise Cancelled


def _unraised(fault: sys.UnraisableHookArgs) -> None:
    """What was raised in a destructor or the callback of a weak reference, where it is dropped."""
    if fault.exc_type is Cancelled:
        _signal.signal(_signal.SIGTERM, _cancelled)  # it comes again: `ForkingCrew.cancel`
    else:
        sys.__unraisablehook__(fault)


class _ParentsDatabase:
    """The database as a child has it: the cache table alone, and that by asking."""

    def __init__(self, link: _Link) -> None:
        self.cache = _ParentsCache(link)


class _ParentsCache:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def get(self, key: str) -> CacheRow | None:
        from kobako.store.cache import CacheRow

        self._link.send("get", key)
        row = self._link.messages()[0]
        return CacheRow(*row) if row else None

    def put(self, row: CacheRow) -> None:
        self._link.send("put", *(getattr(row, field) for field in type(row)._fields))

    def touch(self, keys: list[str]) -> None:
        self._link.send("touch", list(keys))


def _taken_apart(error: BaseException) -> bytes:
    """An exception on its way to the parent: what cannot travel goes as a text."""
    import pickle

    try:
        data = pickle.dumps((type(error), error.args, error.__dict__))
        _rebuilt(data)
    except Exception:
        import traceback

        text = "".join(traceback.format_exception(error))
        return pickle.dumps((RuntimeError, (text,), {}))
    return data


def _rebuilt(data: bytes | None) -> BaseException:
    """The exception again, whatever its class wants to be made of."""
    if data is None:
        from kobako.errors import Unavailable

        return Unavailable("the process that carried out this step was killed")
    import pickle

    kind, args, state = pickle.loads(data)
    error: BaseException = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
