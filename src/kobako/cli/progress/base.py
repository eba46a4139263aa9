"""What every way of showing progress has in common; by itself it is the quiet one."""

from __future__ import annotations

import sys

from kobako.build import progress as events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import Event


class Progress:
    """Says nothing but warnings. `event` may come from several threads.

    `wants_checks`: it shows the warnings of build checks itself.
    """

    wants_checks = False

    def __init__(self) -> None:
        import _thread

        self.lock = _thread.allocate_lock()

    def event(self, event: Event) -> None:
        with self.lock:
            self.show(event)

    def show(self, event: Event) -> None:
        if isinstance(event, events.Warning):
            sys.stderr.write(f"WARNING: {warning(event)}\n")
            sys.stderr.flush()

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        """The result was kept as an image of the store; told before `close`."""

    def close(self) -> None:
        """Called in every case, before anything else is printed."""


class Silent(Progress):
    """`--progress=none`: not even warnings."""

    def show(self, event: Event) -> None:
        pass


def warning(event: events.Warning) -> str:
    """A warning in one line."""
    return event.message + (f" (line {event.line})" if event.line else "")


def exported(image_id: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """What was done for a result that was kept as an image of the store, as buildx tells it."""
    from kobako.oci import Reference

    full = (Reference.parse(name).with_default_tag() for name in names)
    return (
        "exporting layers",
        f"writing image {image_id}",
        *(f"naming to {name}" for name in full),
    )


class Owners:
    """Which vertex a transfer belongs to: what rooms below report of blobs names none.

    It is the one under way that pulls or exports; the latest of several.
    """

    def __init__(self) -> None:
        self._open: dict[int, str] = {}
        self._owner: dict[str, int] = {}

    def started(self, number: int, name: str) -> None:
        self._open[number] = name

    def done(self, number: int) -> None:
        self._open.pop(number, None)
        for key in [key for key, owner in self._owner.items() if owner == number]:
            del self._owner[key]

    def of(self, blob: str) -> int:
        """The vertex's number, 0 when none is under way."""
        if blob not in self._owner:
            self._owner[blob] = self._guess()
        return self._owner[blob]

    def _guess(self) -> int:
        for number, name in reversed(self._open.items()):
            if name.startswith(_TRANSFERS) or "FROM " in name:
                return number
        return next(reversed(self._open), 0)


_TRANSFERS = (
    "[internal] load metadata",
    "exporting",
    "pushing",
    "importing cache",
    "exporting cache",
)


def is_finished(action: str) -> bool:
    """Whether a blob's action is its last."""
    low = action.lower()
    return low.startswith(("mounted from", "already exists")) or low in _LAST


_LAST = ("pull complete", "pushed", "layer already exists")
