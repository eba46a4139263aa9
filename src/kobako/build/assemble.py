"""The build from end to end: parse, lower, solve, and the image that comes of it."""

from __future__ import annotations

import os

from kobako.build import epoch, progress
from kobako.build.arguments import Arguments
from kobako.build.context import Context
from kobako.build.dockerfile.parse import parse
from kobako.build.dockerfile.source import StepFailed
from kobako.build.lint.verdict import ChecksFailed, warnings, warnings_before
from kobako.build.loading import read_contexts, tell_definitions, tell_ignored
from kobako.build.lower import Lowering, Surroundings
from kobako.build.named import NamedContexts
from kobako.build.ops.run import Failed
from kobako.build.options import BuildResult, StepResult
from kobako.build.reporting import Reporter
from kobako.build.result_image import Images
from kobako.build.solver import Solver
from kobako.errors import Invalid, KobakoError, NotFound, Unavailable, remedy
from kobako.oci import Platform, Reference
from kobako.store.content import READ_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.cache import Cache
    from kobako.build.dockerfile.instructions import Dockerfile
    from kobako.build.dockerfile.source import Source
    from kobako.build.graph import Vertex
    from kobako.build.named import NamedContext
    from kobako.build.ops.result import Result
    from kobako.build.options import BuildOptions, Job
    from kobako.build.plan import Plan, Step
    from kobako.build.worker import BaseImage, Worker
    from kobako.events import OnEvent

_OWN_SYNTAX = ("docker/dockerfile:", "docker/dockerfile-upstream:", "docker/dockerfile@")
_FEW = 4
_LONG = 500
"""So many vertices run at once on a machine with fewer cores: most of them wait, not compute."""


def build_all(
    jobs: tuple[Job, ...], worker: Worker, cache: Cache, on_event: OnEvent
) -> tuple[BuildResult, ...]:
    """See `kobako.build.build_all`."""
    images = Images()
    reporter = Reporter(on_event, images)
    contexts = [job.context or Context() for job in jobs]
    pairs = list(zip(jobs, contexts, strict=True))
    for context in dict.fromkeys(own for job, own in pairs if job.options.context_size):
        on_event(progress.ContextScanned(*context.size()))
    front = _FrontEnd(worker, cache, reporter, on_event, pairs)
    tell_definitions(reporter, pairs)
    plans = [front.plan(job, context) for job, context in pairs]
    tell_ignored(reporter, pairs)
    reporter.plan(plans)
    _prepare_reasons(pairs, plans, cache, reporter)
    if not all(job.options.context_size for job in jobs):  # those who are told that see no vertices
        read_contexts(reporter, pairs, plans)
    parallelism = max(_parallelism(job.options) for job in jobs)
    solver = Solver(cache, reporter, lambda: worker.crew, parallelism=parallelism)
    failed: list[Vertex[Result]] = []
    try:
        _solve(list(zip(jobs, plans, strict=True)), solver, failed, images)
    finally:
        _keep_parts(pairs, plans, cache, reporter, images, failed)
    for context in dict.fromkeys(contexts):
        context.remember(cache)
    return tuple(
        _result(plan, job.options, images, reporter) for job, plan in zip(jobs, plans, strict=True)
    )


