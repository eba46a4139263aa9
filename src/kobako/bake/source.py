"""Where something stands in a bake file, and errors that show it."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

_AROUND = 2


class File(Record):
    """A bake file as it was read: `name` is what errors call it."""

    name: str
    text: str

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column) of a character, both 1-based."""
        line = self.text.count("\n", 0, offset) + 1
        return line, offset - (self.text.rfind("\n", 0, offset) + 1) + 1


class Range(Record):
    """Characters `start` to `end` (exclusive) of a file."""

    file: File
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.file.place(self.start)[0]

    def to(self, other: Range) -> Range:
        """From the start of this one to the end of the other."""
        return Range(self.file, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        """docker-bake.hcl:2,31-41, as HCL writes it."""
        line, column = self.file.place(self.start)
        last, end = self.file.place(max(self.start, self.end))
        until = f"{end}" if last == line else f"{last},{end}"
        return f"{self.file.name}:{line},{column}-{until}"

    def excerpt(self) -> str:
        """The lines around, those meant marked, with carets under a range within one line."""
        lines = self.file.text.split("\n")
        line, column = self.file.place(self.start)
        last, end = self.file.place(max(self.start, self.end - 1))
        rule = "-" * 20
        shown = [f"{self.file.name}:{line}", rule]
        for number in range(max(1, line - _AROUND), min(len(lines), last + _AROUND) + 1):
            text = lines[number - 1].rstrip("\r")
            inside = line <= number <= last
            shown.append(f"{number:4d} | {'>>>' if inside else '   '} {text}".rstrip())
            if inside and line == last:
                lead = "".join("\t" if c == "\t" else " " for c in text[: column - 1])
                shown.append(f"     |     {lead}{'^' * max(1, end - column + 1)}")
        return "\n".join([*shown, rule])


class BakeError(Invalid):
    """A bake file is wrong. `excerpt` shows the place, `line` is 1-based (0: the whole file)."""

    def __init__(self, where: Range | None, summary: str, detail: str = "", hint: str = "") -> None:
        text = f"{summary}; {detail}" if detail else summary
        super().__init__(f"{where}: {text}" if where else text, hint=hint)
        self.summary = summary
        self.detail = detail
        self.where = where
        self.line = where.line if where else 0
        self.excerpt = where.excerpt() if where else ""


class Fault(Exception):
    """A fault in a value whose place the caller knows: it becomes a `BakeError` there."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def suggest(word: str, known: list[str]) -> str:
    """` Did you mean "tags"?` when one of `known` is close, else ""."""
    import difflib

    near = difflib.get_close_matches(word, known, 1)
    return f' Did you mean "{near[0]}"?' if near else ""
