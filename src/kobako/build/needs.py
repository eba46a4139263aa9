"""Which stages a stage is made of, read off the text: in the order they can be lowered."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.mounts import mount_source
from kobako.build.dockerfile.source import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
    for instruction in stage.instructions:
        if isinstance(instruction, i.Copy):
            words.append(instruction.from_)
        elif isinstance(instruction, i.Run):
            words += [mount_source(text) for text in instruction.mounts]
    return words