class _FrontEnd:
    """Dockerfiles and options → plans. Jobs that differ in nothing but their target and labels
    share their vertices; for others the solver finds what is the same by its keys."""

    def __init__(
        self,
        worker: Worker,
        cache: Cache,
        reporter: Reporter,
        on_event: OnEvent,
        jobs: list[tuple[Job, Context]],
    ) -> None:
        self._jobs = jobs
        self._plans: dict[Job, Plan | None] = {}
        self._worker = worker
        self._cache = cache
        self._reporter = reporter
        self._on_event = on_event
        self._loader = _Loader(worker, reporter)
        self._lowerings: list[
            tuple[BuildOptions, Context, tuple[tuple[str, NamedContext], ...], Lowering]
        ] = []
        self._parsed: dict[tuple[str, str], Dockerfile] = {}
        self._warned: set[str] = set()
        self._checked: set[progress.CheckWarning] = set()

    def plan(self, job: Job, context: Context) -> Plan:
        """The plan of a job, made when it is first asked for."""
        found = self._plans.get(job)
        if found is None:
            if job in self._plans:
                raise Invalid(f"{job.name} is built from itself: its contexts lead back to it")
            self._plans[job] = None
            found = self._plans[job] = self._plan(job, context)
        return found

    def _result(self, name: str, platform: Platform) -> Step:
        """The last step of another job of this build; of a target with several platforms, of the
        job for this one."""
        for wanted in (name, f"{name} {platform}"):
            for job, context in self._jobs:
                if job.name == wanted:
                    return self.plan(job, context).target
        raise NotFound(f"target:{name}: no such target in this build, or not for {platform}")

    def _plan(self, job: Job, context: Context) -> Plan:
        job = self._dated(job, context)
        options = job.options
        common = options.replace(target="", labels=(), context_size=False, parallelism=0)
        if "TARGETSTAGE" in options.dockerfile:
            common = common.replace(target=options.target)
        for other, its_context, its_contexts, lowering in self._lowerings:
            if other == common and its_context is context and its_contexts == job.contexts:
                return self._lowered(lowering, options)
        lowering = self._lowering(job, context)
        if options.stop_at:
            from kobako.build.halt import plan_up_to

            return plan_up_to(lowering, options.stop_at)
        plan = self._lowered(lowering, options)
        unused = lowering.arguments.unused()
        if unused:
            text = f"One or more build-args {unused} were not consumed"
            if text not in self._warned:  # the platforms of a build say the same
                self._warned.add(text)
                self._on_event(progress.Warning(text))
        self._lowerings.append((common, context, job.contexts, lowering))
        return plan

    def _lowered(self, lowering: Lowering, options: BuildOptions) -> Plan:
        """The plan, checked. What the checks say is told of one that cannot be made, too."""
        try:
            plan = lowering.plan(options.target)
        except KobakoError:
            self._tell(warnings_before(lowering, options))
            raise
        self._check(lowering, options)
        return plan

    def _dated(self, job: Job, context: Context) -> Job:
        """The job with its SOURCE_DATE_EPOCH a number, where it says where to take that from."""
        options = job.options
        text = dict(options.build_args).get(epoch.ARGUMENT, "")
        dockerfile = self._parse(options.dockerfile, options.dockerfile_name)
        if not text:
            text = epoch.of_arguments(dockerfile)
        if not text or text.isdigit() or options.epoch is not None:
            seconds = text
        else:
            from kobako.build.epoch_source import resolve

            found = resolve(text, job, context, dockerfile, self._worker)
            seconds = "" if found is None else str(found)
        if seconds == dict(options.build_args).get(epoch.ARGUMENT, ""):
            return job
        others = tuple((k, v) for k, v in options.build_args if k != epoch.ARGUMENT)
        return job.replace(options=options.replace(build_args=(*others, (epoch.ARGUMENT, seconds))))

    def _check(self, lowering: Lowering, options: BuildOptions) -> None:
        """The build checks: each warning once, however many targets give cause for it."""
        found, error = warnings(lowering, options)
        self._tell(found)
        if error:
            raise ChecksFailed(
                error, hint="`check=error=true` makes them errors; --check shows them."
            )

    def _tell(self, found: tuple[progress.CheckWarning, ...]) -> None:
        for warning in found:
            if warning not in self._checked:
                self._checked.add(warning)
                self._on_event(warning)

    def _lowering(self, job: Job, context: Context) -> Lowering:
        options = job.options
        dockerfile = self._parse(options.dockerfile, options.dockerfile_name)
        host = Platform.host()
        target = options.platform or host
        stage = options.target or dockerfile.stages[-1].name
        arguments = Arguments(dockerfile, options.build_args, host, target, stage)
        return Lowering(
            dockerfile,
            arguments,
            Surroundings(
                options,
                lambda: context,
                self._worker,
                self._cache,
                platform=target,
                host=host,
                load=lambda name, platform: self._loader.load(name, platform, options.pull),
                bring=lambda vertex, stage, image: self._reporter.bring(
                    vertex, stage, image, self._worker
                ),
                epoch=epoch.given(options.build_args) if options.epoch is None else options.epoch,
                job=job.name,
                named=NamedContexts(job.contexts, lambda name: self._result(name, target)),
            ),
        )

    def _parse(self, text: str, name: str) -> Dockerfile:
        """A file parsed once, however many targets are built of it."""
        found = self._parsed.get((text, name))
        if found is None:
            found = self._parsed[text, name] = parse(text, name)
            _note_syntax(found, self._on_event)
        return found


def _note_syntax(dockerfile: Dockerfile, on_event: OnEvent) -> None:
    """`# syntax=` names the program docker would parse the file with; there is one here."""
    syntax = dockerfile.directives.syntax.split(" ")[0]
    if syntax and not syntax.removeprefix("docker.io/").startswith(_OWN_SYNTAX):
        on_event(progress.Warning(f"syntax={syntax} is ignored: read as a Dockerfile", 1))


def _prepare_reasons(
    pairs: list[tuple[Job, Context]], plans: list[Plan], cache: Cache, reporter: Reporter
) -> None:
    for (job, context), plan in zip(pairs, plans, strict=True):
        if job.options.explain:
            from kobako.build.why.reasons import Reasons
            from kobako.build.why.record import place

            reporter.reasons.append(Reasons(cache, place(job.options, context), plan))


