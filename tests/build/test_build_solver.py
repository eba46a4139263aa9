"""The solver on toy operations: it knows neither Dockerfiles nor trees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from memory_cache import MemoryCache
from thread_crew import ThreadCrew

from kobako.build.cache import cache_key
from kobako.build.graph import Vertex, order
from kobako.build.solver import Solver


class Add:
    """The sum of its inputs and a number; as a test wishes it waits, talks or fails."""

    def __init__(
        self,
        number: int,
        *,
        quick: bool = False,
        act: Callable[[], None] | None = None,
        extra_keys: int = 0,
    ) -> None:
        self.number = number
        self.quick = quick
        self.act = act
        self.extra_keys = extra_keys
        self.asked = 0
        self.valid = True
        self.runs = 0

    def keys(self, inputs: tuple[int, ...]) -> Iterator[str]:
        for n in range(1 + self.extra_keys):
            self.asked += 1
            yield cache_key("add", self.number, inputs if n == 0 else sum(inputs), n)

    def restore(self, value: dict[str, Any], inputs: tuple[int, ...]) -> int | None:
        return int(value["sum"]) if self.valid else None

    def record(self, result: int) -> dict[str, Any]:
        return {"sum": result}

    def execute(self, inputs: tuple[int, ...], output: Callable[[int, bytes], None]) -> int:
        self.runs += 1
        if self.act:
            self.act()
        output(1, b"%d" % self.number)
        return sum(inputs) + self.number


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, vertex: Vertex[int], cached: bool) -> None:
        self.lines.append(f"start {vertex.name}")

    def output(self, vertex: Vertex[int], stream: int, data: bytes) -> None:
        self.lines.append(f"say {vertex.name} {data.decode()}")

    def done(self, vertex: Vertex[int], result: int, seconds: float, cached: bool) -> None:
        self.lines.append(f"{'cached' if cached else 'done'} {vertex.name} {result}")

    def failed(self, vertex: Vertex[int], error: BaseException, seconds: float) -> None:
        self.lines.append(f"failed {vertex.name} {error}")


def solver(
    cache: MemoryCache, log: Log, parallelism: int = 4, crew: ThreadCrew | None = None
) -> Solver[int]:
    return Solver(cache, log, lambda: crew or ThreadCrew(), parallelism=parallelism)


def test_a_chain_runs_in_the_calling_thread_and_is_cached() -> None:
    cache, log, crew = MemoryCache(), Log(), ThreadCrew()
    here: list[threading.Thread] = []
    ops = [Add(n, act=lambda: here.append(threading.current_thread())) for n in (1, 2, 3)]
    a = Vertex("a", ops[0])
    b = Vertex("b", ops[1], (a,))
    c = Vertex("c", ops[2], (b,))
    assert solver(cache, log, crew=crew).solve((c,)) == {a: 1, b: 3, c: 6}
    assert set(here) == {threading.current_thread()} and crew.started == 0
    assert log.lines[:3] == ["start a", "say a 1", "done a 1"]
    again = Log()
    assert solver(cache, again).solve((c,))[c] == 6
    assert again.lines == [
        "start a", "cached a 1", "start b", "cached b 3", "start c", "cached c 6",
    ]  # fmt: skip
    assert [op.runs for op in ops] == [1, 1, 1]
    b.fresh = c.fresh = True
    solver(cache, Log()).solve((c,))
    assert [op.runs for op in ops] == [1, 2, 2]


def test_a_result_that_is_gone_is_made_again() -> None:
    cache = MemoryCache()
    op = Add(1)
    vertex = Vertex("a", op)
    solver(cache, Log()).solve((vertex,))
    op.valid = False
    assert solver(cache, Log()).solve((vertex,)) == {vertex: 1}
    assert op.runs == 2


def test_a_dearer_key_is_asked_for_only_on_a_miss_and_serves_later_builds() -> None:
    cache = MemoryCache()
    first = Vertex("s", Add(10, extra_keys=1), (Vertex("x", Add(1)), Vertex("y", Add(2))))
    solver(cache, Log()).solve((first,))
    op = Add(10, extra_keys=1)  # other inputs with the same content: found by the second key
    second = Vertex("s", op, (Vertex("y", Add(2)), Vertex("x", Add(1))))
    assert solver(cache, Log()).solve((second,))[second] == 13
    assert op.runs == 0
    third = Add(10, extra_keys=1)
    same = Vertex("s", third, (Vertex("x", Add(1)), Vertex("y", Add(2))))
    solver(cache, Log()).solve((same,))
    assert third.asked == 1


def test_independent_vertices_run_at_once_up_to_the_limit() -> None:
    lock = threading.Lock()
    now, most = 0, 0
    gate = threading.Barrier(2, timeout=30)

    def act() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait()
        with lock:
            now -= 1

    leaves = tuple(Vertex(f"v{n}", Add(n, act=act)) for n in range(6))
    crew = ThreadCrew()
    total = Vertex("t", Add(0), leaves)
    assert solver(MemoryCache(), Log(), parallelism=2, crew=crew).solve((total,))[total] == 15
    assert most == crew.most == 2
    assert (crew.started, crew.cancelled) == (6, 0)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("parallelism", [1, 4])
def test_vertices_with_one_key_are_executed_once(parallelism: int, fresh: bool) -> None:
    ops = [Add(7, act=lambda: time.sleep(0.01)) for _ in range(4)]
    twins = tuple(Vertex(f"t{n}", op, fresh=fresh) for n, op in enumerate(ops))
    users = tuple(Vertex(f"u{n}", Add(n), (twin,)) for n, twin in enumerate(twins))
    log = Log()
    results = solver(MemoryCache(), log, parallelism).solve(users)
    assert [results[user] for user in users] == [7, 8, 9, 10]
    assert sum(op.runs for op in ops) == 1
    assert sum(line.startswith("cached t") for line in log.lines) == 3


def test_a_twin_whose_result_cannot_be_used_again_is_executed_after_the_first() -> None:
    first, second = Add(1), Add(1)
    second.valid = False
    twins = (Vertex("a", first), Vertex("b", second))
    solver(MemoryCache(), Log()).solve(twins)
    assert (first.runs, second.runs) == (1, 1)


def test_order_is_that_of_the_inputs_and_each_vertex_runs_once() -> None:
    a, b = Vertex("a", Add(1)), Vertex("b", Add(2))
    c = Vertex("c", Add(3), (b, a, b))
    d = Vertex("d", Add(4), (a, c))
    assert [v.name for v in order((d,))] == ["a", "b", "c", "d"]
    assert solver(MemoryCache(), Log(), parallelism=1).solve((d,))[d] == 13
    deep = a
    for n in range(3000):
        deep = Vertex(str(n), Add(0, quick=True), (deep,))
    assert solver(MemoryCache(), Log()).solve((deep,))[deep] == 1


def test_the_first_failure_ends_the_build_and_what_finished_is_kept() -> None:
    def fail() -> None:
        raise ValueError("broken")

    released = threading.Event()
    begun = threading.Event()
    cache, log, crew = MemoryCache(), Log(), ThreadCrew()
    good, slow = Add(1), Add(2, act=lambda: (begun.set(), released.wait(30))[0])
    bad = Add(3, act=lambda: (begun.wait(30), fail())[0])
    crew.on_cancel = released.set
    never = Add(5)
    v = Vertex("good", good)
    parts = (Vertex("slow", slow, (v,)), Vertex("bad", bad, (v,)))
    target = Vertex("never", never, parts)
    failed: list[Vertex[int]] = []
    with pytest.raises(ValueError, match="broken"):
        solver(cache, log, crew=crew).solve((target,), failed)
    assert failed == [parts[1]]
    assert never.runs == 0
    assert "failed bad broken" in log.lines and crew.cancelled == 1
    bad.act = None
    assert solver(cache, Log()).solve((target,))[target] == 12
    assert (good.runs, slow.runs, bad.runs) == (1, 2, 2)


def test_keys_of_different_parts_differ() -> None:
    parts: list[tuple[object, ...]] = [
        ("ab", "c"), ("a", "bc"), (("a", "b"), "c"), ("a", ("b", "c")), (b"a", "b", "c"),
        ("a", "b", "c"), (1,), ("1",), (None,), ("None",), ((),), ("",), (),
    ]  # fmt: skip
    assert len({cache_key(*p) for p in parts}) == len(parts)
