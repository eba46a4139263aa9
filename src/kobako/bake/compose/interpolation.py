"""`${VAR}` in compose files and `.env` (compose specification, "Interpolation")."""

from __future__ import annotations

import re

from kobako.bake.source import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Missing = Callable[[str], None]
    Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


def interpolate(text: str, lookup: Lookup, missing: Missing) -> str:
    """The text with variables replaced; a `$` before anything else is a dollar, too.

    `Fault` for bad syntax in braces, and for what `:?` asks for.
    """
    shown: list[str] = []
    at = 0
    while at < len(text):
        stop = text.find("$", at)
        if stop < 0:
            break
        shown.append(text[at:stop])
        following = text[stop + 1 : stop + 2]
        if following == "$":
            shown.append("$")
            at = stop + 2
        elif following == "{":
            end = _closing(text, stop + 2)
            shown.append(_braced(text[stop + 2 : end], lookup, missing))
            at = end + 1
        else:
            match = _NAME.match(text, stop + 1)
            shown.append(_value(match[0], lookup, missing) if match else "$")
            at = match.end() if match else stop + 1
    return "".join(shown) + text[at:]


def _closing(text: str, at: int) -> int:
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    raise Fault(f'invalid interpolation format in "{text}": }} is missing')


def _value(name: str, lookup: Lookup, missing: Missing) -> str:
    found = lookup(name)
    if found is None:
        missing(name)
        return ""
    return found


def _braced(inner: str, lookup: Lookup, missing: Missing) -> str:
    match = _NAME.match(inner)
    rest = inner[match.end() :] if match else ""
    operator = next((o for o in _OPERATORS if rest.startswith(o)), "")
    if match is None or (rest and not operator):
        raise Fault(f'invalid interpolation format: "${{{inner}}}"')
    name, word = match[0], rest[len(operator) :]
    found = lookup(name)
    there = found is not None and (found != "" or not operator.startswith(":"))
    if operator.endswith("+"):
        return interpolate(word, lookup, missing) if there else ""
    if there:
        assert found is not None
        return found
    if operator.endswith("?"):
        raise Fault(
            f"required variable {name} is missing a value: {interpolate(word, lookup, missing)}"
        )
    if operator.endswith("-"):
        return interpolate(word, lookup, missing)
    return _value(name, lookup, missing)


def dotenv(text: str, lookup: Lookup) -> dict[str, str]:
    """The variables of a `.env` file; later lines may use earlier ones. `Fault` for bad lines."""
    found: dict[str, str] = {}

    def known(name: str) -> str | None:
        outer = lookup(name)
        return found.get(name) if outer is None else outer

    at = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop].strip()
        key, equals, _ = line.partition("=")
        if not line or line.startswith("#"):
            at = stop + 1
            continue
        name = key.strip().removeprefix("export ").strip()
        if not _NAME.fullmatch(name):
            raise Fault(f'"{line}" is not NAME=value')
        if not equals:
            at = stop + 1
            outer = lookup(name)
            if outer is not None:
                found[name] = outer
            continue
        start = text.index("=", at) + 1
        found[name], at = _dotenv_value(text, start, stop, known)
    return found


def _dotenv_value(text: str, start: int, stop: int, known: Lookup) -> tuple[str, int]:
    """(a value, where the next line begins)."""
    raw = text[start:stop].lstrip(" \t")
    if raw[:1] in ("'", '"'):
        quote = raw[0]
        begin = text.index(quote, start) + 1
        end = begin
        while end < len(text) and text[end] != quote:
            end += 2 if quote == '"' and text[end] == "\\" else 1
        if end >= len(text):
            raise Fault(f"{raw} has no closing quote")
        value = text[begin:end]
        after = text.find("\n", end)
        if quote == '"':
            value = re.sub(r"\\([nrt\"\\$])", _unescape, value)
            value = interpolate(value, known, lambda name: None)
        return value, len(text) if after < 0 else after + 1
    value = re.split(r"\s#", raw, maxsplit=1)[0].strip()
    return interpolate(value, known, lambda name: None), stop + 1


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r", "t": "\t", "$": "$$"}.get(match[1], match[1])
