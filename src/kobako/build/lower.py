"""Stages → vertices: the variables of every instruction resolved, the ops handed their work.

Lowering goes by need, from the target backwards: a stage nobody asks for is never looked at, its
base image never resolved.
"""

from __future__ import annotations

from kobako.build import epoch
from kobako.build.beginnings import beginning, check_stages
from kobako.build.cache import cache_key
from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.parse import parse_trigger
from kobako.build.dockerfile.source import (
    DockerfileError,
    NotYet,
    Problem,
    Range,
    Source,
    StepFailed,
    suggest,
)
from kobako.build.graph import Vertex
from kobako.build.named import NamedContexts
from kobako.build.needs import check_circles, stages_below
from kobako.build.ops.metadata import BaseOp, MetadataOp
from kobako.build.ops.result import Result
from kobako.build.plan import Plan, Step
from kobako.build.stage import StageState
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

SCRATCH = "scratch"
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
        self.images: dict[tuple[str, str], BaseImage] = {}
        self._names = {stage.name: stage.index for stage in dockerfile.stages if stage.name}

    def plan(self, target: str) -> Plan:
        """The plan for a target stage: by name, "" for the last one."""
        return self.plan_stage(self._target(target))

    def plan_stage(self, index: int) -> Plan:
        """The plan for a stage by its number."""
        check_stages(self.dockerfile, self.arguments.known)
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
        return Plan(tuple(steps), last.steps[-1], self.shown, self.source)

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

    def single(self) -> bool:
        """Whether stages need no name in front of what progress shows."""
        return len(self.dockerfile.stages) == 1

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
        if index is None and numbered and name.isdigit():
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
        vertex = Vertex(f"FROM {image.name}", BaseOp(base_result(image), image))
        self.shown[vertex] = ""
        return vertex

    def copied_context(
        self, context: Callable[[], Context], name: str, path: str, epoch: int
    ) -> Vertex[Result]:
        """A vertex with a context's files at `path` as a build sees them: root's, none ignored."""
        from kobako.build.ops.transfer import TransferOp, TransferSpec

        around = self.around
        spec = TransferSpec((path,), path, epoch=epoch, literal=True, origin=name or ORIGIN)
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


def base_result(image: BaseImage | None) -> Result:
    if image is None:
        return Result((), "scratch")
    return Result(image.layers, image.config.digest)


