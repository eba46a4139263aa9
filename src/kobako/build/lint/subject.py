"""What the checks look at: a Dockerfile with the build's arguments, and one instruction of it."""

from __future__ import annotations

from kobako.build.arguments import Arguments
from kobako.build.dockerfile.source import DockerfileError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kobako.build.dockerfile import instructions as i
    from kobako.build.dockerfile.source import Range
    from kobako.build.ignore import Ignore
    from kobako.build.lint.written import Written
    from kobako.build.stage import StageState
    from kobako.oci import ImageConfig, Platform

    Bases = Callable[[str, Platform, Range], ImageConfig]


class Subject:
    """A Dockerfile and how it is built.

    `bases(name, platform, where)` gives the config of a base image; what it raises ends the checks.
    `target` is the stage asked for, "" for the last one; `everything` looks at all stages as if
    each were needed. `ignore` are the patterns of the context's `.dockerignore`.
    """

    def __init__(
        self,
        dockerfile: i.Dockerfile,
        lines: Iterable[Written],
        bases: Bases,
        *,
        given: tuple[tuple[str, str], ...] = (),
        host: Platform,
        platform: Platform,
        target: str = "",
        ignore: Ignore | None = None,
        everything: bool = False,
    ) -> None:
        self.dockerfile = dockerfile
        self.source = dockerfile.source
        self.escape = dockerfile.directives.escape
        self.bases = bases
        self.platform = platform
        self.target = target
        self.ignore = ignore
        self.everything = everything
        stage = "" if target.isdigit() else target
        self.arguments = Arguments(dockerfile, given, host, platform, stage)
        self._parts = (host, platform, stage)
        self._written = {one.line.where.start: one for one in lines}

    def defaults(self) -> Arguments:
        """The arguments as they are when none is given."""
        host, platform, stage = self._parts
        return Arguments(self.dockerfile, (), host, platform, stage)

    def declared(self) -> list[str]:
        """The arguments FROM may use: the predefined ones and those above the first FROM."""
        named = [n for one in self.dockerfile.arguments for n, _ in one.pairs]
        return list(dict.fromkeys([*self.arguments.known, *named]))

    def comments(self, where: Range) -> tuple[str, ...]:
        """The comment lines right above the instruction that begins there."""
        found = self._written.get(where.start)
        return found.line.comments if found is not None else ()

    def keyword(self, instruction: i.Instruction) -> str:
        """An instruction's keyword in its own case."""
        return instruction.text.split(None, 1)[0]


class Visit:
    """An instruction of a stage and what is known before it is carried out.

    `name` is its keyword as written. `declared` are the ARGs of the stage and of those it is based
    on; `unset` the variables each of its words asks for in vain, with all that there are;
    `earlier` the CMD, ENTRYPOINT and HEALTHCHECK that stood in this stage before; `placed`: a
    WORKDIR was there already; `words` its expanded words, where a check asks for them; `broken`: a
    word cannot be expanded, and the build ends here.
    """

    def __init__(
        self,
        subject: Subject,
        instruction: i.Instruction,
        state: StageState,
        *,
        declared: set[str],
        earlier: dict[str, i.Instruction],
        placed: bool,
        trigger: bool,
    ) -> None:
        self.subject = subject
        self.instruction = instruction
        self.state = state
        self.declared = frozenset(declared)
        self.earlier = dict(earlier)
        self.placed = placed
        self.trigger = trigger
        self.name = subject.keyword(instruction)
        self.where = instruction.where
        self.unset: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.words: tuple[str, ...] = ()
        self.broken = False

    @property
    def comments(self) -> tuple[str, ...]:
        return () if self.trigger else self.subject.comments(self.where)

    def expand(self, text: str, *, body: bool = False) -> str:
        """A word with the variables known here; what it misses is added to `unset`."""
        expander = self.state.expander()
        try:
            return expander.body(text) if body else expander.word(text)
        except Problem as problem:
            raise DockerfileError(
                self.subject.source, self.where, problem.message, token=problem.token
            ) from None
        finally:
            missing = tuple(n for n in sorted(expander.unset) if n not in self.declared)
            if missing:
                self.unset.append((missing, tuple(expander.env)))
