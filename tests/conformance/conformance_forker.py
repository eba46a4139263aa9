"""Runs `kobako` command lines, each in a child forked from this warm process: one start-up for all.

Reads JSON lines {"words", "directory", "out", "err"} and answers each with the exit code. Every
child is a whole `kobako` process: it reads its flags, becomes root in its way and ends.
"""

from __future__ import annotations

import gc
import json
import os
import sys

import kobako.build.assemble
import kobako.cli.build
import kobako.engine.build.building
import kobako.engine.build.worker
import kobako.engine.engine  # noqa: F401
from kobako.cli import dispatch


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            become(order)
            dispatch.main(["kobako", *order["words"]])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(order: dict[str, str]) -> None:
    os.chdir(order["directory"])
    for number, path in enumerate(("/dev/null", order["out"], order["err"])):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        fd = os.open(path, flags, 0o644)
        os.dup2(fd, number)
        os.close(fd)


if __name__ == "__main__":
    main()