class LoweredStage:
    """One stage on its way from instructions to steps."""

    def __init__(self, lowering: Lowering, stage: i.Stage) -> None:
        self.lowering = lowering
        self.stage = stage
        self.steps: list[Step] = []
        self.around = lowering.around
        self.platform = lowering.around.platform
        self.epoch = 0
        self.state: StageState
        self._total = 0
        self._index = 0

    def lower(self) -> None:
        replaced = self.stage.name and self.around.named.find(self.stage.name, self.platform)
        triggers = self._begin()
        own = triggers if replaced else [*triggers, *self.stage.instructions]
        self._total += sum(isinstance(one, (i.Run, i.Copy, i.Add, i.Workdir)) for one in own)
        if self.steps[0].base is not None:
            vertex = self.steps[0].vertex
            vertex.name = self._prefixed(vertex.name)
        for number, instruction in enumerate(own):
            try:
                self._lower(instruction, number < len(triggers))
            except Problem as problem:
                raise DockerfileError(
                    self.lowering.source, instruction.where, problem.message, token=problem.token
                ) from None

    def _begin(self) -> list[i.Instruction]:
        """The FROM: the first step; what ONBUILD triggers come with it."""
        lowering = self.lowering
        name, platform = beginning(lowering.dockerfile, self.stage, lowering.arguments.known)
        self.platform = platform or self.platform
        named = self.around.named.find(self.stage.name or "scratch", self.platform)
        if named is not None:
            self._begin_with_named(self.stage.name, named)
            return []  # nothing is carried out on top of what stands in for a stage
        index = self.lowering.base_stage(name, self.stage.index)
        if index is not None:
            return self._begin_with_stage(self.lowering.stage(index, self.stage.index))
        named = self.around.named.find(name, self.platform)
        if named is not None:
            return self._begin_with_named(name, named)
        return self._begin_with_image(name)

    def _begin_with_named(self, name: str, named: NamedContext) -> list[i.Instruction]:
        """A stage that begins with a named context: an image, files, another job's result."""
        if named.job:
            below = self.lowering.result_of(named)
            self.state = StageState(below.config, below.author, self._escape)
            self.platform = below.platform
            self.epoch = self.around.epoch or 0
            triggers = list(self.state.config.get("OnBuild", []))
            self.state.set("OnBuild", [])
            self.steps.append(self._step(below.vertex, self.stage.start, below=below))
            return self._triggers(triggers)
        if named.context is None:
            return self._begin_with_image(name, named)
        context = named.context
        self.state = StageState({"WorkingDir": "/"}, "", self._escape)
        self.epoch = epoch.of_base(None) if self.around.epoch is None else self.around.epoch
        vertex = self.lowering.copied_context(lambda: context, name, "/", self.epoch)
        self.steps.append(self._step(vertex, self.stage.start))
        return []

    def _begin_with_stage(self, parent: LoweredStage) -> list[i.Instruction]:
        below = parent.steps[-1]
        self.platform = parent.platform
        self.epoch = parent.epoch
        triggers = list(parent.state.config.get("OnBuild", []))
        self.state = parent.state.derived()
        step = self._step(below.vertex, self.stage.start, below=below)
        self.steps.append(step)
        return self._triggers(triggers)

    def _begin_with_image(
        self, name: str, named: NamedContext | None = None
    ) -> list[i.Instruction]:
        image = None
        if name == SCRATCH:
            self.state = StageState({"WorkingDir": "/"}, "", self._escape)
        else:
            where = self.stage.start.where
            image = self.lowering.image(name, self.platform, where, named)
            self.state = StageState(image.config.config, image.config.author, self._escape)
            self._total += 1
        asked = self.around.epoch
        self.epoch = epoch.of_base(image) if asked is None else asked
        vertex = Vertex(
            f"FROM {image.name if image else SCRATCH}", BaseOp(base_result(image), image)
        )
        if image is not None:
            self.lowering.shown[vertex] = self._shown_name
        self.steps.append(self._step(vertex, self.stage.start, base=image))
        triggers = list(self.state.config.get("OnBuild", []))
        if triggers:
            self.state.set("OnBuild", [])
        return self._triggers(triggers)

    def _triggers(self, expressions: list[str]) -> list[i.Instruction]:
        where = self.stage.start.where
        return [parse_trigger(text, where, self._source) for text in expressions]

    def _lower(self, instruction: i.Instruction, trigger: bool) -> None:
        if isinstance(instruction, i.Run):
            from kobako.build.lower_run import lower_run

            lower_run(self, instruction, trigger)
        elif isinstance(instruction, (i.Copy, i.Add)):
            from kobako.build.lower_transfer import lower_transfer

            lower_transfer(self, instruction, trigger)
        elif isinstance(instruction, i.Workdir):
            self._workdir(instruction, trigger)
        elif isinstance(instruction, i.Arg):
            self._arg(instruction)
        else:
            self.metadata(instruction, self.state.apply(instruction))

    def _arg(self, instruction: i.Arg) -> None:
        shown = []
        for name, value in self.lowering.arguments.apply(instruction, self.state.expander()):
            self.state.add_argument(name, value)
            shown.append(name if value is None else f"{name}={value}")
        self.metadata(instruction, "ARG " + " ".join(shown))

    def _workdir(self, instruction: i.Workdir, trigger: bool) -> None:
        written = self.state.expander().word(instruction.path)
        path = self.state.absolute(written).rstrip("/") or "/"
        shown = written if written.startswith("/") else path  # an absolute one stays as it is
        self.state.set("WorkingDir", shown)
        created_by = f"WORKDIR {shown}"
        if path == "/":
            self.metadata(instruction, created_by)
            return
        from kobako.build.ops.workdir import WorkdirOp

        op = WorkdirOp(
            path, self.state.user, self.around.worker, self.epoch,
        )  # fmt: skip
        name = f"WORKDIR {self.show(instruction)}"
        self.vertex(instruction, name, op, (), created_by, trigger)

    def metadata(self, instruction: i.Instruction, created_by: str) -> None:
        """Adds a step that changes no file."""
        material = created_by or instruction.text
        config = cache_key(material, self.state.user, self.state.cwd)
        op = MetadataOp(config, self.epoch, self.around.worker)
        vertex = Vertex(instruction.text, op, (self.last.vertex,), fresh=self._fresh)
        self.steps.append(self._step(vertex, instruction, below=self.last, created_by=created_by))

    def vertex(
        self,
        instruction: i.Instruction,
        name: str,
        op: object,
        inputs: tuple[Vertex[Result], ...],
        created_by: str,
        trigger: bool = False,
    ) -> Vertex[Result]:
        """Adds a step that makes a layer: `op` works on the step before it and on `inputs`."""
        name = self._prefixed(("ONBUILD " if trigger else "") + name)
        vertex: Vertex[Result] = Vertex(name, op, (self.last.vertex, *inputs), fresh=self._fresh)  # type: ignore[arg-type]  # ops are structural
        self.lowering.shown[vertex] = self._shown_name
        self.steps.append(
            self._step(vertex, instruction, below=self.last, created_by=created_by, files=True)
        )
        return vertex

    def show(self, instruction: i.Instruction) -> str:
        """What progress shows after the keyword: variables replaced."""
        words = instruction.text.split(None, 1)
        rest = words[1] if len(words) > 1 else ""
        try:
            return self.state.expander().word(rest)
        except Problem:
            return rest

    def not_yet(self, instruction: i.Instruction, feature: str, token: str = "") -> NotYet:
        return NotYet(self._source, instruction.where, feature, token=token)

    @property
    def _fresh(self) -> bool:
        options = self.around.options
        named = [name.lower() for name in options.no_cache_filter]
        return options.no_cache or self.stage.name.lower() in named

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def _source(self) -> Source:
        return self.lowering.source

    @property
    def _escape(self) -> str:
        return self.lowering.dockerfile.directives.escape

    @property
    def _shown_name(self) -> str:
        if self.lowering.single():
            return ""
        return self.stage.name or f"stage-{self.stage.index}"

    def _prefixed(self, name: str) -> str:
        """ "[builder 2/4] RUN make", as buildx numbers what a stage executes."""
        self._index += 1
        stage = "".join(f"{name} " for name in (self.around.job, self._shown_name) if name)
        width = len(str(self._total))
        return f"[{stage}{self._index:{width}d}/{self._total}] {name}"

    def _step(
        self,
        vertex: Vertex[Result],
        instruction: i.Instruction,
        *,
        below: Step | None = None,
        base: BaseImage | None = None,
        created_by: str = "",
        files: bool = False,
    ) -> Step:
        return Step(
            vertex, self.state, where=instruction.where, text=instruction.text,
            stage=self.stage.index, platform=self.platform, below=below, base=base,
            created_by=created_by, files=files,
        )  # fmt: skip
