"""OCI annotations of a result: `--annotation [LEVEL[PLATFORM],...:]KEY=VALUE`, and the same as
attributes of an output, `annotation-LEVEL[PLATFORM].KEY=VALUE`.

https://github.com/moby/buildkit/blob/master/docs/annotations.md
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.oci import Platform
from kobako.record import Record

LEVELS = ("manifest", "manifest-descriptor", "index", "index-descriptor")


class Annotation(Record):
    """One annotation of one kind of document; `platform` None means of all platforms."""

    level: str
    key: str
    value: str
    platform: Platform | None = None

    @property
    def of_index(self) -> bool:
        return self.level.startswith("index")


def parse_flag(text: str) -> tuple[Annotation, ...]:
    """What one `--annotation` says, an annotation for each of its levels."""
    head, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"invalid annotation {text!r}: expected key=value")
    levels, colon, key = head.partition(":")
    if not colon:
        levels, key = "manifest", head
    if not key:
        raise Invalid(f"invalid annotation {text!r}: its key is empty")
    return tuple(_annotation(text, word, key, value) for word in levels.split(","))


def parse_attribute(name: str, value: str) -> tuple[Annotation, ...]:
    """The annotation an output's key stands for; () for other keys."""
    if not name.startswith("annotation"):
        return ()
    head, level = name.removeprefix("annotation"), "manifest"
    platform = ""
    end = head.find(".")
    if head.startswith("-"):
        cut = min((at for at in (head.find("["), end) if at >= 0), default=len(head))
        level, head = head[1:cut], head[cut:]
    if head.startswith("["):
        platform, closed, head = head[1:].partition("]")
        if not closed:
            return ()
    if not head.startswith(".") or len(head) < 2:
        return ()
    word = f"{level}[{platform}]" if platform else level
    return (_annotation(f"{name}={value}", word, head[1:], value),)


def _annotation(text: str, word: str, key: str, value: str) -> Annotation:
    level, bracket, platform = word.partition("[")
    if level not in LEVELS:
        raise Invalid(
            f"invalid annotation {text!r}: unknown type {level!r}",
            hint=f"One of: {', '.join(LEVELS)}",
        )
    if not bracket:
        return Annotation(level, key, value)
    if not platform.endswith("]"):
        raise Invalid(f"invalid annotation {text!r}: a bracket is missing")
    return Annotation(level, key, value, Platform.parse(platform[:-1]).normalised())
