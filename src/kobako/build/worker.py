"""The door through which a build touches images, trees and containers: the engine stands behind it.

`build` decides *what* happens; a `Worker` makes it happen. Everything handed over is an immutable
value or a directory to work in, so a test can stand in with plain directories.

When several vertices are ready at once, the solver has the worker's `crew` carry them out: the
other doors are then called in processes of their own, where nothing that is kept in memory reaches
the build but the returned value. A build whose vertices follow each other stays in one process.
"""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Protocol, Self

    from kobako.build.solver import Crew
    from kobako.build.sources import GitSource, Remote, UrlSource
    from kobako.events import OnEvent
    from kobako.layer.pack import Graft
    from kobako.oci import Descriptor, Digest, ImageConfig, Platform, Reference

    OnOutput = Callable[[int, bytes], None]
else:
    Protocol = object


class LayerRef(Record):
    """One layer of an image: what it is unpacked (`diff_id`) and the blob that carries it."""

    diff_id: Digest
    descriptor: Descriptor


class BaseImage(Record):
    """An image a stage starts from, or a COPY takes from.

    `name` is what progress shows ("docker.io/library/python:latest@sha256:..."). `layers` are
    bottom first, as many as `config.diff_ids`.
    """

    name: str
    config: ImageConfig
    layers: tuple[LayerRef, ...]


class Mount(Record):
    """Base of what `RUN --mount` puts into the container at the absolute path `target`."""

    target: str


class BindMount(Mount):
    """A path of the build context, of a stage or of an image.

    `path` within the directory `directory` (absolute, resolved) or, when that is empty, within the
    merged tree of `layers`. `hidden` are paths of the directory that are not there for the build,
    `mode` is what the build takes its mode for.
    Writes, where not `readonly`, are thrown away.
    """

    directory: str = ""
    hidden: tuple[str, ...] = ()
    mode: int | None = None
    layers: tuple[LayerRef, ...] = ()
    path: str = "/"
    readonly: bool = True


class CacheMount(Mount):
    """A directory that outlives the build, found again by `id`.

    `sharing` is "shared", "private" or "locked". A new one is filled from `layers` and gets `mode`,
    `uid` and `gid`; caches that differ in these are different ones. `path` is what of it is seen.
    """

    id: str
    sharing: str = "shared"
    readonly: bool = False
    layers: tuple[LayerRef, ...] = ()
    path: str = "/"
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class TmpfsMount(Mount):
    """A fresh tmpfs of at most `size` bytes (0: the kernel's default)."""

    size: int = 0
    readonly: bool = False


class FileMount(Mount):
    """A read-only file with this content, never part of a layer: secrets and inline scripts."""

    data: bytes
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


class SshMount(Mount):
    """A socket that leads to an ssh agent: `sources` is the socket of one, or files with keys.

    `id` is what the person called it.
    """

    id: str
    sources: tuple[str, ...]
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


class RunRequest(Record):
    """One RUN: execute `args` in the tree of `layers` (bottom first) and commit what it changed.

    `id` is 64 hex digits, chosen by the build, the container's id. `env` holds `NAME=value`.
    `user` is as in the image's config ("", "name", "uid:gid"): the worker resolves it in the tree.
    `cwd` is absolute. `network` is "default", "none" or "host"; `security` "sandbox" or
    "insecure". No time in the layer is later than `epoch` (seconds). `followed`: the next in its
    tree is such a command, too, on the same network, as secure, and without mounts.
    """

    id: str
    layers: tuple[LayerRef, ...]
    args: tuple[str, ...]
    env: tuple[str, ...]
    user: str
    cwd: str
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    hostname: str = "buildkitsandbox"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    ulimits: tuple[str, ...] = ()
    epoch: int = 0
    followed: bool = False


class RunResult(Record):
    """How it ended: with exit code 0 the change as a layer, or None when nothing changed.

    `kept` is where a worker that was asked to has left what a failed command wrote.
    """

    exit_code: int
    layer: LayerRef | None = None
    kept: str = ""


class Tree(Protocol):
    """A root file system made visible to this process at the directory `path`.

    Owners go through the tree because they are not always the kernel's: with emulated ownership
    they live in an xattr and a table. Paths are relative to `path`, symlinks are not followed.
    """

    path: str

    def owner(self, path: str) -> tuple[int, int]:
        """The uid and gid the file has in the image."""

    def own(self, path: str, uid: int, gid: int) -> None:
        """Gives a file its owner; call it before the final chmod (chown clears set-id bits)."""

    def stands_for(self, path: str) -> tuple[int, int] | None:
        """Of an empty file: the type and number of the device it stands for, if it does."""

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        """Makes a device (`kind`: S_IFCHR or S_IFBLK), or what stands for it where none may be
        made."""


class MountedTree(Tree, Protocol):
    """`Worker.mounted`: a tree for reading, gone when the block ends."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ChangedTree(MountedTree, Protocol):
    """`Worker.change`: a writable tree. When the block ends well, `layer` holds what changed
    (None: nothing did); when it ends in an exception, everything is thrown away."""

    layer: LayerRef | None

    def graft(self, graft: Graft) -> bool:
        """Has `graft` fill directories of the tree, new and empty ones, when the block has ended;
        once. False where only the tree itself will do: fill them in it then."""


class Worker(Protocol):
    """What the engine does for a build. Errors are `KobakoError`s; the build adds the line."""

    def resolve_image(self, reference: Reference, platform: Platform, pull: bool) -> BaseImage:
        """The image of that name, from the store or, when it is missing there or `pull` is set,
        from its registry. Of one that `lacks_image` is true of, the layers are still to be fetched.

        `NotFound` when there is none, `Unsupported` when it has no such platform.
        """

    def lacks_image(self, image: BaseImage) -> bool:
        """Whether the layers of an image that was resolved are not in the store."""

    def fetch_image(self, image: BaseImage, on_event: OnEvent) -> None:
        """Brings the layers of such an image; `on_event` takes a `LayerProgress` of each."""

    def has_layer(self, layer: LayerRef) -> bool:
        """Whether a cached result can still be used: the blob or the unpacked tree is there."""

    def look_up(self, source: UrlSource | GitSource) -> Remote:
        """What a remote source is now: the digest of the file, the commit of the reference."""

    def obtained(self, remote: Remote) -> AbstractContextManager[tuple[str, int]]:
        """(path, time in seconds) of the file, or of a directory with the files of the commit,
        until the block ends."""

    def run(self, request: RunRequest, on_output: OnOutput) -> RunResult:
        """Runs a command; `on_output(stream 1 or 2, bytes)` is called as output comes."""

    def mounted(self, layers: tuple[LayerRef, ...]) -> MountedTree:
        """The merged tree of these layers (bottom first), to read."""

    def change(
        self,
        layers: tuple[LayerRef, ...],
        epoch: int | None = None,
        *,
        within: str = "",
        many: bool = True,
    ) -> ChangedTree:
        """The merged tree of these layers with a fresh writable layer on top. `within`: nothing is
        read or written but what is, or will be, of this name in its root; the rest may be missing.
        `many`: files may be, hundreds of them."""

    @property
    def crew(self) -> Crew:
        """Who carries out several vertices at once."""
