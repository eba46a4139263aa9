"""What verbs say and how they end where docker has words of its own for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_command import Kobako


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["ps", "--filter", "name"], 125, 'invalid argument "name" for "-f, --filter" flag: bad'),
        (["ps", "--filter", "exited=x"], 1, "invalid filter 'exited=x'"),
        (["ps", "--filter", "health=x"], 1, "invalid filter 'health=x'"),
        (["images", "--filter", "dangling=maybe"], 1, "invalid filter 'dangling=maybe'"),
        (["inspect", "--type", "x", "python"], 1, '"x" is not a valid value for --type'),
        (["inspect", "--type", "volume", "python"], 1, "there is nothing of that kind to inspect"),
        (["rm", "-l", "x"], 1, "there are no links between containers"),
        (["save", "-o", "/nosuch/x", "python"], 1, 'directory "/nosuch" does not exist'),
        (["commit"], 1, '"kobako commit" requires at least 1 and at most 2 arguments.'),
        (["images", "a", "b"], 1, '"kobako images" requires at most 1 argument.'),
        (["rename", "nosuch", "x1"], 1, "Error: failed to rename container named nosuch"),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "",
)
def test_refused(kobako: Kobako, words: list[str], code: int, says: str) -> None:
    kobako.fails(*words, code=code, says=says)


def test_start_goes_on_and_sums_up(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "true")
    result = kobako.fails("start", "nosuch", name, "nosuch2", code=1)
    assert result.out == name
    assert result.err.splitlines() == [
        "Error: No such container: nosuch",
        "Error: No such container: nosuch2",
        "Error: failed to start containers: nosuch, nosuch2",
    ]


def test_a_command_with_quotes(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "sh", "-c", 'echo "a\\b"')
    words = ("ps", "-a", "--filter", f"name={name}", "--no-trunc", "--format", "{{.Command}}")
    assert kobako(*words).out == r"""@sh -c 'echo \"a\\b\"'@""".replace("@", '"')


def test_size_is_counted_when_the_format_asks(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "sh", "-c", "echo 12345 > /new")
    words = ("ps", "-a", "--filter", f"name={name}", "--format", "{{.Names}} {{.Size}}")
    assert kobako(*words).out.startswith(f"{name} ") and "(virtual " in kobako(*words).out


def test_filters_for_what_no_container_has(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "--expose", "80", "python")

    def found(condition: str) -> list[str]:
        words = ("ps", "-a", "--filter", f"name=^{name}$", "--filter", condition)
        return kobako(*words, "--format", "{{.Names}}").lines

    for condition in ("health=none", "is-task=false", "expose=80", "expose=80/tcp"):
        assert found(condition) == [name], condition
    for condition in ("health=healthy", "is-task=true", "expose=81", "publish=80"):
        assert found(condition) == [], condition


def test_removing_what_is_not_there_by_force(kobako: Kobako) -> None:
    result = kobako("rmi", "-f", "nosuch")
    assert (result.out, result.err) == ("", "Error: No such image: nosuch:latest")


def test_history_knows_what_an_image_was_made_from(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "touch", "/x")
    first = kobako("commit", name, f"{name}:1").out
    kobako("run", "--name", f"{name}-2", f"{name}:1", "touch", "/y")
    second = kobako("commit", f"{name}-2", f"{name}:2").out
    ids = kobako("history", "-q", "--no-trunc", f"{name}:2").lines
    base = kobako.show("{{.Id}}", "python")
    assert ids == [second, first, base]
    stamp = kobako("history", "-H=false", "--format", "{{.CreatedAt}}", f"{name}:2").lines[0]
    assert len(stamp) == len("2006-01-02T15:04:05Z")
    kobako("rm", f"{name}-2", name)
    kobako("rmi", f"{name}:2", f"{name}:1")


def test_documents_have_what_templates_ask_for(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python")
    form = (
        "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.Memory}}"
    )
    assert kobako.show(form, name) == "no json-file 0"
    [document] = json.loads(kobako("inspect", name).out)
    [network] = document["NetworkSettings"]["Networks"].values()
    assert {"IPAddress", "Gateway", "MacAddress"} <= set(network)
    assert kobako.show("{{.VirtualSize}}", "python") == kobako.show("{{.Size}}", "python")


def test_logout_of_a_server_one_is_not_logged_in_to(kobako: Kobako, tmp_path: Path) -> None:
    assert kobako("--config", str(tmp_path), "logout", "a.example").out == (
        "Removing login credentials for a.example"
    )
