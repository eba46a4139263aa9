"""Documents of `inspect` as docker's templates see them; the texts are docker's."""

from __future__ import annotations

from typing import Any

import pytest

from kobako.cli import docker_types, template
from kobako.errors import Invalid

STATE = {
    "Status": "created", "Running": False, "Paused": False, "Restarting": False,
    "OOMKilled": False, "Dead": False, "Pid": 0, "ExitCode": 3, "Error": "",
    "StartedAt": "then", "FinishedAt": "now",
}  # fmt: skip
CONTAINER: dict[str, Any] = {
    "Id": "0123",
    "Args": [],
    "State": STATE,
    "Config": {
        "Cmd": ["x", "y"],
        "Entrypoint": None,
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 90_000_000_000},
    },
    "HostConfig": {
        "LogConfig": {"Type": "json-file", "Config": {}},
        "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}],
        "PidsLimit": None,
    },
    "Mounts": [{"Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "", "RW": True}],
    "NetworkSettings": {"Networks": {"none": {"IPAddress": "", "Links": None}}},
    "Extra": {"field": 1},
}


def shown(source: str, document: dict[str, Any]) -> str:
    return template.render(source, docker_types.typed(document))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.ID}} {{.Id}}", "0123 0123"),
        ("{{.State}}", "{created false false false false false 0 3  then now <nil>}"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{with .State.Health}}{{.Status}}{{end}}", ""),
        ("{{json .State.Health}} {{json .Config.Volumes}} {{json .HostConfig.Ulimits}}",
         'null null [{"Name":"nofile","Hard":2,"Soft":1}]'),
        ("{{.Config.Entrypoint}} {{.Config.Volumes}} {{.Config.OnBuild}}", "[] map[] []"),
        ("{{.HostConfig.PidsLimit}} {{.HostConfig.Init}} {{.SizeRw}}", "<nil> <nil> <nil>"),
        ("{{.HostConfig.LogConfig}} {{.HostConfig.RestartPolicy}}", "{json-file map[]} { 0}"),
        ("{{.HostConfig.Ulimits}} {{.HostConfig.Sysctls}}", "[nofile=1:2] map[]"),
        ("{{.Config.Healthcheck}}", "{[CMD-SHELL true] 1m30s 0s 0s 0s 0}"),
        ("{{json .Config.Healthcheck.Interval}}", "90000000000"),
        ("{{.Mounts}}", "[{bind  /a /b   true }]"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.Links}}{{end}}", "none=[]"),
        ('{{index .Config.Labels "x"}}{{len .Config.Env}}{{len .Config.Cmd}}', "02"),
        ("{{.Extra.field}}", "1"),
    ],
)  # fmt: skip
def test_what_docker_prints_of_a_container(source: str, text: str) -> None:
    assert shown(source, CONTAINER) == text


def test_json_is_what_was_found() -> None:
    assert shown("{{json .State}}", CONTAINER) == template.to_json(STATE)
    assert shown("{{json .}}", CONTAINER) == template.to_json(CONTAINER)
    assert shown("{{json .Mounts}}", CONTAINER) == template.to_json(CONTAINER["Mounts"])


@pytest.mark.parametrize("source", ["{{.Nosuch}}", "{{.State.Health.Status}}", "{{.Id.x}}"])
def test_what_is_not_there_is_told(source: str) -> None:
    with pytest.raises(Invalid, match="can't evaluate field"):
        shown(source, CONTAINER)


def test_images_volumes_and_networks() -> None:
    image = {"Id": "sha256:1", "RootFS": {"Type": "layers", "Layers": ["a"]}, "Config": {}}
    assert shown("{{.ID}} {{.RootFS}} {{.Config.Labels}}", image) == (
        "sha256:1 {layers [a] } map[]"
    )
    volume = {"Name": "v", "Mountpoint": "/v", "Labels": None, "Options": None}
    assert shown("{{.Labels}} {{.Options}} {{.UsageData}}", volume) == "map[] map[] <nil>"
    network = {"Id": "7", "IPAM": {"Driver": "default", "Options": None, "Config": []}}
    assert shown("{{.ID}} {{.IPAM}} {{.Internal}}", network) == "7 {default map[] []} false"
