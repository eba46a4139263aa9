"""What a build consists of: vertices, each an operation on the results of others.

Knows neither Dockerfiles nor trees: a front end hands in the operations.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Generic, Protocol, TypeVar

    R = TypeVar("R")
    Output = Callable[[int, bytes], None]
else:

    class _Base:
        """Stands in for `typing`, which costs 8 ms: as a base class it vanishes."""

        def __getitem__(self, item: object) -> _Base:
            return self

        def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
            return ()

    Generic = Protocol = _Base()
    R = None


class Op(Protocol[R]):
    """An operation. `R` is the result, the same type for all operations of a graph.

    `quick` operations cost next to nothing and are executed at once, never in a thread. Before
    anything is executed, one that has a `check()` may raise what is wrong whatever its inputs are.
    """

    quick: bool

    def keys(self, inputs: tuple[R, ...]) -> Iterator[str]:
        """The cache keys under which the result may be found, the cheapest to compute first.

        Later ones are asked for only when the earlier ones are not in the cache. No key at all
        means: never cached.
        """

    def restore(self, value: dict[str, Any], inputs: tuple[R, ...]) -> R | None:
        """The result a cached document stands for; None when it can no longer be used."""

    def record(self, result: R) -> dict[str, Any]:
        """The document to keep for a result."""

    def execute(self, inputs: tuple[R, ...], output: Output) -> R:
        """Carries the operation out; `output(stream, bytes)` takes what it says."""


class Vertex(Generic[R]):
    """One node. Compared by identity. A `fresh` one is not looked up in the cache, but recorded."""

    __slots__ = ("fresh", "inputs", "name", "op")

    def __init__(
        self, name: str, op: Op[R], inputs: tuple[Vertex[R], ...] = (), *, fresh: bool = False
    ) -> None:
        self.name = name
        self.op = op
        self.inputs = inputs
        self.fresh = fresh

    def __repr__(self) -> str:
        return f"Vertex({self.name})"


def order(targets: Iterable[Vertex[R]]) -> list[Vertex[R]]:
    """Every vertex the targets need, inputs before what needs them, in the order of the inputs."""
    done: dict[Vertex[R], None] = {}
    for target in targets:
        stack: list[tuple[Vertex[R], int]] = [(target, 0)]
        while stack:
            vertex, at = stack.pop()
            if vertex in done:
                continue
            if at < len(vertex.inputs):
                stack.append((vertex, at + 1))
                stack.append((vertex.inputs[at], 0))
            else:
                done[vertex] = None
    return list(done)
