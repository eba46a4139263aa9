"""The layers of an image on their way here, as parts of the vertex that begins with it."""

from __future__ import annotations

from kobako.build import progress
from kobako.events import LayerProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.worker import BaseImage
    from kobako.events import Event, OnEvent


class Pulling:
    """An `OnEvent` for a pull: of each layer, how much has come and that it is unpacked. `clock`
    gives seconds."""

    def __init__(
        self,
        image: BaseImage,
        number: int,
        vertex: str,
        on_event: OnEvent,
        clock: Callable[[], float],
    ) -> None:
        digests = (layer.descriptor.digest for layer in image.layers)
        self._digests = {digest.short: str(digest) for digest in digests}
        self._number = number
        self._vertex = vertex
        self._on_event = on_event
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._sizes: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, LayerProgress):
            return
        digest = self._digests.get(event.id, event.id)
        if event.action == "Downloading":
            self._sizes[digest] = event.total
            self._tell(digest, event.current, event.total)
        elif event.action == "Download complete":
            size = self._sizes.get(digest, 0)
            self._tell(digest, size, size, done=True)
        elif event.action == "Extracting":
            self._tell(f"extracting {digest}")
        elif event.action == "Pull complete":
            self._tell(f"extracting {digest}", done=True)

    def _tell(self, part: str, current: int = 0, total: int = 0, *, done: bool = False) -> None:
        now = self._clock()
        seconds = now - self._begun.setdefault(part, now)
        self._on_event(
            progress.VertexStatus(self._number, self._vertex, part, current, total, seconds, done)
        )
