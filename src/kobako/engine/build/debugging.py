"""A shell where a build stopped: `--on-error=shell`, `--stop-at`."""

from __future__ import annotations

import os

from kobako.errors import NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.worker import RunRequest
    from kobako.engine.engine import Engine
    from kobako.runtime.bundle import Stdio


class Place(Record):
    """Where to open it: `request` has the tree, environment and mounts, its command is the shell.
    `kept` is the scratch directory a failed command left, "" for a fresh one on the layers."""

    request: RunRequest
    kept: str = ""


def place_of(fault: BaseException) -> Place | None:
    """The place a build's failure tells of, if it does."""
    from kobako.build.dockerfile.source import StepFailed

    if not isinstance(fault, StepFailed) or fault.state is None:
        return None
    return Place(fault.state, fault.kept)


def open_shell(engine: Engine, place: Place, io: Stdio) -> int:
    """An interactive shell on the terminal of `io`; its exit code. What is written there goes with
    it, what a failed command left as well."""
    from kobako.engine.build import run as build_run
    from kobako.engine.build.mounts import Mounts
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.scratch import Scratch
    from kobako.events import ignore
    from kobako.store.leases import lease

    request = place.request
    with lease(engine.store, "shell in a build"):
        worker = EngineWorker(engine, ignore)
        lowers = worker.lowers(request.layers, places=True)
        name = os.path.basename(place.kept) or request.id
        scratch = Scratch(engine, lowers, name, left=bool(place.kept))
        with scratch, Mounts(worker, scratch, request) as mounts:
            document = build_run.document(scratch, request, mounts, terminal=True)
            return build_run.attend(worker, scratch, document, io)


def discard(engine: Engine, place: Place) -> None:
    """Removes what a failed command left, when no shell is opened after all."""
    if place.kept:
        from kobako.engine.scratch import Scratch

        try:
            with Scratch(engine, (), os.path.basename(place.kept), left=True):
                pass
        except NotFound:
            pass  # a collection was there first
