"""network: the two there are, as docker shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e_command import Kobako

# docker 20.10's `network inspect none`, but for the id and the time.
INSPECTED: dict[str, Any] = {
    "Name": "none", "Scope": "local", "Driver": "null", "EnableIPv6": False,
    "IPAM": {"Driver": "default", "Options": None, "Config": []}, "Internal": False,
    "Attachable": False, "Ingress": False, "ConfigFrom": {"Network": ""}, "ConfigOnly": False,
    "Containers": {}, "Options": {}, "Labels": {},
}  # fmt: skip


def test_list(kobako: Kobako) -> None:
    lines = [line.split() for line in kobako("network", "ls").out.splitlines()]
    assert lines[0] == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]
    assert [line[1:] for line in lines[1:]] == [
        ["host", "host", "local"],
        ["none", "null", "local"],
    ]
    ids = kobako("network", "ls", "-q", "--no-trunc").out.split()
    assert [one[:12] for one in ids] == [line[0] for line in lines[1:]]
    assert kobako("network", "ls", "-f", "driver=null", "--format", "{{.Name}}").out == "none"
    kobako.fails("network", "ls", "-f", "colour=red", says="invalid filter 'colour'")


def test_inspect(kobako: Kobako, name: str) -> None:
    (none,) = json.loads(kobako("network", "inspect", "none").out)
    assert {k: v for k, v in none.items() if k not in ("Id", "Created", "Containers")} == {
        k: v for k, v in INSPECTED.items() if k != "Containers"
    }
    assert list(none) == ["Name", "Id", "Created", *list(INSPECTED)[1:]]
    kobako("run", "-d", "--name", name, "--network", "none", "python", "sleep", "100")
    container = kobako.show("{{.Id}}", name)
    template = "{{range .Containers}}{{.Name}} {{end}}"
    assert name in kobako("network", "inspect", "-f", template, "none").out.split()
    assert name not in kobako("network", "inspect", "-f", template, "host").out.split()
    assert container in json.loads(kobako("network", "inspect", none["Id"]).out)[0]["Containers"]
    kobako.fails("network", "inspect", "nope", says="network nope not found")


@pytest.mark.parametrize("verb", ["create", "rm", "connect"])
def test_what_cannot_be(kobako: Kobako, verb: str) -> None:
    kobako.fails("network", verb, "shop", says="there are no networks but host and none")
    kobako.fails("network", verb, "host", says="host is a pre-defined network")


LOOPBACK = """
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.create_server((address, 0), family=family)
    client = socket.create_connection(server.getsockname()[:2])
    client.sendall(address.encode())
    print(server.accept()[0].recv(99).decode())
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError as fault:
    print(fault.strerror)
"""
PORT_80 = "import socket; print(socket.create_server(('127.0.0.1', 80)).getsockname()[1])"
SHOWS = ["127.0.0.1", "::1", "Network is unreachable"]


def test_without_a_network_there_is_a_loopback(kobako: Kobako, name: str) -> None:
    words = ("--network", "none", "python", "python3", "-c", LOOPBACK)
    assert kobako("run", "--rm", *words).lines == SHOWS
    kobako("run", "-d", "--name", name, "--network", "none", "python", "sleep", "100")
    assert kobako("exec", name, "python3", "-c", LOOPBACK).lines == SHOWS


def test_its_ports_are_for_every_user(kobako: Kobako) -> None:
    words = ("run", "--rm", "--network", "none", "--user", "1234")
    assert kobako(*words, "python", "python3", "-c", PORT_80).out == "80"


@pytest.mark.only("root", "mapped")
def test_its_ports_are_for_those_of_a_sysctl(kobako: Kobako) -> None:
    flags = ("--network=none", "--user=1234", "--sysctl=net.ipv4.ip_unprivileged_port_start=81")
    words = ("python", "python3", "-c", PORT_80)
    kobako.fails("run", "--rm", *flags, *words, says="Permission denied")


def test_a_step_without_a_network_has_one_too(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(LOOPBACK)
    (tmp_path / "Dockerfile").write_text(
        "FROM python\nCOPY probe.py /\nRUN --network=none python3 /probe.py > /shown\n"
        "CMD cat /shown\n"
    )
    kobako("build", "-q", "-t", "loopback", str(tmp_path))
    assert kobako("run", "--rm", "loopback").lines == SHOWS
