"""Help: of a verb, of a group, of everything; and what is said where the words name no verb."""

from __future__ import annotations

import sys

from kobako.cli import verbs
from kobako.cli.flags import BOOL, LIST, NUMBER, TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.flags import Command, Flag


def of_verb(program: str, command: Command) -> str:
    """What `--help` prints, laid out as docker's."""
    lines = [f"Usage:  {program} {command.usage}", "", command.summary]
    if command.details:
        lines += ["", command.details]
    if command.aliases:
        names = [f"{program} {name}" for name in (command.name, *command.aliases.split())]
        lines += ["", "Aliases:", "  " + ", ".join(names)]
    shown = [f for f in command.all_flags() if not f.hidden]
    if shown:
        lines += ["", "Options:"]
        left = [_left(f) for f in shown]
        width = max(map(len, left)) + 3
        for flag, head in sorted(zip(shown, left, strict=True), key=lambda p: p[0].name):
            tail = flag.help
            if flag.default not in (None, False, "", 0) and "default" not in tail:
                quoted = f'"{flag.default}"' if flag.kind == TEXT else str(flag.default).lower()
                tail += f" (default {quoted})"
            first, *more = tail.split("\n")
            lines.append(head.ljust(width) + first)
            lines += [" " * width + line for line in more]
    return "\n".join(lines)


def _left(flag: Flag) -> str:
    head = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    word = flag.value or {BOOL: "", TEXT: "string", LIST: "list", NUMBER: "int"}[flag.kind]
    return f"{head} {word}" if word else head


def overview(program: str) -> int:
    """What `kobako --help` prints."""
    lines = [
        f"Usage:  {program} [--root DIR] [--config DIR] [--mode MODE] COMMAND",
        "",
        "The container toolchain without a daemon",
        "",
        "Common Commands:",
        *(f"  {name:<12}{summary}" for name, (_, summary) in verbs.COMMON.items()),
        "",
        "Management Commands:",
        *(f"  {name:<12}{summary}" for name, (summary, _) in verbs.GROUPS.items()),
        "",
        "Commands:",
        *(f"  {name:<12}{summary}" for name, (_, summary) in sorted(verbs.VERBS.items())),
        "",
        "Global Options:",
        "      --root DIR     Where images and containers are kept",
        "      --config DIR   Where docker's config.json with the credentials is",
        '      --mode MODE    Privilege mode: "root", "mapped" or "emulated"',
        "  -v, --version      Print version information and quit",
        "",
        f"Run '{program} COMMAND --help' for more information on a command.",
    ]
    print("\n".join(lines))
    return 0


def no_verb(program: str, name: str, words: list[str]) -> int:
    """What there is to say where the words name a group alone, or nothing there is; the exit code.
    `name` is the group's, "" where there is none."""
    if name:
        if words and words[0] not in ("--help", "-h"):
            sys.stderr.write(
                f"{program}: '{name} {words[0]}' is not a {program} command.\n"
                f"See '{program} {name} --help'\n"
            )
            return 1
        summary, commands = verbs.GROUPS[name]
        print(f"Usage:  {program} {name} COMMAND\n\n{summary}\n\nCommands:")
        for word, module in sorted(commands.items()):
            print(f"  {word:<12}{verbs.load(module).COMMAND.summary}")
        return 0
    if words[0].startswith("-"):
        sys.stderr.write(f"unknown flag: {words[0]}\nSee '{program} --help'.\n")
        return 125
    import difflib

    known = [*verbs.COMMON, *verbs.VERBS, *verbs.GROUPS]
    near = difflib.get_close_matches(words[0], known, 1)
    sys.stderr.write(
        f"{program}: '{words[0]}' is not a {program} command.\nSee '{program} --help'\n"
        + (f"Did you mean '{near[0]}'?\n" if near else "")
    )
    return 1
