"""ADD and contexts that are fetched: files of an HTTP server, commits of git repositories."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_sources import MODIFIED, Builder, Repository, Site


def archive(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o640
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def test_a_url_is_a_file_of_mode_600_and_its_servers_time(build: Builder, site: Site) -> None:
    site.files = {"/file.txt": b"text\n", "/a%20b": b"spaces\n", "/t.tar.gz": archive(inner="in\n")}
    say = 'CMD ["find", "/in", "-type", "f", "-printf", "./%P %m %U:%G %T@\\\\n"]\n'
    lines = (
        build(
            f"FROM python\nADD {site.url}/file.txt {site.url}/t.tar.gz?x=1 /in/\n"
            f"ADD {site.url}/file.txt /in/renamed\n"
            f'ADD ["{site.url}/a%20b", "/in/"]\n'
            f"ADD --chown=3:4 --chmod=755 {site.url}/moved /in/new/\n"
            f"ADD --unpack {site.url}/t.tar.gz /in/unpacked\n" + say
        )
        .replace(".0000000000", "")
        .splitlines()
    )
    assert f"./a b 600 0:0 {MODIFIED}" in lines
    assert f"./file.txt 600 0:0 {MODIFIED}" in lines
    assert f"./new/moved 755 3:4 {MODIFIED}" in lines
    assert f"./renamed 600 0:0 {MODIFIED}" in lines
    assert f"./t.tar.gz 600 0:0 {MODIFIED}" in lines
    assert any(line.startswith("./unpacked/inner 640 0:0") for line in lines)


def test_a_url_is_asked_again_and_sent_again_only_when_it_changed(
    build: Builder, site: Site
) -> None:
    site.files = {"/one": b"1\n"}
    text = f'FROM python\nADD {site.url}/one /one\nCMD ["cat", "/one"]\n'
    assert build(text) == "1"
    assert build(text) == "1"
    assert [code for path, code in site.asked if path == "/one"] == [200, 304]
    site.files["/one"] = b"2\n"
    assert build(text) == "2"
    site.etags = False
    site.files["/one"] = b"3\n"
    assert build(text) == "3"
    del site.files["/one"]
    build.fails(text, f"{site.url}/one: not found (404)")


def test_a_checksum_is_enough_and_is_kept_to(build: Builder, site: Site) -> None:
    site.files = {"/sum": b"summed\n"}
    digest = "sha256:" + hashlib.sha256(b"summed\n").hexdigest()
    text = f'FROM python\nARG SUM\nADD --checksum=$SUM {site.url}/sum /\nCMD ["cat", "/sum"]\n'
    assert build(text, "--build-arg", f"SUM={digest}") == "summed"
    site.asked.clear()
    assert build(text, "--build-arg", f"SUM={digest}") == "summed"
    assert not site.asked
    site.files["/sum"] = b"others\n"
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    build.fails(text, "digest mismatch", "--build-arg", f"SUM={wrong}")
    build.fails(text, "only sha256", "--build-arg", "SUM=sha512:" + "0" * 128)
    build.fails("FROM python\nADD --checksum=sha256:00 Dockerfile /\n", "Dockerfile:2")
    build.fails("FROM python\nADD http://127.0.0.1:1/x /\n", "cannot fetch http://127.0.0.1:1/x")


@pytest.fixture
def repository(tmp_path: Path, site: Site) -> Repository:
    made = Repository(tmp_path, site.url)
    made.commit(first="1\n", sub__deep="deep\n")
    made.git("tag", "-a", "-m", "a tag", "v1")
    made.commit(second="2\n")
    made.git("checkout", "-q", "-b", "side")
    made.commit(third="3\n")
    made.git("checkout", "-q", "main")
    made.publish()
    return made


LIST = "CMD cd /in; find . -type f | sort | xargs stat -c '%n %a %u:%g'\n"


@pytest.mark.needs("git")
def test_a_repository_by_branch_tag_commit_and_subdirectory(
    build: Builder, repository: Repository
) -> None:
    def added(source: str, *flags: str) -> list[str]:
        return build(
            f"FROM python\nADD {' '.join(flags)} {repository.url}{source} /in\n{LIST}"
        ).split("\n")

    first = repository.git("rev-parse", "v1^{commit}")
    everything = ["./first 644 0:0", "./second 644 0:0", "./sub/deep 644 0:0"]
    assert added("") == everything
    assert added("#v1") == ["./first 644 0:0", "./sub/deep 644 0:0"]
    assert added(f"#{first}") == ["./first 644 0:0", "./sub/deep 644 0:0"]
    assert added("#side:sub") == ["./deep 644 0:0"]
    assert added("?branch=side&subdir=sub") == ["./deep 644 0:0"]
    assert "./third 600 5:6" in added("#side", "--chown=5:6", "--chmod=600")
    assert added(f"?tag=v1&checksum={first[:10]}") == ["./first 644 0:0", "./sub/deep 644 0:0"]
    url = repository.url
    build.fails(f"FROM python\nADD {url}#nothing /in\n", "does not contain ref nothing")
    build.fails(f"FROM python\nADD --checksum=0123456 {url} /in\n", "expected checksum")
    build.fails(f"FROM python\nADD {url}#main:nodir /in\n", "no directory nodir")
    build.fails(f"FROM python\nADD {url}?what=1 /in\n", 'unexpected query "what"')
    build.fails(f"FROM python\nCOPY {url} /in\n", "source can't be a git ref for COPY")


@pytest.mark.needs("git")
def test_a_repository_is_cached_by_its_commit(build: Builder, repository: Repository) -> None:
    text = f"FROM python\nADD {repository.url} /in\n{LIST}"
    assert "new" not in build(text)
    repository.commit(new="new\n")
    repository.publish()
    assert "./new" in build(text)
    (build.context / "Dockerfile").write_text(text)
    again = build.kobako("build", "--progress", "plain", str(build.context)).err
    assert again.count("CACHED") == 1
    keep = (
        f"FROM scratch\nADD --keep-git-dir=true {repository.url}#v1 /in\n"
        'FROM python\nCOPY --from=0 /in /in\nCMD ["find", "/in/.git", "-type", "f"]\n'
    )
    files = build(keep, "--no-cache").split("\n")
    assert "/in/.git/refs/tags/v1" in files
    assert "/in/.git/FETCH_HEAD" not in files
    image = build.kobako.show("{{.Id}}", "remote")
    build(keep, "--no-cache")
    assert build.kobako.show("{{.Id}}", "remote") == image


@pytest.mark.needs("git")
def test_provenance_names_what_was_fetched(
    kobako: Kobako, site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.files = {"/file": b"fetched"}
    secretive = site.url.replace("http://", "http://me:hidden@")
    (tmp_path / "Dockerfile").write_text(
        f"FROM scratch\nADD {secretive}/file /\nADD {repository.url}#main /repo\n"
    )
    out = tmp_path / "out"
    kobako("build", "--provenance=mode=min", "-o", str(out), str(tmp_path))
    text = (out / "provenance.json").read_text()
    told = json.loads(text)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert told[0] == {
        "uri": f"{site.url}/file",
        "digest": {"sha256": hashlib.sha256(b"fetched").hexdigest()},
    }
    assert told[1]["uri"] == f"{repository.url}#main" and len(told[1]["digest"]["sha1"]) == 40
    assert "hidden" not in text
    (repository.work / "Dockerfile").write_text("FROM scratch\nCOPY first /\n")
    repository.commit()
    repository.publish()
    kobako("build", "--provenance=true", "-o", str(out), f"{repository.url}#main")
    definition = json.loads((out / "provenance.json").read_text())["predicate"]["buildDefinition"]
    source = definition["externalParameters"]["configSource"]
    assert source["uri"] == f"{repository.url}#main" and source["path"] == "Dockerfile"
    assert source["digest"] == {"sha1": repository.git("rev-parse", "main")}
    assert definition["resolvedDependencies"] == [{k: source[k] for k in ("uri", "digest")}]


@pytest.mark.needs("git")
def test_provenance_tells_what_a_directory_is_a_revision_of(
    kobako: Kobako, repository: Repository, tmp_path: Path
) -> None:
    (repository.work / "sub" / "Dockerfile").write_text("FROM scratch\nCOPY --from=x first /\n")
    repository.git("remote", "add", "origin", "https://me:hidden@example.org/a/b.git")
    out = tmp_path / "out"
    words = ("build", "--provenance=mode=min", "-o", str(out), "--build-context")
    kobako(*words, f"x={repository.url}", str(repository.work / "sub"))
    text = (out / "provenance.json").read_text()
    told = json.loads(text)["predicate"]
    assert told["runDetails"]["metadata"]["buildkit_metadata"] == {
        "vcs": {
            "localdir:context": "sub",
            "localdir:dockerfile": "sub",
            "revision": repository.git("rev-parse", "HEAD"),
            "source": "https://xxxxx:xxxxx@example.org/a/b.git",
        }
    }
    assert "hidden" not in text
    (named,) = told["buildDefinition"]["resolvedDependencies"]
    assert named["uri"] == repository.url
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    kobako(*words[:-1], str(tmp_path / "plain"))
    assert '"vcs"' not in (out / "provenance.json").read_text()


def test_a_context_from_standard_input(build: Builder, kobako: Kobako, tmp_path: Path) -> None:
    text = 'FROM python\nCOPY . /in/\nCMD ["ls", "/in"]\n'
    say = ("run", "--rm", "--network", "none")
    plain = archive(Dockerfile=text, file="1", **{".dockerignore": "file"})
    kobako("build", "-t", "piped", "-", data=plain)
    assert kobako(*say, "piped").lines == ["Dockerfile", "file"]
    kobako("build", "-t", "piped", "-f", "sub/D", "-", data=archive(**{"sub/D": text, "x": ""}))
    assert kobako(*say, "piped").lines == ["sub", "x"]
    kobako("build", "-t", "piped", "-", data=b"FROM python\nCMD echo no context\n")
    assert kobako(*say, "piped").out == "no context"
    kobako.fails("build", "-", data=b"FROM python\nCOPY x /\n", says='"/x" not found')
    kobako.fails("build", "-f", "D", "-", data=b"FROM python\n", says="ambiguous Dockerfile")
    kobako.fails("build", "-", data=archive(x="1"), says="failed to read dockerfile")
    path = tmp_path / "context.tar.gz"
    path.write_bytes(plain)
    kobako("build", "-t", "piped", str(path))
    assert kobako(*say, "piped").lines == ["Dockerfile", "file"]
    assert not list((kobako.root / "scratch").glob("*/context"))


def test_an_archive_keeps_its_owners_and_leads_nowhere(build: Builder, kobako: Kobako) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, target, owner in (("Dockerfile", "", 0), ("f", "", 33), ("l", "/etc/passwd", 0)):
            member = tarfile.TarInfo(name)
            member.uid = member.gid = owner
            content = b"FROM python\nCOPY f l /in/\nCMD stat -c %u:%g:%F /in/f\n"
            if target:
                member.type, member.linkname = tarfile.SYMTYPE, target
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    failed = kobako.attempt("build", "-t", "owned", "-", data=data.getvalue())
    assert failed.code == 1 and '"/l" not found' in failed.err  # there is no such file inside
    data = data.getvalue().replace(b"COPY f l /in/", b"COPY f   /in/")
    kobako("build", "-t", "owned", "-", data=data)
    assert kobako("run", "--rm", "--network", "none", "owned").out == "33:33:regular file"


TEXT = b"FROM scratch\nCOPY null /x\n"


def test_devices_and_pipes_of_an_archive(build: Builder, kobako: Kobako) -> None:
    def archived(*kinds: tuple[str, bytes]) -> bytes:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name, kind in kinds:
                member = tarfile.TarInfo(name)
                member.type, member.size = kind, len(TEXT) if kind == tarfile.REGTYPE else 0
                tar.addfile(member, io.BytesIO(TEXT))
        return data.getvalue()

    file = "Dockerfile"
    with_device = archived((file, tarfile.REGTYPE), ("null", tarfile.CHRTYPE))
    failed = kobako.fails("build", "-", data=with_device)
    assert "/null" in failed.err and "not found" in failed.err  # a context has none
    pipe = archived((file, tarfile.FIFOTYPE))
    kobako.fails("build", "-", data=pipe, says=f"{file} in the context is a FIFO and no file")


def test_a_context_from_a_url(build: Builder, kobako: Kobako, site: Site) -> None:
    text = 'FROM python\nCOPY file /\nCMD ["cat", "/file"]\n'
    site.files = {"/c.tar.gz": archive(Dockerfile=text, file="fetched\n"),
                  "/D": b"FROM python\nCMD echo a Dockerfile alone\n"}  # fmt: skip
    kobako("build", "-t", "fetched", f"{site.url}/c.tar.gz")
    assert kobako("run", "--rm", "--network", "none", "fetched").out == "fetched"
    kobako("build", "-t", "fetched", f"{site.url}/D")
    assert kobako("run", "--rm", "--network", "none", "fetched").out == "a Dockerfile alone"
    kobako.fails("build", f"{site.url}/none", says="not found (404)")


@pytest.mark.needs("git")
def test_a_context_from_a_repository(kobako: Kobako, repository: Repository) -> None:
    text = 'FROM python\nCOPY . /in/\nCMD ["ls", "-A", "/in"]\n'
    repository.commit(Dockerfile=text, deep__Dockerfile=text, deep__other="1")
    repository.publish()
    kobako("build", "-t", "cloned", repository.url)
    said = kobako("run", "--rm", "--network", "none", "cloned").lines
    assert said == ["Dockerfile", "deep", "first", "second", "sub"]
    kobako("build", "-t", "cloned", f"{repository.url}#main:deep")
    assert kobako("run", "--rm", "--network", "none", "cloned").lines == ["Dockerfile", "other"]


@pytest.mark.needs("git")
def test_named_contexts(
    build: Builder, kobako: Kobako, site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.files = {"/c.tar.gz": archive(inside="of an archive\n")}
    other = tmp_path / "other"
    other.mkdir()
    (other / "shown").write_text("shown\n")
    (other / "hidden").write_text("hidden\n")
    (other / ".dockerignore").write_text("hidden\n")
    layout = tmp_path / "layout"
    layout.mkdir()
    kobako("save", "--format", "oci", "-o", str(tmp_path / "python.tar"), "python")
    subprocess.run(["tar", "-xf", tmp_path / "python.tar", "-C", layout], check=True)
    text = (
        "FROM scratch AS replaced\nCOPY nothing /\n"
        "FROM laid-out\n"
        "COPY --from=other . /in/other/\nCOPY --from=fetched inside /in/\n"
        "COPY --from=cloned first /in/\nCOPY --from=replaced shown /in/replaced\n"
        "RUN --mount=from=other,target=/m test -e /m/shown && ! test -e /m/hidden\n"
        "RUN --mount=from=image,target=/m test -e /m/etc/passwd\n"
        'CMD ["find", "/in", "-type", "f"]\n'
    )
    flags = []
    for name, what in (
        ("other", str(other)),
        ("replaced", str(other)),
        ("fetched", f"{site.url}/c.tar.gz"),
        ("cloned", repository.url),
        ("image", "docker-image://python"),
        ("laid-out", f"oci-layout://{layout}"),
    ):
        flags += ["--build-context", f"{name}={what}"]
    assert sorted(build(text, *flags).split("\n")) == [
        "/in/first", "/in/inside", "/in/other/.dockerignore", "/in/other/shown", "/in/replaced",
    ]  # fmt: skip
    build.fails("FROM x\n", "no such directory", "--build-context", "x=/does/not/exist")
    build.fails("FROM x\n", "expected name=path", "--build-context", "x")
    build.fails("FROM x\n", "is no OCI layout", "--build-context", f"x=oci-layout://{other}")


def created(kobako: Kobako, name: str = "remote") -> str:
    return kobako.show("{{.Created}}", name)


@pytest.mark.needs("git")
def test_the_epoch_of_a_context_a_named_one_or_a_stage(
    build: Builder, kobako: Kobako, repository: Repository, site: Site, tmp_path: Path
) -> None:
    when = "2001-09-09T01:46:40Z"  # of the commits and of what the server says
    dockerfile = tmp_path / "Dockerfile.epoch"
    dockerfile.write_text("FROM scratch\nCOPY first /\nARG SOURCE_DATE_EPOCH\n")
    words = ("--build-arg", "SOURCE_DATE_EPOCH=context")
    kobako("build", "-t", "remote", "-f", "-", *words, repository.url, data=dockerfile.read_bytes())
    assert created(kobako) == when
    assert f"SOURCE_DATE_EPOCH={MODIFIED}" in kobako("history", "--no-trunc", "remote").out
    plain = "FROM scratch\nCOPY --from=src first /\nCOPY Dockerfile /\n"
    named = ("--build-context", f"src={repository.url}")
    words = ("build", "-q", "-t", "remote", str(build.context))
    (build.context / "Dockerfile").write_text(plain)
    kobako(*words, *named, "--build-arg", "SOURCE_DATE_EPOCH=src")
    assert created(kobako) == when
    kobako(*words, *named, "--build-arg", "SOURCE_DATE_EPOCH=context")
    assert created(kobako) == "1980-01-01T00:00:00Z"  # a directory has no time
    site.files = {"/file.txt": b"text\n"}
    (build.context / "Dockerfile").write_text(
        "ARG SOURCE_DATE_EPOCH=date\nARG F=file\n"
        f"FROM scratch AS Date\nARG F\nADD {site.url}/$F.txt /\n"
        "FROM scratch\nCOPY Dockerfile /\n"
    )
    kobako(*words)
    assert created(kobako) == when
    epoch = ("--build-arg", "SOURCE_DATE_EPOCH=date")
    build.fails("FROM python AS date\nFROM scratch\n", "stage must use FROM scratch", *epoch)
    build.fails("FROM scratch AS date\nENV A=b\nFROM scratch\n", "unsupported ENV", *epoch)
    build.fails("FROM scratch AS date\nFROM scratch\n", "exactly one remote ADD", *epoch)
    local = "FROM scratch AS date\nADD Dockerfile /\nFROM scratch\n"
    build.fails(local, "must be a single HTTP(S) or Git ADD", *epoch)
    build.fails("FROM scratch\n", "invalid SOURCE_DATE_EPOCH: date", *epoch)


def test_the_epoch_of_an_archive_is_that_of_its_newest_file(kobako: Kobako) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text, when in (
            ("Dockerfile", "FROM scratch\nCOPY a /\n", 5),
            ("a", "", 86400 * 4000),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), when
            tar.addfile(member, io.BytesIO(text.encode()))
    words = ("build", "-q", "-t", "remote", "--build-arg", "SOURCE_DATE_EPOCH=context", "-")
    kobako(*words, data=data.getvalue())
    assert created(kobako) == "1980-12-14T00:00:00Z"
