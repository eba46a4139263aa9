"""From the words of the command line to one verb's module."""

from __future__ import annotations


def main(argv: list[str]) -> None:
    """Run the verb `argv` names and end the process with its exit code."""
    raise SystemExit(f"kobako: {argv[1:]!r} is not a kobako command.")
