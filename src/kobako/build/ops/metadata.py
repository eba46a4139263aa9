"""Instructions that change no file: ENV, CMD, LABEL and the like; and where a stage begins."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.ops.result import Result, record, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kobako.build.graph import Output
    from kobako.build.worker import BaseImage, Worker


class BaseOp:
    """A stage's beginning: an `image`'s layers, or none. Never cached: it costs nothing."""

    quick = True

    def __init__(self, result: Result, image: BaseImage | None = None) -> None:
        self._result = result
        self.image = image

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        return iter(())

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return None

    def record(self, result: Result) -> dict[str, Any]:
        return {}

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        return self._result


class MetadataOp:
    """Adds an entry to the history. Cached for those who watch: it costs nothing either way."""

    quick = True

    def __init__(self, text: str, epoch: int, worker: Worker) -> None:
        self._text = text
        self._epoch = epoch
        self._worker = worker

    def _key(self, below: Result) -> str:
        return cache_key("metadata", self._text, self._epoch, below.lineage)

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        yield self._key(inputs[0])

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return restore(value, self._key(inputs[0]), inputs[0], self._worker)

    def record(self, result: Result) -> dict[str, Any]:
        return record(result)

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        return inputs[0].then(self._key(inputs[0]), None, self._epoch)
