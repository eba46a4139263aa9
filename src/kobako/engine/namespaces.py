"""Which namespaces of its own a container has: known before the container is."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.requests import CreateRequest


def of_request(request: CreateRequest) -> list[dict[str, str]]:
    """The namespaces of the request's container, as its runtime-spec will have them."""
    from kobako.runtime import spec

    return spec.namespaces(
        network=network(request.network),
        pid=request.pid or "private",
        ipc=ipc(request.ipc),
        uts=request.uts or "private",
        cgroup=request.cgroupns or "private",
    )


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
