"""The use cases stand on each other in one direction: whoever reads one need not read them all."""

from __future__ import annotations

import grimp


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count; those of types alone do not."""
    graph = grimp.build_graph("kobako", exclude_type_checking_imports=True, cache_dir=None)
    engine = {name for name in graph.modules if name.startswith("kobako.engine.")}
    below = {name: graph.find_modules_directly_imported_by(name) & engine for name in engine}
    loops = {name: _reached(below, name) for name in engine if name in _reached(below, name)}
    assert len(engine) > 20 and not loops, loops


def _reached(below: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        more = below[waiting.pop()] - found
        found |= more
        waiting += more
    return found
