"""Flags as docker's command line reads them (pflag): declared as values, parsed by one function.

argparse knows neither `--rm=false` nor docker's messages, allows abbreviations, and costs 7 ms at
start; the same declarations also feed `--help` and shell completion.
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BOOL, TEXT, LIST, NUMBER = "bool", "string", "list", "int"

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class UsageError(Exception):
    """The words of the command line do not fit; `str(e)` is docker's message."""


class UnknownFlag(UsageError):
    """There is no such flag."""


class Refused(Invalid):
    """What docker's client refuses by itself, before anybody is asked: 125 with every verb."""

    exit_code = 125


class BadValue(Refused):
    """That a flag cannot have such a value: a message that names both, as `bad_value` makes it."""


def bad_value(flag: str, word: str, why: str, hint: str = "") -> BadValue:
    """For a flag as it is shown."""
    return BadValue(f'invalid argument "{word}" for "{flag}" flag: {why}', hint=hint)


class Flag(Record):
    """One option. `kind` is BOOL, TEXT, LIST (may be given many times) or NUMBER (an integer).

    `value` is the word shown for the argument in help; `default` is what an absent flag gives;
    `choices` feeds completion ("image", "container" or words separated by spaces).
    """

    name: str
    short: str = ""
    kind: str = BOOL
    help: str = ""
    value: str = ""
    default: str | int | bool | None = None
    choices: str = ""
    hidden: bool = False


class Command(Record):
    """What a verb accepts. `most` is -1 for any number; `stops` ends flags at the first word.

    `rare` names modules of this room whose FLAGS few people use: they are imported for a word that
    is none of `flags`. `details` are more lines for its help.
    """

    name: str
    usage: str
    summary: str
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int = -1
    stops: bool = False
    completes: str = ""
    aliases: str = ""
    rare: str = ""
    details: str = ""

    def all_flags(self) -> tuple[Flag, ...]:
        """`flags`, and the rare ones."""
        found = self.flags
        for module in self.rare.split():
            found += __import__(f"kobako.cli.{module}", fromlist=["FLAGS"]).FLAGS
        return found


class Values:
    """The flags given, by long name."""

    __slots__ = ("_defaults", "_given")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._defaults = {f.name: f.default for f in flags}
        self._given: dict[str, bool | int | str | list[str]] = {}

    def put(self, flag: Flag, shown: str, text: str) -> None:
        """Take one occurrence; `shown` is how it was written, for the message."""
        if flag.kind == BOOL:
            if text not in _TRUE and text not in _FALSE:
                raise UsageError(
                    f'invalid argument "{text}" for "{shown}" flag: '
                    f'strconv.ParseBool: parsing "{text}": invalid syntax'
                )
            self._given[flag.name] = text in _TRUE
        elif flag.kind == NUMBER:
            try:
                self._given[flag.name] = int(text, 0)
            except ValueError:
                raise UsageError(
                    f'invalid argument "{text}" for "{shown}" flag: '
                    f'strconv.ParseInt: parsing "{text}": invalid syntax'
                ) from None
        elif flag.kind == LIST:
            held = self._given.setdefault(flag.name, [])
            assert isinstance(held, list)
            held.append(text)
        else:
            self._given[flag.name] = text

    def knows(self, name: str) -> bool:
        """Whether the flag was among those looked at: a rare one is when any of them was asked
        for."""
        return name in self._defaults

    def given(self, name: str) -> bool:
        """Whether the flag was written at all."""
        return name in self._given

    def on(self, name: str) -> bool:
        """A BOOL flag's value."""
        return bool(self._given.get(name, self._defaults[name]))

    def text(self, name: str) -> str:
        """A TEXT flag's value, "" when absent without default."""
        value = self._given.get(name, self._defaults[name])
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """A NUMBER flag's value, 0 when absent without default."""
        value = self._given.get(name, self._defaults[name])
        return value if isinstance(value, int) else 0

    def many(self, name: str) -> list[str]:
        """A LIST flag's values in the order given."""
        value = self._given.get(name)
        return value if isinstance(value, list) else []


