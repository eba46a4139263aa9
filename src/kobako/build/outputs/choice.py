"""The outputs of one command: `--output`, `--push`, `--load`, `--tag` and `--annotation` together,
as buildx combines them."""

from __future__ import annotations

from kobako.build.outputs.spec import (
    STDOUT,
    ArchiveOutput,
    CacheOnly,
    ImageForm,
    ImageOutput,
    Output,
    TreeOutput,
)
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.build.outputs.annotation import Annotation


def choose(
    outputs: Sequence[Output],
    *,
    push: bool = False,
    load: bool = False,
    tags: Sequence[str] = (),
    annotations: Sequence[Annotation] = (),
) -> tuple[Output, ...]:
    """What is to be made of the result, in order. Without any of these: an image of the store.

    `tags` name every image and archive, whatever `name=` says. Raises `Invalid` for outputs that
    contradict each other.
    """
    chosen = list(outputs)
    if push:
        images = [at for at, output in enumerate(chosen) if isinstance(output, ImageOutput)]
        for at in images:
            chosen[at] = chosen[at].replace(push=True)
        if not images:
            chosen.append(ImageOutput(form=ImageForm(), push=True))
    if not chosen or (load and not any(isinstance(o, ImageOutput) and o.store for o in chosen)):
        chosen.append(ImageOutput(form=ImageForm()))
    found = tuple(_named(output, tags, annotations) for output in chosen)
    _refuse_conflicts(found)
    return tuple(output for output in found if not isinstance(output, CacheOnly))


def uses_stdout(outputs: Sequence[Output]) -> bool:
    """Whether one of them writes to standard output."""
    return any(
        isinstance(output, TreeOutput | ArchiveOutput) and output.dest == STDOUT
        for output in outputs
    )


def _named(output: Output, tags: Sequence[str], annotations: Sequence[Annotation]) -> Output:
    if not isinstance(output, ImageOutput | ArchiveOutput):
        return output
    form = output.form
    if annotations:
        form = form.replace(annotations=(*form.annotations, *annotations))
    if tags and not (isinstance(output, ImageOutput) and output.by_digest and form.names):
        form = form.replace(names=tuple(tags))
    if form.docker_types and any(a.level != "manifest" for a in form.annotations):
        raise Invalid("--output: annotations of an index or descriptor need oci-mediatypes=true")
    return output.replace(form=form)


def _refuse_conflicts(outputs: Sequence[Output]) -> None:
    taken: set[str] = set()
    for output in outputs:
        if isinstance(output, ImageOutput):
            if output.push and not output.form.names:
                raise Invalid("tag is needed when pushing to registry", hint="Give one with --tag.")
            continue
        if not isinstance(output, TreeOutput | ArchiveOutput):
            continue
        if output.dest in taken:
            place = "to stdout" if output.dest == STDOUT else f"into {output.dest}"
            raise Invalid(f"multiple outputs configured to write {place}")
        taken.add(output.dest)
