"""What stands behind a build: images, trees and containers for `kobako.build.worker`."""

from __future__ import annotations

import os

from kobako import groups
from kobako.build.worker import BaseImage, LayerRef, RunResult
from kobako.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.build.sources import GitSource, Remote, UrlSource
    from kobako.build.worker import OnOutput, RunRequest
    from kobako.engine.build.access import Access
    from kobako.engine.build.cache import BuildCache
    from kobako.engine.build.crew import ForkingCrew
    from kobako.engine.build.fetching import Obtained
    from kobako.engine.build.monitor import Monitor
    from kobako.engine.build.worker_tree import WorkerTree
    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.engine.scratch import Scratch
    from kobako.events import OnEvent
    from kobako.image.mutate import Image
    from kobako.layer.change import Change
    from kobako.layer.pack import Graft
    from kobako.oci import Digest, Platform, Reference

_MOST = 4
"""So much is put off; each scratch directory holds a descriptor, its lock."""


class EngineWorker:
    """Carries out a build's steps in the engine's store and mode (`build.worker.Worker`).

    `access` is what a person shows to servers of remote sources. `sizes` collects the unpacked
    size of each layer that was made, by DiffID. `offered` are the layers of imported caches.
    With `keep_failed` the scratch of a command that fails is left for `engine.build.debugging`.
    """

    def __init__(self, engine: Engine, on_event: OnEvent, access: Access | None = None) -> None:
        self.access = access
        self.engine = engine
        self.on_event = on_event
        self.sizes: dict[str, int] = {}
        self.offered: BuildCache | None = None
        self.keep_failed = False
        self._crew: ForkingCrew | None = None
        self._put_off: list[Callable[[], object]] = []
        self._monitor: Monitor | None = None
        self._elsewhere: dict[BaseImage, tuple[Reference, str, Digest]] = {}

    def resolve_image(self, reference: Reference, platform: Platform, pull: bool) -> BaseImage:
        from kobako.image.mutate import Image

        blobs = self.engine.store.blobs
        local = None if pull else self._local(reference, platform)
        if local is not None:
            return _base(f"{reference}@{local.target}", Image.read(blobs, local.row.manifest))
        from kobako.engine import transfers

        found = transfers.describe(self.engine, reference, str(platform))
        target = found.target.digest
        base = _base(f"{reference}@{target}", Image.read(blobs, found.manifest.digest))
        local = self._local(reference, platform)
        if local is None or local.target != target:
            self._elsewhere[base] = reference, str(platform), target
        return base

    def lacks_image(self, image: BaseImage) -> bool:
        return image in self._elsewhere

    def fetch_image(self, image: BaseImage, on_event: OnEvent) -> None:
        from kobako.engine import transfers

        reference, platform, target = self._elsewhere.pop(image)
        transfers.pull_described(self.engine, reference, platform, target, on_event)

    def _local(self, reference: Reference, platform: Platform) -> LocalImage | None:
        from kobako.engine import images

        try:
            found = images.find(self.engine, str(reference))
        except NotFound:
            return None
        if found.is_alone and found.row.platform == str(platform):
            return found
        from kobako.engine import image_platforms

        return image_platforms.for_platform(self.engine, found, str(platform))

    def look_up(self, source: UrlSource | GitSource) -> Remote:
        from kobako.engine.build import fetching

        return fetching.look_up(self.engine, source, self.access)

    def obtained(self, remote: Remote) -> Obtained:
        from kobako.engine.build.fetching import Obtained

        return Obtained(self.engine, remote, self.access)

    def has_layer(self, layer: LayerRef) -> bool:
        if self.engine.store.blobs.exists(layer.descriptor.digest):
            return True
        return self.offered is not None and self.offered.offers(layer)

    def lowers(self, layers: tuple[LayerRef, ...], *, places: bool = False) -> list[str]:
        """Tree paths of layers given bottom first, topmost first; missing ones are unpacked.
        `places`: with what a container has its mounts on beneath."""
        from kobako.engine import lowers

        for layer in layers:
            if self.engine.trees.renew(layer.diff_id):
                continue
            if self.offered is None or not self.offered.unpack(layer):
                from kobako.engine import unpack

                unpack.unpack_one(self.engine, layer.diff_id, layer.descriptor)
        found = lowers.of_layers(self.engine, tuple(layer.diff_id for layer in layers))
        return found if places else found[:-1]

    def run(self, request: RunRequest, on_output: OnOutput) -> RunResult:
        groups.load("build-layer")
        groups.load("build-step")
        from kobako.engine.build import run as build_run

        return build_run.run(self, request, on_output)

    def monitor(self, request: RunRequest) -> Monitor:
        """A monitor that gets ready for a command without mounts: that of the last one, where it
        may stay. It is given back by `keep_monitor`, or ended."""
        from kobako.engine.build.monitor import Monitor, around

        found, self._monitor = self._monitor, None
        if found is not None:
            if found.around == around(self.engine, request) and found.renew():
                return found
            found.dismiss()
        return Monitor(self, request)

    def keep_monitor(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def clearing(self, scratch: Scratch) -> Clearing:
        """A scratch directory whose tree becomes a layer."""
        return Clearing(self, scratch)

    def put_off(self, work: Callable[[], object]) -> None:
        """Has something done that nobody waits for, while the next command runs: `catch_up`."""
        if len(self._put_off) >= _MOST:
            self.catch_up()
        self._put_off.append(work)

    def catch_up(self) -> None:
        """Does what was put off."""
        while self._put_off:
            self._put_off.pop(0)()

    def settle(self) -> None:
        """Does what was put off and sends the monitor away: nothing is left of the steps so far."""
        try:
            self.catch_up()
        finally:
            found, self._monitor = self._monitor, None
            if found is not None:
                found.dismiss()

    def keep(
        self,
        scratch: Scratch,
        epoch: int | None,
        places: Sequence[Change] | None = None,
        graft: Graft | None = None,
    ) -> LayerRef:
        """What a scratch's writable layer changed, as a layer; the tree itself becomes the unpacked
        layer. A layer in which nothing changed is one too, as BuildKit has it. Of a container,
        which gives `places`, what it was mounted on is no change, but `places` are. `graft` fills
        what is still empty."""
        from kobako.engine import filesystem, layers
        from kobako.layer.change import path_order

        idle: list[str] = []
        if places is None:
            changes = self.engine.driver.diff(scratch.directory, scratch.lowers, idle)
        else:
            changes = filesystem.packable(self.engine, scratch.directory, scratch.lowers, idle)
            changes = sorted([*changes, *places], key=path_order)
            made_places = {place.path for place in places}
            idle = [path for path in idle if path not in made_places]
        self.engine.driver.strip(scratch.directory, idle)
        if epoch is not None:
            layers.settle(scratch.directory, changes, epoch)
        made = layers.commit(
            self.engine,
            scratch.directory,
            scratch.lowers,
            epoch=epoch,
            changes=changes,
            graft=graft,
        )
        if self.engine.driver.adoptable:
            self.engine.trees.adopt(
                made.diff_id,
                os.path.join(scratch.directory, "upper"),
                os.path.join(scratch.directory, "owners"),
            )
        self.sizes[made.diff_id] = made.diff_size
        return LayerRef(made.diff_id, made.descriptor)

    def mounted(self, layers: tuple[LayerRef, ...]) -> WorkerTree:
        from kobako.engine.build.worker_tree import WorkerTree

        return WorkerTree(self, layers, writable=False)

    def change(
        self,
        layers: tuple[LayerRef, ...],
        epoch: int | None = None,
        *,
        within: str = "",
        many: bool = True,
    ) -> WorkerTree:
        from kobako.engine.build.worker_tree import WorkerTree

        return WorkerTree(self, layers, writable=True, epoch=epoch, within=within, many=many)

    @property
    def crew(self) -> ForkingCrew:
        if self._crew is None:
            from kobako.engine.build.crew import ForkingCrew

            self._crew = ForkingCrew(self)
        return self._crew


def _base(name: str, image: Image) -> BaseImage:
    layers = tuple(LayerRef(diff_id, layer) for diff_id, layer in image.layers)
    return BaseImage(name, image.config, layers)


class Clearing:
    """Makes a scratch directory, and throws away what is left of it when its tree has become a
    layer: that can wait."""

    def __init__(self, worker: EngineWorker, scratch: Scratch) -> None:
        self._worker = worker
        self._scratch = scratch

    def __enter__(self) -> Scratch:
        return self._scratch.__enter__()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._worker.engine.driver.adoptable:
            self._worker.put_off(self._scratch.remove)
        else:
            self._scratch.remove()
