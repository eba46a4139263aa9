"""Where a build stopped, failed or on purpose: what a shell needs to look around there."""

from __future__ import annotations

import os

from kobako.build.dockerfile.source import DockerfileError
from kobako.build.graph import order
from kobako.build.lower_run import HOSTNAME
from kobako.build.ops.run import Failed
from kobako.build.plan import Plan
from kobako.build.worker import RunRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.build.graph import Vertex
    from kobako.build.lower import Lowering
    from kobako.build.ops.result import Result
    from kobako.build.options import BuildOptions
    from kobako.build.plan import Step
    from kobako.build.worker import LayerRef

_SHELL = "/bin/sh"


def plan_up_to(lowering: Lowering, place: str) -> Plan:
    """The plan of a build that ends after the instruction at a line (a number), or with a stage."""
    if not (place.isascii() and place.isdigit()):
        return lowering.plan(place)
    line = int(place)
    source = lowering.source
    index = -1
    for stage in lowering.dockerfile.stages:
        if stage.start.where.start <= line:
            index = stage.index
    if index < 0:
        first = lowering.dockerfile.stages[0].start.where
        raise DockerfileError(source, first, f"line {line} is before the first stage")
    plan = lowering.plan_stage(index)
    steps = [s for s in plan.steps if s.stage == index and s.where.start <= line]
    last = steps[-1]
    if line > last.where.end and line > lowering.dockerfile.stages[-1].start.where.end:
        ends = [s.where.end for s in plan.steps if s.stage == index]
        if line > max(ends):
            raise DockerfileError(source, last.where, f"line {line} is after the last instruction")
    needed = set(order((last.vertex,)))
    kept = tuple(s for s in plan.steps if s.vertex in needed and (s.stage != index or s in steps))
    return Plan(kept, last, plan.shown, plan.source)


def state_after(step: Step, layers: tuple[LayerRef, ...], options: BuildOptions) -> RunRequest:
    """A shell in the tree of `layers`, with the environment, user and directory of a step."""
    return RunRequest(
        id=os.urandom(32).hex(),
        layers=layers,
        args=(_shell(step),),
        env=step.environment,
        user=str(step.config.get("User") or ""),
        cwd=str(step.config.get("WorkingDir") or "/"),
        network=options.network,
        hostname=HOSTNAME,
        extra_hosts=options.extra_hosts,
        shm_size=options.shm_size,
        ulimits=options.ulimits,
    )


def state_of_failure(
    step: Step,
    error: BaseException,
    results: Mapping[Vertex[Result], Result],
    options: BuildOptions,
) -> tuple[RunRequest | None, str]:
    """(a shell where the step failed, the directory in which the worker left what the command had
    written, "" for none). None when what is below the step has not been made."""
    if isinstance(error, Failed) and error.request is not None:
        return error.request.replace(args=(_shell(step),)), error.kept
    below = next((results[v] for v in step.vertex.inputs[:1] if v in results), None)
    return (state_after(step, below.layers, options) if below else None), ""


def _shell(step: Step) -> str:
    shell = step.config.get("Shell")
    return str(shell[0]) if shell else _SHELL
