"""`kill -9` at random moments: the store is whole, nothing is left, the work can be repeated."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torture_processes
from torture_command import FULL, Kobako
from torture_registry import Registry

MOMENTS = 200 if FULL else 25


class Work:
    """One kind of work: `prepare` makes it necessary, `words` do it, `outcome` is what it made."""

    def __init__(
        self, words: list[str], prepare: Callable[[], object], outcome: Callable[[], str]
    ) -> None:
        self.words = words
        self.prepare = prepare
        self.outcome = outcome
        self.seconds = 0.0
        self.expected = ""


@pytest.fixture
def works(kobako: Kobako, registry: Registry, place: Path) -> dict[str, Work]:
    kobako.make_base()
    remote = f"{registry.address}/torture/base"
    kobako("tag", "base", remote)
    kobako("push", remote)
    kobako("run", "--name", "changed", "base", "sh", "-c", "mkdir /d; for i in 1 2 3 4 5 6 7 8 9; "
           "do dd if=/dev/zero of=/d/$i bs=100k count=3 2>/dev/null; done; rm /bin/ls")  # fmt: skip
    context = place / "context"
    context.mkdir()
    (context / "file").write_bytes(b"content\n" * 50_000)
    (context / "Dockerfile").write_text(
        "FROM base\nCOPY file /copied\n"
        'RUN mkdir /made && cat /copied /copied > /made/twice\nRUN rm /copied\nCMD ["ls"]\n'
    )
    kobako.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    build = ["build", "--no-cache"]

    def forget(name: str) -> None:
        kobako.attempt("rmi", "-f", name)

    def no() -> None: ...

    def litter() -> None:
        kobako("run", "base", "sh", "-c", "cat /bin/cat > /litter")
        kobako("commit", kobako("ps", "-lq").out)

    def image_id(name: str) -> Callable[[], str]:
        return lambda: kobako("inspect", "--format", "{{.Id}}", name).out

    pushes = iter(range(10_000))

    def retag() -> None:
        target = f"{registry.address}/torture/push{next(pushes)}"
        kobako("tag", "base", target)
        works["push"].words = ["push", target]

    def pushed() -> str:
        target = works["push"].words[1]
        digest = kobako("push", target).out.rpartition("digest: ")[2].split()[0]
        forget(target)
        return digest

    archive = str(place / "base.tar")
    kobako("save", "-o", archive, "base")
    works = {
        "pull": Work(["pull", remote], lambda: forget(remote), image_id(remote)),
        "commit": Work(
            ["commit", "changed", "made"], lambda: forget("made"), lambda: kobako.layers("made")
        ),
        "build": Work([*build, "-t", "built", str(context)], no, image_id("built")),
        "push": Work(["push"], retag, pushed),
        "load": Work(["load", "-i", archive], lambda: forget("base"), image_id("base")),
        "run": Work(["run", "--rm", "base", "sh", "-c", "cat /bin/cat > /c"], no, image_id("base")),
        "prune": Work(["image", "prune", "-f"], litter, lambda: kobako.layers("base")),
    }
    return works


@pytest.mark.timeout(1800)
def test_kill_at_random_moments(kobako: Kobako, registry: Registry, works: dict[str, Work]) -> None:
    torture_processes.adopt_orphans()
    spared = {registry.process.pid, *torture_processes.descendants(os.getpid(), set())}
    for work in works.values():
        work.prepare()
        begun = time.monotonic()
        kobako(*work.words)
        work.seconds = time.monotonic() - begun
        work.expected = work.outcome()
    seed = int(os.environ.get("KOBAKO_TEST_SEED", "0")) or random.randrange(1 << 30)
    dice = random.Random(seed)
    names = list(works)
    for number in range(MOMENTS):
        name = names[number % len(names)]
        work = works[name]
        work.prepare()
        delay = dice.uniform(0, work.seconds)
        alone = dice.random() < 0.25  # only the command dies: what it started must see that
        told = f"seed {seed}, moment {number}: {name} killed after {delay:.3f} s, alone={alone}"
        process = kobako.popen(*work.words)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        if not alone:
            torture_processes.kill_all(spared)
        left = torture_processes.await_end(spared)
        assert not left, (told, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left])
        process.communicate()
        torture_processes.reap(spared)
        try:
            kobako.whole()
            kobako(*work.words)
            assert work.outcome() == work.expected
            kobako("image", "prune", "-f")
            assert kobako.remains() == []
            kobako.whole()
        except AssertionError as fault:
            raise AssertionError(told) from fault


def test_a_container_without_its_monitor(kobako: Kobako) -> None:
    """Its end is told as it is known, and `--rm` is kept all the same."""
    kobako("image", "from-host", "--name", "base", "sleep")
    for name, words in (("kept", ()), ("thrown-away", ("--rm",))):
        process = kobako.popen("run", "--name", name, *words, "base", "sleep", "600")
        for _ in range(500):
            if kobako("ps", "-q", "--filter", f"name={name}").out:
                break
            time.sleep(0.02)
        init = kobako.show("{{.State.Pid}}", name)
        monitor = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(monitor, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 125 and b"monitor was killed" in err
    listed = kobako("ps", "-a", "--format", "{{.Names}} {{.Status}}").out
    assert listed.startswith("kept Exited (255)") and "year" not in listed
    assert len(listed.splitlines()) == 1
    kobako("rm", "kept")
    assert kobako.remains() == []
