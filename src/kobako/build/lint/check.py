"""Carries the checks out, in the order of the reference: the text, the stages, the instructions."""

from __future__ import annotations

from kobako.build.dockerfile.source import DockerfileError, Problem, Range
from kobako.build.lint import (
    casing,
    commands,
    descriptions,
    forms,
    origins,
    paths,
    ports,
    stages,
    variables,
)
from kobako.build.lint.rules import RULES
from kobako.build.lint.settings import Settings, parse_settings
from kobako.build.lint.walk import Stages, Walk
from kobako.build.lint.written import written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kobako.build.dockerfile.lines import Directives
    from kobako.build.dockerfile.source import Source
    from kobako.build.lint.finding import Finding
    from kobako.build.lint.subject import Subject
    from kobako.build.lint.written import Written

_OF_TEXT = (
    casing.stage_name_casing,
    casing.from_as_casing,
    forms.maintainer_deprecated,
    descriptions.invalid_definition_description,
)
_OF_FILE = (
    stages.reserved_stage_name,
    stages.duplicate_stage_name,
    casing.consistent_instruction_casing,
    origins.invalid_default_arg_in_from,
)
_OF_ORIGIN = (
    origins.undefined_arg_in_from,
    origins.redundant_target_platform,
    origins.from_platform_flag_const_disallowed,
)
_OF_INSTRUCTION = (
    variables.undefined_var,
    forms.legacy_key_value_format,
    variables.secrets_used_in_arg_or_env,
    paths.workdir_relative_path,
    paths.copy_ignored_file,
    commands.multiple_instructions_disallowed,
    commands.json_args_recommended,
    ports.exposed_ports,
)


def settings_of(source: Source, directives: Directives, given: str | None) -> Settings:
    """What the build argument says or, without one, the directive. Raises `DockerfileError`."""
    try:
        return parse_settings(directives.check.split(" ")[0] if given is None else given)
    except Problem as problem:
        raise DockerfileError(source, Range(1, 1), problem.message, token=problem.token) from None


def check_text(source: Source, settings: Settings, into: list[Finding]) -> list[Written]:
    """The checks that need nothing but the text; what they find is added to `into`.

    Raises `DockerfileError` at the first line that is no instruction, after its predecessors.
    """
    lines: list[Written] = []
    fault: DockerfileError | None = None
    try:
        for one in written(source):
            lines.append(one)
    except DockerfileError as error:
        fault = error
    for one in lines:
        into += _wanted(forms.no_empty_continuation(one), settings)
    for one in lines:
        local = settings.with_comments(one.line.comments)
        for rule in _OF_TEXT:
            into += _wanted(rule(one), local)
    if fault is not None:
        raise fault
    return lines


def check(subject: Subject, settings: Settings, into: list[Finding]) -> None:
    """The checks of stages and instructions; what they find is added to `into`.

    Raises `DockerfileError` where the build would fail, and what `Subject.bases` raises.
    """
    for rule in _OF_FILE:
        into += _wanted(rule(subject), settings)
    found = []
    for stage in subject.dockerfile.stages:
        local = settings.with_comments(subject.comments(stage.start.where))
        one = origins.origin(subject, stage)
        for of_origin in _OF_ORIGIN:
            into += _wanted(of_origin(subject, one), local)
        origins.require(subject, one)
        found.append(one)
    walk = Walk(subject, Stages(subject, found))
    counted = [one for one in found if walk.counts(one.stage.index)]
    for one in counted:
        platform = origins.require(subject, one) or subject.platform
        config = walk.resolve(one, platform)
        if config is not None:
            into += _wanted(
                origins.invalid_base_image_platform(
                    one.stage.start.image, platform, config, one.stage
                ),
                settings,
            )
    for one in counted:
        walk.look_up(one.stage)
    for one in counted:
        for visit in walk.visits(one.stage):
            local = settings.with_comments(visit.comments)
            rules = (variables.undefined_var,) if visit.broken else _OF_INSTRUCTION
            for of_instruction in rules:
                into += _wanted(of_instruction(visit), local)


def violations(findings: Iterable[Finding], settings: Settings) -> str:
    """Why the findings end a build, "" when the settings let them pass."""
    names = sorted({finding.rule for finding in findings})
    if not settings.error or not names:
        return ""
    return f"lint violation found for rules: {', '.join(names)}"


def _wanted(findings: Iterable[Finding], settings: Settings) -> Iterator[Finding]:
    return (finding for finding in findings if settings.wants(RULES[finding.rule]))
