"""The Dockerfile language: text → typed instructions. Knows neither images nor trees."""

from __future__ import annotations

from kobako.build.dockerfile.instructions import Dockerfile, Instruction, Stage
from kobako.build.dockerfile.parse import parse
from kobako.build.dockerfile.source import DockerfileError, NotYet, Range, Source, StepFailed

__all__ = [
    "Dockerfile",
    "DockerfileError",
    "Instruction",
    "NotYet",
    "Range",
    "Source",
    "Stage",
    "StepFailed",
    "parse",
]
