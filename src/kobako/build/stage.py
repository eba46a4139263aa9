"""A stage while it is lowered: the image's config and the variables its instructions see."""

from __future__ import annotations

import posixpath

from kobako.build import gotext
from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import Problem
from kobako.build.ports import parse_ports
from kobako.build.stage_log import ADD, ARG, ENV, PUT, SET, Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kobako.build.stage_log import Moment

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_SHELL = ["/bin/sh", "-c"]
# What of a base image's config is kept: the fields of the image spec and docker's additions to it.
_KEPT = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "ArgsEscaped", "Memory", "MemorySwap", "CpuShares", "Healthcheck", "OnBuild",
    "Shell",
)  # fmt: skip


class StageState:
    """`config` and `variables` change with every instruction; `moment` keeps what they are now."""

    def __init__(
        self,
        config: Mapping[str, Any],
        author: str,
        escape: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`variables` are all that are known, build arguments too; None for the config's."""
        kept = {key: config[key] for key in _KEPT if config.get(key) not in (None, [], {}, "")}
        env = list(kept.get("Env", []))
        if not any(item.split("=", 1)[0] == "PATH" for item in env):
            env.append("PATH=" + DEFAULT_PATH)
        kept["Env"] = env
        self.author = author
        self.escape = escape
        self.arguments: dict[str, None] = {}
        self._cmd_set = False
        self._log = Log(kept, variables)
        self._now = self._log.begin()

    def derived(self) -> StageState:
        """The state a stage based on this one starts with: triggers do not come along."""
        config = {key: value for key, value in self.config.items() if key != "OnBuild"}
        state = StageState(config, self.author, self.escape, self.variables)
        state.arguments = dict(self.arguments)
        return state

    @property
    def config(self) -> dict[str, Any]:
        return self._now.config

    @property
    def variables(self) -> dict[str, str]:
        return self._now.variables

    def moment(self) -> Moment:
        return self._log.moment()

    @property
    def cwd(self) -> str:
        return str(self.config.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        return str(self.config.get("User") or "")

    def expander(self) -> Expander:
        """For the words of one instruction, before it changes anything: it sees what is now."""
        return Expander(self.variables, self.escape)

    def environment(self) -> tuple[str, ...]:
        return self._now.environment()

    def command(self, command: i.CommandLine) -> list[str]:
        """The words to execute, the shell in front where it is to be."""
        if not command.shell:
            return list(command.args)
        return [*(self.config.get("Shell") or _DEFAULT_SHELL), " ".join(command.args)]

    def absolute(self, path: str) -> str:
        """A path relative to WORKDIR made absolute and clean; a trailing slash is kept."""
        slash = path.endswith("/") or path.rpartition("/")[2] in ("", ".")
        cleaned = posixpath.normpath(posixpath.join("/", self.cwd, path))
        cleaned = "/" + cleaned.lstrip("/")
        return cleaned + "/" if slash and cleaned != "/" else cleaned

    def set(self, key: str, value: object) -> None:
        self._now.apply(self._log.note(SET, key, value))

    def _assign(self, name: str, value: str) -> None:
        self._now.apply(self._log.note(ENV, name, value))

    def _put(self, key: str, members: Mapping[str, Any]) -> None:
        self._now.apply(self._log.note(PUT, key, members))

    def apply(self, instruction: i.Instruction) -> str:
        """Carries out an instruction that only changes the config; its line of the history, ""
        for none. A `Problem` says what is wrong with it."""
        return _APPLY[type(instruction)](self, instruction, self.expander())

    def add_argument(self, name: str, value: str | None) -> None:
        """ARG: the value is seen by what follows, but is no part of the image."""
        if value is not None:
            self._now.apply(self._log.note(ARG, name, value))
        self.arguments[name] = None

    def arguments_shown(self) -> str:
        """`|2 A=1 B=2 `: how the history of a RUN tells its build arguments."""
        if not self.arguments:
            return ""
        shown = [f"{name}={self.variables.get(name, '')}" for name in self.arguments]
        return " ".join([f"|{len(shown)}", *shown, ""])

    def _env(self, instruction: i.Env, expander: Expander) -> str:
        pairs = [(expander.word(p.name), expander.word(p.value)) for p in instruction.pairs]
        for name, value in pairs:
            self._assign(name, value)
        shown = [f"{name}={value}" for name, value in pairs]
        return "ENV " + " ".join(shown)

    def _label(self, instruction: i.Label, expander: Expander) -> str:
        pairs = [(expander.word(p.name), expander.word(p.value)) for p in instruction.pairs]
        self._put("Labels", dict(pairs))
        return "LABEL " + " ".join(f"{name}={value}" for name, value in pairs)

    def _user(self, instruction: i.User, expander: Expander) -> str:
        user = expander.word(instruction.user)
        self.set("User", user)
        return f"USER {user}"

    def _cmd(self, instruction: i.Cmd, expander: Expander) -> str:
        words = self.command(instruction.command) if instruction.command.args else []
        self._cmd_set = True
        self.set("Cmd", words)
        self.set("ArgsEscaped", True)
        return f"CMD {gotext.quoted_list(words)}"

    def _entrypoint(self, instruction: i.Entrypoint, expander: Expander) -> str:
        words = self.command(instruction.command) if instruction.command.args else []
        self.set("Entrypoint", words or None)
        if not self._cmd_set:
            self.set("Cmd", None)
        return f"ENTRYPOINT {gotext.quoted_list(words)}"

    def _shell(self, instruction: i.Shell, expander: Expander) -> str:
        self.set("Shell", list(instruction.shell))
        return f"SHELL {gotext.plain_list(instruction.shell)}"

    def _expose(self, instruction: i.Expose, expander: Expander) -> str:
        words = [word for port in instruction.ports for word in expander.words(port)]
        ports = parse_ports(words)
        self._put("ExposedPorts", {port: {} for port in ports})
        return f"EXPOSE {gotext.plain_list(ports)}"

    def _volume(self, instruction: i.Volume, expander: Expander) -> str:
        paths = [expander.word(path) for path in instruction.paths]
        if not all(paths):
            raise Problem("VOLUME specified can not be an empty string")
        self._put("Volumes", {path: {} for path in paths})
        return f"VOLUME {gotext.plain_list(paths)}"

    def _stopsignal(self, instruction: i.StopSignal, expander: Expander) -> str:
        name = expander.word(instruction.signal)
        if not _is_signal(name):
            raise Problem(f"Invalid signal: {name}", instruction.signal)
        self.set("StopSignal", name)
        return f"STOPSIGNAL {name}"

    def _healthcheck(self, instruction: i.Healthcheck, expander: Expander) -> str:
        check: dict[str, Any] = {"Test": ["NONE"]}
        if instruction.command is not None:
            command = instruction.command
            kind = "CMD-SHELL" if command.shell else "CMD"
            check["Test"] = [kind, *command.args]
        for key, value in (
            ("Interval", instruction.interval),
            ("Timeout", instruction.timeout),
            ("StartPeriod", instruction.start_period),
            ("StartInterval", instruction.start_interval),
            ("Retries", instruction.retries),
        ):
            if value:
                check[key] = value
        self.set("Healthcheck", check)
        times = " ".join(
            f"{key}:{gotext.duration(check.get(key, 0))}"
            for key in ("Interval", "Timeout", "StartPeriod", "StartInterval")
        )
        test = gotext.plain_list(check["Test"])
        return f"HEALTHCHECK {{Test:{test} {times} Retries:{check.get('Retries', 0)}}}"

    def _onbuild(self, instruction: i.Onbuild, expander: Expander) -> str:
        self._now.apply(self._log.note(ADD, "OnBuild", instruction.expression))
        return ""

    def _maintainer(self, instruction: i.Maintainer, expander: Expander) -> str:
        self.author = instruction.name
        return f"MAINTAINER {instruction.name}"


_APPLY: dict[type[i.Instruction], Callable[[StageState, Any, Expander], str]] = {
    i.Env: StageState._env,
    i.Label: StageState._label,
    i.User: StageState._user,
    i.Cmd: StageState._cmd,
    i.Entrypoint: StageState._entrypoint,
    i.Shell: StageState._shell,
    i.Expose: StageState._expose,
    i.Volume: StageState._volume,
    i.StopSignal: StageState._stopsignal,
    i.Healthcheck: StageState._healthcheck,
    i.Onbuild: StageState._onbuild,
    i.Maintainer: StageState._maintainer,
}

_SIGNALS = frozenset(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT"
    " STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split()
    + [f"RTMIN+{n}" for n in range(1, 16)]
    + [f"RTMAX-{n}" for n in range(1, 15)]
)


def _is_signal(name: str) -> bool:
    digits = name[1:] if name[:1] in ("+", "-") else name
    if digits.isascii() and digits.isdigit():  # if there is such a one is for who sends it
        return int(digits) != 0
    return name.upper().removeprefix("SIG") in _SIGNALS
