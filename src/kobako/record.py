"""`Record`, the immutable value every room speaks in.

It is what a frozen, slotted dataclass is, without importing `dataclasses` (which pulls `inspect`,
`re` and half the standard library: a third of the time `kobako run` may take).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_: object):
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class RecordType(type):
    """Turns the annotations of a class body into slots, defaults and a constructor."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> RecordType:
        inherited: tuple[str, ...] = ()
        defaults: dict[str, Any] = {}
        for base in bases:
            if isinstance(base, RecordType):
                inherited += base._fields
                defaults.update(base._defaults)
        slots = []
        for field in body.get("__annotations__", ()):
            if not field.startswith("_"):
                if field not in inherited:
                    slots.append(field)
                if field in body:
                    defaults[field] = body.pop(field)
        body["__slots__"] = own = tuple(slots)
        body["_fields"] = inherited + own
        body["_defaults"] = defaults
        return super().__new__(mcs, name, bases, body)


class Record(metaclass=RecordType):
    """An immutable value: compared, hashed and printed by its fields.

    Fields are the annotations of the class body that do not start with an underscore; a default
    must be immutable. Fields of a base class come first. The module of a subclass must have
    `from __future__ import annotations`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = type(self)
        fields = kind._fields
        put = object.__setattr__
        if len(args) > len(fields):
            raise TypeError(f"{kind.__name__} takes {len(fields)} fields, {len(args)} given")
        for field, value in zip(fields, args, strict=False):
            put(self, field, value)
        left = fields[len(args) :] if args else fields
        values = kind._defaults
        if kwargs:
            values = kwargs if len(kwargs) == len(left) else {**values, **kwargs}
        try:
            for field in left:
                put(self, field, values[field])
        except KeyError:
            raise TypeError(f"{kind.__name__} misses the field {field}") from None
        if kwargs and values is not kwargs and (unknown := kwargs.keys() - left):
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        values = {f: getattr(self, f) for f in type(self)._fields}
        values.update(changes)
        return type(self)(**values)

    def as_tuple(self) -> tuple[Any, ...]:
        """The fields in their order: what the class makes an equal record of."""
        return tuple(getattr(self, f) for f in type(self)._fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f) == getattr(other, f) for f in type(self)._fields)

    def __hash__(self) -> int:
        return hash((type(self), *self.as_tuple()))

    def __repr__(self) -> str:
        inner = ", ".join(f"{f}={getattr(self, f)!r}" for f in type(self)._fields)
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.as_tuple())
