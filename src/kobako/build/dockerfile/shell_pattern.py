"""Shell patterns in variables: `${v#p}`, `${v%p}` and `${v/p/r}`."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

ANY, STAR = "?", "*"


def without(operator: str, pattern: str, value: str) -> str:
    """The value without its beginning ("#") or end ("%") that matches; twice the operator: the
    longest that does."""
    greedy = pattern.startswith(operator)
    parts = parse_pattern(pattern[1:] if greedy else pattern)
    text = value
    if operator == "%":  # the end of a text is the beginning of the reversed one
        text = text[::-1]
        parts = [(kind, literal[::-1]) for kind, literal in reversed(parts)]
    ends = _ends(parts, text, 0)
    rest = text[ends[greedy] :] if ends else text
    return rest[::-1] if operator == "%" else rest


def replaced(pattern: str, replacement: str, value: str, *, every: bool) -> str:
    """The value with the first match of the pattern replaced, or `every` one."""
    parts = parse_pattern(pattern)
    out: list[str] = []
    at = 0
    stepped = False
    while at <= len(value):
        found = _find(parts, value, at)
        if found is None:
            break
        begin, end = found
        put = _template(replacement, value[begin:end]) if every else replacement
        if begin == end == at and out and not stepped:
            put = ""  # an empty match does not follow on another
        out.append(value[at:begin] + put)
        at = end
        if not every:
            break
        stepped = begin == end
        if stepped:  # an empty match: move on by one, as every regular engine does
            out.append(value[at : at + 1])
            at += 1
    return "".join(out) + value[at:]


def _template(replacement: str, matched: str) -> str:
    """What `//` puts in place of a match: there `$$` is a dollar, `$0` the match, and any other
    `$name` nothing, as in Go's regexp.ReplaceAllString, which BuildKit calls."""
    if "$" not in replacement:
        return replacement
    import re

    def stands_for(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return "$" if found[0] == "$$" else matched if name == "0" else ""

    return re.sub(r"\$(?:\$|(\w+)|\{(\w+)\})", stands_for, replacement)


def parse_pattern(pattern: str) -> list[tuple[str, str]]:
    """A shell pattern as (kind, text): kind "*", "?" or "" for a literal run."""
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char in "*?":
            if not (char == STAR and parts and parts[-1][0] == STAR):
                parts.append((char, ""))
            continue
        if char == "\\":
            following = pattern[at : at + 1]
            if not following or following not in "}/*?\\":
                raise Problem(
                    f"invalid pattern ({pattern}) in substitution: invalid escape '\\{following}'"
                )
            char = following
            at += 1
        if parts and parts[-1][0] == "":
            parts[-1] = ("", parts[-1][1] + char)
        else:
            parts.append(("", char))
    return parts


def _ends(parts: list[tuple[str, str]], text: str, start: int) -> tuple[int, int] | None:
    """The first and the last position where a match of the pattern that begins at `start` can
    end; None where there is no match."""
    ends = {start}
    since = -1  # after a star: every position from here on
    for number, (kind, literal) in enumerate(parts):
        if kind == STAR:
            since = min(ends) if since < 0 else since
        elif kind == ANY:
            since += since >= 0
            ends = {e + 1 for e in ends if e < len(text)}
        elif since < 0:
            ends = {e + len(literal) for e in ends if text.startswith(literal, e)}
        else:
            following = parts[number + 1 : number + 2]
            found = _occurrences(literal, text, since, first=following == [(STAR, "")])
            ends, since = {at + len(literal) for at in found}, -1
        if since > len(text) or (since < 0 and not ends):
            return None
    return (min(ends), max(ends)) if since < 0 else (since, len(text))


def _occurrences(literal: str, text: str, start: int, *, first: bool) -> list[int]:
    found = []
    at = text.find(literal, start)
    while at >= 0:
        found.append(at)
        at = -1 if first else text.find(literal, at + 1)
    return found


def _find(parts: list[tuple[str, str]], text: str, start: int) -> tuple[int, int] | None:
    """The leftmost longest match from `start` on."""
    kinds = [kind for kind, _ in parts]
    head = parts[: kinds.index(STAR)] if STAR in kinds else parts
    for begin in range(start, len(text) + 1):
        if not _ends(head, text, begin):
            continue
        ends = _ends(parts, text, begin)
        if ends:
            return begin, ends[1]
        if head is not parts:  # what does not follow the star here does not follow it later
            return None
    return None
