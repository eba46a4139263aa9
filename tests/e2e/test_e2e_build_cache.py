"""--cache-to on one machine, --cache-from on another: what is cached, what is fetched, what is
never believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from e2e_command import Kobako, Result

DOCKERFILE = """\
FROM {base} AS build
WORKDIR /src
COPY input .
RUN cat input input > out; echo $RANDOM > /noise
RUN true
FROM {base}
COPY --from=build /src/out /out
RUN cp /out /again
ENV A=b
"""
STEPS = 6  # WORKDIR, COPY, RUN, RUN; COPY --from, RUN


@pytest.fixture(scope="module")
def base(kobako: Kobako) -> str:
    """A small image of this machine's programs."""
    kobako("image", "from-host", "--name", "cache-base", "sh", "cat", "cp", "true")
    return "cache-base"


@pytest.fixture
def site(kobako: Kobako, base: str, registry: str, tmp_path: Path) -> Path:
    """A context whose base image is in the registry, so that every machine can build it."""
    name = f"{registry}/cache/base"
    kobako("tag", base, name)
    kobako("push", name)
    return context(tmp_path, name)


def context(tmp_path: Path, base: str) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    (site / "input").write_text("hello\n")
    return site


def build(kobako: Kobako, site: Path, *words: str) -> Result:
    return kobako("build", "-t", "cached", "--progress=plain", *words, str(site))


def cached(done: Result) -> int:
    return sum(line.endswith(" CACHED") for line in done.err.splitlines())


def identity(kobako: Kobako) -> str:
    return kobako.show("{{.Id}} {{json .RootFS.Layers}} {{json .RepoDigests}}", "cached")


def blobs(kobako: Kobako) -> set[str]:
    return {path.name for path in (kobako.root / "blobs" / "sha256").iterdir()}


def local(kobako: Kobako, directory: Path, site: Path, mode: str = "max") -> dict[str, object]:
    """Exports the build's cache to a directory; its config."""
    build(kobako, site, "--no-cache", "--cache-to", f"type=local,dest={directory},mode={mode}")
    index = json.loads((directory / "index.json").read_bytes())
    manifest = json.loads(blob(directory, index["manifests"][0]["digest"]).read_bytes())
    config: dict[str, object] = json.loads(
        blob(directory, manifest["config"]["digest"]).read_bytes()
    )
    return config


def blob(directory: Path, digest: str) -> Path:
    return directory / "blobs" / "sha256" / digest.removeprefix("sha256:")


@pytest.mark.parametrize("form", ["", ",image-manifest=false", ",oci-mediatypes=false"])
def test_a_registry_carries_the_cache(
    kobako: Kobako, elsewhere: Kobako, registry: str, site: Path, form: str
) -> None:
    ref = f"type=registry,ref={registry}/cache/all"
    build(kobako, site, "--no-cache", "--cache-to", f"{ref},mode=max{form}")
    done = build(elsewhere, site, "--cache-from", ref)
    assert cached(done) == STEPS
    assert identity(elsewhere) == identity(kobako)
    assert cached(build(elsewhere, site)) == 2  # what was fetched: the result
    (site / "input").write_text("bye\n")
    done = build(elsewhere, site, "--cache-from", ref)
    assert cached(done) == 1  # WORKDIR
    assert (
        elsewhere("run", "--rm", "--network", "none", "cached", "cat", "/again").out == "bye\nbye"
    )


def test_only_what_is_used_is_fetched(
    kobako: Kobako, elsewhere: Kobako, registry: str, site: Path
) -> None:
    ref = f"{registry}/cache/lazy"
    build(kobako, site, "--no-cache", "--cache-to", f"type=registry,ref={ref},mode=max")
    build(elsewhere, site, "--cache-from", ref)
    manifest = json.loads(kobako.show("{{json .RootFS.Layers}}", "cached"))
    assert len(manifest) == 3
    there = blobs(elsewhere)
    assert len(there) == 3 + 4  # layers; configs and manifests of the base and of the result


