"""kobako beside the tools it is measured against, in one run.

    python3 bench/compare.py [--rounds N] [--only run,load,...] [--tar FILE] [--json FILE]

Whatever is installed of docker (a daemon of our own is started), podman, buildah, skopeo, umoci,
runc, crun, bwrap, GNU tar and docker-registry takes part; what is missing does not. Everything
works on one Debian root filesystem: --tar, or debian-python.tar in KOBAKO_TEST_CACHE. The network
is not used, everything is written below --scratch and removed. As root, kobako is measured a second
time as --user, who has no subordinate ids: mode C.

Rounds are interleaved, so that a busy machine is busy for all; what is printed are medians of wall
times from before a process is started to its end, and ratios to kobako's own (2x: takes twice as
long). Before a case that writes much, everything dirty is written out.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import statistics
import sys
from pathlib import Path

import peers
from scratch import Failed, Identity, Sample, Scratch

CASES = (
    ("run none", 5),
    ("run host", 5),
    ("run 20 at once", 1),
    ("exec", 5),
    ("commit 1 file", 2),
    ("commit 3000 files", 1),
    *(
        (case + kind, times)
        for case, times in (
            ("build cold", 2),
            ("build cached", 3),
            ("build 30 RUN cold", 1),
            ("build 30 RUN cached", 2),
            ("build COPY 20000 cold", 1),
            ("build COPY 20000 unchanged", 2),
            ("build ignore 19997 of 20000", 1),
            ("build 4 stages of sleep 2", 1),
        )
        for kind in ("", ", BuildKit")
    ),
    ("images", 5),
    ("ps", 5),
    ("load", 1),
    ("push to registry", 1),
    ("pull from registry", 1),
    ("push to hub", 1),
    ("pull from hub", 1),
    ("from-host", 1),
)
"""Each with its samples per round."""
HEAVY = ("commit", "load", "push", "pull", "from-host")


def kobako_program() -> str | None:
    """The one of this checkout's environment, else the one on PATH."""
    here = Path(__file__).resolve().parent.parent / ".venv/bin/kobako"
    return str(here) if here.exists() else shutil.which("kobako")


def find_tar(given: str) -> Path:
    if given:
        return Path(given).resolve()
    cache = os.environ.get("KOBAKO_TEST_CACHE") or os.path.expanduser("~/.cache/kobako-tests")
    return Path(cache) / "debian-python.tar"


def tools(inputs: peers.Inputs, user: str, names: set[str]) -> list[peers.Tool]:
    """kobako first; then what is installed, and allowed to us."""
    program = kobako_program()
    if program is None:
        sys.exit("compare: kobako is not installed")
    me, root = Identity(), os.getuid() == 0
    found: list[peers.Tool] = [peers.Kobako(inputs, program, me, "kobako")]
    if root and user:
        try:
            pwd.getpwnam(user)
            found.append(peers.Kobako(inputs, program, Identity(user), "kobako C"))
        except KeyError:
            print(f"compare: there is no user {user}: no mode C", file=sys.stderr)
    client = peers.Docker.client()
    if client and root:
        found.append(peers.Docker(inputs, client, me))
    others = [("skopeo", peers.Skopeo)]
    if root:
        others += [("podman", peers.Podman), ("buildah", peers.Buildah), ("umoci", peers.Umoci)]
        others += [("runc", peers.Runtime), ("crun", peers.Runtime), ("bwrap", peers.Bwrap)]
        others += [("tar", peers.GnuTar)]
    for name, kind in others:
        path = shutil.which(name, path=me.environment()["PATH"])
        if path:
            found.append(kind(inputs, path, me))
    return [t for t in found if not names or (t.name or Path(t.program).name) in names]


def ready(candidates: list[peers.Tool]) -> list[peers.Tool]:
    taking_part = []
    for tool in candidates:
        try:
            tool.setup()
            taking_part.append(tool)
        except Failed as fault:
            print(f"compare: {tool.name} takes no part: {fault}", file=sys.stderr)
    return taking_part


