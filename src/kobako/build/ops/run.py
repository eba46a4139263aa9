"""RUN: a command on a writable tree, its change a layer."""

from __future__ import annotations

import os
import stat

from kobako.build.cache import cache_key
from kobako.build.files import DIRECTORY
from kobako.build.ops.result import Result, record, restore
from kobako.build.worker import BindMount, CacheMount
from kobako.errors import KobakoError, NotFound, StartFailed, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.files import Files
    from kobako.build.graph import Output
    from kobako.build.ops.choosing import TransferSpec
    from kobako.build.why.listing import Listing
    from kobako.build.worker import Mount, RunRequest, Worker

    Asked = tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]


class Failed(KobakoError):
    """The command ended with another exit code than 0. `kept`: see `RunResult`."""

    def __init__(
        self, command: str, status: int, request: RunRequest | None = None, kept: str = ""
    ) -> None:
        super().__init__(f'process "{command}" did not complete successfully: exit code: {status}')
        self.command = command
        self.status = status
        self.request = request
        self.kept = kept


class StageMount(Record):
    """A mount whose files come from another vertex: `input` is its place among the inputs."""

    mount: BindMount | CacheMount
    input: int


class ContextMount(Record):
    """A mount whose files are a context's, seen as the build sees them."""

    mount: BindMount
    context: Callable[[], Context]


