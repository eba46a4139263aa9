"""What is attested of a build, and how it is attached to the image."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from building import Site

from kobako.build.attest.options import Attestations, Provenance, Sbom, parse
from kobako.build.attest.provenance import Invocation, attestation
from kobako.build.attest.statement import Attestation, purl
from kobako.build.options import BuildOptions
from kobako.build.outputs.document import Part, assemble
from kobako.build.outputs.spec import ImageForm
from kobako.errors import KobakoError
from kobako.image import mutate
from kobako.oci import Descriptor, Index, Manifest, Platform, Reference, parse_manifest_or_index

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


@pytest.mark.parametrize(
    ("texts", "short", "expected"),
    [
        ([], ("", ""), Attestations()),
        ([], ("true", "true"), Attestations(Provenance(), Sbom())),
        ([], ("mode=min,version=v0.2", "false"), Attestations(Provenance("min", "v0.2"))),
        (["type=sbom"], ("false", ""), Attestations(None, Sbom())),
        (["type=provenance,mode=min"], ("false", ""), Attestations()),
        (
            ["type=provenance,builder-id=x=y,reproducible=true,filename=p.json,inline-only=1"],
            ("", ""),
            Attestations(Provenance("max", "v1", "x=y", True, "p.json", True)),
        ),
    ],
)
def test_flags(texts: list[str], short: tuple[str, str], expected: Attestations) -> None:
    assert parse(texts, *short) == expected
    assert bool(expected) == (expected != Attestations())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode=max", "type is required"),
        ("type=provenence", "did you mean provenance?"),
        ("type=provenance,mode=most", "mode is min or max"),
        ("type=provenance,version=v2", "v0.2 or v1"),
        ("type=provenance,mod=min", "did you mean mode?"),
        ("type=provenance,filename=../x", "the name of a file"),
        ("type=sbom,generator=x/y", "generator images are not run"),
        ("type=sbom,disabled=maybe", "true or false"),
    ],
)
def test_faults_are_named(text: str, says: str) -> None:
    with pytest.raises(KobakoError) as caught:
        parse([text])
    assert says in str(caught.value)


def test_package_urls() -> None:
    assert purl("docker", Reference.parse("alpine"), AMD) == (
        "pkg:docker/alpine@latest?platform=linux%2Famd64"
    )
    assert purl("docker", Reference.parse("r.io:5000/a/b:1")) == "pkg:docker/r.io:5000/a/b@1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.base("base")
    site.write(file="x")
    site.command("make", lambda tree: None)  # type: ignore[arg-type,return-value]
    return site


def predicate(site: Site, wanted: Provenance) -> tuple[str, dict[str, Any]]:
    text = (
        "FROM base AS one\nCOPY --chown=1:two file /\nENV A=b\nWORKDIR /w\nFROM base\n"
        "RUN --mount=type=secret,id=token --mount=type=ssh,required "
        "--mount=type=cache,target=/c,sharing=locked compile\n"
        "COPY --chmod=u+x --from=one /file /to\nCOPY <<a <<b /d/\nA\na\nB\nb\n"
    )
    options = BuildOptions(
        dockerfile=text, build_args=(("ARG", "value"),), labels=(("l", "m"),),
        secrets=(("token", b"hidden"),), target="",
    )  # fmt: skip
    result = site.build(text, secrets=options.secrets, ssh=(("default", ("/agent",)),))
    told = attestation(wanted, options, result, Invocation("id", "t0", "t1", "linux/amd64"))
    return told.predicate_type, told.predicate


def test_provenance_tells_what_a_result_is_made_of(site: Site) -> None:
    kind, least = predicate(site, Provenance("min", builder_id="me"))
    assert kind == "https://slsa.dev/provenance/v1"
    definition = least["buildDefinition"]
    (material,) = definition["resolvedDependencies"]
    assert material["uri"].startswith("pkg:docker/base@latest?platform=linux%2F")
    assert "args" not in definition["externalParameters"]["request"]
    assert least["runDetails"]["builder"] == {"id": "me"}
    assert least["runDetails"]["metadata"]["buildkit_completeness"]["request"] is False
    assert "value" not in json.dumps(least) and "token" not in json.dumps(least)


def test_the_most_of_provenance_tells_every_step(site: Site) -> None:
    _, most = predicate(site, Provenance("max"))
    request = most["buildDefinition"]["externalParameters"]["request"]
    assert request["args"] == {"build-arg:ARG": "value", "label:l": "m"}
    assert request["secrets"] == [{"id": "token", "optional": True}]
    assert request["ssh"] == [{"id": "default"}]
    assert "hidden" not in json.dumps(most)
    steps = most["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]
    ops = [next(iter(step["op"]["Op"].items()), ("", {})) for step in steps]
    kinds = [kind for kind, _ in ops]
    assert kinds == ["source", "exec", "source", "file", "file", "file", "file", ""]
    inputs = [[int(word[4]) for word in step.get("inputs", [])] for step in steps]
    assert inputs == [[], [0], [], [0, 2], [3], [1, 4], [5], [6]]
    assert ops[2][1] == {"identifier": "local://context"}
    types = [mount.get("mountType") for mount in ops[1][1]["mounts"]]
    assert sorted(t for t in types if t) == [1, 2, 3]
    (action,) = ops[3][1]["actions"]
    copy = action["Action"]["copy"]
    assert (copy["src"], copy["dest"]) == ("/file", "/")
    user, group = {"User": {"byID": 1}}, {"User": {"byName": {"name": "two"}}}
    assert copy["owner"] == {"user": user, "group": group}
    assert ops[4][1]["actions"][0]["Action"]["mkdir"]["path"] == "/w"
    assert ops[5][1]["actions"][0]["Action"]["copy"]["modeStr"] == "u+x"
    first, second = ops[6][1]["actions"]
    assert (first["input"], first["output"], second["input"], second["output"]) == (0, -1, 1, 0)
    assert b64decode(second["Action"]["mkfile"]["data"]) == b"B\n"
    told = most["runDetails"]["metadata"]["buildkit_metadata"]
    place = told["source"]["locations"]["step3"]["locations"][0]["ranges"][0]
    assert place["start"]["line"] == 2 and told["source"]["locations"]["step2"] == {}
    assert b64decode(told["source"]["infos"][0]["data"]).startswith(b"FROM base")
    assert told["layers"]["step3:0"][0][-1]["digest"].startswith("sha256:")
    kind, old = predicate(site, Provenance("max", version="v0.2"))
    assert kind == "https://slsa.dev/provenance/v0.2"
    assert old["materials"] == most["buildDefinition"]["resolvedDependencies"]
    assert old["buildConfig"]["llbDefinition"] == steps


@pytest.mark.parametrize("artifact", [None, False])
def test_attestations_are_attached_as_manifests_of_nobodys_platform(
    artifact: bool | None,
) -> None:
    told = Attestation("https://example.org/x", {"so": 1})
    parts = [Part(p, mutate.scratch(p), (told,)) for p in (AMD, ARM)]
    made = assemble(parts, ImageForm(artifact=artifact), [Reference.parse("name:1")])
    blobs = {Descriptor("", made.target.digest, 0).digest.of(raw): raw for raw in made.documents}
    index = Index.parse(blobs[made.target.digest])
    assert [e.platform for e in index.manifests] == [
        AMD,
        ARM,
        *[Platform("unknown", "unknown")] * 2,
    ]
    assert index.select(ARM).digest == made.images[1].manifest.digest
    entry = index.manifests[3]
    assert entry.annotation("vnd.docker.reference.type") == "attestation-manifest"
    assert entry.annotation("vnd.docker.reference.digest") == index.manifests[1].digest
    manifest = parse_manifest_or_index(blobs[entry.digest], entry.media_type)
    assert isinstance(manifest, Manifest) and manifest.config.digest in blobs
    assert (manifest.subject is not None) == (artifact is None)
    statement = json.loads(blobs[manifest.layers[0].digest])
    assert manifest.layers[0].annotation("in-toto.io/predicate-type") == told.predicate_type
    assert statement["predicate"] == {"so": 1}
    assert statement["subject"] == [
        {
            "name": "pkg:docker/name@1?platform=linux%2Farm64",
            "digest": {"sha256": index.manifests[1].digest.encoded},
        }
    ]


def test_one_attested_image_is_an_index() -> None:
    told = Attestation("https://example.org/x", {})
    made = assemble([Part(AMD, mutate.scratch(AMD), (told,))], ImageForm())
    assert made.is_index and len(Index.parse(made.documents[-1]).manifests) == 2