def test_the_least_cache_finds_all_steps_of_an_unchanged_build(
    kobako: Kobako, elsewhere: Kobako, registry: str, site: Path
) -> None:
    ref = f"{registry}/cache/least"
    build(kobako, site, "--no-cache", "--cache-to", f"type=registry,ref={ref}")
    done = build(elsewhere, site, "--cache-from", ref)
    assert cached(done) == STEPS
    assert identity(elsewhere) == identity(kobako)
    elsewhere("builder", "prune", "-af")
    elsewhere("rmi", "cached")
    (site / "input").write_text("bye\n")
    done = build(elsewhere, site, "--cache-from", ref)
    assert "ERROR" not in done.err
    assert (
        elsewhere("run", "--rm", "--network", "none", "cached", "cat", "/again").out == "bye\nbye"
    )


def test_an_image_carries_its_cache(
    kobako: Kobako, elsewhere: Kobako, registry: str, site: Path
) -> None:
    name = f"{registry}/cache/image"
    words = ["build", "--progress=plain", "-t", name, "--build-arg", "BUILDKIT_INLINE_CACHE=1"]
    kobako(*words, "--no-cache", str(site))
    kobako("push", name)
    done = elsewhere(*words, "--cache-from", name, str(site))
    assert cached(done) == STEPS
    assert elsewhere.show("{{.Id}}", name) == kobako.show("{{.Id}}", name)
    build(kobako, site)
    assert kobako.show("{{.Id}}", "cached") != kobako.show("{{.Id}}", name)


def test_a_cache_that_is_not_there_breaks_nothing(
    kobako: Kobako, base: str, open_hub: object, tmp_path: Path
) -> None:
    site = context(tmp_path, base)
    done = build(
        kobako, site, "--cache-from", f"{open_hub.address}/cache/nobody",  # type: ignore[attr-defined]  # a HubServer
        "--cache-from", "127.0.0.1:1/cache/nobody", "--cache-from", f"type=local,src={tmp_path}/no",
    )  # fmt: skip
    warnings = [line for line in done.err.splitlines() if line.startswith("WARNING: importing")]
    assert len(warnings) == 3
    assert all(line.endswith("ignored") for line in warnings)


def test_where_a_cache_cannot_be_written(kobako: Kobako, base: str, tmp_path: Path) -> None:
    site = context(tmp_path, base)
    (tmp_path / "file").write_text("")
    words = ["build", "--cache-to", f"type=local,dest={tmp_path}/file", str(site)]
    kobako.fails(*words, code=1, says="file")
    words[2] += ",ignore-error=true"
    assert "ignored" in kobako(*words).err
    kobako.fails("build", "--cache-to", "type=gha", str(site), says="type=registry, type=local")


def test_directories_hold_several_caches(kobako: Kobako, base: str, tmp_path: Path) -> None:
    site, directory = context(tmp_path, base), tmp_path / "caches"
    local(kobako, directory, site)
    first = len(list((directory / "blobs" / "sha256").iterdir()))
    (site / "input").write_text("bye\n")
    build(kobako, site, "--cache-to", f"type=local,dest={directory},mode=max,tag=bye")
    tags = json.loads((directory / "index.json").read_bytes())["manifests"]
    assert len(tags) == 2
    build(kobako, site, "--cache-to", f"type=local,dest={directory},mode=max,reset=true")
    assert len(json.loads((directory / "index.json").read_bytes())["manifests"]) == 1
    assert len(list((directory / "blobs" / "sha256").iterdir())) == first


def test_compression_is_the_cache_s_own(
    kobako: Kobako, elsewhere: Kobako, registry: str, site: Path, tmp_path: Path
) -> None:
    words = f"type=local,dest={tmp_path}/zstd,mode=max,compression=zstd,compression-level=3"
    build(kobako, site, "--no-cache", "--cache-to", words)
    done = build(elsewhere, site, "--cache-from", f"type=local,src={tmp_path}/zstd")
    assert cached(done) == STEPS
    assert elsewhere.show("{{.Id}}", "cached") == kobako.show("{{.Id}}", "cached")


