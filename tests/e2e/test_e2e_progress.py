"""Progress of real builds: on a terminal, beside one, and for programs."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pexpect
import pyte
import pytest
from e2e_command import Kobako
from e2e_registry import HubServer

STAGES = """FROM python AS one
RUN echo out-of-one; test ! -e /etc/stop-here
FROM python AS two
RUN echo out-of-two
FROM python
COPY --from=one /etc/hostname /one
COPY --from=two /etc/hostname /two
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(STAGES)
    return tmp_path


def terminal(kobako: Kobako, *words: str, interrupt: str = "") -> tuple[pyte.Screen, int | None]:
    """What is on an 80x24 terminal in the end, and the exit code. `interrupt`: Ctrl-C when this is
    seen."""
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    process = kobako.spawn(*words)
    try:
        while True:
            stream.feed(process.read_nonblocking(4096, 60))
            if interrupt and any(interrupt in line for line in screen.display):
                process.sendintr()
                interrupt = ""
    except pexpect.EOF:
        process.wait()
    return screen, process.exitstatus


def shown(screen: pyte.Screen) -> list[str]:
    return [line.rstrip() for line in screen.display if line.strip()]


def test_several_stages_on_a_terminal_are_a_tree(kobako: Kobako, context: Path) -> None:
    words = ("build", "-t", "tree", str(context))
    screen, code = terminal(kobako, *words)
    lines = shown(screen)
    assert code == 0 and not screen.cursor.hidden
    assert lines[0].startswith("[+] Building ") and lines[0].endswith("FINISHED")
    assert any(line.startswith(" => [two 2/2] RUN echo out-of-two ") for line in lines)
    assert any(line.startswith(" => => naming to docker.io/library/tree:latest ") for line in lines)
    again, code = terminal(kobako, *words)
    assert code == 0
    assert any(line.startswith(" => CACHED [two 2/2] RUN") for line in shown(again))


def test_one_stage_is_told_step_by_step_even_there(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nENV a=b\n")
    screen, code = terminal(kobako, "build", str(tmp_path))
    assert code == 0 and "Step 2/2 : ENV a=b" in shown(screen)


def test_elsewhere_they_are_plain_lines(kobako: Kobako, context: Path) -> None:
    done = kobako("build", "--no-cache", str(context))
    assert done.out == ""
    for name, said in (("one", "out-of-one"), ("two", "out-of-two")):
        number = next(x.split()[0] for x in done.err.splitlines() if f"[{name} 2/2] RUN" in x)
        assert any(x.startswith(f"{number} 0.") and x.endswith(said) for x in done.err.splitlines())
        assert f"\n{number} DONE " in done.err


def test_a_failure_on_a_terminal_leaves_the_log(kobako: Kobako, context: Path) -> None:
    (context / "Dockerfile").write_text(STAGES.replace("test ! -e /etc/stop-here", "exit 3"))
    screen, code = terminal(kobako, "build", str(context))
    lines = shown(screen)
    assert code == 1 and not screen.cursor.hidden
    assert any(line.startswith(" => ERROR [one 2/2] RUN echo out-of-one") for line in lines)
    assert "out-of-one" in lines and any("exit code: 3" in line for line in lines)


def test_an_interrupt_gives_the_terminal_back(kobako: Kobako, context: Path) -> None:
    (context / "Dockerfile").write_text(STAGES.replace("echo out-of-two", "echo here; sleep 1000"))
    screen, code = terminal(kobako, "build", "--no-cache", str(context), interrupt="# here")
    assert code == 130 and not screen.cursor.hidden
    assert any(line.startswith(" => CANCELED [two 2/2] RUN") for line in shown(screen))


def test_rawjson_is_a_document_a_line(kobako: Kobako, context: Path) -> None:
    done = kobako("build", "--no-cache", "--progress=rawjson", str(context))
    documents = [json.loads(line) for line in done.err.splitlines()]
    assert done.out == ""
    vertexes = {v["digest"]: v for d in documents for v in d.get("vertexes", ())}
    assert all(v["completed"] >= v["started"] for v in vertexes.values())
    run = next(v for v in vertexes.values() if v["name"] == "[two 2/2] RUN echo out-of-two")
    assert vertexes[run["inputs"][0]]["name"].startswith("[one 1/2] FROM ")
    logs = [log for d in documents for log in d.get("logs", ()) if log["vertex"] == run["digest"]]
    assert b"".join(base64.b64decode(log["data"]) for log in logs) == b"out-of-two\n"


def test_layers_are_pulled_by_the_vertex_that_begins_with_them(
    kobako: Kobako, elsewhere: Kobako, open_hub: HubServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x" * 5000)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    name = f"{open_hub.address}/progress/base:1"
    kobako("build", "--push", "-t", name, str(tmp_path))
    (tmp_path / "Dockerfile").write_text(f"FROM {name}\nCOPY file /other\n")
    done = elsewhere("build", "--progress=plain", str(tmp_path))
    blocks = [block.splitlines() for block in done.err.split("\n\n")]
    (pull,) = [lines for lines in blocks if "[1/2] FROM" in lines[0]]
    number = pull[0].split()[0]
    assert pull[1].startswith(f"{number} resolve {name}@sha256:") and pull[1].endswith(" done")
    assert any(re.fullmatch(rf"{number} sha256:[0-9a-f]{{64}} .* done", line) for line in pull)
    assert any(re.match(rf"{number} extracting sha256:[0-9a-f]{{64}}", line) for line in pull)
    (asked,) = [lines for lines in blocks if "load metadata" in lines[0]]
    assert len(asked) == 2  # its title and its end
    again = elsewhere("build", "--progress=plain", str(tmp_path))
    assert "extracting" not in again.err
    assert name in elsewhere("images", "--format", "{{.Repository}}:{{.Tag}}").lines
