"""What a build may take files from beside a directory: archives, URLs, repositories, images.

A context that is fetched lies in a temporary directory, which the build removes; of one whose
process was killed the next collection does.
"""

from __future__ import annotations

import os

from kobako.engine.build import fetching
from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.build.context import Context
    from kobako.build.named import NamedContext
    from kobako.build.sources import GitSource, Remote, UrlSource
    from kobako.build.worker import BaseImage
    from kobako.engine.build.access import Access
    from kobako.engine.engine import Engine
    from kobako.oci import Platform

_CHUNK = 1 << 20
_HEAD = 512
_LAYOUT = "oci-layout://"
_IMAGE = "docker-image://"
_TARGET = "target:"


class FetchedContext(Record):
    """A context in a temporary directory: `directory` has its files, `place` is what to remove and
    `lock` what holds it. `owners` are the files, by relative path, that are not root's. `remote`
    is where it came from, None for an archive that was given. `made` is when, in seconds, as its
    commit or server tells it; `archived`: the files of an archive tell it. `alone`: it was one
    file, which is called Dockerfile here."""

    directory: str
    place: str
    lock: int
    owners: dict[str, tuple[int, int]]
    remote: Remote | None = None
    made: int | None = None
    archived: bool = False
    alone: bool = False

    def time(self) -> int | None:
        """When the context was made: what nobody told is the time of the newest file."""
        if self.made is not None or not self.archived:
            return self.made
        paths = (
            os.path.join(base, name) for base, _, names in os.walk(self.directory) for name in names
        )
        return max((int(os.lstat(path).st_mtime) for path in paths), default=None)

    def discard(self) -> None:
        fetching.discard(self.place, self.lock)


def remote_source(text: str) -> UrlSource | GitSource | None:
    """The URL or repository a context names, None for what is on this machine."""
    if "://" not in text and "@" not in text and not text.startswith("github.com/"):
        return None
    if os.path.isdir(text):
        return None
    from kobako.build.dockerfile.source import Problem
    from kobako.build.sources import git_source, url_source

    try:
        return git_source(text, context=True) or url_source(text)
    except Problem as problem:
        raise Invalid(f"{text}: {problem.message}") from None


def fetch(
    engine: Engine, source: UrlSource | GitSource, access: Access | None, *, keep_git: bool = False
) -> FetchedContext:
    """The files of a URL's archive or of a commit. What is no archive is a Dockerfile alone."""
    from kobako.build.sources import GitSource

    if isinstance(source, GitSource) and keep_git:
        source = source.replace(keep_git_dir=True)
    remote = fetching.look_up(engine, source, access)
    place, lock = fetching.temporary(engine)
    try:
        return _filled(engine, remote, access, place, lock).replace(remote=remote)
    except BaseException:
        fetching.discard(place, lock)
        raise


def _filled(
    engine: Engine, remote: Remote, access: Access | None, place: str, lock: int
) -> FetchedContext:
    from kobako.build.sources import GitSource

    directory = os.path.join(place, "context")
    with fetching.Obtained(engine, remote, access) as (path, made):
        if isinstance(remote.source, GitSource):
            os.rename(path, directory)
            return FetchedContext(directory, place, lock, {}, made=made)
        with open(path, "rb") as file:
            found = _unpacked(file, remote.source.url, directory, place, lock)
        return found.replace(made=remote.modified)


def archive(engine: Engine, stream: BinaryIO, head: bytes, name: str) -> FetchedContext:
    """The files of an archive that is read from a stream, after its first bytes, `head`."""
    place, lock = fetching.temporary(engine)
    try:
        path = os.path.join(place, "archive")
        with open(path, "x+b") as file:
            while head:
                file.write(head)
                head = stream.read(_CHUNK)
            file.flush()
            found = _unpacked(file, name, os.path.join(place, "context"), place, lock)
        os.unlink(path)
        return found
    except BaseException:
        fetching.discard(place, lock)
        raise


def is_archive(head: bytes) -> bool:
    """Whether a stream that begins so is an archive, compressed or not, rather than text."""
    from kobako.layer.codec import PLAIN, detect

    return detect(head[:6]) != PLAIN or (len(head) >= _HEAD and head[257:262] == b"ustar")


