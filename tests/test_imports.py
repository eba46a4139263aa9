"""Modules stand on each other in one direction: whoever reads one need not read them all."""

from __future__ import annotations

import json
import subprocess
import sys


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count; those of types alone do not. In a process of its own: the
    reader of imports keeps threads, and other tests fork."""
    run = subprocess.run([sys.executable, __file__], stdout=subprocess.PIPE, check=True)
    found = json.loads(run.stdout)
    assert found["modules"] > 400 and not found["loops"], found["loops"]


def main() -> None:
    import grimp

    graph = grimp.build_graph("kobako", exclude_type_checking_imports=True, cache_dir=None)
    below = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    loops = sorted(name for name in below if name in _reached(below, name))
    print(json.dumps({"modules": len(below), "loops": loops}))


def _reached(below: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        more = below[waiting.pop()] - found
        found |= more
        waiting += more
    return found


if __name__ == "__main__":
    main()
