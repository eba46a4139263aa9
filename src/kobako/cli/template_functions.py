"""The functions of docker's formatter, and how Go prints and tests values."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def show(value: Any) -> str:
    """How Go prints a value with %v; values of `docker_types` know that themselves."""
    if isinstance(value, str):
        return value
    if hasattr(value, "document"):
        return str(value)
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{show(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(show, value)) + "]"
    return str(value)


def to_json(value: Any) -> str:
    """As docker's `json` function; what is no UTF-8 in a name keeps its bytes."""
    from kobako.fastjson import dumps

    return dumps(_plain(value)).decode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    """Values of `docker_types` as JSON has them, wherever they are in another."""
    if hasattr(value, "document"):
        return value.document
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if not callable(v)}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    shown = [
        v if isinstance(v, (int, float)) and not isinstance(v, bool) else show(v) for v in values
    ]
    return form.replace("%v", "%s").replace("%q", '"%s"') % tuple(shown)


def _and(*values: Any) -> Any:
    for value in values:
        if not value:
            return value
    return values[-1]


def _or(*values: Any) -> Any:
    for value in values:
        if value:
            return value
    return values[-1]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "upper": lambda s: str(s).upper(),
    "lower": lambda s: str(s).lower(),
    "title": lambda s: str(s).title(),
    "split": lambda s, sep: str(s).split(sep),
    "join": lambda parts, sep: sep.join(map(show, parts)),
    "truncate": lambda s, n: str(s)[:n],
    "pad": lambda s, before, after: " " * before + str(s) + " " * after if s else s,
    "println": lambda *v: " ".join(map(show, v)) + "\n",
    "print": lambda *v: "".join(map(show, v)),
    "printf": _printf,
    "index": _index,
    "len": len,
    "slice": lambda v, start=0, end=None: v[start:end],
    "not": lambda v: not v,
    "and": _and,
    "or": _or,
    "eq": lambda a, *more: any(a == b for b in more),
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
