"""The filters that lie ready beside this file, made anew when `program` has changed."""

from __future__ import annotations

from kobako.emulate.ownership import prepared
from kobako.emulate.program import assemble


def all_prepared() -> dict[str, bytes]:
    """Path -> content: what `assemble` makes for a machine is always the same."""
    return {
        prepared(name, no_sync=no_sync, checked=checked):
        assemble(name, no_sync=no_sync, checked=checked)
        for name in ("x86_64", "aarch64")
        for checked in (False, True)
        for no_sync in (False, True)
    }  # fmt: skip


def write_prepared() -> None:
    """Assemble them anew:
    `python -c "from kobako.emulate import prepare; prepare.write_prepared()"`."""
    for path, content in all_prepared().items():
        with open(path, "wb") as file:
            file.write(content)
