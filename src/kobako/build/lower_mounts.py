"""`RUN --mount` → the mounts of a vertex: where files come from, what is in the key."""

from __future__ import annotations

import posixpath

from kobako.build.dockerfile.mounts import parse_mount
from kobako.build.dockerfile.source import Problem
from kobako.build.ops.run import ContextMount, StageMount
from kobako.build.worker import BindMount, CacheMount, FileMount, SshMount, TmpfsMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.dockerfile import instructions as i
    from kobako.build.dockerfile.mounts import MountFlag
    from kobako.build.graph import Vertex
    from kobako.build.lower_stage import LoweredStage
    from kobako.build.ops.result import Result
    from kobako.build.worker import Mount


class RunMounts:
    """The mounts of one RUN, sorted by where their files come from.

    `plain` are complete; `staged` take files from `inputs`, `bound` from a context. `env` is what
    secrets add to the environment, `marks` what of the flags belongs in the cache key. `secrets`
    and `agents` are the ids asked for, with whether they may be missing.
    """

    def __init__(self, stage: LoweredStage, instruction: i.Run) -> None:
        self.stage = stage
        self.instruction = instruction
        self.plain: list[Mount] = []
        self.staged: list[StageMount] = []
        self.bound: list[ContextMount] = []
        self.inputs: list[Vertex[Result]] = []
        self.env: list[str] = []
        self.masked: list[str] = []
        self.marks: list[str] = []
        self.secrets: list[tuple[str, bool]] = []
        self.agents: list[tuple[str, bool]] = []
        self._agents = 0

    def add(self, text: str, expand: Callable[[str], str]) -> None:
        flag = parse_mount(text, expand)
        self.marks.append(_mark(flag))
        if flag.type == "secret":
            self._secret(flag, text)
        elif flag.type == "ssh":
            self._ssh(flag, text)
        else:
            target = self._absolute(flag.target)
            if target == "/":
                raise Problem(f'invalid mount target "{flag.target or target}"', text)
            if flag.type == "tmpfs":
                self.plain.append(TmpfsMount(target, flag.size, flag.readonly))
            elif flag.type == "cache":
                self._cache(flag, target)
            else:
                source = posixpath.normpath("/" + flag.source)
                mount = BindMount(target, path=source, readonly=flag.readonly)
                self._from(mount, flag.from_)

    def _absolute(self, target: str) -> str:
        path = posixpath.normpath(posixpath.join("/", self.stage.state.cwd, target))
        return "/" + path.lstrip("/")

    def _secret(self, flag: MountFlag, text: str) -> None:
        name = flag.id or flag.source or posixpath.basename(flag.target)
        self.secrets.append((name, not flag.required))
        data = dict(self.stage.around.options.secrets).get(name)
        if flag.env is not None:
            self.masked.append(flag.env or name)
        if data is None:
            if flag.required:
                raise Problem(f"secret {name}: not found", text)
            return
        if flag.env is not None:
            self.env.append(f"{flag.env or name}={data.decode('utf-8', 'surrogateescape')}")
            if not flag.target:
                return
        target = self._absolute(flag.target or f"/run/secrets/{posixpath.basename(name)}")
        mode = 0o400 if flag.mode is None else flag.mode
        self.plain.append(FileMount(target, data, mode, flag.uid or 0, flag.gid or 0))

    def _ssh(self, flag: MountFlag, text: str) -> None:
        if flag.source:
            raise Problem("ssh does not support source", text)
        name = flag.id or "default"
        self.agents.append((name, not flag.required))
        target = self._absolute(flag.target or f"/run/buildkit/ssh_agent.{self._agents}")
        self._agents += 1
        if self._agents == 1 and "SSH_AUTH_SOCK" not in self.stage.state.variables:
            self.env.append(f"SSH_AUTH_SOCK={target}")
        sources = dict(self.stage.around.options.ssh).get(name)
        if sources is None:
            if flag.required:
                raise Problem(f'no SSH key "{name}" forwarded: build with --ssh {name}', text)
            return
        mode = 0o600 if flag.mode is None else flag.mode
        self.plain.append(SshMount(target, name, sources, mode, flag.uid or 0, flag.gid or 0))

    def _cache(self, flag: MountFlag, target: str) -> None:
        source = posixpath.normpath("/" + flag.source)
        space = dict(self.stage.around.options.build_args).get("BUILDKIT_CACHE_MOUNT_NS", "")
        name = flag.id or posixpath.normpath(flag.target)
        mount = CacheMount(
            target, f"{space}/{name}" if space else name, flag.sharing or "shared", flag.readonly,
            path=source,
        )  # fmt: skip
        if source == "/" and (flag.mode, flag.uid, flag.gid) != (None, None, None):
            # As BuildKit: the cache begins as an empty directory of that owner and mode.
            self.plain.append(mount.replace(mode=flag.mode, uid=flag.uid, gid=flag.gid))
            return
        self._from(mount, flag.from_ or "scratch")

    def _from(self, mount: BindMount | CacheMount, name: str) -> None:
        """Files of a stage, an image or a named context; without a name, of the main context."""
        stage = self.stage
        if name.lower() == "scratch" and isinstance(mount, CacheMount):
            self.plain.append(mount)
            return
        around = stage.around
        source: Vertex[Result] | Callable[[], Context] = around.context
        if name:
            where = self.instruction.where
            source = stage.lowering.source_of(name, stage.stage, where, numbered=False)
        if callable(source):
            stage.lowering.names(source(), mount.path)
            if isinstance(mount, CacheMount) or not source().owned_by_root(mount.path):
                source = stage.lowering.copied_context(source, name, mount.path, stage.epoch)
            else:
                self.bound.append(ContextMount(mount, source))
                return
        self.inputs.append(source)
        self.staged.append(StageMount(mount, len(self.inputs)))


def _mark(flag: MountFlag) -> str:
    """What of a flag belongs in the key: neither the name of a stage, whose content does, nor how
    and under which name a cache is kept."""
    kept = flag.replace(from_="")
    if flag.type == "cache":
        kept = kept.replace(id="", sharing="")
    return repr(kept)
