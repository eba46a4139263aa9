"""`.dockerignore`: what of a directory is not part of the build context.

Rules of the Dockerfile reference and github.com/moby/patternmatcher: patterns are relative to the
root, the last one that matches a path or one of its parents wins, `!` takes back.
"""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.match import Pattern


class Verdict:
    """What became of a directory entry: pass it on when asking about what lies below."""

    __slots__ = ("_matched", "excluded")

    def __init__(self, matched: tuple[bool, ...], excluded: bool) -> None:
        self._matched = matched
        self.excluded = excluded


class Ignore:
    """A list of patterns. `path`s are relative, with slashes, without a leading one."""

    def __init__(self, patterns: list[str], name: str = ".dockerignore") -> None:
        self._patterns: list[tuple[Pattern, bool]] = []
        if patterns:  # few directories have any
            from kobako.build.match import Pattern
        for text in patterns:
            back = text.startswith("!")
            cleaned = _clean(text[1:].strip() if back else text)
            try:
                self._patterns.append((Pattern(cleaned, double_star=True), back))
            except Problem as problem:
                raise Invalid(f"{name}: {problem.message}") from None
        self._back = [pattern for pattern, back in self._patterns if back]
        self.top = Verdict((False,) * len(self._patterns), False)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns, cleaned, those that take back with their `!`."""
        return tuple(("!" if back else "") + pattern.text for pattern, back in self._patterns)

    @property
    def takes_back(self) -> bool:
        """Whether there is a `!` pattern."""
        return bool(self._back)

    def verdict(self, path: str, parent: Verdict) -> Verdict:
        """Whether `path` is excluded, given what was found about its directory."""
        excluded = False
        matched = []
        for (pattern, back), above in zip(self._patterns, parent._matched, strict=True):
            hit = above or (back == excluded and pattern.matches(path))
            matched.append(hit)
            if hit:
                excluded = not back
        return Verdict(tuple(matched), excluded)

    def excludes(self, path: str, parent: Verdict) -> bool:
        """The same for what nothing lies below."""
        excluded = False
        for (pattern, back), above in zip(self._patterns, parent._matched, strict=True):
            if above or (back == excluded and pattern.matches(path)):
                excluded = not back
        return excluded

    def concerned(self, directory: str, verdict: Verdict) -> set[str] | None:
        """The names in a directory that a pattern may say something of, None for any name. All
        others there fare as the directory does: its verdict is theirs."""
        above = directory + "/" if directory else ""
        names = set()
        for (pattern, _), known in zip(self._patterns, verdict._matched, strict=True):
            if known or not (pattern.literal or above.startswith(pattern.prefix[: len(above)])):
                continue
            if not pattern.literal:
                return None
            if pattern.prefix.startswith(above):
                names.add(pattern.prefix[len(above) :])
        return names

    def may_take_back_below(self, path: str) -> bool:
        """Whether an excluded directory has to be read because a `!` pattern may match below."""
        below = path + "/"
        return any(
            pattern.prefix.startswith(below)
            or (not pattern.literal and below.startswith(pattern.prefix))
            for pattern in self._back
        )


def parse_ignore(text: str, name: str = ".dockerignore") -> Ignore:
    """The patterns of a `.dockerignore` file: comments and blank lines are left out."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if pattern and pattern != "!":
            patterns.append(pattern)
        elif pattern:
            raise Invalid(f'{name}: illegal exclusion pattern: "!"')
    return Ignore(patterns, name)


def _clean(pattern: str) -> str:
    """As Go's filepath.Clean, then without a leading slash; "." becomes a pattern for nothing."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == "..":
            if not pattern.startswith("/"):
                parts.append(part)
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
