"""Arithmetic, comparison and logic."""

from __future__ import annotations

import math
from decimal import Decimal

from kobako.bake import convert, values
from kobako.bake.functions.signature import ANY, function, whole
from kobako.bake.operators import arithmetic
from kobako.bake.source import Fault
from kobako.bake.values import BOOL, NUMBER, STRING, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.scope import Function

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _operator(word: str) -> Function:
    return function(lambda a, b: values.number(arithmetic(word, a.raw, b.raw)), NUMBER, NUMBER)


def _float(found: float) -> Value:
    if not math.isfinite(found):
        raise Fault("the result is not a finite number")
    return values.number(Decimal(repr(found)))


def _log(value: Value, base: Value) -> Value:
    try:
        return _float(math.log(value.raw) / math.log(base.raw))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise Fault("there is no such logarithm") from None


def _pow(value: Value, power: Value) -> Value:
    base, exponent = value.raw, power.raw
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if exponent * max(1, base.bit_length()) > 12_000:
            raise Fault("the number is too large")
        return values.number(base**exponent)
    try:
        return _float(math.pow(base, exponent))
    except (ValueError, OverflowError):
        raise Fault("there is no such power") from None


def _choose(name: str, first: Value, rest: tuple[Value, ...]) -> Value:
    pick = max if name == "max" else min
    return pick((first, *rest), key=lambda v: v.raw)


def _parseint(value: Value, base: Value) -> Value:
    if value.type != STRING:
        raise Fault(f"first argument must be a string, not {value.type}")
    radix = whole(base, "the base")
    if not 2 <= radix <= 62:
        raise Fault("base must be a whole number between 2 and 62 inclusive")
    word = value.raw.removeprefix("-").removeprefix("+")
    total = 0
    for letter in word if radix > 36 else word.lower():
        digit = _DIGITS.find(letter)
        if not 0 <= digit < radix:
            word = ""
            break
        total = total * radix + digit
    if not word:
        raise Fault(f'cannot parse "{value.raw}" as a base {radix} integer')
    return values.number(-total if value.raw.startswith("-") else total)


def _equal(a: Value, b: Value) -> bool:
    kind = convert.unify([a.type, b.type])
    if kind is not None:
        a, b = convert.convert(a, kind), convert.convert(b, kind)
    return values.equal(a, b)


FUNCTIONS: dict[str, Function] = {
    "absolute": function(lambda a: values.number(abs(a.raw)), NUMBER),
    "add": _operator("+"),
    "and": function(lambda a, b: values.truth(a.raw and b.raw), BOOL, BOOL),
    "ceil": function(lambda a: values.number(math.ceil(a.raw)), NUMBER),
    "divide": _operator("/"),
    "equal": function(lambda a, b: values.truth(_equal(a, b)), ANY, ANY, nulls=True),
    "floor": function(lambda a: values.number(math.floor(a.raw)), NUMBER),
    "greaterthan": function(lambda a, b: values.truth(a.raw > b.raw), NUMBER, NUMBER),
    "greaterthanorequalto": function(lambda a, b: values.truth(a.raw >= b.raw), NUMBER, NUMBER),
    "int": function(lambda a: values.number(int(a.raw)), NUMBER),
    "lessthan": function(lambda a, b: values.truth(a.raw < b.raw), NUMBER, NUMBER),
    "lessthanorequalto": function(lambda a, b: values.truth(a.raw <= b.raw), NUMBER, NUMBER),
    "log": function(_log, NUMBER, NUMBER),
    "max": function(lambda a, *rest: _choose("max", a, rest), NUMBER, rest=NUMBER),
    "min": function(lambda a, *rest: _choose("min", a, rest), NUMBER, rest=NUMBER),
    "modulo": _operator("%"),
    "multiply": _operator("*"),
    "negate": function(lambda a: values.number(-a.raw), NUMBER),
    "not": function(lambda a: values.truth(not a.raw), BOOL),
    "notequal": function(lambda a, b: values.truth(not _equal(a, b)), ANY, ANY, nulls=True),
    "or": function(lambda a, b: values.truth(a.raw or b.raw), BOOL, BOOL),
    "parseint": function(_parseint, ANY, NUMBER),
    "pow": function(_pow, NUMBER, NUMBER),
    "signum": function(lambda a: values.number((a.raw > 0) - (a.raw < 0)), NUMBER),
    "subtract": _operator("-"),
}
