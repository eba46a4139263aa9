"""The main context of a build and its Dockerfile, wherever they come from."""

from __future__ import annotations

import os
import stat
import sys

from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.cli.context import Context
    from kobako.engine.build.contexts import FetchedContext

_HEAD = 512
_LONGEST = 64 << 20
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Given(Record):
    """`directory` is "" for none. `name` is what errors call the Dockerfile, `text` its content,
    `path` where it lies, "" when it was read from a stream. `fetched` is what the directory
    belongs to when it is temporary."""

    directory: str
    text: str
    name: str
    path: str = ""
    fetched: FetchedContext | None = None


def read(
    context: Context,
    path: str,
    file: str,
    secrets: tuple[tuple[str, bytes], ...] = (),
    ssh: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> Given:
    """The context `path` (a directory, `-`, an archive, a URL, a repository) with the Dockerfile
    `file` ("" for the usual one; `-` for standard input). `secrets` and `ssh` are for servers."""
    if path == "-":
        return _standard_input(context, file)
    if os.path.isdir(path):
        return _directory(path, file)
    if os.path.isfile(path):
        from kobako.engine.build import contexts as build_contexts

        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
            if build_contexts.is_archive(head):
                return _fetched(build_contexts.archive(context.engine, stream, head, path), file)
        raise NotFound(f"unable to prepare context: context must be a directory: {path}")
    from kobako.engine.build import contexts as build_contexts

    source = build_contexts.remote_source(path)
    if source is None:
        raise NotFound(f'unable to prepare context: path "{path}" not found')
    from kobako.engine.build.access import Access

    fetched = build_contexts.fetch(context.engine, source, Access.of(secrets, ssh))
    return _fetched(fetched, file)


def _standard_input(context: Context, file: str) -> Given:
    if sys.stdin.isatty():
        raise Invalid("`kobako build -` reads from a pipe, not from a terminal")
    stream = sys.stdin.buffer
    head = b""
    while len(head) < _HEAD and (data := stream.read(_HEAD - len(head))):
        head += data
    from kobako.engine.build import contexts as build_contexts

    if build_contexts.is_archive(head):
        if file == "-":
            raise Invalid("invalid argument: can't use stdin for both build context and dockerfile")
        return _fetched(build_contexts.archive(context.engine, stream, head, "the context"), file)
    if file == "-" or not file:
        return Given("", _text(head + _bounded(stream), "Dockerfile"), "Dockerfile")
    raise Invalid(
        "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
        hint="With a context of - the Dockerfile is read from it.",
    )


def _directory(path: str, file: str) -> Given:
    if file == "-":
        return Given(path, _text(_bounded(sys.stdin.buffer), "Dockerfile"), "Dockerfile")
    if file.startswith(("http://", "https://")):
        raise Invalid(f"--file {file}: a Dockerfile is read from this machine: download it")
    full = file or os.path.join(path, "Dockerfile")
    if not file and not os.path.exists(full) and os.path.exists(full.lower()):
        full = os.path.join(path, "dockerfile")
    return Given(path, _read(full), file or os.path.basename(full), full)


def _fetched(fetched: FetchedContext, file: str) -> Given:
    """The Dockerfile lies in the context; its links lead nowhere else."""
    from kobako.build.ops.rootpath import resolve

    try:
        if file == "-":
            text = _text(_bounded(sys.stdin.buffer), "Dockerfile")
        else:
            name = file or "Dockerfile"
            text = _read(resolve(fetched.directory, name), f"{name} in the context")
    except BaseException:
        fetched.discard()
        raise
    name = "Dockerfile" if file in ("", "-") else file
    return Given(fetched.directory, text, name, "", fetched)


def _read(full: str, shown: str = "") -> str:
    try:
        fd = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as stream:
            kind = os.fstat(fd).st_mode
            # Descriptors of ours are read, as of `-f <(...)`; a named FIFO may never have a writer.
            if stat.S_ISFIFO(kind) and os.path.realpath(full).startswith("/proc/"):
                os.set_blocking(fd, True)
            elif not stat.S_ISREG(kind):
                raise Invalid(
                    f"failed to read dockerfile: {shown or full} is {_KINDS.get(stat.S_IFMT(kind))}"
                    " and no file",
                    hint="Pipe the text into `kobako build -f -`.",
                )
            return _text(_bounded(stream), shown or full)
    except FileNotFoundError:
        raise NotFound(
            f"failed to read dockerfile: lstat {shown or os.path.abspath(full)}:"
            " no such file or directory",
            hint="Give its name with --file.",
        ) from None
    except OSError as fault:
        raise Invalid(
            f"failed to read dockerfile: open {shown or full}: {fault.strerror}"
        ) from None


def _bounded(stream: BinaryIO) -> bytes:
    data = stream.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise Invalid(f"failed to read dockerfile: it is longer than {_LONGEST >> 20} MiB")
    return data


def _text(data: bytes, name: str) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()  # the codec of that mark costs 0.1 ms
    except UnicodeDecodeError as fault:
        raise Invalid(f"{name} is not UTF-8 text: {fault.reason} at byte {fault.start}") from None
