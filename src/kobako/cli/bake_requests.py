"""Targets of bake files as requests to build, files and environment read."""

from __future__ import annotations

import os

from kobako.bake import inputs
from kobako.build import cache_spec
from kobako.engine.building import BuildRequest
from kobako.errors import Invalid, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.entries import Secret
    from kobako.bake.targets import Target
    from kobako.build.attest.options import Attestations
    from kobako.build.outputs.spec import Output
    from kobako.cli.context import Context

_NOT_YET = ("ssh", "policy", "resources")
_SHM = 64 << 20


def request(context: Context, target: Target, *, metadata: bool = False) -> BuildRequest:
    """What a target asks for. What kobako cannot do is an error naming the target and the key.

    `metadata`: its result is to be told to a file, so its outputs have to be known.
    """
    _refuse(target)
    directory = target.context or "."
    text, name = _dockerfile(target)
    return BuildRequest(
        directory=directory,
        dockerfile=text,
        dockerfile_name=name,
        tags=target.tags or (),
        build_args=target.args,
        labels=target.labels,
        target=target.target or "",
        no_cache=bool(target.no_cache),
        no_cache_filter=target.no_cache_filter or (),
        pull=bool(target.pull),
        platforms=_platforms(target),
        network=target.network or "default",
        extra_hosts=tuple(f"{name}:{address}" for name, address in target.extra_hosts),
        shm_size=_shm_size(target),
        ulimits=target.ulimits or (),
        secrets=tuple(_secret(context, target, secret) for secret in target.secret or ()),
        outputs=_outputs(target, metadata),
        attest=_attest(target),
        metadata_provenance=_provenance_told(context) if metadata else "",
        cache_from=cache_spec.parse_from([str(entry) for entry in target.cache_from or ()]),
        cache_to=cache_spec.parse_to([str(entry) for entry in target.cache_to or ()]),
        context_size=False,
        name=target.name,
    )


def _refuse(target: Target) -> None:
    for field in _NOT_YET:
        if getattr(target, field):
            key = field.replace("_", "-")
            raise Unsupported(f"target {target.name}: {key} is not supported yet")
    if target.contexts:
        names = ", ".join(name for name, _ in target.contexts)
        raise Unsupported(f"target {target.name}: contexts ({names}) are not supported yet")
    if inputs.remote(target.context or "."):
        raise Unsupported(
            f"target {target.name}: context {target.context}: remote build contexts are not "
            "supported yet: clone or download it"
        )


def _dockerfile(target: Target) -> tuple[str, str]:
    """(the Dockerfile's text, the name errors call it)."""
    if target.dockerfile_inline is not None:
        return target.dockerfile_inline, f"dockerfile-inline of {target.name}"
    directory = target.context or "."
    if not os.path.isdir(directory):
        problem = "is not a directory" if os.path.exists(directory) else "not found"
        raise NotFound(
            f'target {target.name}: unable to prepare context: path "{directory}" {problem}'
        )
    path = inputs.dockerfile_path(target)
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig"), path
    except UnicodeDecodeError as fault:
        raise Invalid(f"{path} is not UTF-8 text: {fault.reason} at byte {fault.start}") from None
    except FileNotFoundError:
        raise NotFound(
            f"target {target.name}: failed to read dockerfile: open {path}: no such file"
        ) from None
    except OSError as fault:
        raise Invalid(
            f"target {target.name}: failed to read dockerfile: open {path}: {fault.strerror}"
        ) from None


def _platforms(target: Target) -> tuple[str, ...]:
    from kobako.oci import Platform

    return tuple(str(Platform.host()) if p == "local" else p for p in target.platforms or ())


def _shm_size(target: Target) -> int:
    from kobako.cli.units import parse_size

    if not target.shm_size:
        return _SHM
    try:
        return parse_size(target.shm_size)
    except ValueError:
        raise Invalid(f"target {target.name}: shm-size: invalid size '{target.shm_size}'") from None


def _secret(context: Context, target: Target, secret: Secret) -> tuple[str, bytes]:
    lead = f"target {target.name}: secret {secret.id}"
    if not secret.id:
        raise Invalid(f"target {target.name}: secret: id is missing")
    name = secret.env or secret.id
    if secret.env or (not secret.src and name in context.environ):
        if name not in context.environ:
            raise NotFound(f"{lead}: there is no environment variable {name}")
        return secret.id, context.environ[name].encode("utf-8", "surrogateescape")
    try:
        with open(secret.src or secret.id, "rb") as file:
            return secret.id, file.read()
    except OSError as fault:
        raise NotFound(
            f"{lead}: failed to read {secret.src or secret.id}: {fault.strerror}"
        ) from None


def _attest(target: Target) -> Attestations | None:
    if not target.attest:
        return None
    from kobako.build.attest.options import parse

    try:
        return parse([str(entry) for entry in target.attest]) or None
    except (Invalid, Unsupported) as fault:
        raise type(fault)(f"target {target.name}: {fault.message}", hint=fault.hint) from None


def _provenance_told(context: Context) -> str:
    from kobako.cli.build_outputs import metadata_provenance

    return metadata_provenance(context)


def _outputs(target: Target, metadata: bool) -> tuple[Output, ...] | None:
    """What is to become of the result; None: an image of the store."""
    if not target.output and not target.annotations and not metadata:
        return None
    from kobako.build.outputs import annotation, choice, spec

    try:
        return choice.choose(
            [spec.parse(str(entry)) for entry in target.output or ()],
            tags=target.tags or (),
            annotations=[a for t in target.annotations or () for a in annotation.parse_flag(t)],
        )
    except Invalid as fault:
        raise Invalid(f"target {target.name}: {fault.message}", hint=fault.hint) from None
