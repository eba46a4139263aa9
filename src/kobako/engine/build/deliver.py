"""What a build gave, put where it was asked for: the store, registries, archives, directories."""

from __future__ import annotations

from kobako.build.outputs.document import Assembled, Part, assemble
from kobako.build.outputs.spec import ArchiveOutput, ImageForm, ImageOutput, TreeOutput
from kobako.errors import Invalid, Unsupported
from kobako.image.mutate import Image
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, BinaryIO

    from kobako.build.attest.options import Attestations
    from kobako.build.attest.statement import Attestation
    from kobako.build.options import BuildOptions, BuildResult
    from kobako.build.outputs.spec import Output
    from kobako.engine.build.attesting import Origin, Run
    from kobako.engine.build.exporting import Exporting, ExportVertex
    from kobako.engine.engine import Engine
    from kobako.events import OnEvent
    from kobako.oci import Descriptor, Digest, Platform, Reference

CREATED = "org.opencontainers.image.created"


class Delivered(Record):
    """What became of a result. `image_id` is the image's config digest, an index's own digest, or
    "" where no image was asked for; `names` the familiar names it has in the store, `pushed` those
    in registries; `places` files and directories. `metadata` is buildx's (`--metadata-file`).
    """

    metadata: dict[str, Any]
    image_id: str = ""
    names: tuple[str, ...] = ()
    pushed: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class PlatformResult(Record):
    """What was built for one platform, and of what."""

    platform: Platform
    options: BuildOptions
    result: BuildResult
    origin: Origin


def check(outputs: Sequence[Output], platforms: int, *, attested: bool = False) -> None:
    """What is wrong with outputs for so many platforms, told before the work begins."""
    for output in outputs:
        if isinstance(output, TreeOutput):
            continue
        assert isinstance(output, ImageOutput | ArchiveOutput)
        _names(output)
        several = platforms > 1 or attested
        if isinstance(output, ArchiveOutput) and output.kind == "docker" and several:
            raise Unsupported(
                "docker exporter does not currently support exporting manifest lists",
                hint="Use type=oci for several platforms and for attestations.",
            )
        if attested and output.form.docker_types:
            raise Invalid('cannot export attestations with "oci-mediatypes=false"')


def deliver(
    engine: Engine,
    results: Sequence[PlatformResult],
    outputs: Sequence[Output],
    exporting: Exporting,
    size_of: Callable[[BuildResult], int],
    stdout: BinaryIO | None,
    wanted: Attestations | None,
    run: Run,
) -> Delivered:
    """Make every output of a target that was built for these platforms, in order.

    The caller's lease keeps what is written until a name does. `size_of` tells the unpacked size
    of a result, `stdout` takes what goes to "-", `wanted` is to be attested of it.
    """
    delivery = _Delivery(engine, results, exporting, size_of, stdout)
    if wanted and outputs:
        delivery.attest(wanted, run)
    for output in outputs:
        delivery.make(output)
    return delivery.done


