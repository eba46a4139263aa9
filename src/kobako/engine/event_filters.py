"""The filters of `events`, with docker's meaning: of several values of one any will do, but of
labels all must be there."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.event_stream import Happening

KNOWN = "container daemon event image label network plugin scope type volume".split()
_WITH_DETAILS = {"health_status", "exec_create", "exec_start"}
"""Actions that go on after a colon: naming one means all of them."""


def check(filters: dict[str, list[str]]) -> None:
    """`Invalid` names the first filter there is not."""
    for name in filters:
        if name not in KNOWN:
            raise Invalid(f"invalid filter '{name}'", hint="Known: " + ", ".join(KNOWN))


def passes(event: Happening, filters: dict[str, list[str]]) -> bool:
    """Whether an event is shown."""
    return all(_passes(event, name, values) for name, values in filters.items())


def _passes(event: Happening, name: str, values: list[str]) -> bool:
    if name == "event":
        if _WITH_DETAILS & set(values):
            return any(event.action.startswith(value) for value in values)
        return event.action in values
    if name == "type":
        return event.type in values
    if name == "scope":
        return "local" in values
    if name == "label":
        from kobako.engine import labels

        return all(labels.match(event.attributes, value) for value in values)
    if name == "image":
        return bool(_image_names(event) & set(values))
    if name in ("container", "volume", "network"):
        own = event.attributes.get("name", "")
        return any(event.subject.startswith(v) or own.startswith(v) for v in values)
    return False  # there is neither a daemon nor a plugin


def _image_names(event: Happening) -> set[str]:
    """What an event calls its image, with and without a tag."""
    field = "name" if event.type == "image" else "image"
    names = {event.subject, event.attributes.get(field, "")}
    return names | {_without_tag(name) for name in names}


def _without_tag(name: str) -> str:
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
