"""A container of the store as the bundle the runtime takes."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def load(engine: Engine) -> None:
    """Import what `ownership` and its supervisor need, before anybody waits for it."""
    from kobako.engine.privilege import SINGLE

    if engine.mode is SINGLE:
        from kobako.emulate import program, supervisor

        assert program and supervisor


def interception(engine: Engine, container: Container) -> Interception | None:
    """What stands in for root in this mode, if anything does."""
    return ownership(engine, container.directory, container.document["Lowers"])


def ownership(
    engine: Engine, directory: str, lowers: Sequence[str], *, program: bytes = b""
) -> Interception | None:
    """The ownership supervisor for a writable layer at `directory`, in the emulated mode.

    `program` is its filter where it was made before (`no_sync`)"""
    from kobako.engine.privilege import SINGLE

    if engine.mode is not SINGLE:
        return None
    from kobako.emulate import ownership as emulated
    from kobako.runtime.bundle import Interception

    tables = [os.path.join(os.path.dirname(tree), "owners") for tree in lowers]
    socket = control_socket(directory)
    owners = os.path.join(directory, "owners")

    def serve(listener: Callable[[], int], init_pid: int) -> None:
        emulated.serve(
            listener,
            init_pid,
            control_socket=socket,
            owners_path=owners,
            lower_owners=tables,
        )

    return Interception(program or emulated.program(), serve)


def no_sync(engine: Engine) -> bytes:
    """The filter for commands whose files need not be on the disk when they say so; b"" in a mode
    without one."""
    from kobako.engine.privilege import SINGLE

    if engine.mode is not SINGLE:
        return b""
    from kobako.emulate import ownership as emulated

    return emulated.program(no_sync=True)


def control_socket(directory: str) -> str:
    """Where the supervisor of a container listens for the filters of further processes."""
    return os.path.join(directory, "state", "supervisor.sock")
