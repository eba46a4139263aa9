"""One RUN of a build: a container whose writable layer becomes a layer."""

from __future__ import annotations

import os
import select

from kobako.engine.build.mounts import Mounts

_PLACES = ("dev", "proc", "sys")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.worker import OnOutput, RunRequest
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.scratch import Scratch
    from kobako.layer.change import Change
    from kobako.runtime.bundle import Stdio


def run(worker: EngineWorker, scratch: Scratch, request: RunRequest, on_output: OnOutput) -> int:
    """Run the command in the scratch's merged tree; its exit code."""
    with Mounts(worker, scratch, request) as mounts:
        return _run(worker, scratch, document(scratch, request, mounts), on_output)


def _run(
    worker: EngineWorker, scratch: Scratch, document: dict[str, object], on_output: OnOutput
) -> int:
    from kobako.engine import bundles
    from kobako.runtime.bundle import Bundle, Stdio
    from kobako.runtime.launch import start

    engine = worker.engine
    bundles.load(engine)  # once, not in the supervisor of each step
    mounts = engine.driver.mounts(scratch.directory, scratch.lowers, volatile=True)
    out_reader, out_writer = os.pipe2(os.O_CLOEXEC)
    err_reader, err_writer = os.pipe2(os.O_CLOEXEC)
    try:
        container = start(
            Bundle(scratch.directory, document, mounts),
            state_dir=os.path.join(scratch.directory, "state"),
            io=Stdio(stdout=out_writer, stderr=err_writer),
            intercept=bundles.ownership(engine, scratch.directory, scratch.lowers, no_sync=True),
            tied=True,
        )
    except BaseException:
        os.close(out_reader)
        os.close(err_reader)
        raise
    finally:
        os.close(out_writer)
        os.close(err_writer)
    try:
        container.attend()
        worker.catch_up()
        _copy({out_reader: 1, err_reader: 2}, on_output)
        code = container.wait(forward_signals=False, reap=False)
        worker.put_off(container.reap)
        assert code is not None  # there is no terminal to leave
        return code
    except BaseException:
        container.end()
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
    """Hand on what comes until both streams have ended, then close them."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    waiting = set(streams)
    try:
        while waiting:
            for fd, _ in poll.poll():
                data = os.read(fd, 65536)
                if data:
                    on_output(streams[fd], data)
                else:
                    poll.unregister(fd)
                    waiting.discard(fd)
    finally:
        for fd in streams:
            os.close(fd)


def attend(worker: EngineWorker, scratch: Scratch, document: dict[str, object], io: Stdio) -> int:
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
        intercept=bundles.ownership(engine, scratch.directory, scratch.lowers),
        tied=True,
    )
    try:
        return container.wait() or 0  # never None: there are no keys to leave it by
    except BaseException:
        container.end()
        raise


def document(
    scratch: Scratch, request: RunRequest, mounts: Mounts, *, terminal: bool = False
) -> dict[str, object]:
    """The runtime-spec document of a request's container."""
    from kobako.engine import etc_files, program, users
    from kobako.runtime import spec
    from kobako.runtime.process_spec import ProcessOptions
    from kobako.runtime.surroundings import Surroundings

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
        around=Surroundings(
            network="private" if request.network == "none" else "host",
            privileged=process.privileged,
            shm_size=request.shm_size,
        ),
        hostname=hostname,
        binds=(*etc_files.binds(scratch.directory, set()), *mounts.binds),
        tmpfs=tuple(mounts.tmpfs),
    )
    return spec.document(options)
