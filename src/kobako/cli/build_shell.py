"""--on-error=shell and --stop-at: a shell on this terminal where a build stopped."""

from __future__ import annotations

import os

from kobako.errors import Invalid, KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.engine.build.building import BuildRequest
    from kobako.engine.build.debugging import Place
    from kobako.events import OnEvent


def on_terminal() -> bool:
    """Whether there is somebody to talk to."""
    return os.isatty(0) and os.isatty(1)


def after_failure(context: Context, fault: KobakoError) -> int:
    """Tell the failure, then open a shell in the state of the step; the failure's exit code."""
    from kobako.cli.context import error_text
    from kobako.engine.build import debugging

    context.err(error_text(fault))
    place = debugging.place_of(fault)
    if place is None:
        context.err("--on-error=shell: no step failed, so there is nothing to look at")
    elif not on_terminal():
        context.err("--on-error=shell: there is no terminal to open a shell on")
        debugging.discard(context.engine, place)
    else:
        context.err(
            "A shell in the state of the failed step; leave it to end the build with this failure."
        )
        _open(context, place)
    return fault.exit_code


def at_stop(context: Context, request: BuildRequest, on_event: OnEvent) -> Place:
    """Build up to where --stop-at says."""
    from kobako.engine.build import building

    if not on_terminal():
        raise Invalid(
            "--stop-at opens a shell, and there is no terminal to open it on",
            hint="To build a stage without a shell use --target.",
        )
    return building.build_up_to(context.engine, request, on_event)


def open_at_stop(context: Context, request: BuildRequest, place: Place) -> int:
    """The shell of --stop-at; its exit code."""
    at = request.stop_at
    context.err(f"A shell after {f'line {at}' if at.isdigit() else f'stage {at}'}.")
    return _open(context, place)


def _open(context: Context, place: Place) -> int:
    from kobako.engine.build import debugging
    from kobako.runtime.bundle import Stdio

    try:
        return debugging.open_shell(context.engine, place, Stdio(0, 1, 2))
    except KobakoError as fault:
        context.err(f"cannot open a shell there: {fault}")
        return fault.exit_code