def _keep_parts(
    pairs: list[tuple[Job, Context]],
    plans: list[Plan],
    cache: Cache,
    reporter: Reporter,
    images: Images,
    failed: list[Vertex[Result]],
) -> None:
    """What the next build is compared with, unless nothing ran."""
    ran = {*reporter.ran(), *failed}
    for (job, context), plan in zip(pairs, plans, strict=True):
        if any(vertex in ran for vertex in plan.shown if vertex.inputs):
            from kobako.build.why.record import keep, place

            try:
                keep(cache, place(job.options, context), plan, images.results, failed)
            except KobakoError:
                return  # it serves explanations alone: whatever ails the store is told elsewhere


def _solve(
    plans: list[tuple[Job, Plan]],
    solver: Solver[Result],
    failed: list[Vertex[Result]],
    images: Images,
) -> None:
    """Solves; an error is told with the instruction it belongs to."""
    try:
        solver.solve(tuple(plan.target.vertex for _, plan in plans), failed)
    except KobakoError as error:
        place = _place(plans, failed)
        if place is None or isinstance(error, StepFailed):
            raise
        raise _with_place(*place, error, images) from error
    except OSError as error:  # a full disk, a name too long: what the kernel refuses an op
        place = _place(plans, failed)
        fault = _refused(error)
        raise _with_place(*place, fault, images) if place else fault from error


def _refused(error: OSError) -> Unavailable:
    """What the kernel refused an operation, in the names of the tree it was about."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(
            f"cannot write what the step makes: {error.strerror}",
            hint="free some space: kobako system prune",
        )
    name = error.filename
    if isinstance(name, bytes | str):
        name = os.fsdecode(name)
        _, inside, below = name.partition("/rootfs/")
        name = f"/{below}" if inside else name
        name = name if len(name) < _LONG else f"{name[: _LONG // 2]}... ({len(name)} characters)"
    what = f"{error.strerror or error}{'' if name is None else f': {name}'}"
    return Unavailable(what, hint=remedy(error))


def _place(
    plans: list[tuple[Job, Plan]], failed: list[Vertex[Result]]
) -> tuple[Job, Source, Step] | None:
    """The step whose vertex failed first, and the file it stands in."""
    for job, plan in plans:
        for step in plan.steps:
            if failed and step.vertex is failed[0]:
                return job, plan.source, step
    return None


def _with_place(
    job: Job, source: Source, step: Step, error: KobakoError, images: Images
) -> StepFailed:
    from kobako.build.halt import state_of_failure

    place = StepFailed(
        source,
        step.where,
        error.message,
        command=error.command if isinstance(error, Failed) else "",
        status=error.status if isinstance(error, Failed) else 0,
        hint=error.hint,
    )
    place.http_status = error.http_status
    place.state, place.kept = state_of_failure(step, error, images.results, job.options)
    return place


class _Loader:
    """Resolves base images, each once in a build, telling progress."""

    def __init__(self, worker: Worker, reporter: Reporter) -> None:
        self._worker = worker
        self._reporter = reporter
        self._loaded: dict[tuple[Reference, Platform, bool], BaseImage] = {}

    def load(self, name: str, platform: Platform, pull: bool) -> BaseImage:
        reference = Reference.parse(name).with_default_tag()
        key = (reference, platform, pull)
        if key not in self._loaded:
            self._loaded[key] = self._load(*key)
        return self._loaded[key]

    def _load(self, reference: Reference, platform: Platform, pull: bool) -> BaseImage:
        title = f"[internal] load metadata for {reference}"
        number = self._reporter.begin(title)
        try:
            image = self._worker.resolve_image(reference, platform, pull)
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


def _result(plan: Plan, options: BuildOptions, images: Images, reporter: Reporter) -> BuildResult:
    config = images.final(plan.target, options.labels)
    if len(config.raw) > READ_LIMIT:
        raise Invalid(
            f"the config of the image has {len(config.raw)} bytes: no image may have more than"
            f" {READ_LIMIT}",
            hint="Fewer or shorter instructions: ENV, LABEL and the history are part of it.",
        )
    return BuildResult(
        config,
        images.manifest(plan.target, config),
        images.results[plan.target.vertex].layers,
        tuple(
            StepResult(step.where.start, step.text, reporter.cached.get(step.vertex, False))
            for step in plan.steps
        ),
        _inherited(plan.target),
        plan,
        images.results,
    )


def _inherited(step: Step) -> int:
    """How many layers the base image of a step's stage has."""
    while step.below is not None:
        step = step.below
    return len(step.base.layers) if step.base is not None else 0
