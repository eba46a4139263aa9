"""Builds for several platforms: an index, kept, run, pushed, pulled and saved as one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from arm64_program import arm64_program
from e2e_command import Kobako
from e2e_registry import skopeo

PLAIN = "--tls-verify=false"
DOCKERFILE = """\
FROM --platform=$BUILDPLATFORM scratch AS tools
COPY Dockerfile /file
FROM scratch
ARG TARGETPLATFORM TARGETARCH TARGETVARIANT BUILDPLATFORM
LABEL for=$TARGETPLATFORM on=$BUILDPLATFORM
COPY --from=tools /file /$TARGETARCH$TARGETVARIANT
"""
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    return context


@pytest.fixture
def multi(kobako: Kobako, context: Path, name: str) -> Iterator[str]:
    """The name of an index of three images in the store."""
    words = ("--platform", f"{PLATFORMS[0]},{PLATFORMS[1]}", "--platform", PLATFORMS[2])
    kobako("build", "-t", name, *words, str(context))
    yield name
    kobako.attempt("rmi", name)


def label_of_container(kobako: Kobako, image: str, *flags: str) -> str:
    """What the image of a container made of `image` says it is for."""
    container = kobako("create", *flags, image, "x").out
    label = kobako.show('{{index .Config.Labels "for"}}', container)
    kobako("rm", container)
    return label


@pytest.mark.needs("skopeo")
def test_files_and_archives(kobako: Kobako, context: Path, tmp_path: Path, multi: str) -> None:
    words = ("build", "--platform", ",".join(PLATFORMS))
    kobako(*words, "-o", f"{tmp_path}/out", "-o", f"type=oci,dest={tmp_path}/oci", str(context))
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*/*")}
    assert found == {"linux_amd64/amd64", "linux_arm64/arm64", "linux_arm_v7/armv7"}
    kobako(*words, "-o", f"type=local,dest={tmp_path}/one,platform-split=false", str(context))
    assert sorted(os.listdir(tmp_path / "one")) == ["amd64", "arm64", "armv7"]
    index = json.loads(skopeo("inspect", "--raw", f"oci-archive:{tmp_path}/oci"))
    assert [m["platform"]["architecture"] for m in index["manifests"]] == ["amd64", "arm64", "arm"]
    other = json.loads(skopeo("--override-arch", "arm64", "inspect", f"oci-archive:{tmp_path}/oci"))
    assert other["Labels"]["for"] == "linux/arm64"
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /same\n")
    kobako.fails(
        *words, "-o", f"type=local,dest={tmp_path}/two,platform-split=false", str(context),
        says="cannot overwrite same from linux/amd64 with linux/arm64",
    )  # fmt: skip
    kobako.fails(
        *words, "-o", f"type=docker,dest={tmp_path}/x", str(context), says="manifest lists"
    )


def test_a_name_of_several_images(kobako: Kobako, multi: str, context: Path) -> None:
    dangling = ("images", "-q", "--filter", "dangling=true")
    before = kobako(*dangling).lines
    here = label_of_container(kobako, multi)
    assert here in PLATFORMS[:2]  # this machine's
    assert label_of_container(kobako, multi, "--platform", "linux/arm/v7") == "linux/arm/v7"
    assert label_of_container(kobako, multi) == here
    assert len(kobako("images", "--format", "{{.Repository}}", multi).lines) == 1
    index = kobako("images", "--format", "{{.Digest}}", "--digests", multi).out
    assert label_of_container(kobako, index, "--platform", "linux/arm64") == "linux/arm64"
    assert kobako(*dangling).lines == before
    (context / "Dockerfile").write_text(f"FROM --platform=linux/arm64 {multi}\n")
    built = kobako("build", "-q", str(context)).out
    assert kobako.show('{{index .Config.Labels "for"}}', built) == "linux/arm64"
    kobako("rmi", multi)
    assert kobako(*dangling).lines == before


@pytest.mark.needs("skopeo")
def test_a_registry_gets_and_gives_the_index(
    kobako: Kobako, elsewhere: Kobako, registry: str, multi: str, name: str
) -> None:
    ours = f"{registry}/multi/{name}"
    kobako("tag", multi, ours)
    digest = kobako("push", ours).lines[-1].split()[2]
    raw = json.loads(skopeo("inspect", "--raw", PLAIN, f"docker://{ours}"))
    assert len(raw["manifests"]) == 3
    kobako("rmi", ours)
    assert f"Digest: {digest}" in elsewhere("pull", ours).lines
    assert label_of_container(elsewhere, ours) in PLATFORMS[:2]
    elsewhere("tag", ours, f"{ours}-one")
    partial = elsewhere("push", f"{ours}-one")
    assert "Not all images of the index" in partial.out and digest not in partial.out
    for platform in PLATFORMS:
        elsewhere("pull", "--platform", platform, ours)
    assert "up to date" in elsewhere("pull", "--platform", PLATFORMS[0], ours).out
    assert elsewhere("push", f"{ours}-one").lines[-1].split()[2] == digest


def test_an_archive_of_an_index_is_loaded(
    kobako: Kobako, elsewhere: Kobako, multi: str, tmp_path: Path
) -> None:
    kobako("save", "-o", str(tmp_path / "multi.tar"), multi)
    assert (
        elsewhere("load", "-i", str(tmp_path / "multi.tar")).out == f"Loaded image: {multi}:latest"
    )
    assert label_of_container(elsewhere, multi) == label_of_container(kobako, multi)
    assert label_of_container(elsewhere, multi, "--platform", "linux/arm64") == "linux/arm64"
    elsewhere("system", "fsck")


def test_attestations_are_no_images_of_an_archive(
    kobako: Kobako, elsewhere: Kobako, context: Path, tmp_path: Path
) -> None:
    for kind in ("true", "false"):
        archive = tmp_path / f"{kind}.tar"
        out = f"type=oci,dest={archive},oci-artifact={kind}"
        kobako("build", "-t", f"attested-{kind}", "--sbom=true", "-o", out, str(context))
        loaded = elsewhere("load", "-i", str(archive)).out
        assert loaded == f"Loaded image: attested-{kind}:latest"
    assert len(elsewhere("images", "-q").lines) == 1  # under two names, and nothing else


def program_context(context: Path) -> str:
    """A context with a program for arm64; the line the program says."""
    (context / "hello").write_bytes(arm64_program(b"hello from arm64\n"))
    (context / "hello").chmod(0o755)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY hello /\nRUN ["/hello"]\n')
    return "hello from arm64"


def test_run_for_a_foreign_platform_says_what_is_missing(kobako: Kobako, context: Path) -> None:
    if any(Path("/proc/sys/fs/binfmt_misc").glob("*aarch64*")):
        pytest.skip("this machine runs programs of arm64")
    program_context(context)
    done = kobako.fails("build", "--platform", "linux/arm64", str(context))
    assert ">>> RUN" in done.err and "RUN for linux/arm64: exec /hello: exec format" in done.err
    assert "qemu-user-static" in done.err


@pytest.fixture
def emulator() -> Iterator[None]:
    """The kernel runs arm64's programs by qemu, as packages register it (flag F)."""
    place = Path("/proc/sys/fs/binfmt_misc")
    mounted = False
    if not (place / "register").exists():
        done = subprocess.run(["mount", "-t", "binfmt_misc", "none", place], check=False)
        if done.returncode:
            pytest.skip("binfmt_misc cannot be mounted here")
        mounted = True
    magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    qemu = shutil.which("qemu-aarch64-static")
    entry = place / "kobako-test-aarch64"
    (place / "register").write_text(f":{entry.name}:M::{magic}:{mask}:{qemu}:F")
    yield
    entry.write_text("-1")
    if mounted:
        subprocess.run(["umount", place], check=True)


