"""docker's `events`: the records of the log as docker's messages, those there are and those to
come."""

from __future__ import annotations

import os
import time

from kobako.engine import event_filters, networks
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kobako.engine.engine import Engine

_LOOK_S = 1.0  # a file system of other machines, too, tells nothing of what they write


class Happening(Record):
    """docker's event message. `subject` is the id of what it happened to."""

    type: str
    action: str
    subject: str
    attributes: dict[str, str]
    time_ns: int

    def document(self) -> dict[str, Any]:
        """docker's JSON of it."""
        found: dict[str, Any] = {}
        if self.type in ("container", "image"):
            found = {"status": self.action, **({"id": self.subject} if self.subject else {})}
        if self.type == "container" and "image" in self.attributes:
            found["from"] = self.attributes["image"]
        return {
            **found,
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.subject, "Attributes": self.attributes},
            "scope": "local",
            "time": self.time_ns // 1_000_000_000,
            "timeNano": self.time_ns,
        }


def stream(
    engine: Engine, *, since_ns: int, until_ns: int, filters: dict[str, list[str]]
) -> Iterator[Happening | None]:
    """What happened from `since_ns` (0: what is to come) until `until_ns` (0: for ever); None
    whenever all that is there has been given.

    With `until_ns` alone it is all the log has until then. `Invalid` for filters not known.
    """
    from kobako.linux.inotify import DirectoryWatch
    from kobako.store import event_log
    from kobako.store.event_reader import EventReader

    event_filters.check(filters)
    path = event_log.path(engine.store.root)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    watch, reader = DirectoryWatch(os.path.dirname(path)), EventReader(path)
    try:
        if not (since_ns or until_ns):
            reader.skip()
        while True:
            now = time.time_ns()
            for record in reader.read(since_ns):
                for event in messages(record):
                    if not (until_ns and event.time_ns > until_ns) and event_filters.passes(
                        event, filters
                    ):
                        yield event
            yield None
            if until_ns and now >= until_ns:
                return
            left = (until_ns - now) / 1e9 if until_ns else _LOOK_S
            watch.wait(min(left, _LOOK_S))
    finally:
        watch.close()
        reader.close()


def messages(record: dict[str, Any]) -> Iterator[Happening]:
    """What a record means: a container that starts joins its network and mounts its volumes
    before, and lets go of them after its end."""
    own = Happening(
        record["Type"], record["Action"], record["ID"], _sorted(record["Attributes"]),
        record["timeNano"],
    )  # fmt: skip
    if own.type == "container" and own.action == "start":
        yield from _network(own, record, "connect")
        for name, at, writable in record.get("Volumes", ()):
            yield _about_volume(
                own, "mount", name, {"destination": at, "propagation": "",
                "read/write": "true" if writable else "false"},
            )  # fmt: skip
    yield own
    if own.type == "container" and own.action == "die":
        yield from _network(own, record, "disconnect")
        for name, _, _ in record.get("Volumes", ()):
            yield _about_volume(own, "unmount", name, {})


def _network(own: Happening, record: dict[str, Any], action: str) -> Iterator[Happening]:
    network = networks.of_mode(record.get("Network", ""))
    if network is not None:
        attributes = {"container": own.subject, "name": network.name, "type": network.driver}
        yield Happening("network", action, network.id, attributes, own.time_ns)


def _about_volume(own: Happening, action: str, name: str, more: dict[str, str]) -> Happening:
    attributes = _sorted({"container": own.subject, "driver": "local", **more})
    return Happening("volume", action, name, attributes, own.time_ns)


def _sorted(attributes: dict[str, str]) -> dict[str, str]:
    return dict(sorted(attributes.items()))
