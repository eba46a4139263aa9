"""Volumes: their first content, who removes them, and the verbs about them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2e_command import Kobako


@pytest.fixture
def volume(kobako: Kobako, name: str) -> Iterator[str]:
    """A name of the test's own; volumes whose names begin with it are removed afterwards."""
    yield name
    left = kobako("ps", "-aq", "--filter", f"name=^{name}").out.split()
    if left:
        kobako("rm", "-fv", *left)
    kobako("volume", "rm", "-f", *kobako("volume", "ls", "-q", "-f", f"name={name}").lines, name)


def listed(kobako: Kobako) -> set[str]:
    return set(kobako("volume", "ls", "-q").lines)


@pytest.mark.parametrize("flag", ["-v={0}:/etc/apt", "--mount=source={0},target=/etc/apt"])
def test_a_new_volume_begins_with_what_the_image_has(
    kobako: Kobako, volume: str, flag: str
) -> None:
    show = "cd /etc/apt && find . | sort | xargs stat -c '%n %a %u:%g %Y'"
    flags = ("--rm", "--network", "none", flag.format(volume))
    without, first = kobako.sh(show).out, kobako.sh(show, *flags).out
    assert first == without and "sources.list" in first
    kobako.sh("rm -r /etc/apt/*; echo own > /etc/apt/f", *flags)
    assert kobako.sh("ls /etc/apt", *flags).out == "f"  # what is there stays
    kobako.sh("rm /etc/apt/f", *flags)


def test_owners_come_along(kobako: Kobako, volume: str) -> None:
    """Also of what the lower layers do not have any more, and through a symlink."""
    script = "mkdir /v; echo 1 > /v/a; chown 12:34 /v/a; chmod 640 /v/a; ln -s a /v/l; ln -s v /w"
    kobako("run", "--name", f"{volume}-1", "python", "sh", "-c", script + "; mkdir /v/gone")
    kobako("commit", f"{volume}-1", f"{volume}:1")
    kobako("run", "--name", f"{volume}-2", f"{volume}:1", "sh", "-c", "rmdir /v/gone; mkdir /v/d")
    kobako("commit", f"{volume}-2", f"{volume}:2")
    words = ("run", "--rm", "-v", f"{volume}:/w", f"{volume}:2", "sh", "-c")
    out = kobako(*words, "cd /w; stat -c '%n %a %u:%g' a d; readlink l; ls").lines
    assert out == ["a 640 12:34", "d 755 0:0", "a", "a", "d", "l"]
    kobako("rm", f"{volume}-1", f"{volume}-2")
    kobako("rmi", f"{volume}:1", f"{volume}:2")


@pytest.mark.parametrize(
    "flag", ["-v={0}:/etc/apt:nocopy", "--mount=source={0},target=/etc/apt,volume-nocopy"]
)
def test_nocopy(kobako: Kobako, volume: str, flag: str) -> None:
    assert kobako.sh("ls /etc/apt", flag.format(volume)).out == ""


def test_what_is_made_for_one_container_goes_with_it(kobako: Kobako, volume: str) -> None:
    before = listed(kobako)
    kobako.sh("echo 1 > /data/f", "-v", "/data")
    assert listed(kobako) == before
    kobako("run", "--name", volume, "-v", "/data", "-v", f"{volume}:/own", "python", "true")
    [anonymous] = listed(kobako) - before - {volume}
    kobako("run", "--rm", "--volumes-from", volume, "python", "true")
    assert anonymous in listed(kobako)  # the other container has it, too
    [one, two] = json.loads(kobako.show("{{json .Mounts}}", volume))
    assert (one["Type"], one["Name"], two["Name"]) == ("volume", anonymous, volume)
    kobako("rm", "-v", volume)
    assert listed(kobako) - before == {volume}


def test_volumes_an_image_declares(kobako: Kobako, volume: str) -> None:
    """What is written there is in a volume and not in the container: a commit has none of it."""
    kobako("create", "--name", f"{volume}-1", "python")
    kobako("commit", "-c", "VOLUME /etc/apt /data", f"{volume}-1", f"{volume}:1")
    before = listed(kobako)
    script = "ls /etc/apt; echo 1 > /etc/apt/own; echo 2 > /data/own"
    words = ("run", "--name", f"{volume}-2", "-v", f"{volume}:/data", f"{volume}:1")
    assert "sources.list" in kobako(*words, "sh", "-c", script).lines
    [anonymous] = listed(kobako) - before - {volume}
    assert kobako("diff", f"{volume}-2").out == "A /data"  # the place it is mounted on
    assert len(json.loads(kobako.show("{{json .Mounts}}", f"{volume}-2"))) == 2
    assert kobako("start", "-a", f"{volume}-2").lines.count("own") == 1
    kobako("rm", "-v", f"{volume}-1", f"{volume}-2")
    assert anonymous not in listed(kobako)
    assert kobako("run", "--rm", f"{volume}:1", "ls", "/data").out == ""
    assert listed(kobako) - before == {volume}
    kobako("rmi", f"{volume}:1")


