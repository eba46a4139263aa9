"""The same build gives the same image, whenever and however often it is made."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from e2e_command import Kobako

DOCKERFILE = """\
FROM python
COPY app.py /app/
COPY lib /app/lib
RUN cd /app && python -c 'import app' && mkdir made && echo x > made/file && ln -s file made/link
WORKDIR /app/work
RUN rm /app/made/file && python -m compileall -q /app
CMD ["python", "/app/app.py"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "app.py").write_text("import sys\nsys.path.insert(0, '/app')\nimport lib.one\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "one.py").write_text("value = 1\n")
    return tmp_path


def touch(context: Path, seconds: int) -> None:
    for path in (context, *context.rglob("*")):
        os.utime(path, (seconds, seconds))


def test_two_builds_give_one_image(kobako: Kobako, context: Path) -> None:
    words = ("build", "--no-cache", "-q", "-t", "same", str(context))
    touch(context, 1_500_000_000)
    first = kobako(*words).out
    time.sleep(1.1)  # the clock's seconds, which times in layers have, are others now
    touch(context, 1_600_000_000)
    assert kobako(*words).out == first
    python = "cd /app && python -v -c 'import app' 2>&1"
    said = kobako("run", "--rm", "same", "sh", "-c", python).out
    for module in ("app.py", "lib/one.py"):
        assert f"matches /app/{module}" in said, said


def test_the_epoch_of_the_environment_and_of_the_argument(kobako: Kobako, context: Path) -> None:
    given = "SOURCE_DATE_EPOCH=1700000000"
    argument = kobako("build", "--no-cache", "-q", "--build-arg", given, str(context)).out
    kobako.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    try:
        environment = kobako("build", "--no-cache", "-q", "-t", "dated", str(context)).out
    finally:
        del kobako.environ["SOURCE_DATE_EPOCH"]
    assert argument == environment
    assert kobako.show("{{.Created}}", "dated") == "2023-11-14T22:13:20Z"
    assert "second" in kobako("images", "--format", "{{.CreatedSince}}", "dated").out
    seen = kobako("run", "--rm", "dated", "stat", "-c", "%Y", "/app/app.py", "/app/made").out
    assert seen.split() == ["1700000000", "1700000000"]


def test_epochs_that_are_strange(kobako: Kobako, context: Path) -> None:
    build = ("build", "-q", str(context), "--build-arg")
    kobako.fails(*build, "SOURCE_DATE_EPOCH=1700000000000", says="after the year 9999")
    for text in ("yesterday", "-5"):
        kobako.fails(*build, f"SOURCE_DATE_EPOCH={text}", says=f"SOURCE_DATE_EPOCH: {text}")
    far = kobako(*build, "SOURCE_DATE_EPOCH=10000000000").out  # 2286: no time of 64 bits in ns
    assert kobako.show("{{.Created}}", far) == "2286-11-20T17:46:40Z"
    assert kobako("images", "-q", "--no-trunc").code == 0
    assert kobako("history", far).code == 0


COPIES = """\
FROM python
COPY {flags} tree {place}
COPY {flags} tree/script {place}.d/
COPY {flags} tr* {place}/more/
"""


def test_what_has_nothing_below_is_what_a_merged_tree_shows(kobako: Kobako, tmp_path: Path) -> None:
    """Where no layer has anything no overlay is mounted; --chown and USER want to see the tree."""
    tree = tmp_path / "tree"
    deep = tree / "sub" / ("long" * 30)
    deep.mkdir(parents=True, mode=0o751)
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "script").chmod(0o4755)
    os.link(tree / "script", deep / "again")
    (tree / "sub" / "out").symlink_to("../../etc")
    (tree / "sub" / "up").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo", 0o640)

    def layers(text: str) -> list[str]:
        (tmp_path / "Dockerfile").write_text(text)
        kobako("build", "--no-cache", "-t", "merged", str(tmp_path))
        found: list[str] = json.loads(kobako.show("{{json .RootFS.Layers}}", "merged"))
        return found

    for place in ("/new", "/new/one/two", "/etc/new"):
        apart = layers(COPIES.format(flags="", place=place))
        assert apart == layers(COPIES.format(flags="--chown=0:0", place=place))
    work = "FROM python\n{user}WORKDIR /new/work\n"
    assert layers(work.format(user="")) == layers(work.format(user="USER root\n"))
