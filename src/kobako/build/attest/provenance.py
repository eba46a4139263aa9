"""SLSA provenance of a result, with BuildKit's fields (its docs/attestations/slsa-definitions.md).

https://slsa.dev/spec/v1.1/provenance; version 0.2 is made of version 1.
"""

from __future__ import annotations

from kobako.build.attest.options import MIN
from kobako.build.attest.statement import Attestation, purl
from kobako.build.attest.steps import Steps, base64
from kobako.build.graph import order
from kobako.build.ops.fetch import Fetched
from kobako.build.ops.metadata import BaseOp, MetadataOp
from kobako.build.ops.run import RunOp
from kobako.build.ops.transfer import TransferOp
from kobako.build.sources import uri
from kobako.oci import Reference
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kobako.build.attest.options import Provenance
    from kobako.build.context import Context
    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.options import BuildOptions, BuildResult
    from kobako.build.sources import Remote

_BUILD_TYPE = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_BUILD_TYPE_02 = "https://mobyproject.org/buildkit@v1"
_PREDICATES = {
    "v1": "https://slsa.dev/provenance/v1",
    "v0.2": "https://slsa.dev/provenance/v0.2",
}


class Invocation(Record):
    """One run of a build: times are RFC 3339 texts, `builder` this machine's platform.

    `local_context`: files came from a directory nobody else has; `source`: they came from there.
    `vcs` is what of a repository that directory is.
    """

    id: str
    started: str
    finished: str
    builder: str
    local_context: bool = True
    source: Remote | None = None
    vcs: tuple[tuple[str, str], ...] = ()


def attestation(
    wanted: Provenance, options: BuildOptions, result: BuildResult, invocation: Invocation
) -> Attestation:
    """How a result came to be."""
    predicate = _predicate(wanted, options, result, invocation)
    if wanted.version != "v1":
        predicate = _version_02(predicate)
    filename = "" if wanted.inline_only else wanted.filename
    return Attestation(_PREDICATES[wanted.version], predicate, filename)


def _predicate(
    wanted: Provenance, options: BuildOptions, result: BuildResult, invocation: Invocation
) -> dict[str, Any]:
    vertices = order((result.plan.target.vertex,)) if result.plan is not None else []
    internal: dict[str, Any] = {"builderPlatform": invocation.builder}
    metadata: dict[str, Any] = {}
    if wanted.mode != MIN and result.plan is not None:
        steps, told = _steps(vertices, result)
        internal["buildConfig"] = {"llbDefinition": steps}
        metadata = told
    if invocation.vcs:
        metadata = {**metadata, "vcs": dict(invocation.vcs)}
    request, complete = _request(wanted, options, invocation, vertices)
    run: dict[str, Any] = {
        "invocationId": invocation.id,
        "startedOn": invocation.started,
        "finishedOn": invocation.finished,
        "buildkit_metadata": metadata,
        "buildkit_completeness": {
            "request": complete,
            "resolvedDependencies": not invocation.local_context,
        },
    }
    if wanted.reproducible:
        run["buildkit_reproducible"] = True
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {
                "configSource": _config_source(options, invocation),
                "request": request,
            },
            "internalParameters": internal,
            "resolvedDependencies": _materials(vertices, result.results or {}, invocation.source),
        },
        "runDetails": {"builder": {"id": wanted.builder_id}, "metadata": run},
    }


def _request(
    wanted: Provenance,
    options: BuildOptions,
    invocation: Invocation,
    vertices: list[Vertex[Result]],
) -> tuple[dict[str, Any], bool]:
    """What was asked for, and whether that is all of it."""
    args: dict[str, str] = {}
    if options.target:
        args["target"] = options.target
    if options.no_cache:
        args["no-cache"] = ""
    if options.network != "default":
        args["force-network-mode"] = options.network
    if options.extra_hosts:
        args["add-hosts"] = ",".join(options.extra_hosts)
    private = {f"build-arg:{name}": value for name, value in options.build_args}
    private |= {f"label:{name}": value for name, value in options.labels}
    complete = not private or wanted.mode != MIN
    if wanted.mode != MIN:
        args |= private
    request: dict[str, Any] = {"frontend": "dockerfile.v0"}
    if args:
        request["args"] = args
    if invocation.local_context:
        request["locals"] = [{"name": "context"}, {"name": "dockerfile"}]
    elif invocation.source is None:
        request["locals"] = [{"name": "dockerfile"}]
    if wanted.mode != MIN:
        asked = [each.op.asked for each in vertices if isinstance(each.op, RunOp)]
        for number, kind in enumerate(("secrets", "ssh")):
            wanted_ids = [one for each in asked for one in each[number]]
            if wanted_ids:
                request[kind] = _ids(wanted_ids)
    return request, complete


