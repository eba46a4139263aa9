"""`build --call`: what a build would find, without building: checks, outline, targets."""

from __future__ import annotations

import os

from kobako.errors import KobakoError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile import Dockerfile
    from kobako.build.dockerfile.source import Range, Source
    from kobako.build.ignore import Ignore
    from kobako.build.lint.finding import Finding
    from kobako.build.lint.outline import Outline
    from kobako.build.lint.report import Checked
    from kobako.build.lint.settings import Settings
    from kobako.build.lint.subject import Subject
    from kobako.build.lint.targets import Targets
    from kobako.build.lint.written import Written
    from kobako.engine.build.building import BuildRequest
    from kobako.engine.engine import Engine
    from kobako.oci import ImageConfig, Platform, Reference

_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
_IMAGE = "docker-image://"


def check(engine: Engine, request: BuildRequest) -> Checked:
    """The build checks. Of base images no more is fetched than their configs.

    Why the build would fail is part of the outcome, not an error.
    """
    from kobako.build.dockerfile import parse
    from kobako.build.dockerfile.lines import read_directives
    from kobako.build.dockerfile.source import Source
    from kobako.build.lint.check import check_text, settings_of
    from kobako.build.lint.report import Checked

    source = Source(request.dockerfile_name, request.dockerfile)
    findings: list[Finding] = []
    fault: KobakoError | None = None
    try:
        given = dict(request.build_args).get(_ARGUMENT)
        settings = settings_of(source, read_directives(source)[0], given)
        try:
            lines = check_text(source, settings, findings)
        finally:  # where several lines are wrong, the one a build would tell
            dockerfile = parse(source.text, source.name)
        subject = _subject(engine, request, dockerfile, lines, everything=not request.target)
        _judge(subject, settings, findings)
    except KobakoError as error:
        fault = error
    return Checked(source, tuple(findings), fault)


def outline(engine: Engine, request: BuildRequest) -> Outline:
    """The arguments, secrets and agents the target takes.

    Raises `ChecksFailed` where the Dockerfile asks for warnings to be errors, as a build would.
    """
    from kobako.build.dockerfile import parse
    from kobako.build.lint.check import check_text, settings_of
    from kobako.build.lint.outline import outline as gather

    dockerfile = parse(request.dockerfile, request.dockerfile_name)
    given = dict(request.build_args).get(_ARGUMENT)
    settings = settings_of(dockerfile.source, dockerfile.directives, given)
    findings: list[Finding] = []
    lines = check_text(dockerfile.source, settings, findings)
    subject = _subject(engine, request, dockerfile, lines, everything=False)
    if settings.error:
        _judge(subject, settings, findings)
    return gather(subject)


def _judge(subject: Subject, settings: Settings, findings: list[Finding]) -> None:
    """Adds what the checks find; `ChecksFailed` where that is to be an error."""
    from kobako.build.lint.check import check, violations
    from kobako.build.lint.verdict import ChecksFailed

    check(subject, settings, findings)
    failure = violations(findings, settings)
    if failure:
        raise ChecksFailed(failure)


def targets(request: BuildRequest) -> Targets:
    """The stages the Dockerfile offers."""
    from kobako.build.dockerfile import parse
    from kobako.build.lint.targets import Targets

    return Targets(parse(request.dockerfile, request.dockerfile_name))


def _subject(
    engine: Engine,
    request: BuildRequest,
    dockerfile: Dockerfile,
    lines: list[Written],
    *,
    everything: bool,
) -> Subject:
    from kobako.build.lint.subject import Subject
    from kobako.oci import Platform

    host = Platform.host()
    return Subject(
        dockerfile,
        lines,
        _Bases(engine, dockerfile.source, request).config,
        given=request.build_args,
        host=host,
        platform=Platform.parse(request.platforms[0]) if request.platforms else host,
        target=request.target,
        ignore=_ignore(request),
        everything=everything,
    )


def _ignore(request: BuildRequest) -> Ignore | None:
    from kobako.build.context import Context

    if not request.directory:
        return None
    name = request.dockerfile_path or request.dockerfile_name
    context = Context.open_directory(request.directory, name if os.path.exists(name) else "")
    try:
        return context.ignore
    finally:
        context.close()


def _of_files(platform: Platform) -> ImageConfig:
    """The config of a named context that is no image: there is nothing in it."""
    from kobako.oci import ImageConfig

    where = {"architecture": platform.architecture, "os": platform.os}
    return ImageConfig.build({**where, "rootfs": {"type": "layers", "diff_ids": []}})


class _Bases:
    """The configs of base images: from the store, else from their registry."""

    def __init__(self, engine: Engine, source: Source, request: BuildRequest) -> None:
        from kobako.build.named import NamedContext, NamedContexts

        self._engine = engine
        self._source = source
        self._pull = request.pull
        self._named = NamedContexts(
            tuple(
                (name, NamedContext(image=text.removeprefix(_IMAGE) if _IMAGE in text else ""))
                for name, text in request.contexts
            )
        )
        self._known: dict[tuple[str, Platform], ImageConfig] = {}

    def config(self, name: str, platform: Platform, where: Range) -> ImageConfig:
        from kobako.build.beginnings import unparsed
        from kobako.build.dockerfile.source import StepFailed
        from kobako.oci import Reference

        named = self._named.find(name, platform)
        if named is not None and not named.image:
            return _of_files(platform)
        name = named.image if named is not None else name
        key = name, platform
        if key not in self._known:
            try:
                reference = Reference.parse(name).with_default_tag()
            except KobakoError as error:
                problem = unparsed(name, error)
                raise StepFailed(self._source, where, problem) from error
            try:
                self._known[key] = self._find(reference, platform)
            except KobakoError as error:
                problem = f"{name}: {error.message}"
                raise StepFailed(self._source, where, problem, hint=error.hint) from error
        return self._known[key]

    def _find(self, reference: Reference, platform: Platform) -> ImageConfig:
        from kobako.engine import image_platforms, images, transfers
        from kobako.remote.metadata import image_config

        if not self._pull:
            try:
                found = images.find(self._engine, str(reference))
            except NotFound:
                pass
            else:
                if image_platforms.serves(self._engine, found, str(platform)):
                    return images.config(self._engine, found)
        return image_config(reference, platform, transfers.client(self._engine))
