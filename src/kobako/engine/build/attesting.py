"""What is attested of a build's results: the facts of the run, the packages of the trees."""

from __future__ import annotations

import os
import time

from kobako.build.attest.statement import SPDX, Attestation
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.attest.options import Attestations, Provenance
    from kobako.build.options import BuildOptions, BuildResult
    from kobako.build.sources import Remote
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
    found = []
    if wanted.sbom is not None:
        with vertex.part("listing packages"):
            packages = _packages(engine, result, vertex)
        filename = "" if wanted.sbom.inline_only else wanted.sbom.filename
        found.append(Attestation(SPDX, packages, filename))
    if wanted.provenance is not None:
        found.append(provenance(wanted.provenance, options, result, origin, run))
    return tuple(found)


def _packages(engine: Engine, result: BuildResult, vertex: ExportVertex) -> dict[str, Any]:
    from kobako import __version__
    from kobako.engine.build.export_files import merged
    from kobako.image.sbom.scan import scan
    from kobako.image.sbom.spdx import document

    with merged(engine, result.layers) as scratch:
        fd = os.open(scratch.mount(readonly=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = scan(fd)
        finally:
            os.close(fd)
    for path in found.unread:
        vertex.warn(f"the packages of the rpm database {path} are not listed: rpm is not read")
    created = result.config.created or "1980-01-01T00:00:00Z"
    tool = f"kobako-{__version__}"
    return document(str(result.config.digest), found.packages, created=created, tool=tool)
