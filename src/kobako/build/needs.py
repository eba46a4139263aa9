"""Which stages a stage is made of, read off the text: in the order they can be lowered, and
whether there is such an order."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import DockerfileError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def stages_below(
    dockerfile: i.Dockerfile,
    target: int,
    known: Mapping[str, str],
    find: Callable[[str], int | None],
    replaced: Callable[[str], bool] = lambda _: False,
) -> list[int]:
    """The stages below `target`, lowest first. What triggers of base images need is not among
    them, and faults are left to lowering. What is `replaced`, by its name, needs none.
    Chains of any length are followed without recursion.
    """
    reached: set[int] = set()
    waiting = [target]
    while waiting:
        index = waiting.pop()
        if replaced(dockerfile.stages[index].name):
            continue
        for word in _named(dockerfile.stages[index], known, dockerfile.directives.escape):
            found = find(word)
            if found is None and word.isascii() and word.isdigit():
                found = int(word)
            if found is not None and found < index and found not in reached:
                reached.add(found)
                waiting.append(found)
    return sorted(reached)


def _named(stage: i.Stage, known: Mapping[str, str], escape: str) -> list[str]:
    """The names FROM, `COPY --from` and mounts of a stage give."""
    words = []
    try:
        words.append(Expander(known, escape).word(stage.start.image))
    except Problem:
        pass
    words += [name for name, _ in sources(stage)]
    return words


def sources(stage: i.Stage) -> Iterator[tuple[str, i.Instruction]]:
    """What `--from` of a stage's COPY and `from=` of its mounts say, and whose they are."""
    for instruction in stage.instructions:
        if isinstance(instruction, i.Copy) and instruction.from_:
            yield instruction.from_, instruction
        elif isinstance(instruction, i.Run) and instruction.mounts:
            from kobako.build.dockerfile.mounts import mount_source

            for text in instruction.mounts:
                name = mount_source(text)
                if name:
                    yield name, instruction


def check_circles(dockerfile: i.Dockerfile, find: Callable[[str], int | None]) -> None:
    """No stage, needed or not, may take files of one that takes files of it."""
    taken = [_takes(stage, find) for stage in dockerfile.stages]
    done: set[int] = set()
    for first in range(len(taken)):
        path = [first]
        waiting = [list(taken[first].items())]
        while path and path[-1] not in done:
            if not waiting[-1]:
                done.add(path.pop())
                waiting.pop()
                continue
            index, instruction = waiting[-1].pop(0)
            if index in path:
                if len(path) > 1:
                    instruction = taken[first][path[1]]
                name = dockerfile.stages[first].name or f"stage-{first}"
                message = f"circular dependency detected on stage: {name}"
                raise DockerfileError(dockerfile.source, instruction.where, message)
            if index not in done:
                path.append(index)
                waiting.append(list(taken[index].items()))


def _takes(stage: i.Stage, find: Callable[[str], int | None]) -> dict[int, i.Instruction]:
    """The stages whose files a stage takes, and where."""
    found: dict[int, i.Instruction] = {}
    for name, instruction in sources(stage):
        index = find(name)
        if index is None and isinstance(instruction, i.Copy) and name.isascii() and name.isdigit():
            index = int(name)
        if index is not None:
            found[index] = instruction
    return found
