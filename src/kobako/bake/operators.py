"""Operators on numbers."""

from __future__ import annotations

import operator as _operator
from decimal import Decimal

from kobako.bake import values
from kobako.bake.source import Fault

COMPARISONS = {"<": _operator.lt, ">": _operator.gt, "<=": _operator.le, ">=": _operator.ge}


def arithmetic(operator: str, a: int | Decimal, b: int | Decimal) -> int | Decimal:
    """`a operator b`; `Fault` for a division by zero and for results without end."""
    context = values.PRECISION
    x, y = Decimal(a), Decimal(b)
    try:
        if operator == "+":
            return a + b if isinstance(a, int) and isinstance(b, int) else context.add(x, y)
        if operator == "-":
            return a - b if isinstance(a, int) and isinstance(b, int) else context.subtract(x, y)
        if operator == "*":
            return a * b if isinstance(a, int) and isinstance(b, int) else context.multiply(x, y)
        if not y:
            raise Fault("division by zero")
        if operator == "/":
            return context.divide(x, y)
        return context.subtract(x, context.multiply(context.divide_int(x, y), y))
    except ArithmeticError:
        raise Fault(
            f"{values.number_text(a)} {operator} {values.number_text(b)} has no result"
        ) from None
