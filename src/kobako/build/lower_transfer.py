"""COPY and ADD → a vertex."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.source import Problem
from kobako.build.ops.choosing import TransferSpec
from kobako.build.ops.transfer import TransferOp
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.dockerfile.expand import Expander
    from kobako.build.graph import Vertex
    from kobako.build.lower_stage import LoweredStage
    from kobako.build.ops.result import Result
    from kobako.build.sources import GitSource, UrlSource


def lower_transfer(stage: LoweredStage, instruction: i.Copy | i.Add, trigger: bool) -> None:
    """Adds the vertex of a COPY or ADD to its stage."""
    expander = stage.state.expander()
    sources = tuple(expander.word(source) for source in instruction.sources)
    destination = expander.word(instruction.destination)
    chown, chmod = expander.word(instruction.chown), expander.word(instruction.chmod)
    from_ = instruction.from_ if isinstance(instruction, i.Copy) else ""
    remotes = _remotes(instruction, sources, expander)
    inputs: tuple[Vertex[Result], ...] = ()
    context: Callable[[], Context] | None = stage.around.context
    if from_ and sources:
        source = stage.lowering.source_of(from_, stage.stage, instruction.where)
        if callable(source):
            context = source
        else:
            inputs, context = (source,), None
    if chmod:
        _check_mode(chmod)
    spec = TransferSpec(
        sources=sources,
        remotes=remotes,
        destination=stage.state.absolute(destination),
        contents=tuple(
            (h.name, (expander.body(h.text) if h.expand else h.text).encode())
            for h in instruction.contents
        ),
        chown=chown,
        chmod=chmod,
        exclude=instruction.exclude,
        parents=isinstance(instruction, i.Copy) and instruction.parents,
        link=instruction.link and not chmod,  # which BuildKit, too, does upon what is below
        upon_source=bool(inputs) and stage.steps[-1].vertex is inputs[0],
        unpack=isinstance(instruction, i.Add) and instruction.unpack is not False,
        epoch=stage.epoch,
        keyword=instruction.keyword,
        origin=f"{from_}" if from_ else "the build context",
    )
    around = stage.around
    if len(sources) == len(remotes):
        context = None
    if remotes:
        inputs = (*inputs, *(_fetch(stage, source) for _, source in remotes))
    named: list[str] = []
    if context is not None:
        fetched = dict(remotes)
        local = (s for at, s in enumerate(sources) if at not in fetched)
        named = stage.lowering.names(context(), *local)
    op = TransferOp(spec, around.worker, around.cache, context, named)
    name = f"{spec.keyword} {stage.show(instruction)}"
    created_by = _created_by(spec, destination)
    stage.vertex(instruction, name, op, inputs, created_by, trigger)


def _remotes(
    instruction: i.Copy | i.Add, sources: tuple[str, ...], expander: Expander
) -> tuple[tuple[int, UrlSource | GitSource], ...]:
    """Which of the sources are to be fetched, and from where."""
    keyword = instruction.keyword
    checksum = ""
    if isinstance(instruction, i.Add) and instruction.checksum:
        checksum = expander.word(instruction.checksum)
        if len(sources) != 1 or instruction.contents:
            raise Problem("checksum can't be specified for multiple sources", checksum)
    found: list[tuple[int, UrlSource | GitSource]] = []
    for position, text in enumerate(sources):
        if "://" not in text and "@" not in text:
            continue
        from kobako.build.sources import git_source, url_source

        git = git_source(text)
        if git is not None:
            if not isinstance(instruction, i.Add):
                raise Problem(f"source can't be a git ref for {keyword}", text)
            found.append((position, _of_git(instruction, git, checksum)))
            continue
        url = url_source(
            text, checksum, isinstance(instruction, i.Add) and bool(instruction.unpack)
        )
        if url is not None:
            if not isinstance(instruction, i.Add):
                raise Problem(f"source can't be a URL for {keyword}", text)
            found.append((position, url))
    if checksum and not found:
        raise Problem("checksum requires HTTP(S) or Git sources", checksum)
    return tuple(found)


def _of_git(instruction: i.Add, git: GitSource, checksum: str) -> GitSource:
    """A repository with what the flags say about it; the two may not contradict each other."""
    keep = instruction.keep_git_dir
    if None not in (keep, git.keep_git_dir) and keep != git.keep_git_dir:
        raise Problem("inconsistent keep-git-dir configuration", "--keep-git-dir")
    if checksum and git.checksum and checksum != git.checksum:
        raise Problem(f'checksum mismatch "{checksum}" != "{git.checksum}"', checksum)
    return git.replace(
        keep_git_dir=keep if git.keep_git_dir is None else git.keep_git_dir,
        checksum=git.checksum or checksum,
    )


def _fetch(stage: LoweredStage, source: UrlSource | GitSource) -> Vertex[Result]:
    """The vertex that asks what a source is now; one for all that name it."""
    lowering = stage.lowering
    found = lowering.fetches.get(source)
    if found is None:
        from kobako.build.graph import Vertex
        from kobako.build.ops.fetch import FetchOp
        from kobako.build.sources import UrlSource

        name = source.url if isinstance(source, UrlSource) else f"git {source.remote} {source.ref}"
        found = Vertex(f"[internal] {name.strip()}", FetchOp(source, stage.around.worker))
        lowering.fetches[source] = found
        lowering.shown[found] = ""
    return found


def _check_mode(text: str) -> None:
    from kobako.build.ops.modes import Mode

    try:
        Mode(text)
    except KobakoError as error:
        raise Problem(error.message, text) from None


def _created_by(spec: TransferSpec, destination: str) -> str:
    words = [spec.keyword]
    if spec.parents:
        words.append("--parents")
    if spec.chown:
        words.append(f"--chown={spec.chown}")
    if spec.chmod:
        words.append(f"--chmod={spec.chmod}")
    words += spec.sources
    words += [f"<<{name}" for name, _ in spec.contents]
    return " ".join([*words, destination, "# buildkit"])
