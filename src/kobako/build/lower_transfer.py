"""COPY and ADD → a vertex."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.source import Problem
from kobako.build.ops.transfer import TransferOp, TransferSpec
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.graph import Vertex
    from kobako.build.lower import LoweredStage
    from kobako.build.ops.result import Result

_GIT = ("git://", "git@", "ssh://", "github.com/")


def lower_transfer(stage: LoweredStage, instruction: i.Copy | i.Add, trigger: bool) -> None:
    """Adds the vertex of a COPY or ADD to its stage."""
    expander = stage.state.expander()
    sources = tuple(expander.word(source) for source in instruction.sources)
    destination = expander.word(instruction.destination)
    chown, chmod = expander.word(instruction.chown), expander.word(instruction.chmod)
    _check(stage, instruction, sources, destination)
    from_ = instruction.from_ if isinstance(instruction, i.Copy) else ""
    inputs: tuple[Vertex[Result], ...] = ()
    if from_ and sources:
        inputs = (stage.lowering.source_of(from_, stage.stage, instruction.where),)
    if chmod:
        _check_mode(chmod)
    spec = TransferSpec(
        sources=sources,
        destination=stage.state.absolute(destination),
        contents=tuple(
            (h.name, (expander.body(h.text) if h.expand else h.text).encode())
            for h in instruction.contents
        ),
        chown=chown,
        chmod=chmod,
        exclude=tuple(expander.word(pattern) for pattern in instruction.exclude),
        parents=isinstance(instruction, i.Copy) and instruction.parents,
        unpack=isinstance(instruction, i.Add) and instruction.unpack is not False,
        epoch=stage.epoch,
        keyword=instruction.keyword,
        origin=f"{from_}" if from_ else "the build context",
    )
    around = stage.around
    context = around.context if sources and not inputs else None
    op = TransferOp(spec, around.worker, around.cache, context)
    name = f"{spec.keyword} {stage.show(instruction)}"
    created_by = _created_by(spec, destination)
    stage.vertex(instruction, name, op, inputs, created_by, trigger)


def _check(
    stage: LoweredStage, instruction: i.Copy | i.Add, sources: tuple[str, ...], destination: str
) -> None:
    keyword = instruction.keyword
    if len(sources) + len(instruction.contents) > 1 and not (
        destination.endswith(("/", "/.")) or destination in (".", "..")
    ):
        raise Problem(
            f"When using {keyword} with more than one source file,"
            " the destination must be a directory and end with a /",
            instruction.destination,
        )
    for source in sources:
        remote = source.startswith(("http://", "https://"))
        git = source.startswith(_GIT)
        if (remote or git) and keyword == "COPY":
            raise Problem(f"source can't be a {'URL' if remote else 'git ref'} for COPY", source)
        if remote or git:
            what = "a git repository" if git or source.endswith(".git") else "a URL"
            raise stage.not_yet(instruction, f"ADD from {what}", source)
    if isinstance(instruction, i.Add) and instruction.checksum:
        raise Problem("checksum requires HTTP(S) or Git sources", instruction.checksum)


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
