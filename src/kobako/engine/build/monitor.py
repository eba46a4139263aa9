"""The monitor of a build's command, forked before there is a tree to run it in: `runtime.ahead`."""

from __future__ import annotations

import os

from kobako.engine import bundles, surroundings
from kobako.runtime.ahead import Ahead
from kobako.runtime.bundle import Bundle, Stdio
from kobako.runtime.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from kobako.build.worker import RunRequest
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.scratch import Scratch
    from kobako.runtime.container import Container


class Monitor:
    """A monitor that gets ready for the command of a request; a context manager, which sends it
    away if nothing was started.

    What is mounted for the command, where something is, has to be mounted before: it would not be
    seen there. `streams` are descriptors of the command's output, by stream.
    """

    def __init__(self, worker: EngineWorker, request: RunRequest) -> None:
        engine = self._engine = worker.engine
        bundles.load(engine)  # once, not in the supervisor of each command
        filter_program = worker.filter_program
        out, out_writer = os.pipe2(os.O_CLOEXEC)
        err, err_writer = os.pipe2(os.O_CLOEXEC)
        self.streams = {out: 1, err: 2}
        self._used = False
        try:
            self._ahead = Ahead(
                Stdio(stdout=out_writer, stderr=err_writer),
                terminal=False,
                around=around(request),
                stage=surroundings.stage(engine),
                detach=False,
                prepare=lambda: None,
                intercept_of=lambda spec, given: bundles.ownership(
                    engine, given[0], given[1], spec, program=filter_program
                ),
                tied=True,
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(out_writer)
            os.close(err_writer)

    def start(self, scratch: Scratch, document: dict[str, Any]) -> None:
        """Start the command of a runtime-spec document on a writable layer; returns at once."""
        mounts = self._engine.driver.mounts(scratch.directory, scratch.lowers, volatile=True)
        self._ahead.foresee(
            Bundle(scratch.directory, document, mounts),
            os.path.join(scratch.directory, "state"),
            given=(scratch.directory, scratch.lowers),
        )
        self._ahead.launch()

    def started(self) -> Container:
        """The container, once its program runs. Raises `StartFailed` as `launch.start` does."""
        self._used = True
        return self._ahead.started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._close()
        if not self._used:
            self._ahead.abandon()

    def _close(self) -> None:
        for fd in self.streams:
            os.close(fd)


def around(request: RunRequest) -> Surroundings:
    """What lies around the command of a request."""
    return Surroundings(
        network="private" if request.network == "none" else "host",
        privileged=request.security == "insecure",
        shm_size=request.shm_size,
    )
