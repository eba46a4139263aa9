"""What a start is given: the runtime-spec's bundle, and how its processes meet the outside."""

from __future__ import annotations

import os
import stat

from kobako import fastjson
from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from kobako.linux.mount import Mount
    from kobako.linux.seccomp import Filter

    class Lookout(Protocol):
        """Who answers intercepted calls in the monitor itself, for as long as he can."""

        @property
        def descriptors(self) -> list[int]:
            """What to wait for, and to `answer` when it can be read."""

        def take(self, listener_fd: int) -> None:
            """Here is the listener; the container's mounts are in place."""

        def answer(self, fd: int) -> bool:
            """False when a supervisor has to."""

        def refuse(self) -> None:
            """None can be had; what was asked is to fail."""

        def close(self) -> None:
            """A supervisor has taken over."""


LOG_ANNOTATION = "io.kobako.log"  # of the spec: see `spec.ContainerOptions`


class Bundle(Record):
    """A directory with its configuration, and the mounts that make its root filesystem appear.

    `spec` is the runtime-spec document (config.json); relative paths in it are relative to `path`.
    `rootfs` are mounts made in order before anything else, in the container's mount namespace;
    without any, the directory `root.path` is used as it is. `filter` is `linux.seccomp`,
    translated: see `filtered`.
    """

    path: str
    spec: dict[str, Any]
    rootfs: tuple[Mount, ...] = ()
    filter: Filter | None = None

    @classmethod
    def load(cls, path: str, rootfs: tuple[Mount, ...] = ()) -> Bundle:
        """Reads `path`/config.json; `NotFound` or `Invalid` name the file."""
        file = f"{path}/config.json"
        try:
            with open(file, "rb") as stream:
                spec = fastjson.restore(stream.read())
        except FileNotFoundError:
            raise NotFound(f"{path} is not a bundle: it has no config.json") from None
        except ValueError as fault:
            raise Invalid(f"{file}: {fault}") from None
        if not isinstance(spec, dict):
            raise Invalid(f"{file}: not an object")
        return cls(path, spec, rootfs)

    @property
    def namespaces(self) -> list[dict[str, str]]:
        """`linux.namespaces` of the spec."""
        return self.spec.get("linux", {}).get("namespaces") or []

    @property
    def terminal(self) -> bool:
        return bool(self.spec["process"].get("terminal"))

    def joined_to(self, io: Stdio) -> Bundle:
        """The same bundle, with a terminal of the size of the caller's."""
        process = io.with_size(self.spec["process"])
        if process is self.spec["process"]:
            return self
        return self.replace(spec={**self.spec, "process": process})

    def check(self) -> None:
        """`Invalid` where nobody could start it."""
        spec = self.spec
        if not isinstance(spec.get("process"), dict) or not isinstance(spec.get("root"), dict):
            raise Invalid(f"the bundle {self.path}: config.json lacks process or root")
        if not spec["process"].get("args"):
            raise Invalid(f"the bundle {self.path}: no command specified")
        if not str(spec.get("ociVersion", "")).startswith("1."):
            raise Invalid(f"the bundle {self.path}: ociVersion {spec.get('ociVersion')} is not 1.x")

    def filtered(self) -> Bundle:
        """The same bundle, with the filter its `linux.seccomp` asks for."""
        section = self.spec.get("linux", {}).get("seccomp")
        if not section or self.filter:
            return self
        from kobako.runtime.seccomp.profile import filter_of

        return self.replace(filter=filter_of(section))

    def packed(self) -> tuple[Any, ...]:
        """The bundle as values that marshal takes, for another process, where `unpacked` undoes it.
        Of a filter only the translation is handed on."""
        spec = self.spec
        if self.filter:
            spec = {**spec, "linux": {k: v for k, v in spec["linux"].items() if k != "seccomp"}}
        seccomp = self.filter.as_tuple() if self.filter else None
        return (self.path, spec, [m.as_tuple() for m in self.rootfs], seccomp)

    @classmethod
    def unpacked(cls, values: tuple[Any, ...]) -> Bundle:
        from kobako.linux.mount import Mount
        from kobako.linux.seccomp import Filter

        path, spec, mounts, seccomp = values
        places = tuple(Mount(*fields) for fields in mounts)
        return cls(path, spec, places, Filter(*seccomp) if seccomp else None)


