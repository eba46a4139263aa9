"""What the monitor of a container with a restart policy turns into when that has ended."""

from __future__ import annotations

import os
import time

from kobako import fastjson
from kobako.engine import containers, restarting, start
from kobako.errors import NotFound
from kobako.runtime import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine


def carry_out(engine: Engine, container_id: str) -> None:
    """What the monitor of a container that has ended turns into: restarts it, if its policy says
    so, after docker's back-off."""
    container = containers.find(engine, container_id)
    wanted, directory = restarting.of(container.document), container.state_dir
    if wanted is None or not restarting.is_ours(directory):
        return
    now, known = state.state(directory), restarting.past(directory)
    if now.status != "exited" or not restarting.again(
        wanted, now, known, restarting.stopped(directory)
    ):
        return
    known = restarting.Restarts(
        known.count + 1, restarting.delay(known, now), now.exit_code, now.finished_ns, os.getpid()
    )
    restarting.write(f"{directory}/restarts", fastjson.dumps(list(known.as_tuple())))
    time.sleep(max(0.0, known.delay_ms / 1e3 - (time.time_ns() - now.finished_ns) / 1e9))
    try:
        with start.hold(container):
            container = containers.find(engine, container_id)
            wanted = restarting.of(container.document)
            if (
                wanted
                and restarting.is_ours(directory)
                and restarting.stopped(directory) != restarting.CANCELLED
            ):
                engine.stay(container.document["Mode"])
                start.launch_again(engine, container)
    except NotFound:
        pass  # it has been removed
