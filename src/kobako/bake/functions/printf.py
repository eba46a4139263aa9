"""`format`: the verbs of go-cty's format function."""

from __future__ import annotations

import re
from decimal import Decimal

from kobako.bake import convert, values
from kobako.bake.source import Fault
from kobako.bake.values import BOOL, NUMBER, STRING, Value

_VERB = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?:\[(?P<at>\d+)\])?(?P<verb>.)?",
    re.DOTALL,
)
_WIDEST = 10_000


def formatted(pattern: str, arguments: list[Value]) -> str:
    """The pattern with its verbs replaced. `Fault` for wrong verbs, too few or too many values."""
    shown: list[str] = []
    at, place, highest = 0, 0, 0
    while at < len(pattern):
        stop = pattern.find("%", at)
        if stop < 0:
            shown.append(pattern[at:])
            break
        shown.append(pattern[at:stop])
        match = _VERB.match(pattern, stop)
        assert match is not None
        at = match.end()
        if match["verb"] is None:
            raise Fault(f'"{match[0]}" ends before its verb, at offset {stop}')
        if match["verb"] == "%":
            shown.append("%")
            continue
        place = int(match["at"]) if match["at"] else place + 1
        highest = max(highest, place)
        if not 1 <= place <= len(arguments):
            raise Fault(f'not enough arguments for "{match[0]}" at {stop}: need {place}')
        shown.append(_verb(match, arguments[place - 1], stop))
    if highest < len(arguments):
        raise Fault(f"too many arguments; only {highest} used by format string")
    return "".join(shown)


def _verb(match: re.Match[str], value: Value, offset: int) -> str:
    verb, flags = match["verb"], match["flags"]
    width = int(match["width"] or 0)
    precision = int(match["precision"] or 0) if match["precision"] is not None else None
    if width > _WIDEST or (precision or 0) > _WIDEST:
        raise Fault(f'"{match[0]}" is too wide')
    if verb not in "vtbdoxXeEfgGsq":
        raise Fault(f'unsupported format verb "{verb}" in "{match[0]}" at offset {offset}')
    try:
        if value.null and verb != "v":
            raise Fault("null value cannot be formatted")
        text = _text(verb, flags, precision, value)
    except Fault as fault:
        raise Fault(f'unsupported value for "{match[0]}" at {offset}: {fault.message}') from None
    if len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and verb not in "sqvt":
        sign = text[:1] if text[:1] in ("+", "-", " ") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _text(verb: str, flags: str, precision: int | None, value: Value) -> str:
    if verb == "v":
        if "#" in flags or not value.type.primitive or value.null:
            return values.to_json(value)
        verb = {"string": "s", "number": "g", "bool": "t"}[value.type.kind]
    if verb == "t":
        return "true" if convert.convert(value, BOOL).raw else "false"
    if verb in "sq":
        text = str(convert.convert(value, STRING).raw)
        text = text if precision is None else text[:precision]
        return values.quoted(text) if verb == "q" else text
    return _number(verb, flags, precision, convert.convert(value, NUMBER).raw)


def _number(verb: str, flags: str, precision: int | None, raw: int | Decimal) -> str:
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if verb in "bdoxX":
        if not isinstance(raw, int):
            raise Fault("an integer is required")
        alternate = "#" if "#" in flags and verb != "d" else ""
        return format(raw, f"{sign}{alternate}{verb}")
    if verb in "gG" and precision is None:
        text = _shortest(raw, "E" if verb == "G" else "e")
        return sign + text if sign and not text.startswith("-") else text
    digits = 6 if precision is None else precision
    if verb in "eE":
        text = format(Decimal(raw), f"{sign}.{digits}{verb}")
        head, mark, exponent = text.partition(verb)
        return f"{head}{mark}{exponent[0]}{exponent[1:].rjust(2, '0')}"
    return format(Decimal(raw), f"{sign}.{digits}{verb}")


def _shortest(raw: int | Decimal, mark: str) -> str:
    """Go's %g: with an exponent from a million on, and below a ten-thousandth."""
    number = Decimal(raw)
    if not number or -4 <= number.adjusted() < 6:
        return values.number_text(raw)
    sign, digits, _ = number.normalize(values.PRECISION).as_tuple()
    shown = "".join(map(str, digits))
    exponent = number.adjusted()
    point = "." if len(shown) > 1 else ""
    head = f"{'-' if sign else ''}{shown[0]}{point}{shown[1:]}"
    return f"{head}{mark}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