class Table:
    """Samples by case and tool, and how they are shown."""

    def __init__(self, tools: list[str]) -> None:
        self.tools = tools
        self.samples: dict[str, dict[str, list[Sample]]] = {}
        self.failures: dict[tuple[str, str], str] = {}

    def add(self, case: str, tool: str, sample: Sample) -> None:
        self.samples.setdefault(case, {}).setdefault(tool, []).append(sample)

    def median(self, case: str, tool: str) -> float | None:
        found = self.samples.get(case, {}).get(tool)
        return statistics.median(s.wall for s in found) if found else None

    def print(self) -> None:
        width = max((len(name) for name, _ in CASES), default=0)
        print(f"{'median ms (x kobako)':{width}}", *(f"{t:>15}" for t in self.tools))
        for case, _ in CASES:
            if case not in self.samples:
                continue
            own = self.median(case.partition(",")[0], "kobako")
            cells = [self._cell(self.median(case, t), own, t) for t in self.tools]
            print(f"{case:{width}}", *cells)
        for (case, tool), message in self.failures.items():
            print(f"{tool}, {case}: {message}")

    def _cell(self, value: float | None, own: float | None, tool: str) -> str:
        if value is None:
            return f"{'-':>15}"
        ratio = f" {value / own:5.2f}x" if own and tool != "kobako" else " " * 7
        return f"{value * 1000:8.0f}{ratio}" if value >= 0.1 else f"{value * 1000:8.1f}{ratio}"

    def json(self) -> dict[str, object]:
        return {
            case: {
                tool: {
                    "wall": [round(s.wall, 5) for s in found],
                    "cpu": [round(s.cpu, 5) for s in found],
                    "median": statistics.median(s.wall for s in found),
                    "median_cpu": statistics.median(s.cpu for s in found),
                }
                for tool, found in by_tool.items()
            }
            for case, by_tool in self.samples.items()
        }


def measure(tool: peers.Tool, case: str, work: peers.Work, times: int, table: Table) -> None:
    """Some samples of one case; a failure is noted, and the case left out from then on."""
    if (case, tool.name) in table.failures:
        return
    try:
        for _ in range(times):
            if work.prepare is not None:
                work.prepare()
            if case.startswith(HEAVY):
                os.sync()
            env = work.env or tool.env
            sample = tool.scratch.run(work.argv, env, tool.who, copies=work.copies)
            table.add(case, tool.name, sample)
    except Failed as fault:
        table.failures[case, tool.name] = str(fault)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases by how they begin: run,load,push")
    parser.add_argument("--tools", default="", help="only these: kobako,docker,runc")
    parser.add_argument("--tar", default="", help="a Debian root filesystem with python3")
    parser.add_argument("--user", default="kobako-plain", help='for mode C; "" for none')
    parser.add_argument(
        "--scratch", type=Path, default=Path(f"/var/tmp/kobako-bench.{os.getpid()}")
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tar = find_tar(options.tar)
    if not tar.exists():
        parser.error(f"{tar} does not exist: name a root filesystem with --tar")
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    cases = [(case, times) for case, times in CASES if case.startswith(wanted)]

    with Scratch(options.scratch) as scratch:
        inputs = peers.Inputs(scratch, tar)
        candidates = tools(inputs, options.user, set(filter(None, options.tools.split(","))))
        if any(case.startswith(("push", "pull")) for case, _ in cases):
            kobako = next((t for t in candidates if t.name == "kobako"), None)
            if isinstance(kobako, peers.Kobako):
                peers.Registries(inputs, kobako).start()
        taking_part = ready(candidates)
        try:
            table = Table([tool.name for tool in taking_part])
            works = {tool.name: tool.works() for tool in taking_part}
            for at in range(options.rounds):
                print(f"round {at + 1} of {options.rounds}", file=sys.stderr)
                for case, times in cases:
                    for tool in taking_part:
                        if case in works[tool.name]:
                            measure(tool, case, works[tool.name][case], times, table)
        finally:
            for tool in taking_part:
                tool.stop()
    table.print()
    if options.json:
        options.json.write_text(json.dumps(table.json(), indent=1))
    return bool(table.failures)


if __name__ == "__main__":
    sys.exit(main())
