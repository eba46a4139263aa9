"""The monitor of an `ahead.Ahead`, which gets ready before it is known what it will start."""

from __future__ import annotations

import marshal

from kobako.linux import process
from kobako.linux.channel import Channel, content
from kobako.runtime.bundle import Bundle, Plan
from kobako.runtime.launch import acquire
from kobako.runtime.launcher import Launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from kobako.runtime.bundle import Prospect
    from kobako.runtime.first import First


def obey(
    prospect: Prospect,
    control: Channel,
    keep: set[int],
    first: First | None,
    live: Callable[[Channel, tuple[int, int, int]], None],
) -> NoReturn:
    """Waits to be told over `control` what to start. The container's first process is made here
    where it is not there already, to `live` (`init.stand_by`), for which descriptors are to `keep`.

    Until then we share a processor with it, so that what is not for it has to wait: nearly all that
    takes us away from the caller. Not with `again`, which may be a long time.
    """
    launch = Launcher(prospect.io, prospect.detach, control)
    launch.first = first

    def begin() -> bool:
        if not launch.first:
            if not launch.apart:
                launch.stand_apart(keep)
            launch.clone(prospect.namespaces, prospect.terminal, live)
        if launch.first and launch.first.await_stage(control):
            process.run_anywhere(prospect.processors)
        prospect.prepare()
        message, fds = launch.control.receive()
        if not message:
            launch.call_off()
            return False
        process.run_anywhere(prospect.processors)
        if not launch.apart:
            launch.stand_apart(keep, fds)
        launch.settle()
        values, filter_program = marshal.loads(content(fds[0]))
        state_dir, on_exit, given, ephemeral, journal = marshal.loads(content(fds[1]))
        bundle = Bundle.unpacked(values)
        intercept = prospect.intercept_of(bundle.spec, given) if filter_program else None
        launch.plan = Plan(bundle, state_dir, intercept, on_exit, prospect.tied, journal, ephemeral)
        launch.lock = acquire(state_dir)
        launch.supervise()
        launch.confine()
        return True

    launch.run(begin, again=prospect.again)
