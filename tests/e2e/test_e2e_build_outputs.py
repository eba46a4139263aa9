"""`build --output` and its relatives, read by the programs others use."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import DockerRegistry, skopeo

PLAIN = "--tls-verify=false"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context whose result has a set-uid program of another owner and a link."""
    context = tmp_path / "context"
    (context / "tree/bin").mkdir(parents=True)
    (context / "tree/bin/su").write_text("program")
    (context / "tree/link").symlink_to("../../bin/su")
    (context / "Dockerfile").write_text(
        "FROM scratch\nLABEL from=file\nCOPY tree /\n"
        "COPY --chown=7:8 --chmod=4751 tree/bin/su /bin/su\n"
    )
    return context


def test_local_and_tar(kobako: Kobako, context: Path, tmp_path: Path) -> None:
    out = tmp_path / "日本/out"
    outside = tmp_path / "outside"
    outside.mkdir()
    done = kobako("build", "-o", str(out), str(context))
    assert f"Exported to {out}" in done.err
    assert {str(p.relative_to(out)) for p in out.rglob("*")} == {"bin", "bin/su", "link"}
    su = (out / "bin/su").stat()
    assert stat.S_IMODE(su.st_mode) == 0o4751
    assert (su.st_uid, su.st_gid) == (os.getuid(), os.getgid())
    (out / "bin/su").unlink()
    (out / "bin").rmdir()
    (out / "bin").symlink_to(outside)
    kobako("build", "-o", f"type=local,dest={out}", str(context))
    assert (out / "bin/su").read_text() == "program" and not os.listdir(outside)
    archive = kobako("build", "-o", "-", str(context)).raw
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {m.name: (m.mode, m.uid, m.gid, m.linkname) for m in tar}
    assert found["bin/su"] == (0o4751, 7, 8, "") and found["link"][3] == "../../bin/su"
    assert set(found) == {"bin", "bin/su", "link"}
    kobako("build", "-q", "-o", f"type=tar,dest={tmp_path}/x.tar", str(context))
    assert (tmp_path / "x.tar").read_bytes() == archive


