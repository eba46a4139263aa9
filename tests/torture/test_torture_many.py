"""Twenty processes at once on one store: nothing is lost, nobody dies of another."""

from __future__ import annotations

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torture_command import FULL, Kobako, Result
from torture_registry import Registry

PROCESSES = 20
ROUNDS = 8 if FULL else 2
EXPECTED = ("No such", "in use", "being used", "is using", "Conflict", "conflict", "not found")
"""What a command may answer when another was faster."""


def at_once(kobako: Kobako, commands: list[list[str]], **options: object) -> list[Result]:
    """All commands at the same time; their results in order."""
    with ThreadPoolExecutor(len(commands)) as pool:
        futures = [pool.submit(kobako.attempt, *words, **options) for words in commands]  # type: ignore[arg-type]
        return [future.result() for future in futures]


@pytest.mark.timeout(900)
def test_mixed_work_on_shared_names(kobako: Kobako, registry: Registry, place: Path) -> None:
    kobako.make_base()
    remote = f"{registry.address}/many/base"
    kobako("tag", "base", remote)
    kobako("push", remote)
    kobako("tag", "base", "keep:1")
    kobako("run", "--name", "changed", "base", "sh", "-c", "cat /bin/cat > /made")
    archive = place / "root.tar"
    kobako("export", "-o", str(archive), "changed")
    context = place / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM base\nARG N\nRUN echo $N > /n\nCOPY Dockerfile /\n")
    dice = random.Random(7)

    def some(number: int) -> list[str]:
        shared = f"shared:{dice.randrange(3)}"
        return dice.choice(
            [
                ["run", "--rm", "base", "cat", "/etc/passwd"],
                ["run", "--rm", "--pull=never", shared, "cat", "/etc/passwd"],
                ["commit", "changed", shared],
                [
                    "build",
                    "-q",
                    "-t",
                    shared,
                    "--build-arg",
                    f"N={dice.randrange(4)}",
                    str(context),
                ],
                ["images"],
                ["ps", "-a"],
                ["rmi", "-f", shared],
                ["image", "prune", "-f"],
                ["system", "prune", "-f"],
                ["pull", remote],
                ["import", str(archive), shared],
                ["tag", "base", shared],
                ["rmi", remote],
                ["inspect", shared],
                ["history", "base"],
            ]
        )

    for number in range(ROUNDS):
        mine = [["tag", "keep:1", f"mine:{number}-{i}"] for i in range(5)]
        commands = [some(number) for _ in range(PROCESSES - len(mine))]
        # A container that `prune` must not take away, or `commit` has nothing to commit.
        kobako.attempt("create", "--name", "changed", "base", "sh")
        for result in at_once(kobako, commands + mine):
            if result.code:
                assert any(word in result.said for word in EXPECTED), result
        kept = kobako("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
        for words in mine:  # no lost update
            assert words[2] in kept
        kobako.whole()
    kobako("image", "prune", "-f")
    assert kobako.remains() == []
    kobako("run", "--rm", "keep:1", "ls", "/")


def test_ten_unpack_the_same_layer(kobako: Kobako, registry: Registry, place: Path) -> None:
    kobako.make_base()
    remote = f"{registry.address}/many/base"
    kobako("tag", "base", remote)
    kobako("push", remote)
    other = kobako.at(place / "other")
    for result in at_once(other, [["run", "--rm", remote, "cat", "/etc/hostname"]] * 10):
        assert result.code == 0, result
    other.whole()
    assert other.remains() == []
    assert len(other("images", "-q").out.split()) == 1


def test_one_name_has_one_winner(kobako: Kobako) -> None:
    kobako.make_base()
    results = at_once(kobako, [["run", "-d", "--name", "x1", "base", "sleep", "60"]] * 10)
    losers = [result for result in results if result.code]
    assert len(losers) == 9
    for result in losers:
        assert result.code == 125, result
        assert 'Conflict. The container name "/x1" is already in use by container "' in result.err
    kobako("rm", "-f", "x1")
    assert kobako("ps", "-aq").out == ""
    assert kobako.remains() == []


def test_two_stores_at_once(kobako: Kobako, place: Path) -> None:
    other = kobako.at(place / "other")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Kobako.make_base, (kobako, other)))
    kobako("tag", "base", "mine")
    assert kobako("images", "-q", "mine").out and not other("images", "-q", "mine").out
    kobako("rmi", "-f", "base", "mine")
    assert other("run", "--rm", "base", "cat", "/etc/passwd").out


def test_commit_of_a_container_that_writes(kobako: Kobako) -> None:
    """`upper` changes under a commit that does not pause, or does: an image, and it runs on."""
    kobako.make_base()
    script = (
        "i=0; while :; do mkdir -p /w/$((i%7))/d; cat /bin/cat > /w/$((i%7))/f;"
        " rm -rf /w/$(((i+3)%7)); ls / > /w/l 2>&1; i=$((i+1)); done"
    )
    kobako("run", "-d", "--name", "busy", "base", "sh", "-c", script)
    try:
        for flag in ["--pause=false"] * 6 + ["--pause=true"] * 2:
            result = kobako.attempt("commit", flag, "busy", "racy")
            assert result.code == 0, result
        assert kobako("ps", "--format", "{{.Status}}").out.startswith("Up")
        assert "Paused" not in kobako("ps").out
        assert kobako.attempt("diff", "busy").code in (0, 1)
        export = kobako.popen("export", "busy", stdout=subprocess.DEVNULL)
        _, err = export.communicate()
        assert b"Traceback" not in err and b"unforeseen" not in err, err
        kobako("run", "--rm", "racy", "ls", "/w")
    finally:
        kobako("rm", "-f", "busy")
    kobako.whole()
