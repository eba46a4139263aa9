"""Checks of FROM: its arguments, its platform, the image it names."""

from __future__ import annotations

from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import DockerfileError, Problem, suggest
from kobako.build.gotext import quoted
from kobako.build.lint.finding import Finding
from kobako.build.lint.suggestion import nearest
from kobako.errors import KobakoError
from kobako.oci import Platform, Reference
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.dockerfile import instructions as i
    from kobako.build.lint.subject import Subject
    from kobako.oci import ImageConfig


class Text(Record):
    """A text of FROM as written and expanded, with the arguments it uses and those it misses."""

    written: str
    value: str
    used: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


class Origin(Record):
    """A stage's FROM with its arguments filled in. `fault` says why one of them cannot be."""

    stage: i.Stage
    image: Text
    platform: Text | None
    fault: str = ""


def origin(subject: Subject, stage: i.Stage) -> Origin:
    """The FROM of a stage; faults of its texts are kept, for the checks come first."""
    image, fault = _text(subject, stage.start.image)
    if not fault and not image.value:
        fault = f"base name ({stage.start.image}) should not be blank"
    platform = None
    if stage.start.platform and not fault:
        platform, fault = _text(subject, stage.start.platform)
        fault = fault or _platform_fault(subject, platform)
    return Origin(stage, image, platform, fault)


def require(subject: Subject, one: Origin) -> Platform | None:
    """The platform a stage asks for, None for the build's. Raises `DockerfileError`."""
    if one.fault:
        token = (one.platform or one.image).written
        raise DockerfileError(subject.source, one.stage.start.where, one.fault, token=token)
    return Platform.parse(one.platform.value) if one.platform else None


def _text(subject: Subject, written: str) -> tuple[Text, str]:
    expander = Expander(subject.arguments.known, subject.escape)
    value, fault = "", ""
    try:
        value = expander.word(written)
    except Problem as problem:
        fault = problem.message
    used, unset = tuple(sorted(expander.used)), tuple(sorted(expander.unset))
    return Text(written, value, used, unset), fault


def _platform_fault(subject: Subject, text: Text) -> str:
    near = "".join(suggest(name, subject.arguments.known) for name in text.unset[:1])
    if not text.value:
        return f"empty platform value from expression {text.written}{near}"
    try:
        Platform.parse(text.value)
    except KobakoError as error:
        return f"failed to parse platform {text.written}: {error.message}{near}"
    return ""


def undefined_arg_in_from(subject: Subject, one: Origin) -> Iterator[Finding]:
    declared = subject.declared()
    where = one.stage.start.where
    for text in (one.image, one.platform):
        for name in text.unset if text else ():
            if name in declared:
                continue
            near = nearest(name, declared)
            detail = f"FROM argument '{name}' is not declared"
            detail += f" (did you mean {near}?)" if near else ""
            yield Finding("UndefinedArgInFrom", detail, where.start, where.end, name)


def redundant_target_platform(subject: Subject, one: Origin) -> Iterator[Finding]:
    text = one.platform
    if text is None or text.used != ("TARGETPLATFORM",) or text.unset:
        return
    if text.value == subject.arguments.known["TARGETPLATFORM"]:
        where = one.stage.start.where
        detail = (
            f"Setting platform to predefined {text.written} in FROM is redundant as this is the"
            " default behavior"
        )
        yield Finding("RedundantTargetPlatform", detail, where.start, where.end, text.written)


def from_platform_flag_const_disallowed(subject: Subject, one: Origin) -> Iterator[Finding]:
    """A stage that is named after the platform means it."""
    text = one.platform
    if text is None or text.used or text.unset:
        return
    try:
        platform = Platform.parse(text.value)
    except KobakoError:
        return
    if platform.os in one.stage.name or platform.architecture in one.stage.name:
        return
    where = one.stage.start.where
    detail = f"FROM --platform flag should not use constant value {quoted(text.value)}"
    yield Finding("FromPlatformFlagConstDisallowed", detail, where.start, where.end, text.written)


def invalid_default_arg_in_from(subject: Subject) -> Iterator[Finding]:
    """Whether every FROM names an image when no `--build-arg` is given."""
    try:
        known = subject.defaults().known
    except DockerfileError:
        return
    for stage in subject.dockerfile.stages:
        written = stage.start.image
        try:
            value = Expander(known, subject.escape).word(written)
        except Problem:
            return
        try:
            Reference.parse(value)
        except KobakoError:
            where = stage.start.where
            detail = f"Default value for ARG {written} results in empty or invalid base image name"
            yield Finding("InvalidDefaultArgInFrom", detail, where.start, where.end, written)


def invalid_base_image_platform(
    name: str, expected: Platform, config: ImageConfig, stage: i.Stage
) -> Iterator[Finding]:
    actual = config.platform
    if (expected.os, expected.architecture) == (actual.os, actual.architecture):
        return
    where = stage.start.where
    detail = (
        f'Base image {name} was pulled with platform "{actual}", expected "{expected}" for'
        " current build"
    )
    yield Finding("InvalidBaseImagePlatform", detail, where.start, where.end, stage.start.image)
