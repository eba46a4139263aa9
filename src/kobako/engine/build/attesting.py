"""What is attested of a build's results: the facts of the run, the packages of the trees."""

from __future__ import annotations

import os
import time

from kobako.build.attest.statement import SPDX, Attestation
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.attest.options import Attestations, Provenance, Sbom
    from kobako.build.options import BuildOptions, BuildResult
    from kobako.build.plan import Plan
    from kobako.build.sources import Remote
    from kobako.build.worker import LayerRef
    from kobako.engine.build.exporting import ExportVertex
    from kobako.engine.engine import Engine


class Run(Record):
    """One run of a build, shared by its platforms. Times are nanoseconds since the epoch."""

    id: str
    started_ns: int


class Origin(Record):
    """What a target was built from: files of this machine (`local`) or of a `remote` source. `vcs`
    is what of a repository they are."""

    local: bool
    remote: Remote | None = None
    vcs: tuple[tuple[str, str], ...] = ()


def begin() -> Run:
    """A run that starts now."""
    from random import SystemRandom

    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    name = "".join(SystemRandom().choice(letters) for _ in range(25))
    return Run(name, time.time_ns())


def provenance(
    wanted: Provenance, options: BuildOptions, result: BuildResult, origin: Origin, run: Run
) -> Attestation:
    """How a result came to be."""
    from kobako.build.attest.provenance import Invocation, attestation
    from kobako.engine.moments import rfc3339
    from kobako.oci import Platform

    invocation = Invocation(
        run.id,
        rfc3339(run.started_ns),
        rfc3339(time.time_ns()),
        str(Platform.host()),
        origin.local,
        origin.remote,
        origin.vcs,
    )
    return attestation(wanted, options, result, invocation)


def attestations(
    engine: Engine,
    wanted: Attestations,
    options: BuildOptions,
    result: BuildResult,
    origin: Origin,
    run: Run,
    vertex: ExportVertex,
) -> tuple[Attestation, ...]:
    """Everything asked for of one platform's result, the list of packages first."""
    found: list[Attestation] = []
    if wanted.sbom is not None:
        with vertex.part("listing packages"):
            found += _lists(engine, wanted.sbom, result, vertex)
    if wanted.provenance is not None:
        found.append(provenance(wanted.provenance, options, result, origin, run))
    return tuple(found)


def _lists(
    engine: Engine, wanted: Sbom, result: BuildResult, vertex: ExportVertex
) -> Iterator[Attestation]:
    """The packages of the result, and of the stages and the context that are to be listed too."""
    lister = _Lister(engine, wanted, result.config.created or "1980-01-01T00:00:00Z", vertex)
    yield lister.of_layers(str(result.config.digest), result.layers)
    for name, step in result.plan.scans if result.plan is not None else ():
        if step is not None and result.results is not None:
            yield lister.of_layers(name, result.results[step.vertex].layers, name)
        elif result.plan is not None:
            directory = _context_directory(result.plan)
            if directory:
                yield lister.of_directory(name, directory, name)


def _context_directory(plan: Plan) -> str:
    """Where the main context is, if anything was taken from it and it is there still."""
    from kobako.build.graph import order

    for vertex in order((plan.target.vertex,)):
        contexts = getattr(vertex.op, "contexts", None)
        for context in contexts() if contexts is not None else ():
            if context.name == "context" and os.path.isdir(context.root):
                return str(context.root)
    return ""


class _Lister:
    """Makes the lists of packages of trees. `created` is the time of all of them."""

    def __init__(self, engine: Engine, wanted: Sbom, created: str, vertex: ExportVertex) -> None:
        self._engine = engine
        self._wanted = wanted
        self._created = created
        self._vertex = vertex

    def of_layers(self, name: str, layers: tuple[LayerRef, ...], part: str = "") -> Attestation:
        """Of the merged tree of layers; `part` is what it is beside the result, "" for that."""
        from kobako.engine.build.export_files import merged

        with merged(self._engine, layers) as scratch:
            return self.of_directory(name, scratch.mount(readonly=True), part)

    def of_directory(self, name: str, directory: str, part: str) -> Attestation:
        from kobako import __version__
        from kobako.image.sbom.scan import scan
        from kobako.image.sbom.spdx import document

        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = scan(fd)
        finally:
            os.close(fd)
        for path in found.unread:
            self._vertex.warn(
                f"the packages of the rpm database {path} are not listed: it is not SQLite's"
            )
        tool = f"kobako-{__version__}"
        listed = document(name, found.packages, created=self._created, tool=tool)
        filename = "" if self._wanted.inline_only else self._wanted.filename
        if part and filename:
            stem, dot, rest = filename.partition(".")
            filename = f"{stem}-{part}{dot}{rest}"
        return Attestation(SPDX, listed, filename)
