"""The instructions of the Dockerfile language as typed values.

Each carries where it stands and its text (continuations joined). Words are as written: variables
are expanded when a stage is lowered, because their values depend on what came before.
"""

from __future__ import annotations

from kobako.build.dockerfile.lines import Directives, Heredoc
from kobako.build.dockerfile.source import Range, Source
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile.devices import Device


class Instruction(Record):
    """Base of all. `text` is the whole instruction on one line, keyword as written."""

    where: Range
    text: str

    @property
    def keyword(self) -> str:
        return self.text.split(None, 1)[0].upper()


class CommandLine(Record):
    """What RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD execute.

    `shell`: `args` is one string for the stage's shell; else `args` are the program's own.
    """

    args: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()


class Pair(Record):
    """`name=value` of ENV and LABEL; `legacy` when it was written `ENV name value`."""

    name: str
    value: str
    legacy: bool = False


class From(Instruction):
    """`FROM [--platform=p] image [AS name]`; `name` is lower case, "" without AS."""

    image: str
    name: str = ""
    platform: str = ""
    comments: tuple[str, ...] = ()


class Arg(Instruction):
    """`ARG name[=default] ...`: the default is None when there is none."""

    pairs: tuple[tuple[str, str | None], ...]


class Env(Instruction):
    pairs: tuple[Pair, ...]


class Label(Instruction):
    pairs: tuple[Pair, ...]


class Run(Instruction):
    """`RUN`. `mounts` are the texts of `--mount`, read by `mounts.parse_mount` once expanded."""

    command: CommandLine
    mounts: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()


class Transfer(Instruction):
    """What COPY and ADD have in common.

    `sources` are paths; `contents` here-documents that become files of that name.
    """

    sources: tuple[str, ...]
    destination: str
    contents: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


class Copy(Transfer):
    from_: str = ""
    parents: bool = False


class Add(Transfer):
    """`checksum`, `keep_git_dir` and `unpack` are for remote sources; None means not said."""

    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


class Workdir(Instruction):
    path: str


class User(Instruction):
    user: str


class Cmd(Instruction):
    command: CommandLine


class Entrypoint(Instruction):
    command: CommandLine


class Shell(Instruction):
    shell: tuple[str, ...]


class Expose(Instruction):
    ports: tuple[str, ...]


class Volume(Instruction):
    paths: tuple[str, ...]


class StopSignal(Instruction):
    signal: str


class Healthcheck(Instruction):
    """`command` None is `HEALTHCHECK NONE`. Durations are nanoseconds, 0 when not given."""

    command: CommandLine | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Onbuild(Instruction):
    """`expression` is the trigger as the image's config keeps it."""

    expression: str


class Maintainer(Instruction):
    name: str


class Stage(Record):
    """A FROM and what follows it. `index` counts from 0."""

    index: int
    start: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        return self.start.name


class Dockerfile(Record):
    """A whole Dockerfile: `arguments` are the ARGs above the first FROM."""

    source: Source
    directives: Directives
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    warnings: tuple[tuple[int, str], ...] = ()
