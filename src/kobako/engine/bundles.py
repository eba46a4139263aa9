"""A container of the store as the bundle the runtime takes."""

from __future__ import annotations

import os

from kobako import groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.bundle import Bundle, Interception


def bundle(engine: Engine, container: Container) -> Bundle:
    """The bundle of a container: its config.json, and the mounts that make its root."""
    from kobako.runtime.bundle import Bundle

    lowers = container.document["Lowers"]
    if container.auto_remove:
        engine.driver.renew(container.directory)
    mounts = engine.driver.mounts(container.directory, lowers, volatile=container.auto_remove)
    return Bundle.load(container.directory, mounts)


def filter_program(engine: Engine, spec: dict[str, Any], *, no_sync: bool = False) -> bytes:
    """What intercepts calls of the container of `spec`, a runtime-spec document, in the emulated
    mode; b"" in others. `no_sync`: its files need not be on the disk when it is told so."""
    from kobako.engine.privilege import SINGLE

    if engine.mode is not SINGLE:
        return b""
    from kobako.emulate import ownership as emulated

    return emulated.program(no_sync=no_sync, checked=_is_checked(spec))


def ownership(
    engine: Engine,
    directory: str,
    lowers: Sequence[str],
    spec: dict[str, Any],
    program: bytes,
    *,
    within: str = "",
    lookout: bool = False,
) -> Interception | None:
    """Who answers the calls that `program`, the container's `filter_program`, intercepts: the
    ownership supervisor for a writable layer at `directory`.

    What `spec` binds from `within` is ours: the owners there are known. With `lookout` the
    supervisor is forked when it is needed: of programs that are short many do without.
    """
    if not program:
        return None
    from kobako.emulate import ownership as emulated
    from kobako.runtime.bundle import Interception

    tables = [os.path.join(os.path.dirname(tree), "owners") for tree in lowers]
    socket = control_socket(directory)
    owners = os.path.join(directory, "owners")
    checked = _is_checked(spec)
    judged = _judged(spec["mounts"], within.rstrip("/") + "/")

    def serve(listener: Callable[[], int], init_pid: int, begun: Any) -> None:
        groups.load("emulated")
        emulated.serve(
            listener,
            init_pid,
            control_socket=socket,
            owners_path=owners,
            lower_owners=tables,
            checked=checked,
            judged=judged,
            begun=begun,
        )

    # There must be nothing that only a supervisor knows.
    if not lookout or checked or any(map(os.path.exists, (owners, *tables))):
        return Interception(program, serve)
    from kobako.emulate.lookout import Lookout

    # What has to answer may be loaded much later.
    held = groups.hold("looks"), groups.hold("emulated")
    fds = tuple(fd for fd in held if fd >= 0)
    return Interception(program, serve, fds, lambda init_pid: Lookout(init_pid, socket))


def _is_checked(spec: dict[str, Any]) -> bool:
    """Whether the container begins as another user than root, and is to be refused something."""
    return bool(spec["process"]["user"]["uid"])


def _judged(mounts: list[dict[str, Any]], within: str) -> list[str]:
    """Where what is mounted belongs to the container, and not to this machine."""
    return [
        m["destination"]
        for m in mounts
        if m["type"] == "tmpfs" or (m["type"] == "bind" and m["source"].startswith(within))
    ]


def control_socket(directory: str) -> str:
    """Where the supervisor of a container listens for the filters of further processes."""
    return os.path.join(directory, "state", "supervisor.sock")