class Stdio(Record):
    """Where a container's standard streams lead, as descriptors of the calling process.

    Without a terminal: `stdin` is passed on itself when it is a pipe or file and pumped when it is
    a terminal or socket; -1 gives /dev/null. Output always goes through a pipe, to the log and to
    `stdout` and `stderr` (-1: to the log alone). With `process.terminal` the container's terminal
    is joined to `stdin` (put in raw mode when it is one) and `stdout`.
    `hold_stdin` (docker's -i with -d): stdin stays open though nobody writes to it; `stdin_once`:
    until the first who attaches to it has left (docker's StdinOnce).
    `detach_keys`: typed at a terminal, they end the caller's stay and not the process (b"": never).
    """

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    hold_stdin: bool = False
    stdin_once: bool = False
    detach_keys: bytes = b""

    def size(self) -> tuple[int, int]:
        """(rows, columns) of the caller's terminal; (0, 0) when it has none."""
        screen = self.screen()
        if screen < 0:
            return 0, 0
        from kobako.linux import pty

        return pty.get_size(screen)

    def screen(self) -> int:
        """The caller's terminal, or -1."""
        found = [fd for fd in (self.stdin, self.stdout) if fd >= 0 and os.isatty(fd)]
        return found[0] if found else -1

    def with_size(self, process: dict[str, Any]) -> dict[str, Any]:
        """A spec's `process`; its terminal, if any, has the size of the caller's from the first
        moment on: a change would have a shell draw its prompt twice."""
        if not process.get("terminal"):
            return process
        rows, columns = self.size()
        if not rows:
            return process
        return {**process, "consoleSize": {"height": rows, "width": columns}}


def needs_pump(stdin: int) -> bool:
    """Whether a container must not be given this descriptor itself: terminals and sockets.

    A process could push input into a terminal it has (TIOCSTI) and read what is meant for others.
    """
    mode = os.fstat(stdin).st_mode
    if stat.S_ISCHR(mode):
        return os.isatty(stdin)
    return not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode))


class Interception(Record):
    """System calls of the container answered by somebody else (seccomp user notification).

    `program` (sock_filter[]) is installed by the container's process before its credentials change
    and it runs the program; under it, it begins as root with the groups [0]. `serve(listener,
    init_pid, None)` is the supervisor, and runs in a process of its own, forked from the monitor
    while the container is being set up, until it returns. `listener()` waits for the listener, and
    with it for the container's mounts; -1 says that there will be none. Besides it only the
    descriptors in `fds` are open there.

    Where there is a `lookout(init_pid)`, that answers first. The supervisor is forked when it takes
    a supervisor, and `serve` gets the lookout too, whose descriptors are open then.
    """

    program: bytes
    serve: Callable[[Callable[[], int], int, Any], None]
    fds: tuple[int, ...] = ()
    lookout: Callable[[int], Lookout] | None = None


class Prospect(Record):
    """What a monitor knows of a start when it is forked ahead of it; see `ahead.Ahead`. `around` is
    `surroundings.document`, `processors` are those that may be used later on."""

    io: Stdio
    terminal: bool
    around: dict[str, Any]
    stage: str
    detach: bool
    tied: bool
    again: bool
    processors: set[int]
    prepare: Callable[[], None]
    intercept_of: Callable[[dict[str, Any], Any], Interception | None]

    @property
    def namespaces(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.around["linux"]["namespaces"]
        return found


class Plan(Record):
    """All a monitor needs to know to start a container; see `launch.start` for the fields."""

    bundle: Bundle
    state_dir: str
    intercept: Interception | None = None
    on_exit: tuple[str, ...] = ()
    tied: bool = False
    journal: bytes = b""
    ephemeral: bool = False
