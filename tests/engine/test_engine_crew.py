"""Steps of a build beside each other: they end when they are told to, whatever they are about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

CANCEL = """
import signal, sys, time, weakref
from kobako.engine.build.crew import ForkingCrew
from kobako.engine.build.worker import EngineWorker
from kobako.engine.engine import Engine, Settings

class Begun(Exception):
    pass

class Thing:
    pass

def begun(stream, data):
    raise Begun

def task(output):
    def dropped(reference):
        output(1, b"begun")
        while True:
            pass  # what the signal raises here ends this callback, and nothing else
    thing = Thing()
    reference = weakref.ref(thing, dropped)
    del thing
    time.sleep(1000)

crew = ForkingCrew(EngineWorker(Engine(Settings(sys.argv[1])), lambda event: None))
crew.start(task, begun)
try:
    crew.wait()
except Begun:
    crew.cancel()
    print("ended")
"""


def test_a_signal_whose_exception_is_dropped_comes_again(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CANCEL, str(tmp_path / "root")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert said == (b"ended\n", b"")
