"""Goes through the stages as lowering would, and shows each instruction before it takes effect."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.mounts import parse_mount
from kobako.build.dockerfile.parse import parse_trigger
from kobako.build.dockerfile.source import DockerfileError, Problem, suggest
from kobako.build.lint.subject import Visit
from kobako.build.needs import sources
from kobako.build.stage import StageState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.origins import Origin
    from kobako.build.lint.subject import Subject
    from kobako.oci import ImageConfig, Platform

SCRATCH = "scratch"
_ONCE = ("Cmd", "Entrypoint", "Healthcheck")


class Stages:
    """The stages of a Dockerfile and what each needs: `based` maps a stage to the one it is built
    on, `needed` are those the target needs."""

    def __init__(self, subject: Subject, origins: list[Origin]) -> None:
        self.subject = subject
        self.stages = subject.dockerfile.stages
        self.based: dict[int, int] = {}
        self._needs: dict[int, set[int]] = {}
        names: dict[str, int] = {}
        for one in origins:
            stage = one.stage
            index = names.get(one.image.value)  # lower case alone, other than in --from
            self._needs[stage.index] = self._taken(stage, names)
            if index is not None:
                self.based[stage.index] = index
                self._needs[stage.index].add(index)
            if stage.name:
                names[stage.name] = stage.index
        self.target = self._target(names)
        self.needed = self._reach(self.target)

    def _target(self, names: dict[str, int]) -> int:
        target = self.subject.target
        if not target:
            return len(self.stages) - 1
        index = names.get(target.lower())
        if index is None and target.isdigit() and int(target) < len(self.stages):
            index = int(target)
        if index is None:
            problem = f'target stage "{target}" could not be found{suggest(target, names)}'
            where = self.stages[-1].start.where
            raise DockerfileError(self.subject.source, where, problem)
        return index

    def _taken(self, stage: i.Stage, names: dict[str, int]) -> set[int]:
        """The stages a stage's COPY and RUN take files from."""
        found = set()
        for word, _ in sources(stage):
            index = names.get(word.lower())
            if index is None and word.isdigit():
                index = int(word)
            if index is not None and index < stage.index:
                found.add(index)
        return found

    def in_turn(self, index: int) -> Iterator[int]:
        """A stage, what it is built on, and what it takes files from; each with those it needs."""
        yield index
        below = self.based.get(index)
        if below is not None:
            yield from self.in_turn(below)
        for other in sorted(self._needs[index] - {below}):
            yield from self.in_turn(other)

    def _reach(self, target: int) -> set[int]:
        reached: set[int] = set()
        waiting = [target]
        while waiting:
            index = waiting.pop()
            if index not in reached:
                reached.add(index)
                waiting += self._needs[index]
        return reached


