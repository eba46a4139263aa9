"""exec: one more process in a running container."""

from __future__ import annotations

from kobako.errors import Conflict, NotFound, StartFailed
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.bundle import Interception, Stdio


class ExecRequest(Record):
    """docker's `exec`; empty values mean "as the container"."""

    container: str
    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    tty: bool = False
    privileged: bool = False
    detach: bool = False


def execute(engine: Engine, request: ExecRequest, io: Stdio) -> int | None:
    """Run a command in a running container; its exit code (0 at once when detached), None when the
    keys to detach were typed and it runs on.

    The caller has not entered a user namespace, where the container's own is joined from outside,
    or is in that (a prober), and starts no other process afterwards.
    """
    from kobako.engine import containers
    from kobako.runtime.bundle import Bundle
    from kobako.runtime.join import exec_

    container = containers.find(engine, request.container)
    if container.state.status == "paused":
        raise Conflict(f"Container {container.name} is paused, unpause the container before exec")
    if container.state.status == "restarting":
        from kobako.engine import container_control

        container_control.not_restarting(container)
    if not container.running:
        raise Conflict(f"Container {container.id} is not running")
    process = _process(container, request)
    intercept = _interception(container, checked=process["user"]["uid"] != 0)
    bundle = Bundle.load(container.directory)
    profile, linux = bundle.filtered().filter, bundle.spec.get("linux", {})
    record = _recorder(engine, container)
    # As docker's events have it: a program without arguments has a space after it.
    command = request.args[0] + " " + " ".join(request.args[1:])
    record("exec_create: " + command, "exec_start: " + command)
    if request.detach:
        import os

        if os.fork():
            return 0
        os.setsid()
        for fd in (0, 1, 2):
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    code = exec_(
        container.state_dir, process, io, intercept, profile, limited="cgroupsPath" in linux
    )
    if code is not None:
        record("exec_die", exitCode=str(code))
    return code


def _recorder(engine: Engine, container: Container) -> Callable[..., None]:
    """What writes down events of one exec."""
    import os

    from kobako.store import event_log

    about = event_log.of_container(
        container.id, container.name, container.image_ref, container.document
    )
    root, own = engine.settings.root, os.urandom(32).hex()

    def record(*actions: str, **more: str) -> None:
        lines = [event_log.line("container", a, about, execID=own, **more) for a in actions]
        event_log.append(root, b"".join(lines))

    return record


def _process(container: Container, request: ExecRequest) -> dict[str, Any]:
    """The runtime-spec process: the container's, changed as asked."""
    import os

    from kobako.engine import program, users
    from kobako.runtime import process_spec

    host, config = container.document["HostConfig"], container.config
    trees = [os.path.join(container.directory, "upper"), *container.document["Lowers"]]
    try:
        user = users.resolve(request.user or config["User"], trees)
    except NotFound as fault:
        raise StartFailed(str(fault), exit_code=126) from None
    env = program.environment(
        config["Env"] or [],
        request.env,
        terminal=request.tty,
        hostname=config["Hostname"],
        home=user.home,
    )
    options = process_spec.ProcessOptions(
        args=request.args,
        env=tuple(env),
        cwd=request.workdir or config["WorkingDir"] or "/",
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        terminal=request.tty,
        privileged=request.privileged or bool(host["Privileged"]),
        cap_add=tuple(host["CapAdd"] or ()),
        cap_drop=tuple(host["CapDrop"] or ()),
    )
    return process_spec.process(options)


def _interception(container: Container, *, checked: bool) -> Interception | None:
    """In the emulated mode the new process's filter is handed to the container's supervisor."""
    if container.document["Mode"] != "emulated":
        return None
    from kobako.emulate import ownership
    from kobako.engine.bundles import control_socket
    from kobako.runtime.bundle import Interception

    socket = control_socket(container.directory)
    return Interception(
        ownership.program(checked=checked),
        lambda listener, pid, lookout: ownership.forward(listener(), socket, checked=checked),
    )
