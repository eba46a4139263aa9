"""What a verb is given: the environment read once, the streams, and the engine made on demand."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kobako.engine.engine import Engine


class Context:
    """The world of one command. Verbs reach `os.environ` and the standard streams only by it."""

    __slots__ = ("_engine", "environ", "program")

    def __init__(self, environ: Mapping[str, str], program: str = "kobako") -> None:
        self.environ = environ
        self.program = program
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            from kobako.engine.engine import Engine, Settings

            self._engine = Engine(
                Settings(
                    root=self.data_root(),
                    mode=self.environ.get("KOBAKO_MODE", ""),
                    config_path=self.config_path(),
                    docker_config=self.docker_config(),
                    home=self.home(),
                    path=self.environ.get("PATH", os.defpath),
                    proxies=tuple(
                        (name.lower(), value)
                        for name, value in self.environ.items()
                        if name.lower() in ("http_proxy", "https_proxy", "no_proxy")
                    ),
                )
            )
        return self._engine

    def home(self) -> str:
        """The user's home directory, from the password database where HOME is not set."""
        home = self.environ.get("HOME")
        if not home:
            import pwd

            try:
                home = pwd.getpwuid(os.getuid()).pw_dir
            except KeyError:
                home = "/"
        return home

    def data_root(self) -> str:
        root = self.environ.get("KOBAKO_ROOT")
        if root:
            return os.path.abspath(root)
        if os.getuid() == 0:
            return "/var/lib/kobako"
        base = self.environ.get("XDG_DATA_HOME") or os.path.join(self.home(), ".local/share")
        return os.path.join(base, "kobako")

    def config_path(self) -> str:
        given = self.environ.get("KOBAKO_CONFIG")
        if given:
            return given
        if os.getuid() == 0 and os.path.exists("/etc/kobako/config.toml"):
            return "/etc/kobako/config.toml"
        base = self.environ.get("XDG_CONFIG_HOME") or os.path.join(self.home(), ".config")
        return os.path.join(base, "kobako/config.toml")

    def docker_config(self) -> str:
        """The directory of docker's config.json."""
        return self.environ.get("DOCKER_CONFIG") or os.path.join(self.home(), ".docker")

    def out(self, text: str) -> None:
        """Text to standard output, a newline added."""
        sys.stdout.write(text + "\n")

    def write(self, text: str) -> None:
        """Text to standard output as it is."""
        sys.stdout.write(text)

    def err(self, text: str) -> None:
        """A line to standard error."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def each(self, names: list[str], action: Callable[[str], object], *, echo: bool = True) -> int:
        """Do one thing to each named object as docker does: go on after a failure, then exit 1.

        What `action` returns is printed: a text, the name for None, nothing for False.
        """
        from kobako.errors import KobakoError

        failed = False
        for name in names:
            try:
                shown = action(name)
            except KobakoError as fault:
                self.err(error_text(fault))
                failed = True
            else:
                if echo and shown is not False:
                    self.out(shown if isinstance(shown, str) else name)
        return 1 if failed else 0


def error_text(fault: Exception, prefix: str = "Error: ") -> str:
    """A fault as one line for a person, with its remedy on a second one. The lines of a file the
    fault is about come before it."""
    excerpt, hint = getattr(fault, "excerpt", ""), getattr(fault, "hint", "")
    if str(fault).startswith("Error "):
        prefix = ""
    return (f"{excerpt}\n" if excerpt else "") + f"{prefix}{fault}" + (f"\n{hint}" if hint else "")
