"""The networks there are: the machine's own, and none. docker has these two of these names."""

from __future__ import annotations

from kobako.record import Record


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
