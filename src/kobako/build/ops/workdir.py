"""WORKDIR: the directory is made where it does not exist; then, and only then, there is a layer."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.ops.result import Result, record, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kobako.build.graph import Output
    from kobako.build.worker import Worker


class WorkdirOp:
    """Makes `path` (absolute) with its parents, mode 755, owned by `user` as USER had it."""

    quick = False

    def __init__(self, path: str, user: str, worker: Worker, epoch: int) -> None:
        self.path = path
        self._user = user
        self._worker = worker
        self._epoch = epoch

    def _key(self, below: Result) -> str:
        return cache_key("workdir", self.path, self._user, self._epoch, below.chain)

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        yield self._key(inputs[0])

    def parts(self, inputs: tuple[Result, ...]) -> dict[str, Any]:
        """The parts of the key by name, for `build.why`."""
        return {"command": self.path, "user": self._user, "epoch": self._epoch}

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return restore(value, self._key(inputs[0]), inputs[0], self._worker)

    def record(self, result: Result) -> dict[str, Any]:
        return record(result)

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        from kobako.build.files import TreeFiles
        from kobako.build.ops.accounts import resolve
        from kobako.build.ops.copying import Copier
        from kobako.build.ops.rootpath import first_name
        from kobako.build.ops.rootpath import resolve as resolve_path

        within = "" if self._user else first_name(self.path)
        change = self._worker.change(inputs[0].layers, self._epoch, within=within, many=False)
        with change as tree:
            owner = None
            if self._user:
                files = TreeFiles(tree)
                try:
                    owner = resolve(self._user, files if inputs[0].layers else None)
                finally:
                    files.close()
            Copier(tree, owner=owner).make_directories(resolve_path(tree.path, self.path))
        return inputs[0].then(self._key(inputs[0]), change.layer, self._epoch)
