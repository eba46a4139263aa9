"""What a build reads before it carries anything out, as progress tells of it: Dockerfiles, what is
to be ignored, the files of contexts."""

from __future__ import annotations

import posixpath

from kobako.build.graph import order
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kobako.build.context import Context
    from kobako.build.options import Job
    from kobako.build.plan import Plan
    from kobako.build.reporting import Reporter


DEFINITION = "[internal] load build definition from "
CONTEXT = "[internal] load build context"


def tell_definitions(reporter: Reporter, pairs: Iterable[tuple[Job, Context]]) -> None:
    """The Dockerfiles, or the fetched contexts they lie in; each once."""
    told = set()
    for job, context in pairs:
        options = job.options
        if context.origin:
            title = f"[internal] load {context.origin}"
        else:
            title = DEFINITION + posixpath.basename(options.dockerfile_name)
        text = options.dockerfile
        if (title, text) in told:
            continue
        told.add((title, text))
        number = reporter.begin(title)
        if not context.origin:
            size = len(text.encode("utf-8", "surrogateescape"))
            reporter.status(number, "transferring dockerfile:", size, "transferring")
        reporter.end(number, title)


def tell_ignored(reporter: Reporter, pairs: Sequence[tuple[Job, Context]]) -> None:
    """What the contexts' .dockerignore files were, empty ones too."""
    wanted = {context: ("[internal]", "context") for _, context in pairs}
    for job, _ in pairs:
        for name, named in job.contexts:
            if named.context is not None:
                wanted.setdefault(named.context, (f"[context {name}]", name))
    for context, (owner, what) in wanted.items():
        if context.root and not context.origin:
            title = f"{owner} load .dockerignore"
            number = reporter.begin(title)
            reporter.status(number, f"transferring {what}:", context.ignore_size, "transferring")
            reporter.end(number, title)


def read_contexts(
    reporter: Reporter, pairs: Sequence[tuple[Job, Context]], plans: Sequence[Plan]
) -> None:
    """Reads what the plans take from contexts, and tells how much had to be read. What cannot be
    read is told by the step that needs it."""
    wanted: dict[Context, list[object]] = {}
    for vertex in order(plan.target.vertex for plan in plans):
        contexts = getattr(vertex.op, "contexts", None)
        if contexts is not None:
            for context in contexts():
                wanted.setdefault(context, []).append(vertex.op)
    for context, ops in wanted.items():
        title, part = _title(context, pairs)
        number = reporter.begin(title)
        before = context.hashed
        for op in ops:
            try:
                op.look()  # type: ignore[attr-defined]  # what has contexts can look at them
            except (KobakoError, OSError):
                pass
        reporter.status(number, part, context.hashed - before, "transferring")
        reporter.end(number, title)


def _title(context: Context, pairs: Sequence[tuple[Job, Context]]) -> tuple[str, str]:
    for job, _ in pairs:
        for name, named in job.contexts:
            if named.context is context:
                return f"[context {name}] load from client", f"transferring {name}:"
    return CONTEXT, "transferring context:"
