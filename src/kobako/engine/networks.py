"""The networks there are: the machine's own, and none. docker has these two of these names."""

from __future__ import annotations

from kobako.errors import Invalid, NotFound, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from kobako.engine.engine import Engine


class Network(Record):
    """`id` is the same everywhere: there is nothing to tell two apart by."""

    name: str
    driver: str
    id: str


NETWORKS = (
    Network("host", "host", "c5e7a3f10b64d2987fa03c1e6d82b95470fe1a2c9d3b8467e05f12a98bc4d370"),
    Network("none", "null", "71d09c4be3f8a6251c7e40d9ba5382f6e91d0748cb2a63f5d8971e0c4ab3f592"),
)


def of_mode(mode: str) -> Network | None:
    """The network of a container's NetworkMode; the default is the host's."""
    name = "host" if mode == "default" else mode
    return next((network for network in NETWORKS if network.name == name), None)


def find(name: str) -> Network:
    """A network by its name or the beginning of its id; `NotFound` has docker's words."""
    for network in NETWORKS:
        if name == network.name or (name and network.id.startswith(name)):
            return network
    raise NotFound(f"network {name} not found")


def select(filters: dict[str, list[str]]) -> list[Network]:
    """The networks that pass. `Invalid` for a filter there is not."""
    known = "dangling driver id label name scope type".split()
    for name in filters:
        if name not in known:
            raise Invalid(f"invalid filter '{name}'", hint="Known: " + ", ".join(known))
    return [n for n in NETWORKS if all(_passes(n, key, filters[key]) for key in filters)]


def _passes(network: Network, key: str, values: list[str]) -> bool:
    if key in ("driver", "id", "name"):
        field = getattr(network, key)
        return any(field == v if key == "driver" else v in field for v in values)
    return {"scope": "local", "type": "builtin"}.get(key, "") in values  # labels: there are none


def document(engine: Engine, network: Network) -> dict[str, Any]:
    """docker's, as `network inspect` shows it, with the containers that run in it."""
    from kobako.engine import containers

    running = containers.select(engine, everything=False, filters={})
    inside = {
        c.id: {"Name": c.name, "EndpointID": "", "MacAddress": "", "IPv4Address": "",
               "IPv6Address": ""}
        for c in running
        if of_mode(c.network) == network
    }  # fmt: skip
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": inside,
        "Options": {},
        "Labels": {},
    }


def refuse(name: str) -> NoReturn:
    """Say why a network cannot be made, joined, left or removed."""
    if name in ("host", "none"):
        raise Unsupported(f"{name} is a pre-defined network and cannot be changed or removed")
    raise Unsupported(
        f"network {name}: there are no networks but host and none",
        hint="Containers that are to talk to each other share the host's (the default) and its "
        "127.0.0.1; --network none has no other.",
    )
