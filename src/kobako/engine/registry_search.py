"""search: repositories of a registry, by a word and docker's filters."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.remote.search import Found

_KNOWN = ("is-automated", "is-official", "stars")
_MOST = 100


def search(engine: Engine, words: str, limit: int, filters: dict[str, list[str]]) -> list[Found]:
    """What a registry has for `words`, which may begin with its domain, most stars first.

    `Invalid` names a filter there is not, a value it cannot have, or a limit out of bounds.
    """
    from kobako.engine import transfers
    from kobako.remote import search as remote

    if not 1 <= limit <= _MOST:
        raise Invalid(f"Limit {limit} is outside the range of [1, {_MOST}]")
    for name, values in filters.items():
        _check(name, values)
    found = remote.search(words, limit, transfers.client(engine))
    return [one for one in found if _passes(one, filters)]


def _check(name: str, values: list[str]) -> None:
    if name not in _KNOWN:
        raise Invalid(f"invalid filter '{name}'", hint="Known: " + ", ".join(_KNOWN))
    for value in values:
        if name == "stars" and not value.isdecimal():
            raise Invalid(f"invalid filter 'stars={value}'", hint="Use the least number of stars.")
        if name != "stars" and value not in ("true", "false"):
            raise Invalid(f"invalid filter '{name}={value}'", hint="Use true or false.")


def _passes(found: Found, filters: dict[str, list[str]]) -> bool:
    return (
        all(found.stars >= int(least) for least in filters.get("stars", ()))
        and all(str(found.official).lower() == v for v in filters.get("is-official", ()))
        and all(str(found.automated).lower() == v for v in filters.get("is-automated", ()))
    )
