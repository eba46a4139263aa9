"""SOURCE_DATE_EPOCH that names where the time comes from: "context", a named context, or a stage
that does nothing but ADD one remote source."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import DockerfileError, Problem
from kobako.build.epoch import ARGUMENT
from kobako.build.named import NamedContexts
from kobako.build.sources import git_source, url_source
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.context import Context
    from kobako.build.options import Job
    from kobako.build.sources import GitSource, UrlSource
    from kobako.build.worker import Worker


def resolve(
    text: str, job: Job, context: Context, dockerfile: i.Dockerfile, worker: Worker
) -> int | None:
    """The time in seconds that `text` stands for: of a commit, of a file as its server tells it, of
    the newest file of an archive. None where what it names has none, as a directory."""
    if text == "context":
        return context.time()
    named = NamedContexts(job.contexts).find(text)
    if named is not None:
        return named.context.time() if named.context is not None else None
    for stage in dockerfile.stages:
        if stage.name and stage.name == text.lower():
            try:
                source = _only_source(stage, job, dockerfile)
            except Problem as problem:
                raise DockerfileError(
                    dockerfile.source, stage.start.where, problem.message, token=problem.token
                ) from None
            with worker.obtained(worker.look_up(source)) as (_, seconds):
                return seconds or None
    raise Invalid(
        f"invalid {ARGUMENT}: {text}",
        hint='It is seconds since 1970, "context", a named context, or a stage with one ADD.',
    )


def _only_source(stage: i.Stage, job: Job, dockerfile: i.Dockerfile) -> UrlSource | GitSource:
    escape = dockerfile.directives.escape
    given = {name: value for name, value in job.options.build_args if name != ARGUMENT}
    known: dict[str, str] = {}
    for argument in dockerfile.arguments:
        _define(argument, given, known, escape)
    if Expander(known, escape).word(stage.start.image) != "scratch":
        raise Problem(f"{ARGUMENT} stage must use FROM scratch", stage.start.image)
    found: list[UrlSource | GitSource] = []
    for one in stage.instructions:
        if isinstance(one, i.Arg):
            _define(one, given, known, escape)
        elif isinstance(one, i.Add):
            found.append(_source(one, Expander(known, escape)))
        else:
            raise Problem(
                f"{ARGUMENT} stage does not meet source-only requirements:"
                f" unsupported {one.keyword} instruction"
            )
    if len(found) != 1:
        raise Problem(f"{ARGUMENT} stage must contain exactly one remote ADD")
    return found[0]


def _define(instruction: i.Arg, given: dict[str, str], known: dict[str, str], escape: str) -> None:
    for name, default in instruction.pairs:
        if name in given:
            known[name] = given[name]
        elif default is not None and name != ARGUMENT:
            known[name] = Expander(known, escape).word(default)


def _source(add: i.Add, expander: Expander) -> UrlSource | GitSource:
    if len(add.sources) != 1 or add.contents:
        raise Problem(f"{ARGUMENT} stage must contain exactly one remote ADD source")
    text = expander.word(add.sources[0])
    checksum = expander.word(add.checksum) if add.checksum else ""
    git = git_source(text)
    if git is not None:
        return git.replace(checksum=checksum or git.checksum)
    url = url_source(text, checksum)
    if url is None:
        raise Problem(f"{ARGUMENT} stage source must be a single HTTP(S) or Git ADD", text)
    return url
