"""stats: what containers use of the machine."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from e2e_command import Kobako, eventually

FIGURES = "{{.CPUPerc}} {{.MemUsage}} {{.PIDs}}"
HOLDS = """
import os, threading, time
held = b"x" * (64 << 20)
for _ in range(4): threading.Thread(target=time.sleep, args=(600,)).start()
file = os.open("/file", os.O_WRONLY | os.O_CREAT)
os.write(file, held[:1 << 20]); os.fsync(file); print("ready", flush=True)
time.sleep(600)
"""


def test_one_that_works_and_one_that_waits(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", f"{name}-works", "python", "sh", "-c", "while :; do :; done")
    kobako("run", "-d", "--name", f"{name}-waits", "--network", "none", "python", "python3", "-c",
           HOLDS)  # fmt: skip
    eventually(lambda: kobako("logs", f"{name}-waits").out == "ready", "it holds what it wants")

    def shown(which: str, template: str) -> str:
        return kobako("stats", "--no-stream", "--format", template, f"{name}-{which}").out

    eventually(lambda: float(shown("works", "{{.CPUPerc}}").rstrip("%")) > 0, "it works")
    works, waits = kobako(
        "stats", "--no-stream", "--format", FIGURES, f"{name}-works", f"{name}-waits"
    ).lines
    assert re.fullmatch(r"\d+\.\d\d% [\d.]+[KM]iB / [\d.]+GiB 1", works)
    cpu, memory, _, _, threads = waits.split()
    assert (cpu, threads) == ("0.00%", "5")
    assert memory.endswith("MiB") and 64 <= float(memory[:-3]) < 96
    pid = kobako.show("{{.State.Pid}}", f"{name}-waits")
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    written = int(io["write_bytes"])
    assert shown("waits", "{{.BlockIO}}").endswith(f"/ {written / 1e6:.3g}MB" if written else "0B")
    assert shown("waits", "{{.NetIO}}") == "0B / 0B"
    kobako("pause", f"{name}-works")
    assert shown("works", "{{.CPUPerc}} {{.PIDs}}") == "0.00% 1"


def test_what_is_listed(kobako: Kobako, name: str) -> None:
    one = kobako("run", "-d", "--name", name, "python", "sleep", "600").out
    kobako("create", "--name", f"{name}-made", "python", "true")
    title, *rows = kobako("stats", "--no-stream").lines
    assert re.split(" {2,}", title) == ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT",
                                        "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]  # fmt: skip
    names = [row.split()[1] for row in rows]
    assert name in names and f"{name}-made" not in names
    made = kobako("stats", "--no-stream", f"{name}-made").lines[1].split()
    assert made[1:] == f"{name}-made 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0".split()
    assert f"{name}-made" in kobako("stats", "--no-stream", "-a").out
    found = json.loads(kobako("stats", "--no-stream", "--format", "json", name).out)
    assert sorted(found) == ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name",
                             "NetIO", "PIDs"]  # fmt: skip
    assert (found["Container"], found["ID"]) == (name, one[:12])
    whole = kobako("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}", one[:5]).out
    assert whole == one
    gone = f"{name}-gone"
    kobako.fails("stats", "--no-stream", name, gone, says=f"No such container: {gone}")


def test_again_and_again_until_it_is_removed(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "600")
    command = kobako.popen("stats", "--format", "{{.Name}}", name, stdout=subprocess.PIPE)
    assert command.stdout is not None
    for _ in range(3):
        assert command.stdout.readline() == f"\033[2J\033[H{name}\n".encode()
    kobako("rm", "-f", name)
    command.communicate()
    assert command.returncode == 0
