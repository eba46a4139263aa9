"""Whether what a build is to write can be written: asked before it begins, not after."""

from __future__ import annotations

import errno
import os

from kobako.errors import Denied, Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.build.outputs.spec import Output


def check_file(path: str, what: str) -> None:
    """`path` is going to be a file that appears when it is whole; `what` is who asks for it."""
    if os.path.isdir(path):
        raise Invalid(f"{what}: destination file {path} is a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        return  # a FIFO, a device: written to where it is
    above = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(above):
        raise NotFound(
            f"{what}: {path}: {os.strerror(errno.ENOENT)}", hint=f"Make the directory {above}."
        )
    _check_writable(above, path, what)


def check_directory(path: str, what: str) -> None:
    """`path` is going to be a directory with files, made with those above it where they are not."""
    place = os.path.realpath(path)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        said = "is a file" if place == os.path.realpath(path) else f"{place} is not a directory"
        raise Invalid(f"{what}: destination directory {path}: {said}")
    _check_writable(place, path, what)


def check_outputs(outputs: Sequence[Output]) -> None:
    """The destinations of outputs that are files of this machine."""
    from kobako.build.outputs.spec import ArchiveOutput, TreeOutput

    for output in outputs:
        if isinstance(output, TreeOutput):
            as_file = output.tar
            what = "--output type=tar" if output.tar else "--output type=local"
        elif isinstance(output, ArchiveOutput):
            as_file, what = not output.directory, f"--output type={output.kind}"
        else:
            continue
        if not as_file:
            check_directory(output.dest, what)
        elif output.dest != "-":
            check_file(output.dest, what)


def _check_writable(place: str, path: str, what: str) -> None:
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        raise Denied(
            f"{what}: {path}: {os.strerror(errno.EACCES)}",
            hint="Choose a destination that you may write to.",
        )
