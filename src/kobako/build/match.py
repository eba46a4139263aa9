"""Wildcards: Go's filepath.Match, and the `**` of `.dockerignore` and `--exclude`.

A pattern is compiled to tokens and run over the text by keeping the set of positions a match can
have reached, so that no pattern takes exponential time.
"""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

_LITERAL, _ONE, _STAR, _CLASS, _DIRECTORIES, _REST = range(6)


class Pattern:
    """One compiled pattern. `prefix` is the literal text every match begins with."""

    def __init__(self, text: str, *, double_star: bool = False) -> None:
        self.text = text
        self._tokens = _compile(text, double_star)
        first = self._tokens[0] if self._tokens else (_LITERAL, "")
        last = self._tokens[-1] if self._tokens else (_LITERAL, "")
        self.prefix: str = first[1] if first[0] == _LITERAL else ""
        self._suffix: str = last[1] if last[0] == _LITERAL else ""
        kinds = [kind for kind, _ in self._tokens]
        ending = kinds == [_DIRECTORIES, _STAR, _LITERAL] and "/" not in self._suffix
        # As patternmatcher has it, "**" before plain text is no directories but any beginning.
        any_beginning = kinds == [_DIRECTORIES, _LITERAL] and text == f"**{self._suffix}"
        self._anywhere = self._suffix if ending or any_beginning else None
        middle = kinds.count(_STAR) == 1 and set(kinds) <= {_LITERAL, _STAR}
        self._one_star = len(self.prefix) + len(self._suffix) if middle else -1
        self.literal = len(self._tokens) <= 1 and first[0] == _LITERAL

    def matches(self, name: str) -> bool:
        if self.literal:
            return name == self.prefix
        if self._anywhere is not None:  # `**/*.o` and `**.o`: whatever ends so
            return name.endswith(self._anywhere)
        if not name.startswith(self.prefix) or not name.endswith(self._suffix):
            return False
        if self._one_star >= 0:  # `*.md`, `d*`: between the two there is no slash
            between = len(name) - self._one_star
            return between >= 0 and name.find("/", len(self.prefix), len(self.prefix) + between) < 0
        ends = {0}
        for kind, value in self._tokens:
            ends = _step(kind, value, name, ends)
            if not ends:
                return False
        return len(name) in ends


def match(pattern: str, name: str) -> bool:
    """Go's filepath.Match: `*` and `?` do not match a slash. A bad pattern is a `Problem`."""
    return Pattern(pattern).matches(name)


def _step(kind: int, value: str, name: str, ends: set[int]) -> set[int]:
    size = len(name)
    if kind == _LITERAL:
        return {e + len(value) for e in ends if name.startswith(value, e)}
    if kind == _ONE:
        return {e + 1 for e in ends if e < size and name[e] != "/"}
    if kind == _CLASS:
        return {e + 1 for e in ends if e < size and _in_class(value, name[e])}
    if kind == _REST:
        return set(range(min(ends), size + 1))
    reached = set(ends)
    if kind == _DIRECTORIES:  # nothing, or anything that ends in a slash
        at = name.find("/", min(ends))
        while at >= 0:
            reached.add(at + 1)
            at = name.find("/", at + 1)
        return reached
    for end in ends:  # _STAR
        stop = name.find("/", end)
        reached.update(range(end, (size if stop < 0 else stop) + 1))
    return reached


def _in_class(value: str, char: str) -> bool:
    """`value` is "^" or " " and then pairs of low and high ends."""
    inside = any(value[i] <= char <= value[i + 1] for i in range(1, len(value), 2))
    return char != "/" and inside != (value[0] == "^")


def _compile(text: str, double_star: bool) -> list[tuple[int, str]]:
    tokens: list[tuple[int, str]] = []
    literal: list[str] = []

    def add(kind: int, value: str = "") -> None:
        if literal:
            tokens.append((_LITERAL, "".join(literal)))
            literal.clear()
        tokens.append((kind, value))

    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*" and double_star and text.startswith("*", at):
            at += 1
            if text.startswith("/", at):
                at += 1
            add(_REST if at >= len(text) else _DIRECTORIES)
        elif char == "*":
            add(_STAR)
        elif char == "?":
            add(_ONE)
        elif char == "[":
            value, at = _class(text, at)
            add(_CLASS, value)
        elif char == "\\":
            if at >= len(text):
                raise Problem(f"syntax error in pattern {text}", text)
            literal.append(text[at])
            at += 1
        else:
            literal.append(char)
    if literal:
        tokens.append((_LITERAL, "".join(literal)))
    return tokens


def _class(text: str, at: int) -> tuple[str, int]:
    out = ["^" if text.startswith("^", at) else " "]
    if out[0] == "^":
        at += 1
    first = True
    while first or not text.startswith("]", at):
        first = False
        low, at = _class_char(text, at)
        high = low
        if text.startswith("-", at):
            high, at = _class_char(text, at + 1)
        out += [low, high]
    return "".join(out), at + 1


def _class_char(text: str, at: int) -> tuple[str, int]:
    if text.startswith("\\", at):
        at += 1
    elif text[at : at + 1] in ("-", "]"):
        raise Problem(f"syntax error in pattern {text}", text)
    if at >= len(text):
        raise Problem(f"syntax error in pattern {text}", text)
    return text[at], at + 1
