"""What a remote source of ADD is now: asked in every build, so that a change is seen."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.ops.result import Result
from kobako.build.sources import Remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kobako.build.graph import Output
    from kobako.build.sources import GitSource, UrlSource
    from kobako.build.worker import Worker


class Fetched(Result):
    """No files of its own: what is to be fetched by who copies it."""

    remote: Remote | None = None


class FetchOp:
    """Asks a server for the digest of a file or the commit of a reference."""

    quick = False

    def __init__(self, source: UrlSource | GitSource, worker: Worker) -> None:
        self.source = source
        self._worker = worker

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        return iter(())

    def record(self, result: Result) -> dict[str, Any]:
        assert isinstance(result, Fetched) and result.remote is not None
        return {"digest": result.remote.digest, "modified": result.remote.modified}

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return _fetched(Remote(self.source, value["digest"], value["modified"]))

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        return _fetched(self._worker.look_up(self.source))


def _fetched(remote: Remote) -> Fetched:
    return Fetched((), cache_key("remote", remote.digest, remote.modified), remote=remote)
