"""build: Dockerfile → graph → solver → image. A `Worker`, handed in, touches the world.

    build(options, context, worker, cache, on_event) -> BuildResult
    build_all((Job(options, context), ...), worker, cache, on_event) -> a BuildResult for each

`dockerfile` knows the language, `lower` turns stages into vertices, `graph` and `solver` know
neither, `ops` carry the vertices out through the `Worker`, `context` and `ignore` read the files
that COPY takes, `cache` remembers results. `progress` says what happens, as events.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.options import BuildOptions, BuildResult, Job
    from kobako.build.worker import Worker
    from kobako.events import OnEvent


def build(
    options: BuildOptions, context: Context | None, worker: Worker, cache: Cache, on_event: OnEvent
) -> BuildResult:
    """Builds the target stage of a Dockerfile. Without a context COPY and ADD find nothing.

    Raises `DockerfileError` (the file is wrong), `NotYet` (a feature is missing), `StepFailed` (an
    instruction failed); each has `line` and `excerpt` to show. What finished stays in the cache.
    """
    from kobako.build.options import Job

    return build_all((Job(options, context),), worker, cache, on_event)[0]


def build_all(
    jobs: tuple[Job, ...], worker: Worker, cache: Cache, on_event: OnEvent
) -> tuple[BuildResult, ...]:
    """Builds several targets as one graph: what they have in common is done once.

    The results are in the order of the jobs. The first error ends all of them; see `build`.
    """
    from kobako.build import assemble

    return assemble.build_all(jobs, worker, cache, on_event)
