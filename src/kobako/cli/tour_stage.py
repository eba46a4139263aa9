"""Where the tour plays: directories, a registry, and commands typed into a real terminal."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATIENCE = 120.0
"""Seconds without any output after which a step is given up."""


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What a terminal is told beside the text: cursor movements, modes."""


class TourFailed(Exception):
    """A step did not do what the tutorial says."""


class Stage:
    """One tour. Everything lies under `directory`; the user's own store and login are not used."""

    account_password = "hako-account"
    admin_password = "hako-admin"

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.project = os.path.join(directory, "project")
        self.environ = {
            **environ,
            "KOBAKO_ROOT": os.path.join(directory, "store"),
            "KOBAKO_CONFIG": os.path.join(directory, "config.toml"),
            "DOCKER_CONFIG": os.path.join(directory, "docker"),
            "TERM": environ.get("TERM", "xterm"),
        }
        self.stores = [self.environ["KOBAKO_ROOT"]]
        self.hub_pid = 0
        self.address = ""
        os.makedirs(self.project)

    def say(self, text: str) -> None:
        """A heading between the commands."""
        print(f"\n# {text}", flush=True)

    def write(self, name: str, text: str) -> None:
        """A file of the project, shown as it is written."""
        print(f"$ cat > {name}\n{text}", end="", flush=True)
        with open(os.path.join(self.project, name), "w") as file:
            file.write(text)

    def start_hub(self) -> None:
        """`kobako hub serve` in the background, with the accounts the tutorial needs."""
        data = os.path.join(self.directory, "hub")
        for name, password, role in (
            ("admin", self.admin_password, " --admin"),
            ("account", self.account_password, ""),
        ):
            self.run(f"hub user add{role} --data {data} --password-stdin {name}", stdin=password)
        ready = os.path.join(self.directory, "hub.address")
        command = f"hub serve --data {data} --listen 127.0.0.1:0 --address-file {ready}"
        print(f"$ kobako {command} &", flush=True)
        log = os.open(
            os.path.join(self.directory, "hub.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        self.hub_pid = os.posix_spawn(
            sys.executable,
            [*_program(), *shlex.split(command)],
            self.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
        os.close(log)
        deadline = time.monotonic() + 30
        while not os.path.exists(ready):
            if os.waitpid(self.hub_pid, os.WNOHANG)[0] or time.monotonic() > deadline:
                raise TourFailed(f"the registry did not start, see {self.directory}/hub.log")
            time.sleep(0.02)
        with open(ready) as file:
            self.address = file.read().strip()
        with open(self.environ["KOBAKO_CONFIG"], "w") as file:
            file.write(
                f'[registries."docker.io"]\nmirrors = ["http://{self.address}"]\npush = true\n'
            )

    def run(
        self,
        command: str,
        *,
        expect: Sequence[str] = (),
        refuse: Sequence[str] = (),
        talk: Sequence[tuple[str, str]] = (),
        stdin: str | None = None,
        quiet: bool = False,
    ) -> str:
        """Type `kobako COMMAND` into a terminal, show what it prints, and check it.

        `talk` are (pattern to wait for, line to type). With `stdin` the text is piped in, and with
        `quiet` standard error is not part of the terminal.
        """
        piped = f"echo ... | kobako {command}" if stdin is not None else f"kobako {command}"
        print(f"$ {piped}", flush=True)
        output, status = self._in_terminal(shlex.split(command), list(talk), stdin, quiet)
        text = _ESCAPES.sub("", output.decode(errors="replace")).replace("\r", "")
        if status != 0:
            raise TourFailed(f"`kobako {command}` ended with exit code {status}")
        for word in expect:
            if word not in text:
                raise TourFailed(f"`kobako {command}` did not print {word!r}")
        for word in refuse:
            if word in text:
                raise TourFailed(f"`kobako {command}` printed {word!r}")
        return text

    def _in_terminal(
        self, words: list[str], talk: list[tuple[str, str]], stdin: str | None, quiet: bool
    ) -> tuple[bytes, int]:
        import pty

        reader = writer = -1
        if stdin is not None:
            reader, writer = os.pipe()
        sys.stdout.flush()
        pid, master = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.project)
                if reader >= 0:
                    os.dup2(reader, 0)
                    os.close(writer)
                if quiet:
                    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
                os.execve(sys.executable, [*_program(), *words], self.environ)
            finally:
                os._exit(127)
        if stdin is not None:
            os.close(reader)
            os.write(writer, stdin.encode() + b"\n")
            os.close(writer)
        termios.tcsetwinsize(master, (24, 100))
        try:
            output = self._watch(master, talk)
        finally:
            os.close(master)
            status = self._reap(pid)
        return output, status

    def _watch(self, master: int, talk: list[tuple[str, str]]) -> bytes:
        """Everything the terminal shows, until its last user is gone."""
        output, seen = b"", 0
        while True:
            if talk and (found := re.search(talk[0][0].encode(), output[seen:])):
                seen += found.end()
                os.write(master, talk.pop(0)[1].encode() + b"\r")
            if not select.select([master], [], [], _PATIENCE)[0]:
                waits = f" (waiting for {talk[0][0]!r})" if talk else ""
                raise TourFailed(f"nothing happened for {_PATIENCE:.0f} seconds{waits}")
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if not data:
                if talk:
                    raise TourFailed(f"the command ended before {talk[0][0]!r} appeared")
                return output
            output += data
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    @staticmethod
    def _reap(pid: int) -> int:
        """The exit code of the command; it is killed if it outlives its terminal by far."""
        for _ in range(500):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def empty_store(self) -> None:
        """From now on commands use a store with nothing in it."""
        self.environ["KOBAKO_ROOT"] = os.path.join(self.directory, "other-store")
        self.stores.append(self.environ["KOBAKO_ROOT"])
        print(f"$ export KOBAKO_ROOT={self.environ['KOBAKO_ROOT']}", flush=True)

    def end(self) -> None:
        """Stop the registry."""
        if self.hub_pid:
            try:
                os.kill(self.hub_pid, signal.SIGTERM)
                os.waitpid(self.hub_pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self.hub_pid = 0

    def remove_stores(self) -> None:
        """Delete the stores; only kobako itself may be allowed to (ids of a user namespace)."""
        for root in self.stores:
            pid = os.posix_spawn(
                sys.executable,
                [*_program(), "system", "reset", "--force"],
                {**self.environ, "KOBAKO_ROOT": root},
            )
            os.waitpid(pid, 0)

    def how_to_go_on(self) -> str:
        """What to type to use what a kept tour leaves."""
        names = ("KOBAKO_ROOT", "KOBAKO_CONFIG", "DOCKER_CONFIG")
        self.environ["KOBAKO_ROOT"] = self.stores[0]
        exports = "\n".join(f"  export {n}={shlex.quote(self.environ[n])}" for n in names)
        return (
            f"The registry goes on at http://{self.address} (process {self.hub_pid}); "
            f"accounts: account / {self.account_password}, admin / {self.admin_password}.\n"
            f"To use what the tour made:\n{exports}\nTo end it:\n"
            f"  kill {self.hub_pid}; kobako system reset --force; rm -r {self.directory}"
        )


def _program() -> list[str]:
    """How this very kobako is started once more."""
    return [sys.executable, "-m", "kobako"]
