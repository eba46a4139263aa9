"""Builds whose stages run at once: they do, and when one ends badly nothing of the others stays."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torture_processes
from torture_command import FULL, Kobako
from torture_registry import Registry

MOMENTS = 150 if FULL else 6
MEET = "--mount=type=cache,id={id},target=/m"


def meeting(name: str, stages: int) -> str:
    """Stages each of which goes on only when all have begun."""
    mount = MEET.format(id=name)
    parts = [
        f"FROM base AS s{n}\n"
        f"RUN {mount} echo > /m/{n}; until [ $(ls /m | wc -l) = {stages} ]; do sleep 0.02; done;"
        f" echo {n} > /{n}\n"
        for n in range(stages)
    ]
    copies = "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(stages))
    return "".join(parts) + "FROM base\n" + copies


@pytest.fixture
def base(kobako: Kobako) -> Kobako:
    kobako("image", "from-host", "--name", "base", *"sh cat sleep ls mkdir dd rm wc touch".split())
    return kobako


@pytest.fixture
def spared() -> Iterator[set[int]]:
    torture_processes.adopt_orphans()
    yield set(torture_processes.descendants(os.getpid(), set()))


def begun(process: subprocess.Popen[bytes], lines: int) -> None:
    """Wait until a build with plain progress has shown so many lines of `begun`."""
    assert process.stderr is not None
    while lines:
        line = process.stderr.readline()
        assert line, process.wait()
        lines -= line.rstrip().endswith(b" begun")


def nothing_left(kobako: Kobako, spared: set[int], *, swept: bool = False) -> None:
    left = torture_processes.await_end(spared)
    assert not left, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
    torture_processes.reap(spared)
    if swept:
        kobako("image", "prune", "-f")
    assert not [path for path in kobako.remains() if path.startswith(("scratch", "ingest"))]
    kobako.whole()


def test_stages_run_at_once(base: Kobako) -> None:
    base("build", "-t", "met", "-", data=meeting("once", 4).encode())
    assert base("run", "--rm", "met", "sh", "-c", "cat /0 /1 /2 /3").out.split() == [*"0123"]


def test_two_stages_with_the_same_step_do_it_once(base: Kobako) -> None:
    mount = MEET.format(id="twins")
    step = f"RUN {mount} echo x >> /m/count && cat /m/count > /n\n"
    text = f"FROM base AS a\n{step}FROM base AS b\n{step}RUN echo b > /b\nFROM base\n"
    text += "COPY --from=a /n /a\nCOPY --from=b /n /b /\n"
    base("build", "-t", "twins", "-", data=text.encode())
    assert base("run", "--rm", "twins", "cat", "/a").out == "x"


def stuck(stages: int) -> str:
    stage = "FROM base AS s{n}\nRUN echo begun; sleep 1000; echo {n} > /{n}\n"
    copies = "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(stages))
    return "".join(stage.format(n=n) for n in range(stages)) + "FROM base\n" + copies


def test_a_failure_ends_the_others(base: Kobako, spared: set[int]) -> None:
    mount = MEET.format(id="failure")
    text = (
        f"FROM base AS bad\nRUN {mount} until [ -e /m/up ]; do sleep 0.02; done; exit 7\n"
        f"FROM base AS slow\nRUN {mount} touch /m/up; sleep 1000\n"
        "FROM base\nCOPY --from=bad /x /\nCOPY --from=slow /y /\n"
    )
    failed = base.refuses("build", "-", data=text.encode())
    assert "exit code: 7" in failed.err and "RUN" in failed.err
    nothing_left(base, spared)


@pytest.mark.parametrize("stages", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_nothing(
    base: Kobako, spared: set[int], place: Path, number: signal.Signals, stages: int
) -> None:
    file = place / "Dockerfile"
    file.write_text(stuck(stages))
    process = base.popen("build", "--progress", "plain", "-f", str(file), str(place / "home"))
    begun(process, stages)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    nothing_left(base, spared)


@pytest.mark.parametrize("stages", [1, 3])
def test_a_killed_build_takes_its_containers_along(
    base: Kobako, spared: set[int], place: Path, stages: int
) -> None:
    file = place / "Dockerfile"
    file.write_text(stuck(stages))
    process = base.popen("build", "--progress", "plain", "-f", str(file), str(place / "home"))
    begun(process, stages)
    process.kill()
    process.communicate(timeout=60)
    torture_processes.await_end(spared)
    file.write_text("FROM base\n")
    base("build", "-f", str(file), str(place / "home"))  # the next build clears up
    nothing_left(base, spared)


LONG = """\
FROM base AS a
RUN echo a1 && mkdir /a && dd if=/dev/zero of=/a/z bs=100k count=20
RUN echo a2 && sleep 0.05 && cat /a/z > /a/y
FROM base AS b
RUN echo b1 && mkdir /b
COPY file /b/file
RUN echo b2 && sleep 0.05 && cat /b/file /b/file > /b/twice
FROM base
COPY --from=a /a /a
COPY --from=b /b /b
RUN echo c && ls /a /b > /list
"""


@pytest.mark.timeout(1800)
def test_a_killed_build_goes_on_where_it_was(base: Kobako, spared: set[int], place: Path) -> None:
    """Every step that was seen to finish is found in the cache by the next build."""
    context = place / "context"
    context.mkdir()
    seed = int(os.environ.get("KOBAKO_TEST_SEED", "0")) or random.randrange(1 << 30)
    dice = random.Random(seed)
    words = ("build", "--progress", "plain", "-t", "long", str(context))

    def change(content: str) -> None:
        (context / "file").write_text(content * 100_000)
        (context / "Dockerfile").write_text(LONG.replace("echo ", f"echo {content} "))

    change("first")
    before = time.monotonic()
    base(*words)
    seconds = time.monotonic() - before
    for number in range(MOMENTS):
        change(f"n{number}")
        told = f"seed {seed}, moment {number}"
        process = base.popen(*words)
        time.sleep(dice.uniform(0, seconds * 1.2))
        process.kill()
        seen = finished(process.communicate(timeout=60)[1].decode())
        left = torture_processes.await_end(spared)
        assert not left, told
        torture_processes.reap(spared)
        again = base(*words).err
        lost = seen - finished(again, "CACHED")
        assert not lost, (told, lost, again)
        listed = base("run", "--rm", "long", "cat", "/list").out.split()
        assert listed == ["/a:", "y", "z", "/b:", "file", "twice"], told
        if number % 3 == 0 or number == MOMENTS - 1:
            nothing_left(base, spared, swept=True)


def finished(shown: str, how: str = "DONE") -> set[str]:
    """The names of the steps that plain progress says are done (or CACHED), bases aside."""
    names, found = {}, set()
    for line in shown.splitlines():
        number, _, text = line.partition(" ")
        if text.startswith("["):
            names[number] = text
        elif text.startswith(how) and number in names and " FROM " not in names[number]:
            found.add(names[number])
    return {name for name in found if not name.startswith("[internal]")}


def big(place: Path, megabytes: int) -> Path:
    """A context of one file that does not compress."""
    context = place / "big"
    context.mkdir()
    with open(context / "file", "wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1 << 20))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    return context


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(
    kobako: Kobako, spared: set[int], place: Path, number: signal.Signals
) -> None:
    """In the middle of a large one: nobody reads the pipe it is written to."""
    context = big(place, 8)
    before = sorted(place.iterdir())
    reader, writer = os.pipe()
    process = kobako.popen("build", "-o", "type=tar,dest=-", str(context), stdout=writer)
    os.close(writer)
    assert len(os.read(reader, 1)) == 1
    process.send_signal(number)
    process.wait(20)
    os.close(reader)
    process.communicate()
    assert process.returncode == 128 + number
    assert sorted({*place.iterdir()} - {place / "store"}) == before
    nothing_left(kobako, spared)


def test_an_interrupted_pull_goes_on_where_it_was(
    kobako: Kobako, registry: Registry, spared: set[int], place: Path
) -> None:
    """In the middle of a layer: the registry is stopped while it sends it."""
    name = f"{registry.address}/big"
    kobako("build", "-t", name, str(big(place, 48)))
    kobako("push", name)
    number = 0
    while True:
        elsewhere = kobako.at(place / f"elsewhere{number}")
        number += 1
        process = elsewhere.popen("pull", name)
        ingest = elsewhere.root / "ingest"
        while process.poll() is None and not _sizes(ingest):
            pass
        registry.process.send_signal(signal.SIGSTOP)
        got = max(_sizes(ingest), default=0)
        caught = process.poll() is None and 0 < got < 40 << 20
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        registry.process.send_signal(signal.SIGCONT)
        if caught:
            break
    assert process.returncode == 130
    nothing_left(elsewhere, spared)
    elsewhere("pull", name)
    assert elsewhere.layers(name) == kobako.layers(name)


def _sizes(directory: Path) -> list[int]:
    """The sizes of what lies in a directory and is not empty."""
    sizes = []
    try:
        for path in directory.iterdir():
            sizes.append(path.stat().st_size)
    except FileNotFoundError:
        pass
    return [size for size in sizes if size]
