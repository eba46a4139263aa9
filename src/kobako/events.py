"""Progress as data: rooms report what they do as values; only a front end turns them into text.

A room that takes long accepts `on_event: OnEvent` and calls it from whichever thread did the work;
the receiver does its own locking.
"""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    OnEvent = Callable[["Event"], None]


class Event(Record):
    """Base of everything a room reports."""


class Status(Event):
    """A line for the person, complete in itself (docker's `status` without an id)."""

    message: str


class LayerProgress(Event):
    """One blob's state in a pull, push, load or save.

    `id` is the 12-digit short id shown; `action` is docker's wording ("Pulling fs layer",
    "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete",
    "Already exists", "Preparing", "Waiting", "Pushing", "Pushed", "Layer already exists",
    "Mounted from account/python"). `current` and `total` are bytes; total 0 means unknown or
    not applicable.
    """

    id: str
    action: str
    current: int = 0
    total: int = 0


def ignore(event: Event) -> None:
    """The `OnEvent` of callers that do not watch."""
