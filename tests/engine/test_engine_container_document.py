"""What docker's documents say of a container: the image's config, changed as asked."""

from __future__ import annotations

from typing import Any

import pytest

from kobako.engine import container_document, program
from kobako.engine.requests import CreateRequest
from kobako.errors import Invalid
from kobako.runtime.process_spec import Ulimit
from kobako.runtime.spec import BindMount, Tmpfs

IMAGE: dict[str, Any] = {
    "User": "web",
    "Env": ["A=image", "B=image"],
    "Labels": {"of": "image", "x": "1"},
    "WorkingDir": "/srv",
    "StopSignal": "SIGQUIT",
    "ExposedPorts": {"80/tcp": {}},
    "Healthcheck": {"Test": ["NONE"]},
    "Shell": ["/bin/bash", "-c"],
}


def config(**asked: Any) -> dict[str, Any]:
    return container_document.config(CreateRequest("i", **asked), IMAGE, ["e"], ["c"], "host")


def test_what_is_not_asked_is_the_images() -> None:
    found = config()
    for key, value in IMAGE.items():
        assert found[key] == value, key
    assert (found["Entrypoint"], found["Cmd"], found["Hostname"]) == (["e"], ["c"], "host")
    assert "StopTimeout" not in found


def test_what_is_asked_comes_on_top() -> None:
    found = config(
        user="root",
        env=("B=asked", "C=asked"),
        labels=(("x", "2"),),
        workdir="/",
        stop_signal="TERM",
        stop_timeout=3,
        expose=("90/udp",),
    )
    assert found["Env"] == ["A=image", "B=asked", "C=asked"]
    assert found["Labels"] == {"of": "image", "x": "2"}
    assert found["ExposedPorts"] == {"80/tcp": {}, "90/udp": {}}
    assert (found["User"], found["WorkingDir"]) == ("root", "/")
    assert (found["StopSignal"], found["StopTimeout"]) == ("TERM", 3)


@pytest.mark.parametrize(
    "asked",
    [
        {"Interval": 3_000_000_000},
        {"Test": ["CMD-SHELL", "x"]},
        {"Timeout": 1_000_000_000, "Retries": 9},
        {"Test": ["NONE"]},
    ],
)
def test_a_health_check_is_laid_over_the_images(asked: dict[str, Any]) -> None:
    """As docker 20.10 shows it, which keeps the image's times beside NONE, too."""
    check = {
        "Test": ["CMD", "a", "b"],
        "Interval": 7_000_000_000,
        "Timeout": 2_000_000_000,
        "StartPeriod": 9_000_000_000,
        "Retries": 4,
    }
    request = CreateRequest("i", healthcheck=asked)
    image: dict[str, Any] = {"Healthcheck": check}
    found = container_document.config(request, image, [], [], "host")
    assert found["Healthcheck"] == check | asked
    assert image["Healthcheck"]["Interval"] == 7_000_000_000
    for image in ({"Healthcheck": None}, {}):
        found = container_document.config(request, image, [], [], "host")
        assert found["Healthcheck"] == asked


def test_mounts_as_inspect_lists_them() -> None:
    binds = [BindMount("/a", "/b", True), BindMount("/volumes/v/_data", "/c")]
    found = container_document.mounts(binds, [Tmpfs("/t")], "/volumes")
    assert [(m["Type"], m["Source"], m["Destination"], m["RW"]) for m in found] == [
        ("bind", "/a", "/b", False),
        ("volume", "/volumes/v/_data", "/c", True),
        ("tmpfs", "", "/t", True),
    ]


@pytest.mark.parametrize(
    ("entrypoint", "command", "words"),
    [
        (None, (), (["e"], ["c", "d"])),
        (None, ("x",), (["e"], ["x"])),
        (("f",), (), (["f"], [])),
        (("f",), ("x",), (["f"], ["x"])),
        ((), (), ([], [])),
    ],
)
def test_an_entrypoint_drops_the_images_command(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...], words: tuple[list[str], list[str]]
) -> None:
    image = {"Entrypoint": ["e"], "Cmd": ["c", "d"]}
    assert program.command_line(image, entrypoint, command) == words


def test_the_environment_in_dockers_order() -> None:
    def of(*given: str, terminal: bool = False) -> list[str]:
        return program.environment(
            ["PATH=/image", "A=1"], given, terminal=terminal, hostname="h", home="/root"
        )

    assert of("A=2", "E") == ["PATH=/image", "HOSTNAME=h", "A=2", "E=", "HOME=/root"]
    assert of(terminal=True)[2] == "TERM=xterm"
    assert of("HOME=/x", "TERM=vt", terminal=True)[-1] == "HOME=/x"


def test_ulimits() -> None:
    assert program.ulimit("nofile=5") == Ulimit("nofile", 5, 5)
    assert program.ulimit("nofile=5:9") == Ulimit("nofile", 5, 9)
    assert program.ulimit("core=-1") == Ulimit("core", -1, -1)
    for text in ("nofile", "nofile=x", "files=1", "nofile=9:5", "nofile=-1:5"):
        with pytest.raises(Invalid, match="ulimit"):
            program.ulimit(text)
