"""`--call=outline`: the arguments, secrets and agents the target of a build takes."""

from __future__ import annotations

import posixpath

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.mounts import parse_mount
from kobako.build.lint import origins
from kobako.build.lint.descriptions import description
from kobako.build.lint.report import encoded, location, table
from kobako.build.lint.walk import Stages, Walk
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.build.dockerfile.source import Range, Source
    from kobako.build.lint.subject import Subject, Visit


class Argument(Record):
    """A build argument and what it is worth; `uses` are the ones its default is made of."""

    name: str
    description: str
    value: str
    where: Range
    uses: tuple[str, ...] = ()


class Need(Record):
    """A secret or an ssh agent by its id."""

    name: str
    required: bool
    where: Range


class Outline(Record):
    """What a target takes, each list in the order of the file."""

    source: Source
    name: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[Need, ...]
    ssh: tuple[Need, ...]

    def text(self) -> str:
        out = []
        if self.name or self.description:
            rows = [("TARGET:", self.name or "(default)")]
            if self.description:
                rows.append(("DESCRIPTION:", self.description))
            out.append(table(rows, 1))
        if self.arguments:
            lines = [(a.name, a.value, a.description) for a in self.arguments]
            out.append(table([("BUILD ARG", "VALUE", "DESCRIPTION"), *lines], 3))
        for title, needs in (("SECRET", self.secrets), ("SSH", self.ssh)):
            if needs:
                pairs = [(n.name, "true" if n.required else "") for n in needs]
                out.append(table([(title, "REQUIRED"), *pairs], 3))
        return "".join(part + "\n" for part in out)

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "args": [
                _filled({"name": a.name, "description": a.description, "value": a.value}, a.where)
                for a in self.arguments
            ],
            "secrets": _needs(self.secrets),
            "ssh": _needs(self.ssh),
            "sources": [encoded(self.source)],
        }
        return {key: value for key, value in found.items() if value}


def _needs(needs: Sequence[Need]) -> list[dict[str, Any]]:
    return [_filled({"name": n.name, "required": n.required}, n.where) for n in needs]


def _filled(fields: dict[str, Any], where: Range) -> dict[str, Any]:
    kept = {key: value for key, value in fields.items() if value or key == "name"}
    return {**kept, "location": location(where.start, where.end)}


def outline(subject: Subject) -> Outline:
    """Looks at the target and the stages it needs; stages nobody needs do not count.

    What has the same name in several stages is what it is in the target, else in the stage that
    is built on, else in one that files are taken from.
    """
    found = [origins.origin(subject, stage) for stage in subject.dockerfile.stages]
    for one in found:
        origins.require(subject, one)
    stages = Stages(subject, found)
    walk = Walk(subject, stages)
    needed = [one for one in found if one.stage.index in stages.needed]
    for one in needed:
        walk.resolve(one, origins.require(subject, one) or subject.platform)
    everywhere = _global_arguments(subject)
    taken = {}
    for one in needed:
        stage = taken[one.stage.index] = _Taken(subject, everywhere)
        stage.use(one.image.used)
        stage.use(one.platform.used if one.platform else ())
        for visit in walk.visits(one.stage):
            if not visit.broken:
                stage.visit(visit)
    arguments: dict[str, Argument] = {}
    secrets: dict[str, Need] = {}
    ssh: dict[str, Need] = {}
    for index in dict.fromkeys(stages.in_turn(stages.target)):
        stage = taken[index]
        arguments = stage.arguments() | arguments
        secrets = stage.secrets | secrets
        ssh = stage.ssh | ssh
    target = subject.dockerfile.stages[stages.target]
    return Outline(
        subject.source,
        target.name,
        description(target.start.comments, target.name),
        tuple(sorted(arguments.values(), key=lambda a: a.where.start)),
        tuple(sorted(secrets.values(), key=lambda n: n.where.start)),
        tuple(sorted(ssh.values(), key=lambda n: n.where.start)),
    )


def _global_arguments(subject: Subject) -> dict[str, Argument]:
    """Those declared before the first stage."""
    found: dict[str, Argument] = {}
    arguments = subject.arguments
    for instruction in subject.dockerfile.arguments:
        comments = subject.comments(instruction.where)
        for name, default in instruction.pairs:
            uses: tuple[str, ...] = ()
            if name not in arguments.given and default is not None:
                expander = Expander(arguments.known, subject.escape)
                expander.word(default)
                uses = tuple(sorted(expander.used))
            value = arguments.known.get(name, "")
            said = description(comments, name)
            found[name] = Argument(name, said, value, instruction.where, uses)
    return found


class _Taken:
    """What one stage takes."""

    def __init__(self, subject: Subject, everywhere: dict[str, Argument]) -> None:
        self.subject = subject
        self.secrets: dict[str, Need] = {}
        self.ssh: dict[str, Need] = {}
        self._known = dict(everywhere)
        self._used: dict[str, None] = {}

    def use(self, names: tuple[str, ...]) -> None:
        self._used.update(dict.fromkeys(names))

    def arguments(self) -> dict[str, Argument]:
        """Those used, and those their values are made of. Predefined ones nobody declares a value
        of are none of the file's."""
        found: dict[str, Argument] = {}
        waiting = list(self._used)
        while waiting:
            name = waiting.pop()
            argument = self._known.get(name)
            if argument is not None and name not in found:
                found[name] = argument
                waiting += argument.uses
        return found

    def visit(self, visit: Visit) -> None:
        one = visit.instruction
        if isinstance(one, i.Run):
            for text in one.mounts:
                self._mount(text, visit)
        if not isinstance(one, i.Arg):
            return
        arguments = self.subject.arguments
        values = arguments.apply(one, visit.state.expander())
        for (name, value), (_, default) in zip(values, one.pairs, strict=True):
            given = name in arguments.given
            if default is not None or given or name not in arguments.known:
                said = description(visit.comments, name)
                self._known[name] = Argument(name, said, value or "", visit.where)
            self.use((name,))

    def _mount(self, text: str, visit: Visit) -> None:
        flag = parse_mount(text, visit.expand)
        if flag.type == "secret":
            name = flag.source or flag.id or posixpath.basename(flag.target)
            self.secrets.setdefault(name, Need(name, flag.required, visit.where))
        elif flag.type == "ssh":
            name = flag.id or "default"
            self.ssh.setdefault(name, Need(name, flag.required, visit.where))
