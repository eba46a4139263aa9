"""Where something stands in a Dockerfile, and errors that show it."""

from __future__ import annotations

from kobako.errors import Invalid, KobakoError, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.build.worker import RunRequest

_CONTEXT_LINES = 2


class Range(Record):
    """Lines `start` to `end`, 1-based, both inclusive."""

    start: int
    end: int


class Source(Record):
    """A Dockerfile as it was read: `name` is what errors call it."""

    name: str
    text: str

    def lines(self) -> list[str]:
        return self.text.split("\n")

    def excerpt(self, where: Range, token: str = "") -> str:
        """The lines around `where` as BuildKit shows them, with a caret under `token`."""
        lines = [line.rstrip("\r") for line in self.lines()]
        start, end = max(1, where.start), max(1, where.start, where.end)
        if lines and not lines[-1]:
            lines.pop()
        around = _CONTEXT_LINES if start == end else 1
        first, last = max(1, start - around), min(end + around, len(lines))
        rule = "-" * 20
        shown = [f"{self.name}:{start}", rule]
        for number in range(first, last + 1):
            line = lines[number - 1]
            inside = start <= number <= end
            shown.append(f"{number:4d} | {'>>>' if inside else '   '} {line}".rstrip())
            if inside and token and token in line:
                column = line.index(token)
                lead = "".join("\t" if c == "\t" else " " for c in line[:column])
                shown.append(f"     |     {lead}{'^' * max(1, len(token))}")
                token = ""
        return "\n".join([*shown, rule])


class DockerfileError(Invalid):
    """The Dockerfile is wrong. `excerpt` shows the place; `line` is 1-based.

    With `parsing` it is a line that is no instruction, and the message says so as the reference's.
    """

    def __init__(
        self,
        source: Source,
        where: Range,
        problem: str,
        *,
        token: str = "",
        hint: str = "",
        parsing: bool = False,
    ) -> None:
        lead = f"dockerfile parse error on line {where.start}: " if parsing else ""
        super().__init__(lead + problem, hint=hint)
        self.line = where.start
        self.last_line = where.end
        self.excerpt = source.excerpt(where, token)


class NotYet(Unsupported):
    """The Dockerfile asks for something kobako does not do (yet)."""

    def __init__(self, source: Source, where: Range, feature: str, *, token: str = "") -> None:
        super().__init__(f"{source.name}:{where.start}: {feature} is not supported yet")
        self.line = where.start
        self.excerpt = source.excerpt(where, token)


class StepFailed(KobakoError):
    """An instruction could not be carried out; the cause is chained.

    `command` and `status` are set when a RUN's process ended with an exit code other than 0.
    `state` and `kept` are what a shell needs to look around there (`build.halt`).
    """

    http_status = 400

    def __init__(
        self,
        source: Source,
        where: Range,
        problem: str,
        *,
        command: str = "",
        status: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(problem, hint=hint)
        self.line = where.start
        self.excerpt = source.excerpt(where)
        self.command = command
        self.status = status
        self.state: RunRequest | None = None
        self.kept = ""


class Problem(Exception):
    """A fault found in a piece of text whose place the caller knows: it becomes one of the above.

    `token` is the text to point at, where there is one.
    """

    def __init__(self, message: str, token: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.token = token


def suggest(word: str, options: Iterable[str]) -> str:
    """ " (did you mean RUN?)" when one of `options` is close to `word`, else ""."""
    best, near = "", 3
    for option in sorted(options):
        found = distance(word.lower(), option.lower(), near)
        if found < near:
            best, near = option, found
    return f" (did you mean {best}?)" if best and near else ""


def distance(a: str, b: str, limit: int) -> int:
    """Levenshtein's edit distance, or `limit` when it is that or more."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return min(row[-1], limit)
