"""Changes to an image's configuration: docker's `--change` instructions and run-time overrides.

A configuration is the `config` object of the OCI image specification as a dict (Env, Cmd,
Entrypoint, ...). Every function returns a new one.
"""

from __future__ import annotations

import posixpath

from kobako import fastjson
from kobako.errors import Invalid
from kobako.image import shell_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Config = dict[str, Any]

_DEFAULT_SHELL = ["/bin/sh", "-c"]
_NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITED = ("ExposedPorts", "Volumes", "Labels")


def apply_changes(config: Mapping[str, Any], changes: Iterable[str]) -> Config:
    """`config` after the instructions of `commit --change` or `import --change`.

    Each item is one or more lines of Dockerfile syntax: CMD, ENTRYPOINT, ENV, EXPOSE,
    HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR. Raises `Invalid` with the
    line when it is another instruction or malformed.
    """
    result = dict(config)
    command_given = False
    for line in (line for change in changes for line in _lines(change)):
        word, _, rest = line.partition(" ")
        instruction = word.upper()
        rest = rest.strip()
        apply = _INSTRUCTIONS.get(instruction)
        if apply is None:
            raise Invalid(
                f"--change {line!r}: {word} is not a valid change instruction",
                hint="use " + ", ".join(sorted(_INSTRUCTIONS)),
            )
        if not rest:
            raise Invalid(f"--change {line!r}: {instruction} requires an argument")
        try:
            apply(result, rest)
        except Invalid as fault:
            raise Invalid(f"--change {line!r}: {fault.message}", hint=fault.hint) from None
        if instruction == "CMD":
            command_given = True
        elif instruction == "ENTRYPOINT" and not command_given:
            result.pop("Cmd", None)  # the inherited arguments belong to another program
    return result


def merge(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Config:
    """An image's configuration with what a container was started with on top, as `commit` keeps
    it: Env by name, ports, volumes and labels united, a new Entrypoint dropping the old Cmd."""
    result = dict(config)
    if overrides.get("Entrypoint") and "Cmd" not in overrides:
        result.pop("Cmd", None)
    for key, value in overrides.items():
        if key == "Env":
            for assignment in value or ():
                name, _, text = assignment.partition("=")
                set_env(result, name, text)
        elif key in _UNITED:
            result[key] = {**(result.get(key) or {}), **(value or {})}
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def env(config: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a configuration by name."""
    pairs = (assignment.partition("=") for assignment in config.get("Env") or ())
    return {name: value for name, _, value in pairs}


def set_env(config: Config, name: str, value: str) -> None:
    """Put NAME=value into `config`'s Env (a new list), in the place of an earlier value."""
    assignment = f"{name}={value}"
    known = list(config.get("Env") or ())
    for i, earlier in enumerate(known):
        if earlier.partition("=")[0] == name:
            known[i] = assignment
            break
    else:
        known.append(assignment)
    config["Env"] = known


def json_words(text: str) -> list[str] | None:
    """The strings of a JSON array, or None when `text` is not one."""
    if not text.startswith("["):
        return None
    try:
        value = fastjson.loads(text)
    except ValueError:
        return None
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    return None


def _lines(change: str) -> Iterable[str]:
    joined = ""
    for line in change.splitlines():
        line = joined + line.strip()
        if line.endswith("\\"):
            joined = line[:-1].rstrip() + " "
            continue
        joined = ""
        if line and not line.startswith("#"):
            yield line.replace("\t", " ", 1) if " " not in line else line
    if joined.strip():
        yield joined.strip()


def _command(config: Config, text: str) -> list[str]:
    words = json_words(text)
    return words if words is not None else [*(config.get("Shell") or _DEFAULT_SHELL), text]


def _pairs(config: Config, text: str, what: str) -> list[tuple[str, str]]:
    """`A=b C="d e"`, or the old form `A b`."""
    variables = env(config)
    words = shell_words.split(text)
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise Invalid(f"{what} must be of the form: name=value")
        return [(name, shell_words.expand(value.strip(), variables))]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        name = shell_words.expand(name, variables)
        if not equals or not name:
            raise Invalid(f"{what} must be of the form: name=value (found {word!r})")
        pairs.append((name, shell_words.expand(value, variables)))
    return pairs


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(config, text)


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(config, text)


def _env(config: Config, text: str) -> None:
    for name, value in _pairs(config, text, "ENV"):
        set_env(config, name, value)


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(config, text, "LABEL"))}


