"""Stages → vertices: the variables of every instruction resolved, the ops handed their work.

Lowering goes by need, from the target backwards: a stage nobody asks for is never looked at, its
base image never resolved.
"""

from __future__ import annotations

from kobako.build.beginnings import beginning, check_stages
from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.source import DockerfileError, Range, StepFailed, suggest
from kobako.build.graph import Vertex
from kobako.build.lower_stage import (
    SCAN_CONTEXT,
    SCAN_STAGE,
    SCRATCH,
    LoweredStage,
    base_result,
)
from kobako.build.named import NamedContexts
from kobako.build.needs import check_circles, stages_below
from kobako.build.ops.metadata import BaseOp
from kobako.build.ops.result import Result
from kobako.build.plan import Plan, Step
from kobako.errors import KobakoError
from kobako.oci import ImageConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.build.arguments import Arguments
    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.named import NamedContext
    from kobako.build.options import BuildOptions
    from kobako.build.sources import GitSource, UrlSource
    from kobako.build.worker import BaseImage, Worker
    from kobako.oci import Platform

ORIGIN = "the build context"


class Surroundings:
    """What lowering and the ops need beside the Dockerfile."""

    def __init__(
        self,
        options: BuildOptions,
        context: Callable[[], Context],
        worker: Worker,
        cache: Cache,
        *,
        platform: Platform,
        host: Platform,
        load: Callable[[str, Platform], BaseImage],
        bring: Callable[[Vertex[Result], str, BaseImage], None],
        epoch: int | None,
        job: str = "",
        named: NamedContexts | None = None,
    ) -> None:
        self.options = options
        self.context = context
        self.worker = worker
        self.cache = cache
        self.platform = platform
        self.host = host
        self.load = load
        self.bring = bring
        self.epoch = epoch
        self.job = job
        self.named = named or NamedContexts()


