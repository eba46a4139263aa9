"""`--call=targets`: the stages a Dockerfile offers."""

from __future__ import annotations

from kobako.build.lint.descriptions import description
from kobako.build.lint.report import encoded, location, table
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.dockerfile.instructions import Dockerfile, Stage


class Targets(Record):
    """The stages of a file, the last one being the default."""

    dockerfile: Dockerfile

    def text(self) -> str:
        rows = [("TARGET", "DESCRIPTION")]
        for stage in self.dockerfile.stages:
            name = stage.name
            if self._is_default(stage):
                name = f"{name} (default)" if name else "(default)"
            rows.append((name, _described(stage)))
        return table(rows, 1)

    def document(self) -> dict[str, Any]:
        return {
            "targets": [self._target(stage) for stage in self.dockerfile.stages],
            "sources": [encoded(self.dockerfile.source)],
        }

    def _target(self, stage: Stage) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": stage.name,
            "default": self._is_default(stage),
            "description": _described(stage),
            "base": stage.start.image,
            "platform": stage.start.platform,
        }
        where = stage.start.where
        return {
            **{key: value for key, value in found.items() if value},
            "location": location(where.start, where.end),
        }

    def _is_default(self, stage: Stage) -> bool:
        return stage.index == len(self.dockerfile.stages) - 1


def _described(stage: Stage) -> str:
    return description(stage.start.comments, stage.name)
