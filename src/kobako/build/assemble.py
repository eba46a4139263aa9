"""The build from end to end: parse, lower, solve, and the image that comes of it."""

from __future__ import annotations

import time

from kobako.build import progress
from kobako.build.arguments import Arguments
from kobako.build.context import Context
from kobako.build.dockerfile.parse import parse
from kobako.build.dockerfile.source import StepFailed
from kobako.build.lower import Lowering, Surroundings
from kobako.build.ops.run import Failed
from kobako.build.options import BuildResult, StepResult
from kobako.build.reporting import Reporter
from kobako.build.result_image import Images
from kobako.build.solver import Solver
from kobako.errors import KobakoError, Unavailable
from kobako.oci import Platform, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.cache import Cache
    from kobako.build.dockerfile.instructions import Dockerfile
    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.options import BuildOptions
    from kobako.build.plan import Plan, Step
    from kobako.build.worker import BaseImage, Worker
    from kobako.events import OnEvent

_OWN_SYNTAX = ("docker/dockerfile:", "docker/dockerfile-upstream:", "docker/dockerfile@")
_FEW = 4
"""So many vertices run at once on a machine with fewer cores: most of them wait, not compute."""


def build(
    options: BuildOptions, context: Context | None, worker: Worker, cache: Cache, on_event: OnEvent
) -> BuildResult:
    """See `kobako.build.build`."""
    context = context or Context()
    images = Images(options.labels)
    reporter = Reporter(on_event, images)
    dockerfile = parse(options.dockerfile, options.dockerfile_name)
    for line, message in dockerfile.warnings:
        on_event(progress.Warning(message, line))
    _note_syntax(dockerfile, on_event)
    if options.context_size:
        on_event(progress.ContextScanned(*context.size()))
    host = Platform.host()
    target = options.platform or host
    arguments = Arguments(dockerfile, options.build_args, host, target, _stage_name(options))
    lowering = Lowering(
        dockerfile,
        arguments,
        Surroundings(
            options,
            lambda: context,
            worker,
            cache,
            platform=target,
            host=host,
            load=_Loader(worker, options.pull, reporter).load,
            running=reporter.running,
            created_ns=time.time_ns() if options.epoch is None else options.epoch * 1_000_000_000,
        ),
    )
    plan = lowering.plan(options.target)
    unused = arguments.unused()
    if unused:
        on_event(progress.Warning(f"One or more build-args {unused} were not consumed"))
    reporter.plan(plan)
    _solve(options, dockerfile, plan, Solver(
        cache, reporter, worker, parallelism=_parallelism(options), fresh=options.no_cache
    ))  # fmt: skip
    context.remember(cache)
    return _result(plan, images, reporter)


def _note_syntax(dockerfile: Dockerfile, on_event: OnEvent) -> None:
    """`# syntax=` names the program docker would parse the file with; there is one here."""
    syntax = dockerfile.directives.syntax.split(" ")[0]
    if syntax and not syntax.removeprefix("docker.io/").startswith(_OWN_SYNTAX):
        on_event(progress.Warning(f"syntax={syntax} is ignored: read as a Dockerfile", 1))


def _solve(
    options: BuildOptions, dockerfile: Dockerfile, plan: Plan, solver: Solver[Result]
) -> None:
    """Solves; an error is told with the instruction it belongs to."""
    failed: list[Vertex[Result]] = []
    try:
        solver.solve((plan.target.vertex,), failed)
    except KobakoError as error:
        step = next((s for s in plan.steps if failed and s.vertex is failed[0]), None)
        if step is None or isinstance(error, StepFailed):
            raise
        raise _with_place(dockerfile, step, error) from error
    except OSError as error:  # a full disk, a name too long: what the kernel refuses an op
        step = next((s for s in plan.steps if failed and s.vertex is failed[0]), None)
        name = f": {error.filename}" if error.filename else ""
        fault = Unavailable(f"{error.strerror or error}{name}")
        raise _with_place(dockerfile, step, fault) if step else fault from error


def _with_place(dockerfile: Dockerfile, step: Step, error: KobakoError) -> StepFailed:
    place = StepFailed(
        dockerfile.source,
        step.where,
        error.message,
        command=error.command if isinstance(error, Failed) else "",
        status=error.status if isinstance(error, Failed) else 0,
        hint=error.hint,
    )
    place.http_status = error.http_status
    return place


class _Loader:
    """Resolves base images, telling progress."""

    def __init__(self, worker: Worker, pull: bool, reporter: Reporter) -> None:
        self._worker = worker
        self._pull = pull
        self._reporter = reporter

    def load(self, name: str, platform: Platform) -> BaseImage:
        reference = Reference.parse(name).with_default_tag()
        title = f"[internal] load metadata for {reference}"
        number = self._reporter.begin(title)
        try:
            image = self._worker.resolve_image(reference, platform, self._pull)
        except BaseException as error:
            self._reporter.end(number, title, str(error) or type(error).__name__)
            raise
        self._reporter.end(number, title)
        return image


def _parallelism(options: BuildOptions) -> int:
    if options.parallelism:
        return options.parallelism
    from os import cpu_count

    return max(_FEW, cpu_count() or 1)


def _stage_name(options: BuildOptions) -> str:
    return "" if options.target.isdigit() else options.target


def _result(plan: Plan, images: Images, reporter: Reporter) -> BuildResult:
    config = images.final(plan.target)
    return BuildResult(
        config,
        images.manifest(plan.target, config),
        images.results[plan.target.vertex].layers,
        tuple(
            StepResult(
                step.where.start,
                step.text,
                images.config(step).digest,
                reporter.cached.get(step.vertex, False),
            )
            for step in plan.steps
        ),
    )