def test_without_v_it_stays(kobako: Kobako, volume: str) -> None:
    before = listed(kobako)
    kobako("run", "--name", volume, "-v", "/data", "python", "sh", "-c", "echo 12345 > /data/f")
    kobako("rm", volume)
    [left] = listed(kobako) - before
    words = ("volume", "prune", "-f")
    pruned = kobako(*words).lines
    assert pruned[0] == "Deleted Volumes:" and left in pruned
    assert left not in listed(kobako)


def test_verbs(kobako: Kobako, volume: str) -> None:
    assert kobako("volume", "create", volume).out == volume
    assert kobako("volume", "create", volume).out == volume
    form = "{{.Name}} {{.Driver}} {{.Scope}}"
    assert kobako("volume", "inspect", "-f", form, volume).out == f"{volume} local local"
    table = kobako("volume", "ls", "-f", f"name={volume}").lines
    assert [line.split() for line in table] == [["DRIVER", "VOLUME", "NAME"], ["local", volume]]
    kobako("create", "--name", volume, "-v", f"{volume}:/x", "python")
    kobako.fails("volume", "rm", volume, says=f"remove {volume}: volume is in use - [")
    assert kobako("ps", "-aq", "--filter", f"volume={volume}").out
    assert kobako("volume", "ls", "-q", "-f", f"name={volume}", "-f", "dangling=true").out == ""
    assert kobako("ps", "-a", "-f", f"name={volume}", "--format", "{{.Mounts}}").out
    kobako("rm", "-v", volume)  # a name keeps it
    assert kobako("volume", "rm", volume).out == volume
    kobako.fails("volume", "rm", volume, says=f"get {volume}: no such volume")
    kobako("volume", "rm", "-f", volume)


def test_labels(kobako: Kobako, volume: str) -> None:
    names = [f"{volume}-{n}" for n in range(3)]
    for name, labels in zip(names, (["team=blue", "old"], ["team=red"], []), strict=True):
        kobako("volume", "create", *(f"--label={label}" for label in labels), name)
    form = "{{.Labels}}"
    shown = [kobako("volume", "inspect", "-f", form, name).out for name in names]
    assert shown == ["map[old: team:blue]", "map[team:red]", "map[]"]

    def listed(*filters: str) -> list[str]:
        words = [f"--filter={word}" for word in (f"name={volume}", *filters)]
        return kobako("volume", "ls", *words, "--format", "{{.Name}} {{.Labels}}").lines

    assert listed("label=team") == [f"{names[0]} old=,team=blue", f"{names[1]} team=red"]
    assert listed("label=team=red") == [f"{names[1]} team=red"]
    assert listed("label=team", "label=old") == [f"{names[0]} old=,team=blue"]
    kobako("volume", "create", "--label=team=green", names[1])  # is there already
    kobako("volume", "prune", "-af", "--filter", "label=team", "--filter", "label!=old")
    assert [line.split()[0] for line in listed()] == [names[0], names[2]]
    kobako.fails(
        "volume",
        "create",
        "--label==x",
        names[1],
        code=125,
        says='for "--label" flag: invalid label',
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["inspect", "nosuch"], "get nosuch: no such volume"),
        (["inspect", "../containers"], "no such volume"),
        (["rm", ".."], "no such volume"),
        (["create", "a b"], "includes invalid characters for a local volume name"),
        (["create", "-d", "nfs", "x1"], "the volume driver 'nfs' is not supported"),
        (["create", "--opt", "type=nfs", "x1"], "--opt is not supported"),
        (["ls", "-f", "size=1"], "invalid filter 'size'"),
        (["ls", "-f", "dangling=x"], "invalid filter 'dangling=x'"),
        (["prune", "-f", "--filter", "size=1"], "invalid filter 'size'"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_refused(kobako: Kobako, words: list[str], says: str) -> None:
    kobako.fails("volume", *words, says=says)


def test_what_takes_the_space(kobako: Kobako, volume: str) -> None:
    kobako("run", "--name", volume, "-v", f"{volume}:/x", "python", "sh", "-c", "seq 9 > /x/f")
    shown = kobako("system", "df", "-v").out
    images, rest = shown.split("\n\nContainers space usage:\n\n")
    containers, rest = rest.split("\n\nLocal Volumes space usage:\n\n")
    volumes, cache = rest.split("\n\nBuild cache usage: ")
    assert images.splitlines()[2].split()[-4:] == ["SIZE", "UNIQUE", "SIZE", "CONTAINERS"]
    assert any(line.split()[:2] == ["python", "latest"] for line in images.splitlines())
    [line] = [line for line in containers.splitlines() if line.endswith(f" {volume}")]
    assert " 1 " in line and "0B" in line
    assert [volume, "1", "18B"] in [line.split() for line in volumes.splitlines()]
    assert cache.splitlines()[2].startswith("CACHE ID")
    kobako.fails("system", "df", "-v", "--format", "json", says="cannot be used with --format")
