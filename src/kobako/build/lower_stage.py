"""One stage, from its instructions to steps, each with the vertex that carries it out."""

from __future__ import annotations

from kobako.build import epoch
from kobako.build.beginnings import beginning
from kobako.build.cache import cache_key
from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.parse import parse_trigger
from kobako.build.dockerfile.source import DockerfileError, NotYet, Problem, Source
from kobako.build.graph import Vertex
from kobako.build.ops.metadata import MetadataOp
from kobako.build.ops.result import Result
from kobako.build.plan import Step
from kobako.build.stage import StageState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.lower import Lowering
    from kobako.build.named import NamedContext
    from kobako.build.worker import BaseImage

SCRATCH = "scratch"
SCAN_CONTEXT, SCAN_STAGE = "BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"
"""Arguments that say what beside the result is to be looked through for packages; they are no
variables."""
_YES = ("1", "t", "T", "TRUE", "true", "True")


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
        self._scans: dict[str, str] = {}
        self._total = 0
        self._index = 0

    def lower(self) -> None:
        replaced = self.stage.name and self.around.named.find(self.stage.name, self.platform)
        triggers = self._begin()
        own = triggers if replaced else [*triggers, *self.stage.instructions]
        self._total += sum(isinstance(one, (i.Run, i.Copy, i.Add, i.Workdir)) for one in own)
        base = self.steps[0].base
        if base is not None:
            vertex = self.steps[0].vertex
            name = self._prefixed(f"FROM {base.name}")
            if vertex not in self.lowering.shown:  # else another stage begins with it, too
                vertex.name = name
                self.lowering.shown[vertex] = self._shown_name
                self.lowering.bring(vertex, base)
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
        vertex = self.lowering.base_vertex(image)
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
            if name in (SCAN_CONTEXT, SCAN_STAGE):
                self._scans[name] = value or ""
            else:
                self.state.add_argument(name, value)
            shown.append(name if value is None else f"{name}={value}")
        self.metadata(instruction, "ARG " + " ".join(shown))

    def is_scanned(self, name: str) -> bool:
        """Whether an argument asks for it: by true, or by names of which this stage's is one."""
        value = self._scans.get(name, self.lowering.arguments.known.get(name, ""))
        return value in _YES or (bool(self.stage.name) and self.stage.name in value.split(","))

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
    def last_at_work(self) -> object:
        """The operation of the last step that is more than metadata; None where there is none."""
        ops = (step.vertex.op for step in reversed(self.steps))
        return next((op for op in ops if not op.quick), None)

    @property
    def _source(self) -> Source:
        return self.lowering.source

    @property
    def _escape(self) -> str:
        return self.lowering.dockerfile.directives.escape

    @property
    def _shown_name(self) -> str:
        if self.lowering.single:
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