class Walk:
    """Visits the instructions of the stages that count: the needed ones, or all of them."""

    def __init__(self, subject: Subject, stages: Stages) -> None:
        self.subject = subject
        self.stages = stages
        self.configs: dict[int, ImageConfig] = {}
        self._states: dict[int, StageState] = {}
        self._declared: dict[int, set[str]] = {}
        self._placed: dict[int, bool] = {}

    def counts(self, index: int) -> bool:
        return self.subject.everything or index in self.stages.needed

    def resolve(self, one: Origin, platform: Platform) -> ImageConfig | None:
        """The config of the image a stage starts from, None where it starts from a stage or from
        scratch."""
        stage = one.stage
        if stage.index in self.stages.based or one.image.value == SCRATCH:
            return None
        config = self.subject.bases(one.image.value, platform, stage.start.where)
        self.configs[stage.index] = config
        return config

    def look_up(self, stage: i.Stage) -> None:
        """Asks for the images a stage takes files from; what `Subject.bases` raises ends it."""
        names = {other.name for other in self.stages.stages if other.name}
        for word, instruction in sources(stage):
            if word != SCRATCH and word.lower() not in names and not word.isdigit():
                self.subject.bases(word, self.subject.platform, instruction.where)

    def visits(self, stage: i.Stage) -> Iterator[Visit]:
        """The instructions of a stage in order, triggers of its base first. Each takes effect when
        the next one is asked for. Raises `DockerfileError`."""
        state, declared, placed = self._begin(stage)
        triggers = list(self._triggers(stage, state))
        earlier: dict[str, i.Instruction] = {}
        for number, instruction in enumerate([*triggers, *stage.instructions]):
            visit = Visit(
                self.subject, instruction, state, declared=declared, earlier=earlier,
                placed=placed, trigger=number < len(triggers),
            )  # fmt: skip
            try:
                _look(visit)
            except (Problem, DockerfileError) as fault:
                visit.broken = True
                yield visit
                raise self._located(instruction, fault) from None
            yield visit
            try:
                self._apply(visit, declared)
            except Problem as problem:
                raise self._located(instruction, problem) from None
            placed = placed or isinstance(instruction, i.Workdir)
            if type(instruction).__name__ in _ONCE:
                earlier[type(instruction).__name__] = instruction
        self._states[stage.index] = state
        self._declared[stage.index] = declared
        self._placed[stage.index] = placed

    def _located(
        self, instruction: i.Instruction, fault: Problem | DockerfileError
    ) -> DockerfileError:
        if isinstance(fault, DockerfileError):
            return fault
        source, where = self.subject.source, instruction.where
        return DockerfileError(source, where, fault.message, token=fault.token)

    def _begin(self, stage: i.Stage) -> tuple[StageState, set[str], bool]:
        below = self.stages.based.get(stage.index)
        if below is not None:
            state = self._states[below].derived()
            return state, set(self._declared[below]), self._placed[below]
        config = self.configs.get(stage.index)
        if config is None:
            return StageState({"WorkingDir": "/"}, "", self.subject.escape), set(), False
        return StageState(config.config, config.author, self.subject.escape), set(), False

    def _triggers(self, stage: i.Stage, state: StageState) -> list[i.Instruction]:
        below = self.stages.based.get(stage.index)
        source = self._states[below] if below is not None else state
        texts = list(source.config.get("OnBuild") or [])
        if below is None and texts:
            state.set("OnBuild", [])
        where = stage.start.where
        return [parse_trigger(text, where, self.subject.source) for text in texts]

    def _apply(self, visit: Visit, declared: set[str]) -> None:
        instruction, state = visit.instruction, visit.state
        if isinstance(instruction, i.Arg):
            for name, value in self.subject.arguments.apply(instruction, state.expander()):
                state.add_argument(name, value)
                declared.add(name)
        elif isinstance(instruction, i.Workdir):
            state.set("WorkingDir", state.absolute(visit.words[0]).rstrip("/") or "/")
        elif not isinstance(instruction, (i.Run, i.Copy, i.Add)):
            state.apply(instruction)


def _look(visit: Visit) -> None:
    """Expands the instruction's words: `visit.words` are those a check wants to see."""
    one = visit.instruction
    if isinstance(one, (i.Env, i.Label)):
        names = []
        for pair in one.pairs:
            names.append(visit.expand(pair.name))
            visit.expand(pair.value)
        visit.words = tuple(names)
    elif isinstance(one, (i.Copy, i.Add)):
        for text in (one.chown, one.chmod, one.checksum if isinstance(one, i.Add) else ""):
            visit.expand(text)
        visit.words = tuple(visit.expand(text) for text in one.sources)
        visit.expand(one.destination)
        for heredoc in one.contents:
            if heredoc.expand:
                visit.expand(heredoc.text, body=True)
    elif isinstance(one, i.Workdir):
        visit.words = (visit.expand(one.path),)
    elif isinstance(one, i.User):
        visit.expand(one.user)
    elif isinstance(one, i.StopSignal):
        visit.expand(one.signal)
    elif isinstance(one, i.Volume):
        visit.words = tuple(visit.expand(path) for path in one.paths)
    elif isinstance(one, i.Run):
        for text in one.mounts:
            parse_mount(text, visit.expand)
    elif isinstance(one, i.Expose):  # its unknown variables are nobody's business
        expander = visit.state.expander()
        visit.words = tuple(word for port in one.ports for word in expander.words(port))
    elif isinstance(one, i.Arg):
        _look_at_argument(visit, one)


def _look_at_argument(visit: Visit, instruction: i.Arg) -> None:
    """Only the defaults that count are expanded, each with the arguments before it."""
    arguments = visit.subject.arguments
    expander = visit.state.expander()
    declared = set(visit.declared)
    for name, default in instruction.pairs:
        value = arguments.given.get(name)
        if value is None and default is not None:
            try:
                value = expander.word(default)
            finally:
                missing = tuple(n for n in sorted(expander.unset) if n not in declared)
                if missing:
                    visit.unset.append((missing, tuple(expander.env)))
        if value is None:
            value = arguments.known.get(name)
        declared.add(name)
        env = dict(expander.env) if value is None else {**expander.env, name: value}
        expander = type(expander)(env, expander.escape)
