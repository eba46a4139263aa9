"""RUN → a vertex: here-documents, mounts, environment."""

from __future__ import annotations

import os
import posixpath

from kobako.build.dockerfile.mounts import parse_mount
from kobako.build.dockerfile.source import Problem
from kobako.build.dockerfile.words import heredoc_marker
from kobako.build.ops.run import RunOp, StageMount
from kobako.build.worker import (
    BindMount,
    CacheMount,
    FileMount,
    RunRequest,
    TmpfsMount,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.dockerfile import instructions as i
    from kobako.build.dockerfile.mounts import MountFlag
    from kobako.build.graph import Vertex
    from kobako.build.lower import LoweredStage
    from kobako.build.ops.result import Result
    from kobako.build.worker import Mount

_SCRIPTS = "/dev/pipes"


class _Mounts:
    """The mounts of one RUN, sorted by where their files come from."""

    def __init__(self, stage: LoweredStage, instruction: i.Run) -> None:
        self.stage = stage
        self.instruction = instruction
        self.plain: list[Mount] = []
        self.staged: list[StageMount] = []
        self.inputs: list[Vertex[Result]] = []
        self.env: list[str] = []
        self.marks: list[str] = []
        self.bound: list[str] = []

    def add(self, text: str, expand: Callable[[str], str]) -> None:
        flag = parse_mount(text, expand)
        if flag.type == "ssh":
            raise self.stage.not_yet(self.instruction, "RUN --mount=type=ssh", text)
        self.marks.append(repr(flag))
        if flag.type == "secret":
            self._secret(flag, text)
            return
        target = posixpath.normpath(posixpath.join("/", self.stage.state.cwd, flag.target))
        if not flag.target or target == "/":
            raise Problem(f'invalid mount target "{flag.target}"', text)
        if flag.type == "tmpfs":
            self.plain.append(TmpfsMount(target, flag.size))
        elif flag.type == "cache":
            self._cache(flag, target)
        else:
            self._bind(flag, target)

    def _secret(self, flag: MountFlag, text: str) -> None:
        name = flag.id or flag.source or posixpath.basename(flag.target)
        data = dict(self.stage.around.options.secrets).get(name)
        if data is None:
            if flag.required:
                raise Problem(f"secret {name}: not found", text)
            return
        if flag.env is not None:
            self.env.append(f"{flag.env or name}={data.decode('utf-8', 'surrogateescape')}")
            if not flag.target:
                return
        target = flag.target or f"/run/secrets/{posixpath.basename(name)}"
        target = posixpath.normpath(posixpath.join("/", self.stage.state.cwd, target))
        mode = 0o400 if flag.mode is None else flag.mode
        self.plain.append(FileMount(target, data, mode, flag.uid or 0, flag.gid or 0))

    def _cache(self, flag: MountFlag, target: str) -> None:
        mount = CacheMount(
            target,
            flag.id or posixpath.normpath(flag.target),
            flag.sharing or "shared",
            flag.readonly,
            (),
            posixpath.normpath("/" + flag.source),
            0o755 if flag.mode is None else flag.mode,
            flag.uid or 0,
            flag.gid or 0,
        )
        self._from(mount, flag.from_)

    def _bind(self, flag: MountFlag, target: str) -> None:
        source = posixpath.normpath("/" + flag.source)
        if flag.from_:
            self._from(BindMount(target, "", (), source, flag.readonly), flag.from_)
            return
        context = self.stage.around.context()
        entry = context.lookup(source)
        if entry is None:
            raise Problem(f'"{source}" not found in the build context', flag.source)
        directory = posixpath.join(context.root, entry.path) if entry.path else context.root
        self.bound.append(source)
        self.plain.append(BindMount(target, directory, (), "/", flag.readonly))

    def _from(self, mount: BindMount | CacheMount, name: str) -> None:
        if not name or name.lower() == "scratch":
            self.plain.append(mount)
            return
        where = self.instruction.where
        vertex = self.stage.lowering.source_of(name, self.stage.stage, where)
        self.inputs.append(vertex)
        self.staged.append(StageMount(mount, len(self.inputs)))


def lower_run(stage: LoweredStage, instruction: i.Run, trigger: bool) -> None:
    """Adds the vertex of a RUN to its stage."""
    state, around = stage.state, stage.around
    if instruction.devices:
        raise stage.not_yet(instruction, "RUN --device", f"--device={instruction.devices[0]}")
    expander = state.expander()
    mounts = _Mounts(stage, instruction)
    for text in instruction.mounts:
        mounts.add(text, expander.word)
    args, script, note = _command(stage, instruction)
    if script is not None:
        mounts.plain.append(script)
        mounts.marks.append(script.data.decode("utf-8", "surrogateescape"))
    options = around.options
    network = instruction.network if instruction.network != "default" else options.network
    request = RunRequest(
        id=os.urandom(32).hex(),
        layers=(),
        args=tuple(args),
        env=state.environment(),
        user=state.user,
        cwd=state.cwd,
        mounts=tuple(mounts.plain),
        network=network,
        security=instruction.security,
        extra_hosts=options.extra_hosts,
        shm_size=options.shm_size,
        ulimits=options.ulimits,
        epoch=stage.epoch,
    )
    op = RunOp(
        request,
        around.worker,
        marks=tuple(mounts.marks),
        stage_mounts=tuple(mounts.staged),
        context_key=_context_key(stage, tuple(mounts.bound)) if mounts.bound else None,
        hidden_env=(*stage.lowering.arguments.proxies(), *mounts.env),
    )
    shown = expander.label(instruction.text.split(None, 1)[1].strip()) + note
    created_by = f"RUN {state.arguments_shown()}{' '.join(args)} # buildkit"
    stage.vertex(instruction, f"RUN {shown}", op, tuple(mounts.inputs), created_by, trigger)


def _command(stage: LoweredStage, instruction: i.Run) -> tuple[list[str], FileMount | None, str]:
    """(words to execute, the script they need, what to add to the name shown)."""
    command = instruction.command
    if not command.args or (not command.shell and not command.args[0]):
        raise Problem("RUN requires a command", instruction.text)
    if not command.heredocs:
        return stage.state.command(command), None, ""
    first = command.heredocs[0]
    if heredoc_marker(command.args[0]):  # the here-document is the whole command
        lines = first.content.strip().splitlines() or [""]
        note = f" ({lines[0]}{'...' if len(lines) > 1 else ''})"
        if first.text.startswith("#!"):
            path = f"{_SCRIPTS}/{first.name}"
            script = FileMount(path, first.text.encode(), 0o755)
            shell = stage.state.command(command.replace(args=(path,)))
            return shell, script, note
        return stage.state.command(command.replace(args=(first.text,))), None, note
    bodies = "".join(f"\n{h.content}{h.name}" for h in command.heredocs)
    return stage.state.command(command.replace(args=(command.args[0] + bodies,))), None, ""


def _context_key(stage: LoweredStage, paths: tuple[str, ...]) -> Callable[[], str]:
    """Digests the files of the context that are bound into the container."""

    def key() -> str:
        from kobako.build.ops.transfer import TransferSpec, digest_chosen

        spec = TransferSpec(paths, "/", keyword="RUN --mount")
        return digest_chosen(stage.around.context(), spec, stage.around.cache)

    return key