@pytest.mark.only("root")
@pytest.mark.needs("qemu-aarch64-static")
def test_run_for_a_foreign_platform_by_an_emulator(
    kobako: Kobako, context: Path, emulator: None
) -> None:
    said = program_context(context)
    done = kobako("build", "--platform", "linux/arm64", "--progress", "plain", str(context))
    assert said in done.err


@pytest.fixture(scope="module")
def packages(kobako: Kobako, small: str) -> str:
    """A small image that says it has Debian's packages."""
    status = "/var/lib/dpkg/status"
    dockerfile = f"FROM {small}\nCOPY --from=python {status} {status}\n"
    kobako("build", "-t", "packages", "-", data=dockerfile.encode())
    return "packages"


@pytest.mark.needs("skopeo")
def test_attestations_are_seen_by_others_and_ignored_by_pull(
    kobako: Kobako,
    elsewhere: Kobako,
    registry: str,
    name: str,
    context: Path,
    tmp_path: Path,
    packages: str,
) -> None:
    ours = f"{registry}/attested/{name}"
    (context / "Dockerfile").write_text(f"FROM {packages}\nCOPY Dockerfile /\n")
    words = ("--provenance=mode=min", "--sbom=true", "-t", ours, str(context))
    kobako("build", "--push", "-o", "type=image", "-o", f"{tmp_path}/out", *words)
    index = json.loads(skopeo("inspect", "--raw", PLAIN, f"docker://{ours}"))
    image, attested = index["manifests"]
    assert attested["platform"] == {"architecture": "unknown", "os": "unknown"}
    raw = skopeo("inspect", "--raw", PLAIN, f"docker://{ours}@{attested['digest']}")
    kinds = [x["annotations"]["in-toto.io/predicate-type"] for x in json.loads(raw)["layers"]]
    assert kinds == ["https://spdx.dev/Document", "https://slsa.dev/provenance/v1"]
    assert json.loads(raw)["subject"]["digest"] == image["digest"]
    sbom = json.loads((tmp_path / "out/sbom.spdx.json").read_text())
    assert any(p["name"] == "dpkg" for p in sbom["predicate"]["packages"])
    assert {"name", "digest"} == set(sbom["subject"][0])
    told = json.loads((tmp_path / "out/provenance.json").read_text())["predicate"]
    (base,) = told["buildDefinition"]["resolvedDependencies"]
    assert base["uri"].startswith(f"pkg:docker/{packages}@latest") and base["digest"]["sha256"]
    elsewhere("pull", ours)
    done = elsewhere("run", "--rm", "--network", "none", ours, "cat", "/Dockerfile")
    assert done.out == f"FROM {packages}\nCOPY Dockerfile /"
    kobako("rmi", ours)
    unnamed = kobako("build", "-q", "--sbom=true", str(context))
    assert "without a name is not kept" in unnamed.err
    assert kobako("run", "--rm", "--network", "none", unnamed.out, "echo", "run").out == "run"
    kobako.fails("build", "-o", "type=image,oci-mediatypes=false", *words, says="attestations")
