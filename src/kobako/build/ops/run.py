"""RUN: a command on a writable tree, its change a layer."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.ops.result import Result, record, restore
from kobako.build.worker import BindMount, CacheMount
from kobako.errors import KobakoError
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kobako.build.graph import Output
    from kobako.build.worker import Mount, RunRequest, Worker


class Failed(KobakoError):
    """The command ended with another exit code than 0."""

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f'process "{command}" did not complete successfully: exit code: {status}')
        self.command = command
        self.status = status


class StageMount(Record):
    """A mount whose files come from another vertex: `input` is its place among the inputs."""

    mount: BindMount | CacheMount
    input: int


class RunOp:
    """`request` lacks only its layers.

    `marks` is what of the mounts belongs in the key: a secret's id, not its bytes. `context_key`
    digests the files bound from the context. `hidden_env` (proxies) is seen by the command and is
    not in the key.
    """

    quick = False

    def __init__(
        self,
        request: RunRequest,
        worker: Worker,
        *,
        marks: tuple[str, ...] = (),
        stage_mounts: tuple[StageMount, ...] = (),
        context_key: Callable[[], str] | None = None,
        hidden_env: tuple[str, ...] = (),
    ) -> None:
        self._request = request
        self._worker = worker
        self._marks = marks
        self._stage_mounts = stage_mounts
        self._context_key = context_key
        self._hidden_env = hidden_env

    def _key(self, inputs: tuple[Result, ...]) -> str:
        r = self._request
        return cache_key(
            "run", r.args, r.env, r.user, r.cwd, r.network, r.security, r.hostname,
            r.extra_hosts, r.shm_size, r.ulimits, str(r.epoch), self._marks,
            self._context_key() if self._context_key else "",
            [result.chain for result in inputs],
        )  # fmt: skip

    @property
    def container(self) -> str:
        """The id of the container it will run in."""
        return self._request.id

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        yield self._key(inputs)

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return restore(value, self._key(inputs), inputs[0], self._worker)

    def record(self, result: Result) -> dict[str, Any]:
        return record(result)

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        request = self._request.replace(
            layers=inputs[0].layers,
            env=(*self._request.env, *self._hidden_env),
            mounts=(*self._request.mounts, *(_filled(m, inputs) for m in self._stage_mounts)),
        )
        done = self._worker.run(request, output)
        if done.exit_code:
            raise Failed(" ".join(request.args), done.exit_code)
        return inputs[0].then(self._key(inputs), done.layer, self._request.epoch)


def _filled(wanted: StageMount, inputs: tuple[Result, ...]) -> Mount:
    return wanted.mount.replace(layers=inputs[wanted.input].layers)