def parse(command: Command, words: Sequence[str]) -> tuple[Values, list[str]]:
    """Split `words` into flags and arguments; `UsageError` in docker's words."""
    try:
        return _parse(command.flags, command.stops, words)
    except UnknownFlag:
        if not command.rare:
            raise
    return _parse(command.all_flags(), command.stops, words)


def _parse(flags: Sequence[Flag], stops: bool, words: Sequence[str]) -> tuple[Values, list[str]]:
    long = {f.name: f for f in flags}
    short = {f.short: f for f in flags if f.short}
    values = Values(flags)
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            rest.extend(words[at:])
            break
        if word.startswith("--"):
            at = _long(values, long, word, words, at)
        elif word.startswith("-") and word != "-":
            at = _shorts(values, short, word, words, at)
        else:
            rest.append(word)
            if stops:
                rest.extend(words[at:])
                break
    return values, rest


def _long(values: Values, long: dict[str, Flag], word: str, words: Sequence[str], at: int) -> int:
    name, equals, text = word[2:].partition("=")
    flag = long.get(name)
    if flag is None:
        if name == "help":
            raise Help
        raise UnknownFlag(f"unknown flag: --{name}")
    if equals:
        values.put(flag, f"--{name}", text)
    elif flag.kind == BOOL:
        values.put(flag, f"--{name}", "true")
    elif at < len(words):
        values.put(flag, f"--{name}", words[at])
        return at + 1
    else:
        raise UsageError(f"flag needs an argument: --{name}")
    return at


def _shorts(
    values: Values, short: dict[str, Flag], word: str, words: Sequence[str], at: int
) -> int:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = short.get(letter)
        if flag is None:
            if letter == "h":
                raise Help
            raise UnknownFlag(f"unknown shorthand flag: '{letter}' in {word}")
        shown = f"-{letter}, --{flag.name}"
        if letters.startswith("="):
            values.put(flag, shown, letters[1:])
            return at
        if flag.kind == BOOL:
            values.put(flag, shown, "true")
        elif letters:
            values.put(flag, shown, letters)
            return at
        elif at < len(words):
            values.put(flag, shown, words[at])
            return at + 1
        else:
            raise UsageError(f"flag needs an argument: '{letter}' in {word}")
    return at


def pairs(words: list[str]) -> list[tuple[str, str]]:
    """KEY=VALUE words as pairs; a bare KEY has the value ""."""
    split = (word.partition("=") for word in words)
    return [(key, value) for key, _, value in split]


def size_flag(values: Values, name: str, default: int) -> int:
    """A flag such as 64m in bytes."""
    if not values.given(name):
        return default
    from kobako.cli.units import parse_size

    try:
        return parse_size(values.text(name))
    except ValueError:
        text = values.text(name)
        raise bad_value(f"--{name}", text, f"invalid size: '{text}'") from None


class Help(Exception):
    """`--help` was asked for."""


def check_count(program: str, command: Command, count: int) -> None:
    """`UsageError` in docker's words when too few or too many arguments are there."""
    least, most = command.least, command.most
    if least <= count and (most < 0 or count <= most):
        return
    if most == 0:
        need = "accepts no arguments"
    elif least == most:
        need = f"requires exactly {least} argument{'s' if least != 1 else ''}"
    elif least and most > 0:
        need = f"requires at least {least} and at most {most} arguments"
    elif count < least:
        need = f"requires at least {least} argument{'s' if least != 1 else ''}"
    else:
        need = f"requires at most {most} argument{'s' if most != 1 else ''}"
    raise UsageError(
        f"\"{program} {command.name}\" {need}.\nSee '{program} {command.name} --help'.\n\n"
        f"Usage:  {program} {command.usage}\n\n{command.summary}"
    )