def _ids(asked: list[tuple[str, bool]]) -> list[dict[str, Any]]:
    """Each id once; it may be missing where all who ask for it can do without."""
    found: dict[str, bool] = {}
    for name, optional in asked:
        found[name] = found.get(name, True) and optional
    return [{"id": name, **({"optional": True} if found[name] else {})} for name in sorted(found)]


def _materials(
    vertices: list[Vertex[Result]],
    results: Mapping[Vertex[Result], Result],
    context: Remote | None,
) -> list[dict[str, Any]]:
    """What came from elsewhere, each once: images, then files and repositories."""
    found: dict[str, dict[str, Any]] = {}
    for vertex in vertices:
        if isinstance(vertex.op, BaseOp) and vertex.op.image is not None:
            image = vertex.op.image
            if "://" in image.name:  # a layout of this machine
                found.setdefault(image.name, {"uri": image.name})
                continue
            reference = Reference.parse(image.name)
            name = purl("docker", reference.replace(digest=None), image.config.platform)
            material: dict[str, Any] = {"uri": name}
            if reference.digest is not None:
                algorithm, encoded = reference.digest.algorithm, reference.digest.encoded
                material["digest"] = {algorithm: encoded}
            found.setdefault(name, material)
    fetched = [results.get(vertex) for vertex in vertices]
    sources = [each.remote for each in fetched if isinstance(each, Fetched)]
    named = [each.remote for vertex in vertices for each in _contexts(vertex)]
    for remote in (context, *named, *sources):
        if remote is not None:
            place = uri(remote.source)
            found.setdefault(place, {"uri": place, "digest": _digest_set(remote.digest)})
    return list(found.values())


def _contexts(vertex: Vertex[Result]) -> tuple[Context, ...]:
    op = vertex.op
    return op.contexts() if isinstance(op, RunOp | TransferOp) else ()


def _config_source(options: BuildOptions, invocation: Invocation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if invocation.source is not None:
        found["uri"] = uri(invocation.source.source)
        found["digest"] = _digest_set(invocation.source.digest)
    found["path"] = options.dockerfile_name.rpartition("/")[2]
    return found


def _digest_set(digest: str) -> dict[str, str]:
    algorithm, colon, encoded = digest.partition(":")
    if colon:
        return {algorithm: encoded}
    return {"sha256" if len(digest) == 64 else "sha1": digest}  # a commit


def _steps(
    vertices: list[Vertex[Result]], result: BuildResult
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every step that did something, and where in the Dockerfile it stands."""
    assert result.plan is not None
    steps = Steps(vertices, result.config.platform)
    layers: dict[str, Any] = {}
    for vertex, name in steps.names.items():
        done = result.results.get(vertex) if result.results else None
        if name and not isinstance(vertex.op, MetadataOp) and done is not None and done.layers:
            layers[f"{name}:0"] = [[layer.descriptor.to_json() for layer in done.layers]]
    source = result.plan.source
    locations: dict[str, Any] = {step["id"]: {} for step in steps.listed[:-1]}
    for one in result.plan.steps:
        if steps.names.get(one.vertex) and not isinstance(one.vertex.op, MetadataOp):
            lines = {"start": {"line": one.where.start}, "end": {"line": one.where.end}}
            place = locations[steps.names[one.vertex]].setdefault("locations", [])
            place.append({"ranges": [lines]})
    told = {
        "source": {
            "locations": locations,
            "infos": [
                {
                    "filename": source.name.rpartition("/")[2],
                    "language": "Dockerfile",
                    "data": base64(source.text.encode("utf-8", "surrogateescape")),
                }
            ],
        }
    }
    if layers:
        told["layers"] = layers
    return steps.listed, told


def _config_source_02(source: dict[str, Any]) -> dict[str, Any]:
    return {"entryPoint" if key == "path" else key: value for key, value in source.items()}


def _version_02(predicate: dict[str, Any]) -> dict[str, Any]:
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    external, internal = definition["externalParameters"], definition["internalParameters"]
    metadata = run["metadata"]
    found: dict[str, Any] = {
        "builder": run["builder"],
        "buildType": _BUILD_TYPE_02,
        "materials": definition["resolvedDependencies"],
        "invocation": {
            "configSource": _config_source_02(external["configSource"]),
            "parameters": external["request"],
            "environment": {"platform": internal["builderPlatform"]},
        },
        "metadata": {
            "buildInvocationID": metadata["invocationId"],
            "buildStartedOn": metadata["startedOn"],
            "buildFinishedOn": metadata["finishedOn"],
            "completeness": {
                "parameters": metadata["buildkit_completeness"]["request"],
                "environment": True,
                "materials": metadata["buildkit_completeness"]["resolvedDependencies"],
            },
            "reproducible": metadata.get("buildkit_reproducible", False),
            "https://mobyproject.org/buildkit@v1#metadata": metadata["buildkit_metadata"],
        },
    }
    if "buildConfig" in internal:
        found["buildConfig"] = internal["buildConfig"]
    return found
