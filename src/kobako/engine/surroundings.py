"""What lies around a container's process: known from the request, before the container is made."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.runtime.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.engine.requests import CreateRequest


def of_request(engine: Engine, request: CreateRequest) -> Surroundings:
    """For the runtime-spec of the request's container. Enters."""
    bare = False
    if request.security_opt:
        from kobako.engine import security

        bare = security.parse(request.security_opt).bare_paths
    return Surroundings(
        network=network(request.network),
        pid=request.pid or pids(engine),
        ipc=ipc(request.ipc),
        uts=request.uts or "private",
        cgroupns=request.cgroupns or "private",
        privileged=request.privileged,
        bare_paths=bare,
        shm_size=request.shm_size,
    )


def stage(engine: Engine) -> str:
    """A directory with places for /proc, /dev and /sys: they can be mounted there before the root
    of a container exists. It may not be there yet.

    It is the lowest tree of every container, made by `unpack`; a container's own mount namespace is
    the only one to see what is mounted there.
    """
    return os.path.join(engine.settings.root, "skeleton", engine.mode.format, "tree")


def pids(engine: Engine) -> str:
    """ "private", or "host" where no container can have a PID namespace of its own."""
    return "private" if engine.own_pids else "host"


def network(name: str) -> str:
    """ "private" or "host", for docker's name of a network."""
    if name in ("default", "host", "none"):
        return "private" if name == "none" else "host"
    raise Invalid(
        f"network {name} not found", hint='Networks there are: "host" (the default) and "none".'
    )


def ipc(mode: str) -> str:
    """ "private", "host" or "container:...", for docker's --ipc."""
    return mode if mode not in ("", "shareable", "private") else "private"
