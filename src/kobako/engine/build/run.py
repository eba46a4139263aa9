"""One RUN of a build: a container whose writable layer becomes a layer."""

from __future__ import annotations

import os
import select

from kobako.build.worker import RunResult
from kobako.engine.build.monitor import Monitor, around
from kobako.engine.build.mounts import Mounts
from kobako.engine.scratch import Scratch

_PLACES = ("dev", "proc", "sys")
_LOOK_UP = 500
"""Milliseconds that a wait lasts at most: a signal that comes just before it is heeded after it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.worker import OnOutput, RunRequest
    from kobako.engine.build.worker import EngineWorker
    from kobako.layer.change import Change
    from kobako.runtime.bundle import Stdio


def run(worker: EngineWorker, request: RunRequest, on_output: OnOutput) -> RunResult:
    """Run the command on a writable layer, and make a layer of that."""
    if request.mounts:
        return _run(worker, request, None, on_output)
    monitor = worker.monitor(request)
    try:
        result = _run(worker, request, monitor, on_output)
    except BaseException:
        monitor.dismiss()
        raise
    worker.keep_monitor(monitor)
    return result


def _run(
    worker: EngineWorker, request: RunRequest, monitor: Monitor | None, on_output: OnOutput
) -> RunResult:
    lowers = worker.lowers(request.layers, places=True)
    with worker.clearing(Scratch(worker.engine, lowers, request.id)) as scratch:
        with Mounts(worker, scratch, request) as mounts:
            config = document(scratch, request, mounts)
            if monitor is not None:
                code = _attend(worker, monitor, scratch, config, on_output)
                if request.followed and code == 0:
                    monitor.renew()
            else:
                late = Monitor(worker, request)
                try:
                    code = _attend(worker, late, scratch, config, on_output)
                finally:
                    late.dismiss()
        if code != 0:
            return RunResult(code, kept=scratch.leave() if worker.keep_failed else "")
        return RunResult(0, worker.keep(scratch, request.epoch, places(scratch)))


def _attend(
    worker: EngineWorker,
    monitor: Monitor,
    scratch: Scratch,
    document: dict[str, Any],
    on_output: OnOutput,
) -> int:
    """Start a command and stay with it to its end; its exit code."""
    monitor.start(scratch, document)
    worker.catch_up()
    container = monitor.started()
    try:
        container.attend()
        _copy(monitor.streams, on_output)
        code = container.wait(forward_signals=False, reap=False)
        assert code is not None  # there is no terminal to leave
        return code
    except BaseException:
        monitor.end()
        raise


def places(scratch: Scratch) -> list[Change]:
    """The directories every container is mounted on that the image lacks: made in the writable
    layer, where a runtime without a tree beneath would have left them."""
    from kobako.layer.change import Change

    trees = scratch.lowers[:-1]
    missing = [p for p in _PLACES if not any(os.path.isdir(f"{tree}/{p}") for tree in trees)]
    for place in missing:
        path = os.path.join(scratch.directory, "upper", place)
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chmod(path, 0o755)
    return [Change(f"/{place}", "A") for place in missing]


def _copy(streams: dict[int, int], on_output: OnOutput) -> None:
    """Hand on what comes until all streams have ended."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    waiting = set(streams)
    while waiting:
        for fd, _ in poll.poll(_LOOK_UP):
            data = os.read(fd, 65536)
            if data:
                on_output(streams[fd], data)
            else:
                poll.unregister(fd)
                waiting.discard(fd)


def attend(worker: EngineWorker, scratch: Scratch, document: dict[str, Any], io: Stdio) -> int:
    """The same with a person at a terminal."""
    from kobako.engine import bundles
    from kobako.runtime.bundle import Bundle
    from kobako.runtime.launch import start

    engine = worker.engine
    container = start(
        Bundle(
            scratch.directory, document, engine.driver.mounts(scratch.directory, scratch.lowers)
        ),
        state_dir=os.path.join(scratch.directory, "state"),
        io=io,
        intercept=bundles.ownership(
            engine,
            scratch.directory,
            scratch.lowers,
            document,
            bundles.filter_program(engine, document),
        ),
        tied=True,
    )
    try:
        return container.wait() or 0  # never None: there are no keys to leave it by
    except BaseException:
        container.end()
        raise


def document(
    scratch: Scratch, request: RunRequest, mounts: Mounts, *, terminal: bool = False
) -> dict[str, Any]:
    """The runtime-spec document of a request's container."""
    from kobako.engine import etc_files, program, users
    from kobako.runtime import spec
    from kobako.runtime.process_spec import ProcessOptions

    user = users.resolve(request.user, scratch.lowers)
    hostname = request.hostname
    env = program.environment(
        list(request.env), (), terminal=terminal, hostname=hostname, home=user.home
    )
    etc_files.write(
        scratch.directory,
        hostname=hostname,
        host_network=request.network != "none",
        extra_hosts=request.extra_hosts,
        dns=(),
        building=True,
    )
    process = ProcessOptions(
        args=request.args,
        env=tuple(e for e in env if not e.startswith("HOSTNAME=")),
        cwd=request.cwd,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        terminal=terminal,
        privileged=request.security == "insecure",
        ulimits=tuple(program.ulimit(text) for text in request.ulimits),
    )
    options = spec.ContainerOptions(
        process=process,
        around=around(scratch.engine, request),
        hostname=hostname,
        binds=(*etc_files.build_binds(scratch.directory), *mounts.binds),
        tmpfs=tuple(mounts.tmpfs),
    )
    return spec.document(options)
