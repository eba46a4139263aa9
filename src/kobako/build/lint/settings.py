"""Which checks are wanted: `# check=skip=A,B;experimental=all;error=true`."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem
from kobako.build.lint.finding import Rule
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that stands in for the directive."""

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_ALL = "all"


class Settings(Record):
    """`skip` and `experimental` are names of rules, or ("all",). `error`: a finding is an error."""

    skip: tuple[str, ...] = ()
    experimental: tuple[str, ...] = ()
    error: bool = False

    def wants(self, rule: Rule) -> bool:
        """Whether a rule is to be carried out. An experimental one cannot be skipped by name:
        it has to be asked for."""
        if rule.experimental:
            return _ALL in self.experimental or rule.name in self.experimental
        return _ALL not in self.skip and rule.name not in self.skip

    def with_comments(self, comments: Sequence[str]) -> Settings:
        """These settings and what a `# check=` comment above an instruction adds to them."""
        for comment in comments:
            name, equals, value = comment.partition("=")
            words = value.split()
            if not equals or name.strip().lower() != "check" or not words:
                continue
            try:
                more = parse_settings(words[0])
            except Problem:
                return self
            return self.replace(
                skip=self.skip + more.skip, experimental=self.experimental + more.experimental
            )
        return self


def parse_settings(text: str) -> Settings:
    """The value of a `check` directive. A `Problem` names the part that is not understood."""
    settings = Settings()
    if not text.strip():
        return settings
    for part in text.split(";", 2):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals:
            raise Problem(f'failed to parse check options: invalid check option "{part}"', part)
        if key == "error":
            settings = settings.replace(error=_boolean(part, value))
        elif key in ("skip", "experimental"):
            names = tuple(name.strip() for name in value.split(","))
            settings = settings.replace(**{key: names})
        else:
            raise Problem(f'failed to parse check options: invalid check option "{key}"', part)
    return settings


def _boolean(part: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise Problem(
        f'failed to parse check options: failed to parse check option "{part}": "{value}" is'
        " neither true nor false",
        part,
    )
