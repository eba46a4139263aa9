"""What `--call` prints: the texts and the JSON documents of buildx."""

from __future__ import annotations

from base64 import b64encode

from kobako.build.dockerfile.source import Range
from kobako.build.lint.rules import RULES
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.build.dockerfile.source import Source
    from kobako.build.lint.finding import Finding
    from kobako.errors import KobakoError


class Checked(Record):
    """The outcome of the checks: `fault` is why the build would fail before it began."""

    source: Source
    findings: tuple[Finding, ...]
    fault: KobakoError | None = None

    @property
    def clean(self) -> bool:
        return not self.findings and self.fault is None

    def text(self) -> str:
        """The findings in the order of the file, each with its lines. The fault is not in it."""
        if self.clean:
            return "Check complete, no warnings found.\n"
        if not self.findings:
            return ""
        count = len(self.findings)
        many = "1 warning has been found!" if count == 1 else f"{count} warnings have been found!"
        out = [f"Check complete, {many}\n"]
        for finding in sorted(self.findings, key=lambda f: f.start):
            rule = RULES[finding.rule]
            link = f" - {rule.url}" if rule.url else ""
            lines = self.source.excerpt(Range(finding.start, finding.end), finding.token)
            out.append(f"\nWARNING: {rule.name}{link}\n{finding.detail}\n{lines}\n")
        return "".join(out)

    def document(self) -> dict[str, Any]:
        """The same as data, in the order the checks were made."""
        found: dict[str, Any] = {
            "warnings": [_warning(finding) for finding in self.findings] or None,
            "sources": [
                {
                    "filename": self.source.name,
                    "data": encoded(self.source),
                    "language": "Dockerfile",
                }
            ],
        }
        if self.fault is not None:
            line = getattr(self.fault, "line", 0)
            where = location(line, getattr(self.fault, "last_line", line)) if line else {}
            found["buildError"] = {"message": self.fault.message, "location": where}
        return found


def _warning(finding: Finding) -> dict[str, Any]:
    rule = RULES[finding.rule]
    warning: dict[str, Any] = {"ruleName": rule.name, "description": rule.description}
    if rule.url:
        warning["url"] = rule.url
    warning["detail"] = finding.detail
    warning["location"] = location(finding.start, finding.end)
    return warning


def location(start: int, end: int) -> dict[str, Any]:
    """A place as BuildKit has it: one range a line."""
    lines = range(start, max(start, end) + 1)
    return {"ranges": [{"start": {"line": n}, "end": {"line": n}} for n in lines]}


def encoded(source: Source) -> str:
    return b64encode(source.text.encode("utf-8", "surrogateescape")).decode()


def table(rows: Sequence[Sequence[str]], gap: int) -> str:
    """Rows in columns `gap` blanks apart."""
    widths = [max(len(row[n]) for row in rows) + gap for n in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("".join([*cells, row[-1]]) + "\n")
    return "".join(lines)
