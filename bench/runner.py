"""Runs commands for a comparison, measured, as the user it was started as: a line of JSON in for
each, a line of JSON out.

A process of its own, and a small one, for each user: so that to start a command takes the same time
for all. (To change the user for each command would mean a fork of a large process, and no vfork.)
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any


def run(argv: list[str], env: dict[str, str], copies: int, output: str) -> dict[str, Any]:
    """So many of a command at once; `output` is a file for what they print."""
    with open(output, "w+b") as log:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        running = [
            subprocess.Popen(
                argv, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            for _ in range(copies)
        ]
        codes = [process.wait() for process in running]
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines() if any(codes) else []
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "code": max(codes), "last": lines[-1][:300] if lines else ""}


def main() -> None:
    for line in sys.stdin:
        try:
            answer = run(**json.loads(line))
        except OSError as fault:  # there is no such program
            answer = {"wall": 0, "cpu": 0, "code": 127, "last": str(fault)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
