"""What names mean where an expression stands."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from kobako.bake.hcl.syntax import Call, Node
    from kobako.bake.values import Value

    class Surroundings(Protocol):
        """What names mean outside of the expression."""

        def variable(self, name: str) -> Value | None:
            """A variable's value, computed now if need be; None when there is none."""

        def variable_names(self) -> list[str]: ...

        def attribute(self, kind: str, name: str, attribute: str) -> Value | None:
            """`target.name.attribute`; None when `kind` has no such block."""

        def block_types(self) -> tuple[str, ...]: ...

        def function(self, name: str) -> Function | None: ...

        def function_names(self) -> list[str]: ...

        @property
        def world(self) -> World: ...

    Function = Callable[["Scope", Call, list[Node]], Value]


class World(Record):
    """What a bake file may ask of its surroundings: the home directory and the time."""

    home: str
    now_ns: int


class Scope:
    """Names within an expression: `local` ones (a matrix, a for, parameters) hide outer ones."""

    __slots__ = ("item", "local", "outer")

    def __init__(
        self,
        outer: Surroundings,
        local: Mapping[str, Value] | None = None,
        item: Value | None = None,
    ) -> None:
        self.outer = outer
        self.local = dict(local or {})
        self.item = item

    def bind(self, names: Mapping[str, Value]) -> Scope:
        return Scope(self.outer, {**self.local, **names}, self.item)