class Lowering:
    """Lowers one Dockerfile once."""

    def __init__(
        self, dockerfile: i.Dockerfile, arguments: Arguments, surroundings: Surroundings
    ) -> None:
        self.dockerfile = dockerfile
        self.source = dockerfile.source
        self.arguments = arguments
        self.around = surroundings
        self.shown: dict[Vertex[Result], str] = {}
        self.fetches: dict[UrlSource | GitSource, Vertex[Result]] = {}
        self._stages: dict[int, LoweredStage] = {}
        self._uses: dict[int, set[int]] = {}
        self._bases: dict[BaseImage, Vertex[Result]] = {}
        self._named: dict[Context, list[str]] = {}
        self.images: dict[tuple[str, str], BaseImage] = {}
        self._names = {stage.name: stage.index for stage in dockerfile.stages if stage.name}
        self.single = _single(dockerfile)

    def plan(self, target: str) -> Plan:
        """The plan for a target stage: by name, "" for the last one."""
        return self.plan_stage(self._target(target))

    def plan_stage(self, index: int) -> Plan:
        """The plan for a stage by its number."""
        check_stages(
            self.dockerfile, self.arguments.known, lambda name: bool(self.around.named.find(name))
        )
        check_circles(self.dockerfile, self.find_stage)
        below = stages_below(
            self.dockerfile, index, self.arguments.known, self.find_stage, self._replaced
        )
        self._ask_for_images((*below, index))
        for number in below:
            self.stage(number)
        last = self.stage(index)
        needed = self._needed_by(index)
        steps = [step for number in sorted(needed) for step in self._stages[number].steps]
        scans = self._scans(index, needed)
        return Plan(tuple(steps), last.steps[-1], self.shown, self.source, scans)

    def _scans(self, target: int, needed: set[int]) -> tuple[tuple[str, Step | None], ...]:
        found: list[tuple[str, Step | None]] = []
        if self._stages[target].is_scanned(SCAN_CONTEXT):
            found.append(("context", None))
        for number in sorted(needed - {target}):
            stage = self._stages[number]
            if stage.is_scanned(SCAN_STAGE):
                found.append((stage.stage.name or f"stage-{number}", stage.steps[-1]))
        return tuple(found)

    def _ask_for_images(self, stages: tuple[int, ...]) -> None:
        """An image that is not there is told before what is wrong with any instruction."""
        for index in stages:
            stage = self.dockerfile.stages[index]
            name, platform = beginning(self.dockerfile, stage, self.arguments.known)
            platform = platform or self.around.platform
            named = self.around.named
            if (
                name != SCRATCH
                and self.base_stage(name, index) is None
                and named.find(stage.name or SCRATCH, platform) is None
                and named.find(name, platform) is None
            ):
                self.image(name, platform, stage.start.where)

    def _replaced(self, stage: str) -> bool:
        """Whether a named context stands in for the stage of that name."""
        return bool(stage) and self.around.named.find(stage) is not None

    def _needed_by(self, index: int) -> set[int]:
        """A stage and those it is made of; other targets may have had others lowered."""
        found, waiting = {index}, [index]
        while waiting:
            below = self._uses.get(waiting.pop(), set()) - found
            found |= below
            waiting += below
        return found

    def stage(self, index: int, user: int = -1) -> LoweredStage:
        """A stage, lowered when first asked for; `user` is the stage that is made of it."""
        self._uses.setdefault(user, set()).add(index)
        found = self._stages.get(index)
        if found is None:
            found = LoweredStage(self, self.dockerfile.stages[index])
            found.lower()
            self._stages[index] = found
        return found

    def find_stage(self, name: str) -> int | None:
        return self._names.get(name.lower())

    def base_stage(self, name: str, before: int) -> int | None:
        """The stage FROM means by a name: the last one above that is called so. Stages' names are
        in lower case, and here, unlike in `--from`, capitals are not taken for them."""
        for stage in reversed(self.dockerfile.stages[:before]):
            if stage.name and stage.name == name:
                return stage.index
        return None

    def result_of(self, named: NamedContext) -> Step:
        """The last step of another job."""
        assert self.around.named.result is not None
        return self.around.named.result(named.job)

    def image(
        self, name: str, platform: Platform, where: Range, named: NamedContext | None = None
    ) -> BaseImage:
        """A base image, asked for once per platform; `named` says what the name stands for."""
        if named is not None and named.base is not None:
            return named.base(platform)
        name = named.image if named is not None else name
        key = (name, str(platform))
        found = self.images.get(key)
        if found is None:
            try:
                found = self.images[key] = self.around.load(name, platform)
            except KobakoError as error:
                hint = error.hint
                near = suggest(name, [s.name for s in self.dockerfile.stages if s.name])
                problem = StepFailed(
                    self.source, where, f"{name}: {error.message}{near}", hint=hint
                )
                problem.http_status = error.http_status
                raise problem from error
        return found

    def base_config(self, name: str, platform: Platform, where: Range) -> ImageConfig:
        """The config of what a name after FROM stands for; files alone have none to speak of."""
        named = self.around.named.find(name, platform)
        if named is None or named.image or named.base is not None:
            return self.image(name, platform, where, named).config
        document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
        config = self.result_of(named).config if named.job else {}
        rootfs = {"type": "layers", "diff_ids": []}
        return ImageConfig.build({**document, "config": config, "rootfs": rootfs})

    def source_of(
        self, name: str, before: i.Stage, where: Range, *, numbered: bool = True
    ) -> Vertex[Result] | Callable[[], Context]:
        """Where the files are that `--from=name` means: of a stage by name (or number, if it may
        be `numbered`), of a named context, of an image. It is a vertex, or opens a context."""
        index = self.find_stage(name)
        if index is None and numbered and _is_index(name):
            index = int(name)
            if index >= len(self.dockerfile.stages):
                raise DockerfileError(self.source, where, f"invalid stage index {name}", token=name)
        if index is not None:
            if index >= before.index:
                raise DockerfileError(
                    self.source,
                    where,
                    f'cannot copy from stage "{name}", it needs to be defined before'
                    f' current stage "{before.name or f"stage-{before.index}"}"',
                    token=name,
                )
            named = self.around.named.find(self.dockerfile.stages[index].name or "scratch")
            if named is not None and named.context is not None:
                context = named.context
                return lambda: context
            return self.stage(index, before.index).steps[-1].vertex
        if name == SCRATCH:
            return Vertex("FROM scratch", BaseOp(Result((), "scratch")))
        named = self.around.named.find(name, self.around.platform)
        if named is not None and named.context is not None:
            other = named.context
            return lambda: other
        if named is not None and named.job:
            return self.result_of(named).vertex
        image = self.image(name, self.around.platform, where, named)
        vertex = self.base_vertex(image)
        if vertex not in self.shown:
            self.shown[vertex] = ""
            self.bring(vertex, image)
        return vertex

    def base_vertex(self, image: BaseImage | None) -> Vertex[Result]:
        """What begins with an image, one vertex for all stages that do; with nothing, for each."""
        if image is None:
            return Vertex(f"FROM {SCRATCH}", BaseOp(base_result(None)))
        found = self._bases.get(image)
        if found is None:
            name = f"FROM {image.name}"
            found = self._bases[image] = Vertex(name, BaseOp(base_result(image), image))
        return found

    def bring(self, vertex: Vertex[Result], image: BaseImage) -> None:
        """Has the layers of an image brought here, where they are not, as what `vertex` does."""
        if self.around.worker.lacks_image(image):
            self.around.bring(vertex, self.shown[vertex], image)

    def names(self, context: Context, *sources: str) -> list[str]:
        """Notes that `sources` are named in a context; all that are, in the end."""
        found = self._named.setdefault(context, [])
        found += sources
        return found

    def copied_context(
        self, context: Callable[[], Context], name: str, path: str, epoch: int
    ) -> Vertex[Result]:
        """A vertex with a context's files at `path` as a build sees them: root's, none ignored."""
        from kobako.build.ops.choosing import TransferSpec
        from kobako.build.ops.transfer import TransferOp

        around = self.around
        spec = TransferSpec((path,), path, epoch=epoch, literal=True, origin=name or ORIGIN)
        self.names(context(), path)
        op = TransferOp(spec, around.worker, around.cache, context)
        empty: Vertex[Result] = Vertex("FROM scratch", BaseOp(Result((), "scratch")))
        return Vertex(f"[internal] copy context {name}".rstrip(), op, (empty,))

    def _target(self, target: str) -> int:
        stages = self.dockerfile.stages
        if not target:
            return len(stages) - 1
        index = self.find_stage(target)
        if index is None:
            names = [stage.name for stage in stages if stage.name]
            raise DockerfileError(
                self.source,
                stages[-1].start.where,
                f'target stage "{target}" could not be found{suggest(target, names)}',
                hint=f"Stages: {', '.join(names)}" if names else "",
            )
        return index


def _is_index(name: str) -> bool:
    """Whether a name is a stage's number, which may have a sign."""
    digits = name.removeprefix("+")
    return digits.isascii() and digits.isdigit()


def _single(dockerfile: i.Dockerfile) -> bool:
    """Whether stages need no name in front of what progress shows. As with BuildKit one that takes
    from elsewhere has one."""
    return len(dockerfile.stages) == 1 and not any(
        (isinstance(one, i.Copy) and one.from_) or (isinstance(one, i.Run) and one.mounts)
        for one in dockerfile.stages[0].instructions
    )
