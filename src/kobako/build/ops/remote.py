"""ADD of what was fetched: a file of a server, the files of a commit."""

from __future__ import annotations

import os

from kobako.build.files import Files
from kobako.build.ops.fetch import Fetched
from kobako.build.sources import UrlSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.ops.choosing import TransferSpec
    from kobako.build.ops.copying import Copier
    from kobako.build.ops.result import Result
    from kobako.build.worker import Tree, Worker

_MODE = 0o600  # of a file from a server, as docker has always given it


def place(
    fetched: Result,
    spec: TransferSpec,
    copier: Copier,
    tree: Tree,
    owner: tuple[int, int] | None,
    worker: Worker,
) -> None:
    """Copies what a fetched input stands for to the destination of `spec`."""
    assert isinstance(fetched, Fetched) and fetched.remote is not None
    source = fetched.remote.source
    with worker.obtained(fetched.remote) as (path, modified):
        if not isinstance(source, UrlSource):
            files = Files(path)
            try:
                copier.place(files, files.top, "", spec.destination)
            finally:
                files.close()
            return
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if source.unpack and _unpacked(fd, source.name, spec, copier, tree, owner):
                return
            times = (modified * 1_000_000_000,) * 2
            copier.place_file(fd, source.name, spec.destination, _MODE, times)
        finally:
            os.close(fd)


def _unpacked(
    fd: int,
    name: str,
    spec: TransferSpec,
    copier: Copier,
    tree: Tree,
    owner: tuple[int, int] | None,
) -> bool:
    from kobako.build.ops.archive import is_archive, unpack
    from kobako.build.ops.rootpath import resolve

    if not is_archive(fd):
        return False
    directory = resolve(tree.path, spec.destination)
    copier.make_directories(directory)
    unpack(fd, tree, directory, owner, name)
    return True
