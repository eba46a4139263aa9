"""The steps of a build as provenance of the mode "max" lists them: BuildKit's operations, in JSON.

https://github.com/moby/buildkit/blob/master/solver/pb/ops.proto
"""

from __future__ import annotations

from kobako.build.ops.fetch import FetchOp
from kobako.build.ops.metadata import BaseOp, MetadataOp
from kobako.build.ops.run import RunOp
from kobako.build.ops.transfer import TransferOp
from kobako.build.ops.workdir import WorkdirOp
from kobako.build.sources import uri
from kobako.build.worker import BindMount, CacheMount, FileMount, SshMount, TmpfsMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.context import Context
    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.worker import Mount
    from kobako.oci import Platform

_SECRET, _SSH, _CACHE, _TMPFS = 1, 2, 3, 4  # pb.MountType


class Steps:
    """`listed` is the definition, `names` the step of each vertex that did something ("" for a
    scratch). What only changes the config is no step: what is based on it is based on what is
    below."""

    def __init__(self, vertices: list[Vertex[Result]], platform: Platform) -> None:
        self.listed: list[dict[str, Any]] = []
        self.names: dict[Vertex[Result], str] = {}
        self._contexts: dict[str, str] = {}
        where = {"Architecture": platform.architecture, "OS": platform.os}
        self._platform = where | ({"Variant": platform.variant} if platform.variant else {})
        for vertex in vertices:
            self._add(vertex)
        if vertices and self.names[vertices[-1]]:
            last = f"{self.names[vertices[-1]]}:0"
            self._step({"Op": {}}, [last])

    def _add(self, vertex: Vertex[Result]) -> None:
        if isinstance(vertex.op, MetadataOp):
            self.names[vertex] = self.names[vertex.inputs[0]]
            return
        if isinstance(vertex.op, BaseOp) and vertex.op.image is None:
            self.names[vertex] = ""  # nothing is done for it
            return
        inputs = [f"{self.names[each]}:0" for each in vertex.inputs if self.names[each]]
        op = vertex.op
        if isinstance(op, RunOp | TransferOp):
            inputs += [f"{self._context(each)}:0" for each in op.contexts()]
        inputs = list(dict.fromkeys(inputs))
        based = bool(self.names[vertex.inputs[0]]) if vertex.inputs else False
        self.names[vertex] = self._step(_op(vertex, len(inputs), based), inputs, self._platform)

    def _context(self, context: Context) -> str:
        """The step that stands for the files of a context; one for all who take from it."""
        name = context.name
        if name not in self._contexts:
            op = {"source": {"identifier": f"local://{name}"}}
            self._contexts[name] = self._step({"Op": op, "constraints": {}}, [])
        return self._contexts[name]

    def _step(
        self, op: dict[str, Any], inputs: list[str], platform: dict[str, str] | None = None
    ) -> str:
        name = f"step{len(self.listed)}"
        kinds = op["Op"]
        if platform and ("exec" in kinds or "source" in kinds):
            op = {**op, "platform": platform}
        step: dict[str, Any] = {"id": name, "op": op}
        if inputs:
            step["inputs"] = inputs
        self.listed.append(step)
        return name


def _op(vertex: Vertex[Result], inputs: int, based: bool) -> dict[str, Any]:
    """`inputs` is how many there are, `based` whether the first one is the tree to work on."""
    op = vertex.op
    if isinstance(op, RunOp):
        found = _exec(op)
    elif isinstance(op, TransferOp):
        found = {"file": {"actions": _file(op, inputs, based)}}
    elif isinstance(op, WorkdirOp):
        made = {"path": op.path, "mode": 0o755, "makeParents": True, "timestamp": -1}
        found = {"file": {"actions": [_action({"mkdir": made}, 0 if based else -1)]}}
    elif isinstance(op, BaseOp) and op.image is not None:
        name = op.image.name
        found = {"source": {"identifier": name if "://" in name else f"docker-image://{name}"}}
    elif isinstance(op, FetchOp):
        found = {"source": {"identifier": uri(op.source)}}
    else:
        found = {"file": {"actions": [{"description": vertex.name}]}}
    return {"Op": found, "constraints": {}}