class _Delivery:
    def __init__(
        self,
        engine: Engine,
        results: Sequence[PlatformResult],
        exporting: Exporting,
        size_of: Callable[[BuildResult], int],
        stdout: BinaryIO | None,
    ) -> None:
        self.engine = engine
        self.results = results
        self.exporting = exporting
        self.size_of = size_of
        self.stdout = stdout
        self.attestations: list[tuple[Attestation, ...]] = [() for _ in results]
        self.done = Delivered(metadata={})

    def attest(self, wanted: Attestations, run: Run) -> None:
        """Once for all outputs."""
        from kobako.engine.build.attesting import attestations

        with self.exporting.vertex("[internal] attesting") as vertex:
            self.attestations = [
                attestations(self.engine, wanted, one.options, one.result, one.origin, run, vertex)
                for one in self.results
            ]

    def make(self, output: Output) -> None:
        if isinstance(output, TreeOutput):
            self._files(output)
        elif isinstance(output, ArchiveOutput):
            self._archive(output)
        else:
            assert isinstance(output, ImageOutput)
            self._image(output)

    # Files

    def _files(self, output: TreeOutput) -> None:
        from kobako.engine.build.export_files import PlatformTree, write_trees

        trees = [
            PlatformTree(str(one.platform), one.result.layers, told)
            for one, told in zip(self.results, self.attestations, strict=True)
        ]
        title = "exporting to client " + ("tarball" if output.tar else "directory")
        with self.exporting.vertex(title) as vertex:
            _tell_notes(output.notes, vertex)
            write_trees(self.engine, trees, output, vertex, self.stdout)
        self._wrote(output.dest)

    def _wrote(self, dest: str) -> None:
        if dest != "-":
            self.done = self.done.replace(places=(*self.done.places, dest))

    def _archive(self, output: ArchiveOutput) -> None:
        from kobako.engine.build.export_files import open_directory, write_to
        from kobako.image.archive.save import export_layout, save
        from kobako.layer.copy_out import explain

        names = _names(output)
        blobs = self.engine.store.blobs
        with self.exporting.vertex(f"exporting to {output.kind} image format") as vertex:
            _tell_notes(output.notes, vertex)
            made = self._assemble(output.form, names, vertex)
            chosen = [(name, made.target.digest) for name in names or (None,)]
            marks = self._marks(made)
            if output.directory:
                import os

                os.close(open_directory(output.dest))
                try:
                    export_layout(blobs, chosen, output.dest, annotations=marks)
                except OSError as fault:
                    raise explain(fault, output.dest) from fault
            else:
                with vertex.part("sending tarball"):
                    write_to(
                        output.dest,
                        self.stdout,
                        lambda sink: save(blobs, chosen, sink, output.kind, annotations=marks),
                    )
        self._wrote(output.dest)
        self._note(made, names)

    # Images

    def _image(self, output: ImageOutput) -> None:
        names = _names(output)
        with self.exporting.vertex("exporting to image") as vertex:
            _tell_notes(output.notes, vertex)
            made = self._assemble(output.form, names, vertex, pushed=output.push)
            kept = ""
            if output.store:
                kept = self._store(made, () if output.by_digest else names, vertex)
            if output.push:
                self._push(made, names, output, vertex)
        self._note(made, names, kept)

    def _store(self, made: Assembled, names: tuple[Reference, ...], vertex: ExportVertex) -> str:
        """The image of this machine's platform is recorded; names point to what was made. What
        the image can be found by when it has no name: an index is kept by its names alone."""
        from kobako.engine import image_naming
        from kobako.oci import Platform

        host = Platform.host()
        ranks = [one.platform.rank(host) for one in self.results]
        best = min(range(len(ranks)), key=lambda at: (ranks[at] is None, ranks[at] or 0, at))
        image = made.images[best]
        size = self.size_of(self.results[best].result)
        image_naming.record(
            self.engine,
            image.manifest,
            image.config,
            size,
            names,
            made.target.digest,
            created_ns=image_naming.made_ns(self.engine, image.config),
        )
        image_naming.tell(self.engine, image.config, names)
        if made.is_index and not names:
            vertex.warn(
                "an index without a name is not kept: only the image for "
                f"{self.results[best].platform} is; give a name with --tag"
            )
        for name in names:
            vertex.line(f"naming to {name}")
        shown = (*self.done.names, *(name.familiar() for name in names))
        self.done = self.done.replace(names=tuple(dict.fromkeys(shown)))
        return "" if names else str(image.id)

    def _push(
        self,
        made: Assembled,
        names: tuple[Reference, ...],
        output: ImageOutput,
        vertex: ExportVertex,
    ) -> None:
        from kobako.engine import transfers

        for name in names:
            with vertex.part("pushing layers") as part:
                sent = transfers.send(
                    self.engine,
                    made.target.digest,
                    name,
                    part.event,
                    insecure=output.insecure,
                    by_digest=output.by_digest,
                )
            vertex.line(f"pushing manifest for {name}@{sent.digest}")
            shown = f"{name.familiar()}@{sent.digest}"
            self.done = self.done.replace(pushed=(*self.done.pushed, shown))

    def _assemble(
        self,
        form: ImageForm,
        names: tuple[Reference, ...],
        vertex: ExportVertex,
        *,
        pushed: bool = False,
    ) -> Assembled:
        """The documents in the form asked for, written to the store with all they refer to."""
        blobs = self.engine.store.blobs
        parts = []
        with vertex.part("exporting layers") as part:
            for one, told in zip(self.results, self.attestations, strict=True):
                blobs.put(one.result.config.raw)
                plain = Image.of(one.result.manifest, one.result.config)
                image = self._formed(plain, one.result, form, part.event, pushed)
                parts.append(Part(one.platform, image, told))
        made = assemble(parts, form, names)
        for raw in made.documents:
            blobs.put(raw)
        for image in made.images:
            vertex.line(f"exporting manifest {image.manifest.digest}")
            vertex.line(f"exporting config {image.id}")
        if made.is_index:
            vertex.line(f"exporting manifest list {made.target.digest}")
        return made

    def _formed(
        self, image: Image, result: BuildResult, form: ImageForm, on_event: OnEvent, pushed: bool
    ) -> Image:
        """`image` with its layers compressed as asked; none go to a registry uncompressed
        unless that is asked for."""
        if form.compression or form.level is not None:
            from kobako.image.recompress import recompressed

            compression = form.compression or "gzip"
            inherited = 0 if form.force_compression else result.inherited
            image = recompressed(
                self.engine.store.blobs,
                image,
                compression,
                form.level,
                Memory(self.engine, f"compressed:{compression}:{form.level}:"),
                inherited=inherited,
                on_event=on_event,
            )
        if pushed and form.compression != "uncompressed":
            from kobako.engine import transfers

            image = transfers.packed(self.engine, image, on_event)
        return image

    # What is told of it

    def _marks(self, made: Assembled) -> tuple[tuple[str, str], ...]:
        created = made.images[0].config.created
        marks = dict(made.target.annotations)
        if created:
            marks.setdefault(CREATED, created)
        return tuple(sorted(marks.items()))

    def _note(self, made: Assembled, names: tuple[Reference, ...], kept: str = "") -> None:
        target = made.target
        config = "" if made.is_index else str(made.images[0].id)
        descriptor = target.replace(annotations=self._marks(made)).to_json()
        found: dict[str, Any] = {
            **self.done.metadata,
            "containerimage.descriptor": descriptor,
            "containerimage.digest": str(target.digest),
        }
        if config:
            found["containerimage.config.digest"] = config
        if names:
            found["image.name"] = ",".join(map(str, names))
        image_id = config or kept or str(target.digest)
        self.done = self.done.replace(metadata=found, image_id=image_id)


