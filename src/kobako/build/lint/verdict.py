"""What the checks say about a build, remembered: an unchanged build asks for a row and no more.

The row's key holds everything the checks look at. `REVISION` changes with the rules.
"""

from __future__ import annotations

from kobako import __version__
from kobako.build import progress
from kobako.build.cache import cache_key
from kobako.errors import Invalid, KobakoError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.dockerfile.source import Range
    from kobako.build.lint.subject import Bases
    from kobako.build.lower import Lowering
    from kobako.build.options import BuildOptions
    from kobako.oci import ImageConfig, Platform

REVISION = 2
_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"


class ChecksFailed(Invalid):
    """The Dockerfile asks for its warnings to be errors (`# check=error=true`)."""


def warnings(
    lowering: Lowering, options: BuildOptions
) -> tuple[tuple[progress.CheckWarning, ...], str]:
    """The warnings for a target that was lowered, and why they end the build ("": they do not)."""
    around = lowering.around
    ignore = around.context().ignore
    key = cache_key(
        "checks",
        REVISION,
        __version__,
        options.dockerfile,
        options.dockerfile_name,
        options.target,
        tuple(sorted(options.build_args)),
        str(around.host),
        str(around.platform),
        tuple(sorted((*k, image.config.digest) for k, image in lowering.images.items())),
        ignore.patterns,
    )
    named = bool(around.named.names)  # what those hold is in no key
    row = None if named else around.cache.get(key)
    if row is None:
        row = _judge(lowering, options)
        if not named:
            around.cache.put(key, row)
    found = tuple(progress.CheckWarning(*one) for one in row["warnings"])
    return found, str(row["error"])


def warnings_before(lowering: Lowering, options: BuildOptions) -> tuple[progress.CheckWarning, ...]:
    """The warnings for a target that could not be lowered, up to what was wrong with it."""
    images, named = lowering.images, lowering.around.named

    def there(name: str, platform: Platform, where: Range) -> ImageConfig:
        if (name, str(platform)) not in images and named.find(name, platform) is None:
            raise NotFound(f"{name} was not found before")
        return lowering.base_config(name, platform, where)

    row = _judge(lowering, options, there)
    return tuple(progress.CheckWarning(*one) for one in row["warnings"])


def _judge(lowering: Lowering, options: BuildOptions, bases: Bases | None = None) -> dict[str, Any]:
    from kobako.build.lint.check import check, check_text, settings_of, violations
    from kobako.build.lint.finding import Finding
    from kobako.build.lint.rules import RULES
    from kobako.build.lint.subject import Subject

    around = lowering.around
    dockerfile = lowering.dockerfile
    given = dict(options.build_args).get(_ARGUMENT)
    settings = settings_of(dockerfile.source, dockerfile.directives, given)
    findings: list[Finding] = []
    try:
        subject = Subject(
            dockerfile,
            check_text(dockerfile.source, settings, findings),
            bases or lowering.base_config,
            given=options.build_args,
            host=around.host,
            platform=around.platform,
            target=options.target,
            ignore=around.context().ignore,
        )
        check(subject, settings, findings)
    except KobakoError:
        pass  # what is wrong with a stage that is not built is not told
    return {
        "kind": "checks",
        "warnings": [
            [
                f.rule,
                f.detail,
                f.start,
                f.end,
                f.token,
                RULES[f.rule].description,
                RULES[f.rule].url,
            ]
            for f in findings
        ],
        "error": violations(findings, settings),
    }