def _exec(op: RunOp) -> dict[str, Any]:
    request = op.request
    meta: dict[str, Any] = {
        "args": list(request.args),
        "env": list(request.env),
        "cwd": request.cwd,
    }
    if request.user:
        meta["user"] = request.user
    mounts = [{"dest": "/"}, *map(_mount, op.mounts)]
    found: dict[str, Any] = {"meta": meta, "mounts": mounts}
    if request.network in ("host", "none"):
        found["network"] = {"host": 1, "none": 2}[request.network]
    if request.security == "insecure":
        found["security"] = 1
    return {"exec": found}


def _mount(mount: Mount) -> dict[str, Any]:
    found: dict[str, Any] = {"dest": mount.target}
    if isinstance(mount, CacheMount):
        sharing = {"private": 1, "locked": 2}.get(mount.sharing)
        option = {"ID": f"/{mount.id}", **({"sharing": sharing} if sharing else {})}
        return found | {"mountType": _CACHE, "input": -1, "output": -1, "cacheOpt": option}
    if isinstance(mount, TmpfsMount):
        option = {"tmpfsOpt": {"size": mount.size}} if mount.size else {}
        return found | {"mountType": _TMPFS, "input": -1, "output": -1, **option}
    if isinstance(mount, FileMount) and mount.target.startswith("/dev/pipes/"):
        return found | {"input": -1, "output": -1, "readonly": True}  # a here-document
    if isinstance(mount, FileMount):
        return found | {"mountType": _SECRET, "input": -1, "output": -1}
    if isinstance(mount, SshMount):
        option = {"ID": mount.id}
        return found | {"mountType": _SSH, "input": -1, "output": -1, "SSHOpt": option}
    if isinstance(mount, BindMount):
        found |= {"selector": mount.path, "output": -1}
        if mount.readonly:
            found["readonly"] = True
    return found


def _file(op: TransferOp, inputs: int, based: bool) -> list[dict[str, Any]]:
    """Each action works on what the one before it made, which is an input beyond the real ones."""
    spec = op.spec
    kinds: list[tuple[dict[str, Any], int]] = []
    shared = _owner(spec.chown) | _mode(spec.chmod)
    for source in spec.sources:
        copy: dict[str, Any] = {
            "src": source if source.startswith("/") else f"/{source}",
            "dest": spec.destination,
            "mode": -1,
            "followSymlink": True,
            "dirCopyContents": True,
            "createDestPath": True,
            "allowWildcard": True,
            "allowEmptyWildcard": True,
            "timestamp": -1,
            **shared,
        }
        if spec.unpack:
            copy["attemptUnpackDockerCompatibility"] = True
        if spec.exclude:
            copy["excludePatterns"] = list(spec.exclude)
        kinds.append(({"copy": copy}, inputs - 1))
    for name, data in spec.contents:
        path = f"{spec.destination}{name}" if spec.destination.endswith("/") else spec.destination
        made = {"path": path, "mode": 0o644, "data": base64(data), "timestamp": -1, **shared}
        kinds.append(({"mkfile": made}, -1))
    actions = []
    for at, (kind, secondary) in enumerate(kinds):
        below = inputs + at - 1 if at else (0 if based else -1)
        output = 0 if at == len(kinds) - 1 else -1
        actions.append(_action(kind, below, secondary, output))
    return actions


def _action(
    kind: dict[str, Any], below: int, secondary: int = -1, output: int = 0
) -> dict[str, Any]:
    return {"Action": kind, "input": below, "secondaryInput": secondary, "output": output}


def _owner(chown: str) -> dict[str, Any]:
    if not chown:
        return {}
    user, _, group = chown.partition(":")
    found = {"user": {"User": _who(user)}}
    if group:
        found["group"] = {"User": _who(group)}
    return {"owner": found}


def _who(text: str) -> dict[str, Any]:
    return {"byID": int(text)} if text.isascii() and text.isdigit() else {"byName": {"name": text}}


def _mode(chmod: str) -> dict[str, Any]:
    if not chmod:
        return {}
    octal = not chmod.strip("01234567")
    return {"mode": int(chmod, 8)} if octal else {"modeStr": chmod}


def base64(data: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode("ascii")
