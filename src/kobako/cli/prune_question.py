"""The question every prune asks before it deletes, and the line that closes it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context


def agreed(warning: str, force: bool) -> bool:
    """Whether to go on: with --force, or when the person types y."""
    if force:
        return True
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def report(context: Context, title: str, names: list[str]) -> None:
    """A titled list, nothing when it is empty."""
    if names:
        context.out(f"{title}:\n" + "\n".join(names) + "\n")


def reclaimed(context: Context, count: int) -> None:
    from kobako.cli import units

    context.out(f"Total reclaimed space: {units.size(count)}")