def _expose(config: Config, text: str) -> None:
    variables = env(config)
    ports = dict(config.get("ExposedPorts") or {})
    for word in shell_words.split(text):
        number, _, protocol = shell_words.expand(word, variables).partition("/")
        protocol = protocol.lower() or "tcp"
        first, _, last = number.partition("-")
        last = last or first
        if protocol not in ("tcp", "udp", "sctp"):
            raise Invalid(f"invalid protocol {protocol} in port {word}")
        if not (_is_port(first) and _is_port(last) and int(first) <= int(last)):
            raise Invalid(f"invalid port {word}")
        for port in range(int(first), int(last) + 1):
            ports[f"{port}/{protocol}"] = {}
    config["ExposedPorts"] = ports


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535


def _onbuild(config: Config, text: str) -> None:
    trigger = text.partition(" ")[0].upper()
    if trigger in ("ONBUILD", "FROM", "MAINTAINER"):
        raise Invalid(f"{trigger} is not allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _user(config: Config, text: str) -> None:
    config["User"] = shell_words.expand(text, env(config))


def _volume(config: Config, text: str) -> None:
    variables = env(config)
    words = json_words(text)
    if words is None:
        words = [shell_words.expand(word, variables) for word in shell_words.split(text)]
    if not all(word.strip() for word in words) or not words:
        raise Invalid("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{w: {} for w in words}}


def _workdir(config: Config, text: str) -> None:
    here = config.get("WorkingDir") or "/"
    there = shell_words.expand(text, env(config))
    if not there:
        raise Invalid("WORKDIR is empty")
    path = posixpath.normpath(posixpath.join("/", here, there))
    config["WorkingDir"] = "/" + path.lstrip("/")


def _stop_signal(config: Config, text: str) -> None:
    config["StopSignal"] = shell_words.expand(text, env(config))


def _healthcheck(config: Config, text: str) -> None:
    check: Config = {}
    words = text
    while words.startswith("--"):
        option, _, words = words.partition(" ")
        words = words.lstrip()
        name, _, value = option[2:].partition("=")
        if name == "retries":
            if not (value.isascii() and value.isdigit()):
                raise Invalid(f"--retries {value!r} is not a number")
            check["Retries"] = int(value)
        elif name in ("interval", "timeout", "start-period", "start-interval"):
            key = "".join(part.capitalize() for part in name.split("-"))
            check[key] = duration(value)
        else:
            raise Invalid(f"unknown flag --{name}")
    kind, _, command = words.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE" and not command and not check:
        check["Test"] = ["NONE"]
    elif kind.upper() == "CMD" and command:
        exact = json_words(command)
        check["Test"] = ["CMD-SHELL", command] if exact is None else ["CMD", *exact]
    else:
        raise Invalid("HEALTHCHECK must be NONE or CMD with a command")
    config["Healthcheck"] = check


def duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1m30s` or `1.5h`."""
    total, rest = 0.0, text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("hmnus"))]
        while unit and unit not in _NANOSECONDS:
            unit = unit[:-1]
        if not unit or number.count(".") > 1 or not number.strip("."):
            raise Invalid(f"{text!r} is not a duration", hint="write it like 30s or 1m30s")
        total += float(number) * _NANOSECONDS[unit]
        rest = rest[len(unit) :]
    if not text:
        raise Invalid("a duration is empty")
    return int(total)


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
