"""Header fields: names without case, values as sent, order kept (RFC 9110 section 5)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Headers:
    """The header fields of one request; immutable."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple((name.lower(), value) for name, value in fields)

    def get(self, name: str, default: str = "") -> str:
        """The first value of the field, or `default`."""
        wanted = name.lower()
        for field, value in self._fields:
            if field == wanted:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """Every value of the field, in order of arrival."""
        wanted = name.lower()
        return [value for field, value in self._fields if field == wanted]

    def tokens(self, name: str) -> list[str]:
        """The members of a comma-separated list field, lower case, over all its lines."""
        parts = ",".join(self.all(name)).split(",")
        return [part.strip().lower() for part in parts if part.strip()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(f == name.lower() for f, _ in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        shown = [(n, "***" if n == "authorization" else v) for n, v in self._fields]
        return f"Headers({shown!r})"
