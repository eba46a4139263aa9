"""What lowering makes of a Dockerfile: steps, each with the vertex that carries it out."""

from __future__ import annotations

from kobako.build.dockerfile.source import Range, Source
from kobako.build.graph import Vertex
from kobako.build.ops.result import Result
from kobako.build.worker import BaseImage
from kobako.oci import Platform
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.stage import StageState


class Step:
    """One instruction of a stage that is built. Compared by identity.

    `below` is the step before it, in the stage it is based on where the stage begins with another
    stage; None at the root, which has `base` (None: scratch). `created_by` is its line of the
    history ("": none); `files`: whether it may make a layer. `config` is the image's as it is
    afterwards, `environment` what a command there would have, build arguments included: both are
    made when they are asked for.
    """

    __slots__ = (
        "_moment", "author", "base", "below", "created_by", "files", "platform", "stage", "text",
        "vertex", "where",
    )  # fmt: skip

    def __init__(
        self,
        vertex: Vertex[Result],
        state: StageState,
        *,
        where: Range,
        text: str,
        stage: int,
        platform: Platform,
        below: Step | None = None,
        base: BaseImage | None = None,
        created_by: str = "",
        files: bool = False,
    ) -> None:
        self.vertex = vertex
        self._moment = state.moment()
        self.author = state.author
        self.where = where
        self.text = text
        self.stage = stage
        self.platform = platform
        self.below = below
        self.base = base
        self.created_by = created_by
        self.files = files

    @property
    def config(self) -> dict[str, Any]:
        return self._moment.settings().config

    @property
    def environment(self) -> tuple[str, ...]:
        return self._moment.settings().environment()

    @property
    def commits_container(self) -> bool:
        """Whether classic output says "Running in": all but FROM, COPY and ADD."""
        return self.text.split(None, 1)[0].upper() not in ("FROM", "COPY", "ADD")


class Plan(Record):
    """`steps` in the order of the file; `target` is the last one of the stage asked for.

    `shown` are the vertices progress displays, with the name of their stage. `source` is the
    Dockerfile. `scans` are what beside the target the list of packages is to tell of: stages, by
    name and last step, and the context, of which there is no step.
    """

    steps: tuple[Step, ...]
    target: Step
    shown: dict[Vertex[Result], str]
    source: Source
    scans: tuple[tuple[str, Step | None], ...] = ()
