"""The build checks on a text, without a store: base images are configs of the test's own."""

from __future__ import annotations

from typing import Any

from kobako.build.dockerfile import parse
from kobako.build.dockerfile.lines import read_directives
from kobako.build.dockerfile.source import Range, Source
from kobako.build.ignore import parse_ignore
from kobako.build.lint.check import check, check_text, settings_of
from kobako.build.lint.finding import Finding
from kobako.build.lint.report import Checked
from kobako.build.lint.subject import Subject
from kobako.errors import KobakoError, NotFound
from kobako.oci import ImageConfig, Platform

HOST = Platform("linux", "amd64")


def image(**config: Any) -> ImageConfig:
    """A base image's config; `os` and `architecture` are those of the platform."""
    parts = {"os": config.pop("os", "linux"), "architecture": config.pop("architecture", "amd64")}
    rootfs = {"type": "layers", "diff_ids": []}
    return ImageConfig.build({**parts, "config": config, "rootfs": rootfs})


def lint(
    text: str,
    *,
    ignore: str = "",
    target: str | None = None,
    images: dict[str, ImageConfig] | None = None,
    **given: str,
) -> Checked:
    """What the checks say of all stages or, with `target` ("": the last), of what it needs."""
    source = Source("Dockerfile", text)
    known = {"base": image(Env=["PATH=/bin", "HOME=/root"]), **(images or {})}

    def bases(name: str, platform: Platform, where: Range) -> ImageConfig:
        if name not in known:
            raise NotFound(f"No such image: {name}")
        return known[name]

    found: list[Finding] = []
    fault: KobakoError | None = None
    try:
        check_argument = given.pop("BUILDKIT_DOCKERFILE_CHECK", None)
        settings = settings_of(source, read_directives(source)[0], check_argument)
        lines = check_text(source, settings, found)
        dockerfile = parse(text)
        subject = Subject(
            dockerfile, lines, bases, given=tuple(given.items()), host=HOST, platform=HOST,
            target=target or "", ignore=parse_ignore(ignore), everything=target is None,
        )  # fmt: skip
        check(subject, settings, found)
    except KobakoError as error:
        fault = error
    return Checked(source, tuple(found), fault)
