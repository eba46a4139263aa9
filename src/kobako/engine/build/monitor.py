"""The monitor of a build's command, forked before there is a tree to run it in: `runtime.ahead`."""

from __future__ import annotations

import os

from kobako import groups
from kobako.engine import bundles, surroundings
from kobako.engine.privilege import SINGLE
from kobako.runtime.ahead import Ahead
from kobako.runtime.bundle import Bundle, Stdio
from kobako.runtime.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.worker import RunRequest
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.engine import Engine
    from kobako.engine.scratch import Scratch
    from kobako.runtime.container import Container


class Monitor:
    """A monitor that gets ready for the command of a request, and for others after it that have
    the same `around` them: `renew`. `dismiss` must be called.

    What is mounted for the command, where something is, has to be mounted before it is made: it
    would not be seen there. `streams` are descriptors of the command's output, by stream.
    """

    def __init__(self, worker: EngineWorker, request: RunRequest) -> None:
        engine = self._engine = worker.engine
        self.around = around(engine, request)
        self.streams: dict[int, int] = {}
        self._spent = False
        with self._pipes() as writers:
            self._ahead = Ahead(
                writers,
                terminal=False,
                around=self.around,
                stage=surroundings.stage(engine),
                detach=False,
                prepare=self._prepare,
                intercept_of=lambda spec, given: bundles.ownership(
                    engine, given[0], given[1], spec, given[2]
                ),
                tied=True,
                again=True,
            )

    def _prepare(self) -> None:
        if self._engine.mode is SINGLE:
            groups.load("emulated")  # once, not in the supervisor of each command

    def renew(self) -> bool:
        """Get ready for another command, if it is not; the last one has ended. False where it has
        been killed meanwhile."""
        if self._spent:
            with self._pipes() as writers:
                self._spent = not self._ahead.renew(writers)
        return not self._spent

    def _pipes(self) -> _Pipes:
        self._close()
        pipes = _Pipes()
        self.streams = pipes.readers
        return pipes

    def start(self, scratch: Scratch, document: dict[str, Any]) -> None:
        """Start the command of a runtime-spec document on a writable layer; returns at once."""
        mounts = self._engine.driver.mounts(scratch.directory, scratch.lowers, volatile=True)
        program = bundles.filter_program(self._engine, document, no_sync=True)
        self._ahead.foresee(
            Bundle(scratch.directory, document, mounts),
            os.path.join(scratch.directory, "state"),
            filter_program=program,
            given=(scratch.directory, scratch.lowers, program),
        )
        self._ahead.launch()

    def started(self) -> Container:
        """The container, once its program runs. Raises `StartFailed` as `launch.start` does."""
        self._spent = True
        return self._ahead.started()

    def end(self) -> None:
        """Kill the command and let go of the monitor, of which nothing is left."""
        self._ahead.end()
        self._close()

    def dismiss(self) -> None:
        """Send the monitor away, which has nothing to do. Idempotent, and a no-op after `end`."""
        self._ahead.abandon()
        self._close()

    def _close(self) -> None:
        for fd in self.streams:
            os.close(fd)
        self.streams = {}


class _Pipes:
    """The pipes of a command's output: a context manager that gives the ends to write to, and takes
    away those to read from, too, where the block fails."""

    def __init__(self) -> None:
        out, self._out = os.pipe2(os.O_CLOEXEC)
        err, self._err = os.pipe2(os.O_CLOEXEC)
        self.readers = {out: 1, err: 2}

    def __enter__(self) -> Stdio:
        return Stdio(stdout=self._out, stderr=self._err)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        os.close(self._out)
        os.close(self._err)
        while kind is not None and self.readers:
            os.close(self.readers.popitem()[0])


def around(engine: Engine, request: RunRequest) -> Surroundings:
    """What lies around the command of a request."""
    return Surroundings(
        network="private" if request.network == "none" else "host",
        pid=surroundings.pids(engine),
        privileged=request.security == "insecure",
        shm_size=request.shm_size,
    )
