"""One RUN of a build: a container whose writable layer becomes a layer."""

from __future__ import annotations

import os
import select

from kobako.build.worker import BindMount as BuildBind
from kobako.build.worker import CacheMount, FileMount, TmpfsMount
from kobako.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.worker import OnOutput, RunRequest
    from kobako.engine.scratch import Scratch
    from kobako.engine.worker import EngineWorker
    from kobako.runtime.spec import BindMount, Tmpfs


def run(worker: EngineWorker, scratch: Scratch, request: RunRequest, on_output: OnOutput) -> int:
    """Run the command in the scratch's merged tree; its exit code."""
    from kobako.engine import bundles
    from kobako.runtime.bundle import Bundle, Stdio
    from kobako.runtime.launch import start

    engine = worker.engine
    document = _document(worker, scratch, request)
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
        _copy({out_reader: 1, err_reader: 2}, on_output)
        return container.wait(forward_signals=False)
    except BaseException:
        container.end()
        raise


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


def _document(worker: EngineWorker, scratch: Scratch, request: RunRequest) -> dict[str, object]:
    from kobako.engine import create, users
    from kobako.runtime import spec

    user = users.resolve(request.user, scratch.lowers)
    hostname = request.hostname or request.id[:12]
    env = create.environment(
        list(request.env), (), terminal=False, hostname=hostname, home=user.home
    )
    binds, tmpfs = _mounts(worker, scratch, request)
    create.write_etc(
        scratch.directory,
        hostname=hostname,
        host_network=request.network != "none",
        extra_hosts=request.extra_hosts,
        dns=(),
    )
    process = spec.ProcessOptions(
        args=request.args,
        env=tuple(e for e in env if not e.startswith("HOSTNAME=")),
        cwd=request.cwd,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        privileged=request.security == "insecure",
        ulimits=tuple(create.ulimit(text) for text in request.ulimits),
    )
    options = spec.ContainerOptions(
        process=process,
        hostname=hostname,
        network="private" if request.network == "none" else "host",
        binds=(*create.etc_binds(scratch.directory, set()), *binds),
        tmpfs=tuple(tmpfs),
        shm_size=request.shm_size,
    )
    return spec.document(options)


def _mounts(
    worker: EngineWorker, scratch: Scratch, request: RunRequest
) -> tuple[list[BindMount], list[Tmpfs]]:
    from kobako.runtime.spec import BindMount, Tmpfs

    binds: list[BindMount] = []
    tmpfs: list[Tmpfs] = []
    for number, mount in enumerate(request.mounts):
        if isinstance(mount, TmpfsMount):
            options = (f"size={mount.size}",) if mount.size else ()
            tmpfs.append(Tmpfs(mount.target, options))
        elif isinstance(mount, FileMount):
            path = os.path.join(scratch.directory, f"file-{number}")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(mount.data)
            os.chmod(path, mount.mode)
            if worker.engine.mode.format != "emulated":
                os.chown(path, mount.uid, mount.gid)
            binds.append(BindMount(path, mount.target, readonly=True))
        elif isinstance(mount, BuildBind) and mount.directory and mount.readonly:
            binds.append(BindMount(mount.directory, mount.target, readonly=True))
        elif isinstance(mount, CacheMount) and not mount.layers:
            binds.append(BindMount(_cache_directory(worker, mount), mount.target, mount.readonly))
        else:
            raise Unsupported(f"this kind of RUN --mount at {mount.target} is not supported yet")
    return binds, tmpfs


def _cache_directory(worker: EngineWorker, mount: CacheMount) -> str:
    """The directory of a cache mount, made when it is new."""
    from kobako.oci import Digest

    name = Digest.of(mount.id.encode()).encoded
    form = worker.engine.mode.format
    path = os.path.join(worker.engine.settings.root, "cache-mounts", form, name)
    if not os.path.isdir(path):
        os.makedirs(path)
        os.chmod(path, mount.mode)
        if form != "emulated":
            os.chown(path, mount.uid, mount.gid)
    return path
