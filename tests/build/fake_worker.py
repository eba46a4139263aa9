"""A `Worker` on plain directories: layers are merged by copying, owners are a table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thread_crew import ThreadCrew

from kobako.build.worker import BaseImage, LayerRef, RunRequest, RunResult
from kobako.errors import NotFound
from kobako.oci import Descriptor, Digest, ImageConfig, Platform, Reference

if TYPE_CHECKING:
    from kobako.build.worker import OnOutput
    from kobako.events import OnEvent

Command = Callable[[RunRequest, Path, "OnOutput"], int]


class FakeTree:
    def __init__(self, path: Path, owners: dict[str, tuple[int, int]]) -> None:
        self.path = str(path)
        self.owners = owners
        self.layer: LayerRef | None = None

    def owner(self, path: str) -> tuple[int, int]:
        return self.owners.get(os.path.normpath(path), (0, 0))

    def stands_for(self, path: str) -> tuple[int, int] | None:
        return None

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        os.mknod(os.path.join(self.path, path), kind | 0o600, rdev)

    def own(self, path: str, uid: int, gid: int) -> None:
        assert os.path.lexists(os.path.join(self.path, path))
        self.owners[os.path.normpath(path)] = (uid, gid)


class FakeChange:
    """The context manager `change` and `mounted` return."""

    def __init__(self, worker: FakeWorker, layers: tuple[LayerRef, ...], write: bool) -> None:
        self.worker = worker
        self.layers = layers
        self.write = write
        self.layer: LayerRef | None = None
        self.path = ""
        self.grafted: Any = None

    def __enter__(self) -> FakeChange:
        below = self.worker.tree_of(self.layers)
        self.directory = self.worker.fresh()
        shutil.copytree(below, self.directory, symlinks=True, dirs_exist_ok=True)
        self.owners = dict(self.worker.owners_of(self.layers))
        self.tree = FakeTree(self.directory, self.owners)
        self.path = self.tree.path
        return self

    def owner(self, path: str) -> tuple[int, int]:
        return self.tree.owner(path)

    def own(self, path: str, uid: int, gid: int) -> None:
        self.tree.own(path, uid, gid)

    def graft(self, graft: Any) -> bool:
        self.grafted = graft
        return True

    def stands_for(self, path: str) -> tuple[int, int] | None:
        return self.tree.stands_for(path)

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        self.tree.make_device(path, kind, rdev)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self.grafted is not None:
            self.fill()
        if kind is None and self.write:
            self.layer = self.worker.commit(self.layers, self.directory, self.owners)

    def fill(self) -> None:
        root = os.open(self.directory, os.O_RDONLY)
        modes = {p: p.stat().st_mode for p in self.directory.rglob("*") if p.is_dir()}
        for path in modes:  # a build is root somewhere, whom no mode stops
            path.chmod(0o700)
        try:
            self.grafted.begin(root)
            for path in sorted(self.directory.rglob("*"), key=lambda p: p.parts):
                name = os.fsencode(path.relative_to(self.directory))
                if name in self.grafted:
                    self.grafted.tell(name, lambda data: None)
            self.grafted.finish()
        finally:
            self.grafted.stop()
            os.close(root)
            for path, mode in modes.items():
                path.chmod(mode)


class FakeWorker:
    """`commands` maps the last argument of a RUN to a function; others succeed and do nothing."""

    def __init__(self, root: Path, commands: dict[str, Command] | None = None) -> None:
        self.root = root
        self.commands = commands or {}
        self.images: dict[str, BaseImage] = {}
        self.trees: dict[tuple[str, ...], tuple[Path, dict[str, tuple[int, int]]]] = {}
        self.log: list[str] = []
        self.requests: list[RunRequest] = []
        self.crew = ThreadCrew()
        self.count = 0
        empty = self.fresh()
        self.trees[()] = (empty, {})

    def fresh(self) -> Path:
        self.count += 1
        path = self.root / f"tree-{self.count}"
        path.mkdir(parents=True)
        return path

    def tree_of(self, layers: tuple[LayerRef, ...]) -> Path:
        return self.trees[tuple(layer.diff_id for layer in layers)][0]

    def owners_of(self, layers: tuple[LayerRef, ...]) -> dict[str, tuple[int, int]]:
        return self.trees[tuple(layer.diff_id for layer in layers)][1]

    def commit(
        self, layers: tuple[LayerRef, ...], directory: Path, owners: dict[str, tuple[int, int]]
    ) -> LayerRef | None:
        before = snapshot(self.tree_of(layers), self.owners_of(layers))
        after = snapshot(directory, owners)
        if before == after:
            return None
        digest = Digest.of(repr((sorted(before.items()), sorted(after.items()))).encode())
        media = "application/vnd.oci.image.layer.v1.tar+gzip"
        layer = LayerRef(digest, Descriptor(media, digest, 100))
        self.trees[(*(b.diff_id for b in layers), layer.diff_id)] = (directory, owners)
        return layer

    def add_image(self, name: str, files: dict[str, str], config: dict[str, Any]) -> BaseImage:
        directory = self.fresh()
        write_files(directory, files)
        layer = self.commit((), directory, {})
        layers = (layer,) if layer else ()
        document = {
            "architecture": Platform.host().architecture,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [b.diff_id for b in layers]},
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "base"}],
        }
        reference = Reference.parse(name).with_default_tag()
        image = BaseImage(str(reference), ImageConfig.build(document), layers)
        self.images[str(reference)] = image
        return image

    def resolve_image(self, reference: Reference, platform: Platform, pull: bool) -> BaseImage:
        self.log.append(f"resolve {reference}")
        image = self.images.get(str(reference))
        if image is None:
            raise NotFound(f"{reference}: not found")
        return image

    def lacks_image(self, image: BaseImage) -> bool:
        return False

    def fetch_image(self, image: BaseImage, on_event: OnEvent) -> None:
        raise AssertionError("all images are here")

    def has_layer(self, layer: LayerRef) -> bool:
        return any(layer.diff_id in key for key in self.trees)

    def run(self, request: RunRequest, on_output: OnOutput) -> RunResult:
        self.log.append(f"run {request.args[-1]}")
        self.requests.append(request)
        command = self.commands.get(request.args[-1])
        change = FakeChange(self, request.layers, True)
        status = 0
        with change as tree:
            if command:
                status = command(request, Path(tree.path), on_output)
        return RunResult(status, change.layer if not status else None)

    def mounted(self, layers: tuple[LayerRef, ...]) -> FakeChange:
        self.log.append("mounted")
        return FakeChange(self, layers, False)

    def change(
        self,
        layers: tuple[LayerRef, ...],
        epoch: int | None = None,
        *,
        within: str = "",
        many: bool = True,
    ) -> FakeChange:
        self.log.append("change")
        return FakeChange(self, layers, True)


def write_files(directory: Path, files: dict[str, str]) -> None:
    """Values are contents; "-> target" makes a symlink, a name ending in / a directory."""
    for name, content in files.items():
        path = directory / name.strip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_text(content)


def snapshot(directory: Path, owners: dict[str, tuple[int, int]]) -> dict[str, tuple[Any, ...]]:
    """path → (kind, mode, owner, content) of a tree."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        owner = owners.get(name, (0, 0))
        if path.is_symlink():
            found[name] = ("link", owner, os.readlink(path))
        elif path.is_dir():
            found[name] = ("dir", oct(path.stat().st_mode & 0o7777), owner)
        elif not path.is_file():
            found[name] = ("other", oct(path.lstat().st_mode), owner)
        else:
            found[name] = ("file", oct(path.stat().st_mode & 0o7777), owner, path.read_bytes())
    return found