class Memory:
    """Which blob an earlier conversion of a layer gave, kept in the build cache."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        from kobako.engine.store_cache import StoreCache

        self._cache = StoreCache(engine)
        self._prefix = prefix

    def get(self, diff_id: Digest) -> Descriptor | None:
        from kobako.oci import Descriptor, Digest

        row = self._cache.get(self._prefix + diff_id)
        if row is None:
            return None
        return Descriptor(row["mediaType"], Digest(row["digest"]), row["size"])

    def put(self, diff_id: Digest, layer: Descriptor) -> None:
        self._cache.put(self._prefix + diff_id, layer.to_json())


def _names(output: ImageOutput | ArchiveOutput) -> tuple[Reference, ...]:
    """The names of an image or archive, each with its tag; a repository alone for a push by
    digest."""
    from kobako.engine import image_naming
    from kobako.oci import Reference

    if not (isinstance(output, ImageOutput) and output.by_digest):
        return tuple(image_naming.new_name(name) for name in output.form.names)
    found = tuple(map(Reference.parse, output.form.names))
    for reference in found:
        if reference.tag or reference.digest:
            raise Invalid(
                f"can't push tagged ref {reference.familiar()} by digest",
                hint="Give the repository alone as the name.",
            )
    return found


def _tell_notes(notes: tuple[str, ...], vertex: ExportVertex) -> None:
    for note in notes:
        vertex.warn(note)