class RunOp:
    """`request` lacks only its layers and the mounts given apart.

    `marks` is what of the mounts belongs in the key: a secret's id, not its bytes. Files bound from
    a context or a stage are in it by their content. `hidden_env` (proxies) is seen by the command
    and is not in the key. `foreign` is the stage's platform where it is not this machine's.
    `arguments` are the variables that are there by ARG. `asked` are the ids of secrets and those of
    ssh agents, each with whether it may be missing.
    """

    quick = False

    def __init__(
        self,
        request: RunRequest,
        worker: Worker,
        *,
        marks: tuple[str, ...] = (),
        stage_mounts: tuple[StageMount, ...] = (),
        context_mounts: tuple[ContextMount, ...] = (),
        hidden_env: tuple[str, ...] = (),
        foreign: str = "",
        arguments: tuple[str, ...] = (),
        asked: Asked = ((), ()),
        cache: Cache,
    ) -> None:
        self._request = request
        self._worker = worker
        self._marks = marks
        self._stage_mounts = stage_mounts
        self._context_mounts = context_mounts
        self._cache = cache
        self._digests: dict[tuple[str, ...], str] = {}
        self._known_key: tuple[list[object], str] = ([], "")
        self._hidden_env = hidden_env
        self._foreign = foreign
        self._arguments = arguments
        self.asked = asked

    def _key(self, inputs: tuple[Result, ...]) -> str:
        """The key by the layers everything comes from."""
        chains: list[object] = [result.chain for result in inputs]
        if self._known_key[0] != chains:
            self._known_key = (chains, self._key_of(chains))
        return self._known_key[1]

    def _key_of(self, content: list[object]) -> str:
        r = self._request
        hosts = [host.partition(":")[0].partition("=")[0] for host in r.extra_hosts]
        return cache_key(
            "run", r.args, r.env, r.user, r.cwd, r.network, r.security, r.hostname,
            hosts, r.shm_size, r.ulimits, str(r.epoch), self._marks,
            [self._digest(bound.context(), bound.mount.path) for bound in self._context_mounts],
            content, *([self._foreign] if self._foreign else ()),
        )  # fmt: skip

    def parts(self, inputs: tuple[Result, ...]) -> dict[str, Any]:
        """The parts of the key by name, for `build.why`."""
        from kobako.build.ops.chosen_digest import place_of

        r = self._request
        environment = dict(item.partition("=")[::2] for item in r.env)
        return {
            "command": r.args, "environment": environment, "arguments": self._arguments,
            "user": r.user, "directory": r.cwd, "network": r.network, "security": r.security,
            "hostname": r.hostname, "hosts": r.extra_hosts, "shm-size": r.shm_size,
            "ulimits": r.ulimits, "epoch": r.epoch, "mounts": self._marks,
            "platform": self._foreign,
            "files": {
                place_of(bound.context(), _bound(bound.mount.path)):
                self._digest(bound.context(), bound.mount.path)
                for bound in self._context_mounts
            },
        }  # fmt: skip

    def listings(self, place: str) -> tuple[Listing, Listing] | None:
        """The files of a context as they were in the last build that looked, and as they are."""
        pairs = (bound.context().listing_pair(place) for bound in self._context_mounts)
        return next((pair for pair in pairs if pair is not None), None)

    def contexts(self) -> tuple[Context, ...]:
        """The contexts whose files are bound."""
        return tuple(bound.context() for bound in self._context_mounts)

    def follow(self, op: RunOp) -> None:
        """`op` is what comes next in the tree this one leaves."""
        own, other = self._request, op.request
        if not op.mounts and own.network == other.network and own.security == other.security:
            self._request = own.replace(followed=True)

    def look(self) -> None:
        """Has what is bound from a context read before `keys` asks for it."""
        for bound in self._context_mounts:
            self._digest(bound.context(), bound.mount.path)

    @property
    def request(self) -> RunRequest:
        """What is run, but for its layers and for what is not to be told of."""
        return self._request

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the command finds mounted; whatever of it has files to come has none yet."""
        staged = (each.mount for each in self._stage_mounts)
        bound = (each.mount for each in self._context_mounts)
        return (*staged, *bound, *self._request.mounts)

    @property
    def container(self) -> str:
        """The id of the container it will run in."""
        return self._request.id

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        """By the layers of the inputs; then, where stages are bound, by the files that are seen."""
        yield self._key(inputs)
        staged = [one for one in self._stage_mounts if isinstance(one.mount, BindMount)]
        if staged and len(staged) == len(self._stage_mounts):
            seen = [self._seen(inputs[one.input], one.mount.path) for one in staged]
            yield self._key_of(["files", inputs[0].chain, seen])

    def _seen(self, source: Result, path: str) -> str:
        memo = (path, *source.chain)
        if memo not in self._digests:
            from kobako.build.files import TreeFiles

            with self._worker.mounted(source.layers) as tree:
                files = TreeFiles(tree)
                try:
                    self._digest(files, path, memo)
                finally:
                    files.close()
        return self._digests[memo]

    def _digest(self, files: Files, path: str, memo: tuple[str, ...] = ()) -> str:
        memo = memo or ("", path, files.root)
        found = self._digests.get(memo)
        if found is None:
            from kobako.build.ops.chosen_digest import digest_chosen

            found = self._digests[memo] = digest_chosen(files, _bound(path), self._cache)
        return found

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return restore(value, self._key(inputs), inputs[0], self._worker)

    def record(self, result: Result) -> dict[str, Any]:
        return record(result)

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        request = self._request.replace(
            layers=inputs[0].layers,
            env=(*self._request.env, *self._hidden_env),
            mounts=(
                *self._request.mounts,
                *(m.mount.replace(layers=inputs[m.input].layers) for m in self._stage_mounts),
                *(_of_context(m) for m in self._context_mounts),
            ),
        )
        try:
            done = self._worker.run(request, output)
        except StartFailed as fault:
            if self._foreign and "exec format error" in fault.message:
                raise _no_emulator(self._foreign, fault) from fault
            raise
        if done.exit_code:
            raise Failed(" ".join(request.args), done.exit_code, request, done.kept)
        return inputs[0].then(self._key(inputs), done.layer, self._request.epoch)


def _bound(path: str) -> TransferSpec:
    """The files a bind mount shows, as a COPY would choose them."""
    from kobako.build.ops.choosing import TransferSpec

    return TransferSpec((path,), "/", keyword="RUN --mount", literal=True)


def _no_emulator(platform: str, fault: StartFailed) -> Unsupported:
    architecture = platform.split("/")[1]
    return Unsupported(
        f"RUN for {platform}: {fault.message}: this machine runs no programs of {architecture}",
        hint="Let root register an emulator with the kernel: install qemu-user-static and "
        "binfmt-support (binfmt_misc, with the F flag). Stages that only COPY need none; "
        "FROM --platform=$BUILDPLATFORM runs a stage on this machine.",
    )


def _of_context(bound: ContextMount) -> Mount:
    """The mount of a context's directory, without what the build is not to see of it."""
    context = bound.context()
    entry = context.lookup(bound.mount.path)
    if entry is None:  # it was there when the key was made
        raise NotFound(f'"{bound.mount.path}" is gone from the build context')
    if entry.kind != DIRECTORY:
        parent = os.path.dirname(os.path.join(context.root, entry.path))
        return bound.mount.replace(directory=parent, path="/" + entry.name)
    base = os.path.join(context.root, entry.path) if entry.path else context.root
    mode = entry.mode if entry.mode != stat.S_IMODE(entry.stat.st_mode) else None
    hidden = tuple(context.hidden_below(entry))
    return bound.mount.replace(directory=base, path="/", hidden=hidden, mode=mode)
