"""The life of containers and images, verb by verb, as docker tells it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from e2e_command import Kobako, eventually


def test_the_life_of_a_container(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "sh", "-c", "echo hi; echo err >&2; sleep 100")
    assert kobako.show("{{.State.Status}}", name) == "created"
    assert kobako("start", name).out == name
    kobako("pause", name)
    assert kobako("ps", "-f", f"name={name}", "--format", "{{.Status}}").out.endswith("(Paused)")
    kobako.fails("exec", name, "true", code=1, says="is paused")
    kobako("unpause", name)
    eventually(lambda: kobako("logs", name).out == "hi", "its output is in the log")
    assert kobako("logs", name).err == "err"
    assert kobako("logs", "--tail", "1", name).out + kobako("logs", "--tail", "1", name).err
    kobako.fails("rm", name, code=1, says="is running")
    assert kobako("stop", "-t", "0", name).out == name
    assert kobako("wait", name).out == "137"
    assert kobako.show("{{.State.ExitCode}} {{.State.Status}}", name) == "137 exited"
    assert kobako("restart", "-t", "0", name).out == name
    assert kobako.show("{{.State.Running}}", name) == "true"
    assert kobako("kill", name).out == name
    kobako("rename", name, f"{name}-2")
    kobako.fails("inspect", name, code=1, says="No such object")
    assert kobako("rm", f"{name}-2").out == f"{name}-2"


def test_changes_become_an_image(kobako: Kobako, name: str, tmp_path: Path) -> None:
    script = "echo new > /new; rm /etc/shells; echo x >> /etc/passwd"
    kobako("run", "--name", name, "python", "sh", "-c", script)
    lines = kobako("diff", name).lines
    assert lines == ["C /etc", "C /etc/passwd", "D /etc/shells", "A /new"]
    with tarfile.open(fileobj=io.BytesIO(kobako("export", name).raw)) as tar:
        names = set(tar.getnames())
    assert "new" in names and "etc/shells" not in names and "usr/bin/env" in names
    image = f"{name}-image"
    words = ["commit", "-m", "why", "-a", "who", "-c", 'CMD ["cat", "/new"]', name, image]
    image_id = kobako(*words).out
    assert image_id.startswith("sha256:") and len(image_id) == 71
    assert kobako("run", "--rm", image).out == "new"
    assert kobako.show("{{.Author}} {{.Comment}} {{json .Config.Cmd}}", image) == (
        'who why ["cat","/new"]'
    )
    assert kobako("history", "--format", "{{.Comment}}", image).lines[0] == "why"
    archive = str(tmp_path / "image.tar")
    kobako("save", "-o", archive, image)
    assert f"Deleted: {image_id}" in kobako("rmi", image).lines
    assert kobako("load", "-i", archive).out == f"Loaded image: {image}:latest"
    assert kobako("run", "--rm", image).out == "new"
    kobako("tag", image, f"{image}:two")
    assert kobako("rmi", image).lines == [f"Untagged: {image}:latest"]
    kobako("rmi", f"{image}:two")


def test_an_image_in_use_stays(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "true")
    kobako.fails("rmi", "python", code=1, says="is using its referenced image")
    assert kobako("images", "-q", "python").out


def test_upkeep(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "true")
    rows = kobako("system", "df").lines
    assert [row.split()[0] for row in rows] == ["TYPE", "Images", "Containers", "Local", "Build"]
    container = kobako.show("{{.Id}}", name)
    assert container in kobako("container", "prune", "-f").lines
    assert kobako("fsck").out == "The store is whole."


def test_what_images_take_on_the_disk(elsewhere: Kobako, tmp_path: Path) -> None:
    """A layer's blob and its tree, and what images share once."""
    for name in "one", "two":
        (tmp_path / name).write_bytes(os.urandom(1_000_000))
    (tmp_path / "Dockerfile").write_text("FROM scratch AS a\nCOPY one /\nFROM a\nCOPY two /\n")
    elsewhere("build", "-qt", "a", "--target", "a", str(tmp_path))
    elsewhere("build", "-qt", "b", str(tmp_path))
    assert sorted(elsewhere("images", "--format", "{{.Size}}").lines) == ["1MB", "2MB"]
    template = ["--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}"]
    images = elsewhere("system", "df", *template).lines[0].split()
    assert images[:4] == ["Images", "2", "0", "4.003MB"] and images[-1] == "(100%)"
    elsewhere("create", "a", "x")
    images = elsewhere("system", "df", *template).lines[0].split()
    assert images[:4] == ["Images", "2", "1", "4.003MB"] and images[-1] == "(50%)"
    rows = [line.split() for line in elsewhere("system", "df", "-v").lines[2:5]]
    shares = {row[0]: row[-4:] for row in rows[1:]}
    assert shares == {"a": ["1MB", "2.001MB", "812B", "1"], "b": ["2MB", "2.001MB", "2.002MB", "0"]}
    assert "unpacked from it" in elsewhere("system", "df", "--help").out


def test_the_driver_that_is_used(elsewhere: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /x\n")
    elsewhere("build", "-qt", "a", str(tmp_path))
    elsewhere("create", "--name", "first", "a", "x")
    assert elsewhere.show("{{.Driver}} {{.GraphDriver.Name}}", "first") == "overlay overlay"
    [memory] = elsewhere.root.glob("snapshot.*")
    memory.write_text(memory.read_text().replace("overlay", "copy"))
    elsewhere("create", "--name", "second", "a", "x")
    assert elsewhere.show("{{.Driver}} {{.GraphDriver.Name}}", "second") == "copy copy"
    assert elsewhere.show("{{.GraphDriver.Name}}", "a") == "copy"


def test_info_answers_what_scripts_ask_docker(kobako: Kobako) -> None:
    form = "{{.OSType}} {{.NCPU}} {{.Swarm.LocalNodeState}} {{.LoggingDriver}}"
    assert kobako("info", "-f", form).out == f"linux {os.cpu_count()} inactive json-file"
    options = kobako("info", "-f", "{{json .SecurityOptions}}").out
    assert ("name=rootless" in options) == (os.getuid() != 0) and "name=seccomp" in options
    root = kobako("info", "-f", "{{.DockerRootDir}}").out
    assert f" Docker Root Dir: {root}" in kobako("info").lines
    assert kobako("version", "-f", "{{.Server.Os}}{{.Server.GitCommit}}").out == "linux"


def test_labels_in_a_format(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "--label", "com.x.team=blue", "python", "true")
    words = ("ps", "-a", "-f", f"name={name}", "--format")
    assert kobako(*words, '{{.Label "com.x.team"}}/{{.Label "none"}}').out == "blue/"
    assert kobako(*words, 'table {{.Label "com.x.team"}}').lines == ["team", "blue"]
    assert "LabelsMap" not in kobako(*words, "{{json .}}").out