def test_stale_files_are_removed_only_below_here(
    kobako: Kobako, context: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale").write_text("")
    words = ("build", "-q", "-o", "type=local,mode=delete,dest=out", str(context))
    kobako.fails(*words[:2], "-o", f"type=local,mode=delete,dest={tmp_path}", str(context),
                 says="would remove what else", cwd=tmp_path)  # fmt: skip
    kobako(*words, cwd=tmp_path)
    assert sorted(os.listdir(out)) == ["bin", "link"]
    (out / "stale").write_text("")
    there = f"type=local,mode=delete,dest={out}"
    kobako("build", "-q", "-o", there, "--allow", "buildx.local.delete", str(context), cwd=out)
    assert sorted(os.listdir(out)) == ["bin", "link"]


@pytest.mark.needs("skopeo", "umoci")
def test_archives(kobako: Kobako, elsewhere: Kobako, context: Path, tmp_path: Path) -> None:
    oci, docker, layout = tmp_path / "oci.tar", tmp_path / "docker.tar", tmp_path / "layout"
    meta, iid = tmp_path / "meta.json", tmp_path / "iid"
    kobako(
        "build", "-t", "arch/ive:7", "--metadata-file", str(meta), "--iidfile", str(iid),
        "--annotation", "a.B=c", "--annotation", "manifest-descriptor:d=e", "--label", "l=m",
        "-o", f"type=oci,dest={oci}", "-o", f"type=docker,dest={docker}",
        "-o", f"type=oci,tar=false,dest={layout},compression=zstd", str(context),
    )  # fmt: skip
    seen = json.loads(skopeo("inspect", f"oci-archive:{oci}"))
    assert seen["Labels"] == {"from": "file", "l": "m"} and seen["Architecture"]
    raw = json.loads(skopeo("inspect", "--raw", f"oci-archive:{oci}"))
    assert raw["annotations"] == {"a.B": "c"}
    names = subprocess.run(
        ["umoci", "ls", "--layout", str(layout)], check=True, capture_output=True, text=True
    )
    assert names.stdout.strip() == "7"
    zstd = json.loads(skopeo("inspect", "--raw", f"oci:{layout}:7"))
    assert {layer["mediaType"][-4:] for layer in zstd["layers"]} == {"zstd"}
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    assert entry["annotations"]["d"] == "e" and entry["digest"] != seen["Digest"]
    assert json.loads(skopeo("inspect", f"docker-archive:{docker}"))["Labels"] == seen["Labels"]
    told = json.loads(meta.read_text())
    image_id = elsewhere("load", "-i", str(docker)) and elsewhere("images", "-q", "--no-trunc").out
    assert image_id == iid.read_text() == told["containerimage.config.digest"]
    assert told["image.name"] == "docker.io/arch/ive:7" and told["buildx.build.ref"]
    assert told["buildx.build.provenance"]["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert told["containerimage.descriptor"]["digest"] == told["containerimage.digest"]
    kobako.fails("inspect", "arch/ive:7", says="No such")  # archives were asked for, nothing else


@pytest.mark.needs("skopeo")
def test_push(kobako: Kobako, registry: str, context: Path, name: str, tmp_path: Path) -> None:
    ours, again = f"{registry}/outputs/{name}", f"{registry}/outputs/{name}-zstd"
    done = kobako("build", "-t", ours, "-t", f"{ours}:2", "--push", str(context))
    assert f"Pushed {ours}:latest@sha256:" in done.err and f"Pushed {ours}:2@" in done.err
    assert json.loads(skopeo("inspect", PLAIN, f"docker://{ours}:2"))["Labels"] == {"from": "file"}
    assert kobako("images", "-q", ours).lines  # stored as well
    kobako(
        "build", "--iidfile", str(tmp_path / "id"), "--metadata-file", str(tmp_path / "meta"),
        "-o", f"type=registry,name={again},push-by-digest=true,store=false,oci-mediatypes=true,"
        "compression=zstd,compression-level=9,force-compression=true", str(context),
    )  # fmt: skip
    digest = json.loads((tmp_path / "meta").read_text())["containerimage.digest"]
    raw = json.loads(skopeo("inspect", "--raw", PLAIN, f"docker://{again}@{digest}"))
    assert all(layer["mediaType"].endswith("zstd") for layer in raw["layers"])
    kobako.fails("images", "-q", again, code=0)
    docker = f"type=image,name={again}:docker,push=true,oci-mediatypes=false"
    kobako("build", "-o", docker, str(context))
    seen = json.loads(skopeo("inspect", "--raw", PLAIN, f"docker://{again}:docker"))
    assert seen["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    kobako("rmi", ours, f"{ours}:2", f"{again}:docker")


@pytest.mark.parametrize(
    "flags",
    [
        ("--iidfile", "missing/id"),
        ("--metadata-file", "missing/meta"),
        ("--iidfile", "."),
        ("-o", "type=tar,dest=missing/x.tar"),
        ("-o", "type=oci,dest=file/x.tar"),
        ("-o", "type=local,dest=file"),
        ("-o", "type=oci,tar=false,dest=file/deep/er"),
    ],
)
def test_a_destination_that_cannot_be_is_told_before_anything_is_built(
    kobako: Kobako, tmp_path: Path, flags: tuple[str, str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN echo was-built\n")
    words = ("build", "--progress=plain", "--no-cache", *flags, ".")
    failed = kobako.attempt(*words, cwd=str(tmp_path))
    assert failed.code == 1 and "was-built" not in failed.said, failed
    assert flags[1].rpartition("=")[2] in failed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dockerfile", "file"]


@pytest.mark.only("user")
@pytest.mark.parametrize("flags", [("--iidfile", "there/id"), ("-o", "there/tree")])
def test_nor_where_nothing_may_be_written(
    kobako: Kobako, tmp_path: Path, flags: tuple[str, str]
) -> None:
    (tmp_path / "there").mkdir(mode=0o555)
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN echo was-built\n")
    words = ("build", "--progress=plain", "--no-cache", *flags, ".")
    failed = kobako.attempt(*words, cwd=str(tmp_path))
    assert failed.code == 1 and "was-built" not in failed.said, failed
    assert "Permission denied" in failed.err


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate for loopback that vouches for itself, and its key."""
    found, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
         "-out", found, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    return found, key


@pytest.mark.needs("docker-registry", "openssl")
def test_a_registry_is_believed_as_asked(
    kobako: Kobako, elsewhere: Kobako, context: Path, tmp_path: Path
) -> None:
    server = DockerRegistry(tmp_path / "registry", certificate(tmp_path, "own"))
    try:
        name = f"{server.address}/a/b"
        config = Path(elsewhere.environ["KOBAKO_CONFIG"])
        wrong = certificate(tmp_path, "other")[0]
        config.write_text(f'[registries."{server.address}"]\nca = "{wrong}"\n')
        out = f"type=registry,name={name}"
        elsewhere.fails("build", "-o", out, str(context), says="failed to verify certificate")
        done = elsewhere("build", "-o", f"{out},registry.insecure=true", str(context))
        assert "Warning" not in done.err and f"Pushed {name}:latest@" in done.err
        config.write_text(f'[registries."{server.address}"]\nca = "{tmp_path / "own.pem"}"\n')
        elsewhere("build", "-o", out, str(context))
    finally:
        server.close()


def test_what_cannot_be_is_told(kobako: Kobako, context: Path, tmp_path: Path) -> None:
    def fails(says: str, *words: str) -> None:
        kobako.fails("build", *words, str(context), says=says)

    (tmp_path / "file").write_text("")
    fails("tag is needed when pushing", "--push")
    fails("did you mean dest?", "-o", "type=tar,desk=x")
    fails("is a file", "-o", f"type=local,dest={tmp_path}/file")
    fails("is not a directory", "-o", f"type=local,dest={tmp_path}/file/below")
    fails("is a directory", "-o", f"type=tar,dest={tmp_path}")
    fails("index annotations not supported", "--annotation", "index:a=b")
    fails("write /dev/full: No space left", "-o", "type=tar,dest=/dev/full")
    fails("multiple outputs", "-o", "-", "-o", "type=oci")
    if os.getuid():
        fails("Permission denied", "-o", "/usr/kobako-nothing")
        fails("Permission denied", "-o", "type=oci,dest=/usr/kobako-nothing")


def test_stages_and_the_context_are_listed_where_asked(kobako: Kobako, tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "app.dist-info").mkdir(parents=True)
    (context / "app.dist-info" / "METADATA").write_text("Name: app\nVersion: 1\n")
    (context / "Dockerfile").write_text(
        "FROM python AS build\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n"
        "RUN ! env | grep SBOM\nFROM scratch AS other\nARG BUILDKIT_SBOM_SCAN_STAGE\n"
        "COPY Dockerfile /x\nFROM scratch\nARG BUILDKIT_SBOM_SCAN_CONTEXT=false\n"
        "COPY --from=build /etc/hostname /\nCOPY --from=other /x /\nCOPY app.dist-info /d\n"
    )

    def listed(*flags: str) -> dict[str, set[str]]:
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        kobako("build", "--sbom=true", "-o", str(out), *flags, str(context))
        return {
            path.name: {p["name"] for p in json.loads(path.read_text())["predicate"]["packages"]}
            for path in out.glob("*.spdx.json")
        }

    found = listed()
    assert sorted(found) == ["sbom-build.spdx.json", "sbom.spdx.json"]
    assert "dash" in found["sbom-build.spdx.json"] and "dash" not in found["sbom.spdx.json"]
    flags = ("--build-arg", "BUILDKIT_SBOM_SCAN_CONTEXT=true")
    found = listed(*flags, "--build-arg", "BUILDKIT_SBOM_SCAN_STAGE=other,none")
    assert sorted(found) == ["sbom-context.spdx.json", "sbom-other.spdx.json", "sbom.spdx.json"]
    assert "app" in found["sbom-context.spdx.json"]
    assert sorted(listed("--build-arg", "BUILDKIT_SBOM_SCAN_STAGE=false")) == ["sbom.spdx.json"]