@pytest.mark.parametrize(
    "damage", ["content", "short", "gone", "other layer", "config", "nonsense"]
)
def test_a_damaged_cache_is_ignored(
    kobako: Kobako, elsewhere: Kobako, open_hub: object, base: str, tmp_path: Path, damage: str
) -> None:
    name = f"{open_hub.address}/cache/base"  # type: ignore[attr-defined]  # a HubServer
    kobako("tag", base, name)
    kobako("push", name)
    site, directory = context(tmp_path, name), tmp_path / "cache"
    config = local(kobako, directory, site)
    layers = config["layers"]
    assert isinstance(layers, list)
    if damage in ("content", "short", "gone"):
        for layer in layers:
            path = blob(directory, layer["blob"])
            data = path.read_bytes()
            path.unlink()
            if damage == "content":
                path.write_bytes(bytes(len(data)))
            elif damage == "short":
                path.write_bytes(data[:-1])
    elif damage == "other layer":
        swapped(directory, layers)
    elif damage == "config":
        index = json.loads((directory / "index.json").read_bytes())
        blob(directory, index["manifests"][0]["digest"]).write_bytes(b"{}")
    else:
        (directory / "index.json").write_bytes(b"[[[" * 100_000)
    done = build(elsewhere, site, "--cache-from", f"type=local,src={directory}")
    assert "ignored" in done.err
    assert elsewhere("run", "--rm", "--network", "none", "cached", "cat", "/again").out == (
        "hello\nhello"
    )
    assert elsewhere("fsck").code == 0
    shutil.rmtree(directory)
    assert cached(build(elsewhere, site)) == STEPS


def swapped(directory: Path, layers: list[dict[str, object]]) -> None:
    """The records keep their DiffIDs, but every blob is now the next layer's."""
    from kobako.oci import Digest

    index = json.loads((directory / "index.json").read_bytes())
    top = index["manifests"][0]
    manifest = json.loads(blob(directory, top["digest"]).read_bytes())
    config = json.loads(blob(directory, manifest["config"]["digest"]).read_bytes())
    for layer, other in zip(config["layers"], [*layers[1:], layers[0]], strict=True):
        notes = other["annotations"]
        assert isinstance(notes, dict)
        layer["blob"], layer["annotations"]["size"] = other["blob"], notes["size"]
    for document, pointer in ((config, manifest["config"]), (manifest, top)):
        raw = json.dumps(document).encode()
        pointer["digest"], pointer["size"] = str(Digest.of(raw)), len(raw)
        blob(directory, pointer["digest"]).write_bytes(raw)
    (directory / "index.json").write_text(json.dumps(index))


def test_targets_of_a_bake_file_have_caches(kobako: Kobako, base: str, tmp_path: Path) -> None:
    site, directory = context(tmp_path, base), tmp_path / "caches"
    bake = tmp_path / "docker-bake.hcl"
    bake.write_text(
        'target "default" {\n'
        f'  context = "{site}"\n'
        f'  cache-from = ["type=local,src={directory}"]\n'
        f'  cache-to = [{{type = "local", dest = "{directory}", mode = "max"}}]\n'
        "}\n"
    )
    words = ("bake", "-f", str(bake), "--progress=plain")
    assert "holds no cache" in kobako(*words, cwd=tmp_path).err
    kobako("builder", "prune", "-af")
    assert cached(kobako(*words, cwd=tmp_path)) == STEPS


def test_the_commands_of_the_page(
    kobako: Kobako, registry: str, site: Path, tmp_path: Path
) -> None:
    """docs/caches.md, in the order of the page."""
    with open(site / "Dockerfile", "a") as file:
        file.write("RUN --mount=type=cache,target=/root/.cache echo kept > /root/.cache/file\n")
    kobako("build", "-t", "page", str(site))
    page = (Path(__file__).parents[2] / "docs" / "caches.md").read_text()
    blocks = page.split("```sh\n")[1:]
    lines = [line for block in blocks for line in block.partition("```")[0].splitlines()]
    assert len(lines) == 11
    for line in lines:
        program, *words = line.replace("registry.example.org", registry).split()
        assert program == "kobako"
        done = kobako(*words, cwd=site)
        if "--cache-from" in words:
            assert "ignored" not in done.err
