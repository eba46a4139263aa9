"""Remote sources: what they are now, and their files on this machine."""

from __future__ import annotations

import os

from kobako.build.sources import UrlSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.sources import GitSource, Remote
    from kobako.engine.build.access import Access
    from kobako.engine.build.fetch_git import Git
    from kobako.engine.engine import Engine


def look_up(engine: Engine, source: UrlSource | GitSource, access: Access | None) -> Remote:
    """What a source is at the moment; see `fetch_url` and `fetch_git`."""
    if isinstance(source, UrlSource):
        from kobako.engine.build import fetch_url

        return fetch_url.look_up(engine, source, _secrets(access))
    return _git(engine, access).look_up(source)


def _git(engine: Engine, access: Access | None) -> Git:
    from kobako.engine.build.fetch_git import Git

    return Git(engine, _secrets(access), access.ssh if access is not None else ())


def _secrets(access: Access | None) -> dict[str, bytes]:
    return dict(access.secrets) if access is not None else {}


class Obtained:
    """The file or directory of a remote source while the block lasts: (path, time in seconds)."""

    def __init__(self, engine: Engine, remote: Remote, access: Access | None) -> None:
        self._engine = engine
        self._remote = remote
        self._access = access
        self._directory = ""
        self._lock = -1

    def __enter__(self) -> tuple[str, int]:
        if isinstance(self._remote.source, UrlSource):
            from kobako.engine.build import fetch_url

            return fetch_url.obtain(self._engine, self._remote, _secrets(self._access))
        self._directory, self._lock = temporary(self._engine)
        try:
            path = os.path.join(self._directory, "tree")
            made = _git(self._engine, self._access).check_out(self._remote, path)
        except BaseException:
            self.__exit__()
            raise
        return path, made

    def __exit__(self, *fault: object) -> None:
        if self._lock >= 0:
            discard(self._directory, self._lock)
            self._lock = -1


def temporary(engine: Engine) -> tuple[str, int]:
    """A directory of ours and the descriptor that holds its lock; a dead process's is collected."""
    from kobako.engine.names import random_id
    from kobako.engine.scratch import place
    from kobako.linux import claim

    path = os.path.join(place(engine.store.root), random_id())
    return path, claim.make(path)


def discard(directory: str, lock: int) -> None:
    """Removes a temporary directory."""
    from kobako.snapshot.driver import remove_tree

    try:
        remove_tree(directory)
    finally:
        os.close(lock)