def _unpacked(file: BinaryIO, name: str, directory: str, place: str, lock: int) -> FetchedContext:
    from kobako.build.ops import archive

    os.mkdir(directory)
    if not archive.is_archive(file.fileno()):
        file.seek(0)
        with open(os.path.join(directory, "Dockerfile"), "wb") as single:
            while data := file.read(_CHUNK):
                single.write(data)
        return FetchedContext(directory, place, lock, {}, alone=True)
    tree = _Noted(directory)
    archive.unpack(file.fileno(), tree, directory, None, name)
    return FetchedContext(directory, place, lock, tree.owners, archived=True)


class _Noted:
    """A tree (`build.worker.Tree`) whose owners are written down rather than given."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.owners: dict[str, tuple[int, int]] = {}

    def owner(self, path: str) -> tuple[int, int]:
        return self.owners.get(path, (0, 0))

    def own(self, path: str, uid: int, gid: int) -> None:
        if (uid, gid) != (0, 0):
            self.owners[path] = uid, gid
        else:
            self.owners.pop(path, None)

    def stands_for(self, path: str) -> tuple[int, int] | None:
        return None

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        """A context has no devices."""


class NamedContextReader:
    """Reads what `--build-context NAME=TEXT` names; `close` ends it all."""

    def __init__(self, engine: Engine, access: Access | None) -> None:
        self._engine = engine
        self._access = access
        self._found: dict[str, NamedContext] = {}
        self._fetched: list[FetchedContext] = []
        self._open: list[Context] = []

    def read(self, name: str, text: str) -> NamedContext:
        """A directory, an image, a layout, a URL, a repository or the target of another build."""
        found = self._found.get(text)
        if found is None:
            found = self._found[text] = self._read(name, text)
        return found

    def close(self) -> None:
        for context in self._open:
            context.close()
        for fetched in self._fetched:
            fetched.discard()

    def _read(self, name: str, text: str) -> NamedContext:
        from kobako.build.context import Context
        from kobako.build.named import NamedContext

        if text.startswith(_IMAGE):
            return NamedContext(image=text.removeprefix(_IMAGE))
        if text.startswith(_TARGET):
            return NamedContext(job=text.removeprefix(_TARGET))
        if text.startswith(_LAYOUT):
            return NamedContext(base=_layout(self._engine, text.removeprefix(_LAYOUT)))
        source = remote_source(text)
        if source is not None:
            fetched = fetch(self._engine, source, self._access)
            self._fetched.append(fetched)
            opened = Context.open_fetched(
                fetched.directory, fetched.owners, "remote build context", fetched.time
            )
            opened.remote = fetched.remote
        elif os.path.isdir(text):
            opened = Context.open_directory(text)
        else:
            raise NotFound(
                f"failed to get build context {name}: {text}: no such directory",
                hint="A context is a directory, docker-image://NAME, oci-layout://DIRECTORY, a URL"
                " or a git repository.",
            )
        opened.name = name
        self._open.append(opened)
        return NamedContext(opened)


def _layout(engine: Engine, text: str) -> Callable[[Platform], BaseImage]:
    """The image of an OCI layout: `directory[:tag][@digest]`."""
    from kobako.build.worker import BaseImage, LayerRef
    from kobako.image.archive.load import load_layout

    path, _, digest = text.partition("@")
    directory, _, tag = path.rpartition(":") if ":" in os.path.basename(path) else (path, "", "")
    wanted = digest or _of_index(directory, tag or "latest", text)

    def base(platform: Platform) -> BaseImage:
        for loaded in load_layout(engine.store.blobs, directory):
            for image in loaded.images:
                named = wanted in (str(loaded.target.digest), str(image.manifest.digest))
                if named and image.config.platform.matches(platform):
                    layers = tuple(LayerRef(diff_id, layer) for diff_id, layer in image.layers)
                    return BaseImage(f"{_LAYOUT}{text}", image.config, layers)
        raise NotFound(f"{_LAYOUT}{text}: no image for {platform} in that layout")

    return base


def _of_index(directory: str, tag: str, text: str) -> str:
    """The digest a layout has under a tag; of the only image when nothing is tagged so."""
    from kobako.fastjson import loads

    try:
        with open(os.path.join(directory, "index.json"), "rb") as file:
            entries = loads(file.read())["manifests"]
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound(f"{_LAYOUT}{text}: {directory} is no OCI layout") from None
    for entry in entries:
        if (entry.get("annotations") or {}).get("org.opencontainers.image.ref.name") == tag:
            return str(entry["digest"])
    if len(entries) == 1:
        return str(entries[0]["digest"])
    raise NotFound(f"{_LAYOUT}{text}: no image is tagged {tag} in that layout")
