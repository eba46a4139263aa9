"""What stages begin with, and what is refused of a stage even if nobody needs it."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import DockerfileError, Problem
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kobako.oci import Platform


def check_stages(
    dockerfile: i.Dockerfile, known: Mapping[str, str], is_context: Callable[[str], bool]
) -> None:
    """No stage may begin with what is no name or platform, or copy from a number there is not."""
    from kobako.oci import Reference

    above: set[str] = set()
    for stage in dockerfile.stages:
        name, _ = beginning(dockerfile, stage, known)
        if name not in above and not is_context(name):
            try:
                Reference.parse(name)
            except KobakoError as error:
                message = unparsed(name, error)
                raise DockerfileError(dockerfile.source, stage.start.where, message) from None
        above.add(stage.name)
    count = len(dockerfile.stages)
    for stage in dockerfile.stages:
        for one in stage.instructions:
            name = one.from_ if isinstance(one, i.Copy) else ""
            if name.isascii() and name.isdigit() and int(name) >= count:
                raise DockerfileError(
                    dockerfile.source, one.where, f"invalid stage index {name}", token=name
                )


def unparsed(name: str, error: KobakoError) -> str:
    """Why a FROM's `name` is none; the name is said once."""
    why = error.message.removesuffix(f': "{name}"')
    return f'failed to parse stage name "{name}": {why}'


def beginning(
    dockerfile: i.Dockerfile, stage: i.Stage, known: Mapping[str, str]
) -> tuple[str, Platform | None]:
    """The name and the platform of a FROM, variables replaced; None where it says no platform."""
    start = stage.start
    expander = Expander(known, dockerfile.directives.escape)
    hint = ""
    try:
        name = expander.word(start.image)
        if not name:
            raise Problem(f"base name ({start.image}) should not be blank", start.image)
        if not start.platform:
            return name, None
        platform = expander.word(start.platform)
        if not platform:
            raise Problem(f"empty platform value from expression {start.platform}", start.platform)
        from kobako.oci import Platform

        try:
            return name, Platform.parse(platform)
        except KobakoError as error:
            hint = error.hint
            raise Problem(
                f"failed to parse platform {start.platform}: {error.message}", start.platform
            ) from None
    except Problem as problem:
        message, token = problem.message, problem.token
    raise DockerfileError(dockerfile.source, start.where, message, token=token, hint=hint)
