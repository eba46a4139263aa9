"""Checks of the names of stages."""

from __future__ import annotations

from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.subject import Subject

_RESERVED = ("context", "scratch")


def reserved_stage_name(subject: Subject) -> Iterator[Finding]:
    for stage in subject.dockerfile.stages:
        if stage.name in _RESERVED:
            detail = f'Stage name should not use the same name as reserved stage "{stage.name}"'
            where = stage.start.where
            yield Finding("ReservedStageName", detail, where.start, where.end, stage.name)


def duplicate_stage_name(subject: Subject) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in subject.dockerfile.stages:
        if stage.name and stage.name in seen:
            detail = f'Duplicate stage name "{stage.name}", stage names should be unique'
            where = stage.start.where
            yield Finding("DuplicateStageName", detail, where.start, where.end, stage.name)
        seen.add(stage.name)
