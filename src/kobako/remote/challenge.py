"""The WWW-Authenticate header (RFC 9110, 11.6.1): what a server wants to see."""

from __future__ import annotations

from kobako.record import Record

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MAX = 16384


class Challenge(Record):
    """One scheme (lower case) and its parameters, names in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """A parameter's value, empty if it is not there."""
        for key, value in self.parameters:
            if key == name:
                return value
        return ""


def parse(header: str) -> tuple[Challenge, ...]:
    """All challenges of a header's value. What cannot be read is passed over: nothing raises."""
    text = header[:_MAX]
    found: list[Challenge] = []
    position = 0
    while position < len(text):
        position = _skip(text, position, " \t,")
        word, position = _token(text, position)
        if not word:
            position += 1
            continue
        after = _skip(text, position, " \t")
        if text[after : after + 1] == "=" and found:
            value, position = _value(text, _skip(text, after + 1, " \t"))
            last = found[-1]
            found[-1] = Challenge(last.scheme, (*last.parameters, (word.lower(), value)))
        else:
            found.append(Challenge(word.lower()))
    return tuple(found)


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _token(text: str, position: int) -> tuple[str, int]:
    start = position
    while position < len(text) and text[position] in _TOKEN:
        position += 1
    return text[start:position], position


def _value(text: str, position: int) -> tuple[str, int]:
    """A token or a quoted string."""
    if text[position : position + 1] != '"':
        start = position
        while position < len(text) and text[position] not in " \t,":
            position += 1
        return text[start:position], position
    position += 1
    found = []
    while position < len(text) and text[position] != '"':
        if text[position] == "\\":
            position += 1
        found.append(text[position : position + 1])
        position += 1
    return "".join(found), position + 1
