"""Logical lines → typed instructions, grouped into stages."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.duration import parse_duration
from kobako.build.dockerfile.flags import Flags, takes_flags
from kobako.build.dockerfile.lines import Heredoc, Line, read_directives, read_lines
from kobako.build.dockerfile.shape import check_line, check_shape, split_pairs
from kobako.build.dockerfile.source import DockerfileError, Problem, Range, Source, suggest
from kobako.build.dockerfile.words import (
    heredoc_marker,
    json_strings,
    split_blanks,
    split_flags,
    split_keyword,
    split_words,
)
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.dockerfile.devices import Device


class _Statement(Record):
    """A line cut into keyword, flags and the rest, on its way to an instruction."""

    where: Range
    text: str
    keyword: str
    flags: Flags
    rest: str
    escape: str
    heredocs: tuple[Heredoc, ...]
    comments: tuple[str, ...]


def parse(text: str, name: str = "Dockerfile") -> i.Dockerfile:
    """The Dockerfile in `text`. `DockerfileError` names the line of the first fault."""
    source = Source(name, text)
    _check_text(source)
    directives, taken = read_directives(source)
    arguments: list[i.Arg] = []
    stages: list[tuple[i.From, list[i.Instruction]]] = []
    warnings: list[tuple[int, str]] = []
    line = None
    for line in read_lines(source, directives, taken):
        if line.empty_continuation:
            warnings.append((line.where.end, f"Empty continuation line found in: {line.text}"))
        try:
            instruction = parse_line(source, line, directives.escape)
        except DockerfileError:
            check_shape(source, directives, taken)  # whatever has no form at all comes first
            raise
        if isinstance(instruction, i.From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, i.Arg):
            arguments.append(instruction)
        else:
            check_shape(source, directives, taken)
            raise DockerfileError(source, line.where, "no build stage in current context")
    if line is None:
        last = max(1, text.rstrip("\n").count("\n") + 1)
        raise DockerfileError(source, Range(last, last), "file with no instructions")
    if not stages:
        raise DockerfileError(source, line.where, "dockerfile contains no stages to build")
    built = tuple(i.Stage(index, start, tuple(body)) for index, (start, body) in enumerate(stages))
    return i.Dockerfile(source, directives, tuple(arguments), built, tuple(warnings))


def _check_text(source: Source) -> None:
    """What no file name, argument or image config can hold is refused where it stands."""
    try:
        bad = source.text.index("\0") if "\0" in source.text else -1
        source.text.encode()
    except UnicodeEncodeError as error:
        bad = error.start
    if bad >= 0:
        line = source.text.count("\n", 0, bad) + 1
        raise DockerfileError(source, Range(line, line), "not text: the line has a stray byte")


def parse_trigger(expression: str, where: Range, source: Source) -> i.Instruction:
    """An ONBUILD trigger from an image's config, as an instruction at the child's FROM line."""
    trigger = Source(f"{source.name} (ONBUILD of the base image)", expression)
    directives, _ = read_directives(trigger)
    lines = list(read_lines(trigger, directives))
    if len(lines) != 1:
        raise DockerfileError(source, where, "onbuild trigger should be a single expression")
    instruction = parse_line(source, lines[0].replace(where=where), directives.escape)
    if isinstance(instruction, i.From):  # what no builder writes, but a config may say
        raise DockerfileError(source, where, "FROM isn't allowed as an ONBUILD trigger")
    return instruction


def parse_line(source: Source, line: Line, escape: str = "\\") -> i.Instruction:
    """One logical line as an instruction."""
    keyword, rest = split_keyword(line.text)
    reader = _READERS.get(keyword.upper())
    try:
        if reader is None:
            known = suggest(keyword, _READERS)
            raise Problem(f"unknown instruction: {keyword}{known}", keyword)
        words, rest = split_flags(rest, escape)
        flags = Flags(keyword.upper(), words if takes_flags(keyword.upper(), rest) else ())
        statement = _Statement(
            line.where, line.text.strip(), keyword.upper(), flags, rest, escape,
            line.heredocs, line.comments,
        )  # fmt: skip
        return reader(statement)
    except Problem as problem:
        message, token = problem.message, problem.token
    raise DockerfileError(source, line.where, message, token=token, parsing=True)


def _from(s: _Statement) -> i.Instruction:
    words = split_blanks(s.rest)
    name = ""
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
        plain = name.replace("-", "").replace("_", "").replace(".", "")
        if (
            not name[0].isascii()
            or not name[0].isalpha()
            or not (plain.isascii() and plain.isalnum())
        ):
            raise Problem(
                f'invalid name for build stage: "{words[2]}",'
                " name can't start with a number or contain symbols",
                words[2],
            )
    elif len(words) != 1:
        raise Problem("FROM requires either one or three arguments")
    return i.From(s.where, s.text, words[0], name, s.flags.text("platform"), s.comments)


def _arg(s: _Statement) -> i.Instruction:
    pairs: list[tuple[str, str | None]] = []
    for word in _some(s, split_words(s.rest, s.escape)):
        name, equals, value = word.partition("=")
        if not name:
            raise Problem("ARG names can not be blank", word)
        pairs.append((name, value if equals else None))
    return i.Arg(s.where, s.text, tuple(pairs))


def _pairs(s: _Statement) -> tuple[i.Pair, ...]:
    pairs = split_pairs(s.rest, s.keyword, s.escape)
    if not pairs:
        raise Problem(f"{s.keyword} requires at least one argument")
    for pair in pairs:
        if not pair.name:
            raise Problem(f"{s.keyword} names can not be blank", f"={pair.value}")
    return pairs


def _env(s: _Statement) -> i.Instruction:
    return i.Env(s.where, s.text, _pairs(s))


def _label(s: _Statement) -> i.Instruction:
    return i.Label(s.where, s.text, _pairs(s))


def _command(s: _Statement, text: str) -> i.CommandLine:
    strings = json_strings(text)
    if strings is not None:
        return i.CommandLine(tuple(strings), False)
    return i.CommandLine((text,) if text else (), True, s.heredocs)


def _command_or_blank(s: _Statement) -> i.CommandLine:
    """Nothing at all is a shell with nothing to do; `[]` is no command."""
    return _command(s, s.rest) if s.rest else i.CommandLine(("",), True)


def _run(s: _Statement) -> i.Instruction:
    command = _command_or_blank(s)
    network, security = s.flags.text("network", "default"), s.flags.text("security", "sandbox")
    if network not in ("default", "none", "host"):
        raise Problem(f'network mode "{network}" is not supported by RUN', network)
    if security not in ("sandbox", "insecure"):
        raise Problem(f'security mode "{security}" is not supported by RUN', security)
    mounts = s.flags.list("mount")
    if mounts:
        from kobako.build.dockerfile.mounts import mount_source, split_csv

        for mount in mounts:
            split_csv(mount)
            mount_source(mount)
    devices: tuple[Device, ...] = ()
    if s.flags.list("device"):
        from kobako.build.dockerfile.devices import parse_device

        devices = tuple(parse_device(text) for text in s.flags.list("device"))
    return i.Run(s.where, s.text, command, mounts, network, security, devices)


def _paths(s: _Statement) -> tuple[tuple[str, ...], str, tuple[Heredoc, ...]]:
    words = json_strings(s.rest)
    if words is None:
        words = split_blanks(s.rest)
    if len(words) < 2:
        raise Problem(
            f"{s.keyword} requires at least two arguments, but only {len(words)} was provided."
            " Destination could not be determined"
        )
    *given, destination = words
    if heredoc_marker(destination):
        raise Problem(f"{s.keyword} cannot accept a heredoc as a destination", destination)
    bodies = {heredoc.name: heredoc for heredoc in s.heredocs}
    sources: list[str] = []
    contents: list[Heredoc] = []
    for word in given:
        marker = heredoc_marker(word)
        if marker is None:
            sources.append(word)
        elif marker.name in bodies:
            contents.append(bodies[marker.name])
        else:
            raise Problem(f"heredoc {marker.name} has no body", word)
    return tuple(sources), destination, tuple(contents)


def _copy(s: _Statement) -> i.Instruction:
    sources, destination, contents = _paths(s)
    flags = s.flags
    if "$" in flags.text("from"):
        raise Problem(
            "variable expansion is not supported for --from, define a new stage with FROM using"
            " ARG from global scope as a workaround",
            flags.text("from"),
        )
    return i.Copy(
        s.where, s.text, sources, destination, contents, flags.text("chown"), flags.text("chmod"),
        flags.switch("link") or False, flags.list("exclude"), flags.text("from"),
        flags.switch("parents") or False,
    )  # fmt: skip


def _add(s: _Statement) -> i.Instruction:
    sources, destination, contents = _paths(s)
    flags = s.flags
    return i.Add(
        s.where, s.text, sources, destination, contents, flags.text("chown"), flags.text("chmod"),
        flags.switch("link") or False, flags.list("exclude"), flags.text("checksum"),
        flags.switch("keep-git-dir"), flags.switch("unpack"),
    )  # fmt: skip


def _some(s: _Statement, words: list[str]) -> list[str]:
    if not words:
        raise Problem(f"{s.keyword} requires at least one argument")
    return words


def _one(s: _Statement) -> str:
    if not s.rest:
        raise Problem(f"{s.keyword} requires exactly one argument")
    return s.rest


def _workdir(s: _Statement) -> i.Instruction:
    return i.Workdir(s.where, s.text, _one(s))


def _user(s: _Statement) -> i.Instruction:
    return i.User(s.where, s.text, _one(s))


def _stopsignal(s: _Statement) -> i.Instruction:
    return i.StopSignal(s.where, s.text, _one(s))


def _maintainer(s: _Statement) -> i.Instruction:
    return i.Maintainer(s.where, s.text, _one(s))


def _cmd(s: _Statement) -> i.Instruction:
    return i.Cmd(s.where, s.text, _command_or_blank(s))


def _entrypoint(s: _Statement) -> i.Instruction:
    return i.Entrypoint(s.where, s.text, _command_or_blank(s))


def _shell(s: _Statement) -> i.Instruction:
    strings = json_strings(s.rest)
    if not s.rest or strings == []:
        raise Problem("SHELL requires at least one argument")
    if strings is None:
        raise Problem(f"SHELL requires the arguments to be in JSON form, not: {s.rest}", s.rest)
    return i.Shell(s.where, s.text, tuple(strings))


def _expose(s: _Statement) -> i.Instruction:
    return i.Expose(s.where, s.text, tuple(sorted(_some(s, split_blanks(s.rest)))))


def _volume(s: _Statement) -> i.Instruction:
    words = json_strings(s.rest)
    if words is None:
        words = split_blanks(s.rest)
    paths = tuple(word.strip() for word in _some(s, words))
    if not all(paths):
        raise Problem("VOLUME specified can not be an empty string")
    return i.Volume(s.where, s.text, paths)


def _healthcheck(s: _Statement) -> i.Instruction:
    words = s.rest.split(None, 1)
    if not words:
        raise Problem("HEALTHCHECK requires at least one argument")
    kind, rest = words[0].upper(), words[1].strip() if len(words) > 1 else ""
    if kind == "NONE":
        if rest:
            raise Problem("HEALTHCHECK NONE takes no arguments", rest)
        return i.Healthcheck(s.where, s.text)
    if kind != "CMD":
        raise Problem(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)', words[0])
    command = _command(s, rest)
    if not command.args:
        raise Problem("Missing command after HEALTHCHECK CMD", words[0])
    return i.Healthcheck(
        s.where, s.text, command, _interval(s, "interval"), _interval(s, "timeout"),
        _interval(s, "start-period"), _interval(s, "start-interval"), _retries(s),
    )  # fmt: skip


def _interval(s: _Statement, flag: str) -> int:
    text = s.flags.text(flag)
    if not text:
        return 0
    duration = parse_duration(text)
    if duration and duration < 1_000_000:
        raise Problem(f'Interval "{flag}" cannot be less than 1ms', text)
    return duration


def _retries(s: _Statement) -> int:
    text = s.flags.text("retries")
    if not text:
        return 0
    try:
        retries = int(text)
    except ValueError:
        raise Problem(f"--retries must be a whole number, not {text}", text) from None
    if retries < 0:
        raise Problem(f"--retries cannot be negative ({retries})", text)
    if retries >= 1 << 31:
        raise Problem(f"--retries is too large ({text})", text)
    return retries


def _onbuild(s: _Statement) -> i.Instruction:
    if not s.rest:
        raise Problem("ONBUILD requires at least one argument")
    trigger = s.rest.split(None, 1)[0]
    if trigger.upper() == "ONBUILD":
        raise Problem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", trigger)
    if trigger.upper() in ("MAINTAINER", "FROM"):
        raise Problem(f"{trigger.upper()} isn't allowed as an ONBUILD trigger", trigger)
    check_line(s.rest, s.escape)
    bodies = "".join(f"\n{h.content}{h.name}" for h in s.heredocs)
    return i.Onbuild(s.where, s.text, s.rest + bodies)


_READERS: dict[str, Callable[[_Statement], i.Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
