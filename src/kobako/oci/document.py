"""JSON documents of and for strangers. A fault is named by its path, e.g. `$.config.digest`."""

from __future__ import annotations

from kobako import fastjson
from kobako.errors import Invalid
from kobako.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DOCUMENT = 8 << 20
"""No manifest or config is larger than this (registries refuse manifests above 4 MiB)."""
MAX_SIZE = (1 << 63) - 1


class Node:
    """A JSON value and where it was found. `what` names the document in errors."""

    __slots__ = ("path", "value", "what")

    def __init__(self, value: Any, path: str, what: str) -> None:
        self.value = value
        self.path = path
        self.what = what

    @property
    def present(self) -> bool:
        """Whether there is a value other than null, which everywhere means the same as nothing."""
        return self.value is not None

    def fault(self, message: str) -> Invalid:
        """The error to raise about this value."""
        return Invalid(f"malformed {self.what}: {self.path}: {message}")

    def get(self, key: str) -> Node:
        """The member `key` of this object, present or not."""
        return Node(self.object().get(key), f"{self.path}.{key}", self.what)

    def object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self._unexpected("an object")
        return self.value

    def items(self) -> list[Node]:
        """The elements of this array."""
        if not isinstance(self.value, list):
            raise self._unexpected("an array")
        return [Node(value, f"{self.path}[{i}]", self.what) for i, value in enumerate(self.value)]

    def members(self) -> list[tuple[str, Node]]:
        """Keys and values of this object."""
        return [
            (key, Node(value, f"{self.path}.{key}", self.what))
            for key, value in self.object().items()
        ]

    def string(self, default: str | None = None) -> str:
        """This string; an absent one is `default`, or a fault if there is none."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self._unexpected("a string")
        return self.value

    def strings(self) -> tuple[str, ...]:
        """An array of strings; absent means empty."""
        return tuple(n.string() for n in self.items()) if self.present else ()

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """An object of strings, sorted by key; absent means empty."""
        if not self.present:
            return ()
        return tuple(sorted((key, node.string()) for key, node in self.members()))

    def integer(self, low: int = 0, high: int = MAX_SIZE) -> int:
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._unexpected("an integer")
        if not low <= value <= high:
            raise self.fault(f"the number is out of range ({low} to {high})")
        return value

    def digest(self) -> Digest:
        text = self.string()
        try:
            return Digest.parse(text)
        except Invalid as error:
            raise self.fault(str(error)) from None

    def _unexpected(self, wanted: str) -> Invalid:
        if self.value is None:
            return self.fault(f"missing, {wanted} is required")
        return self.fault(f"expected {wanted}, found {_kind(self.value)}")


def decode(raw: bytes, what: str) -> Node:
    """The root of a JSON document, which must be an object.

    Raises `Invalid` for anything that is not JSON in UTF-8, or is absurdly large.
    """
    if len(raw) > MAX_DOCUMENT:
        raise Invalid(f"malformed {what}: {len(raw)} bytes are too many (limit {MAX_DOCUMENT})")
    try:
        value = fastjson.loads(raw)
        if b"\\u" in raw:  # an escape can smuggle in half a character, which no text may hold
            _refuse_surrogates(value)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"malformed {what}: not JSON: {error}") from None
    root = Node(value, "$", what)
    root.object()
    return root


def encode(document: dict[str, Any], *, sort_keys: bool = False) -> bytes:
    """A document for others: strings of the system that are not UTF-8 (what `run -e` was given, and
    a commit keeps) have U+FFFD for what is not, as docker has it."""
    return fastjson.dumps(document, sort_keys=sort_keys).decode("utf-8", "replace").encode()


def _refuse_surrogates(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {str: "a string", dict: "an object", list: "an array", int: "a number"}
    return kinds.get(type(value), "a number")
