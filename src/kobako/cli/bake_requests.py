"""Targets of bake files as requests to build, files and environment read."""

from __future__ import annotations

import os

from kobako.bake import inputs
from kobako.build import cache_spec
from kobako.cli import build_context, build_sources
from kobako.cli.build_context import Given
from kobako.engine.build.building import BuildRequest
from kobako.errors import Invalid, KobakoError, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.entries import Secret
    from kobako.bake.targets import Target
    from kobako.build.attest.options import Attestations
    from kobako.build.outputs.spec import Output
    from kobako.cli.context import Context

_UNSUPPORTED = ("policy", "resources")
_SHM = 64 << 20


def requests(
    context: Context,
    targets: tuple[Target, ...],
    *,
    metadata: bool = False,
    explain: bool = False,
) -> dict[str, BuildRequest]:
    """What the targets ask for, by name. What kobako cannot do is an error naming target and key.

    A target others are based on, itself without platforms, is built for theirs. `metadata`: the
    results are to be told to a file, so the outputs have to be known.
    """
    wanted: dict[str, dict[str, None]] = {}
    for target in targets:
        for _, value in target.contexts:
            if value.startswith("target:"):
                held = wanted.setdefault(value.removeprefix("target:"), {})
                held.update(dict.fromkeys(target.platforms or ()))
    found = {}
    for target in targets:
        if target.linked and not target.platforms:
            target = target.replace(platforms=tuple(wanted.get(target.name, ())))
        try:
            found[target.name] = _request(context, target, metadata).replace(explain=explain)
        except KobakoError as fault:
            if fault.message.startswith("target "):
                raise
            raise type(fault)(f"target {target.name}: {fault.message}", hint=fault.hint) from None
    return found


def _request(context: Context, target: Target, metadata: bool) -> BuildRequest:
    for field in _UNSUPPORTED:
        if getattr(target, field):
            raise Unsupported(f"{field} is not supported")
    secrets = tuple(_secret(context, secret) for secret in target.secret or ())
    if any(name.startswith("BUILDX_BAKE_GIT_AUTH") for name in context.environ):
        from kobako.cli import bake_remote

        secrets = (*bake_remote.secrets(context.environ), *secrets)
    ssh = build_sources.ssh([str(entry) for entry in target.ssh or ()], context.environ)
    given = _given(context, target, secrets, ssh)
    return BuildRequest(
        directory=given.directory,
        dockerfile=given.text,
        dockerfile_name=given.name,
        dockerfile_path=given.path,
        fetched=given.fetched,
        contexts=tuple((name, v.removeprefix(inputs.CWD)) for name, v in target.contexts),
        tags=target.tags or (),
        build_args=target.args,
        labels=target.labels,
        target=target.target or "",
        no_cache=bool(target.no_cache),
        no_cache_filter=target.no_cache_filter or (),
        pull=bool(target.pull),
        platforms=_platforms(target),
        network=target.network or "default",
        extra_hosts=tuple(f"{name}={address}" for name, address in target.extra_hosts),
        shm_size=_shm_size(target),
        ulimits=target.ulimits or (),
        secrets=secrets,
        ssh=ssh,
        allow=target.entitlements or (),
        outputs=_outputs(target, metadata),
        attest=_attest(target),
        metadata_provenance=_provenance_told(context) if metadata else "",
        cache_from=cache_spec.parse_from([str(entry) for entry in target.cache_from or ()]),
        cache_to=cache_spec.parse_to([str(entry) for entry in target.cache_to or ()]),
        context_size=False,
        name=target.name,
    )


def _given(
    context: Context,
    target: Target,
    secrets: tuple[tuple[str, bytes], ...],
    ssh: tuple[tuple[str, tuple[str, ...]], ...],
) -> Given:
    """The context and the Dockerfile; a remote context is fetched."""
    where = target.context or "."
    if inputs.remote(where) and target.dockerfile_inline is None:
        file = "" if target.dockerfile == "Dockerfile" else target.dockerfile or ""
        return build_context.read(context, where, file, secrets, ssh)
    if inputs.remote(where):
        raise Unsupported(f"dockerfile-inline with the remote context {where} is not supported")
    text, name = _dockerfile(target)
    return Given(where, text, name, "" if target.dockerfile_inline is not None else name)


def _dockerfile(target: Target) -> tuple[str, str]:
    """(the Dockerfile's text, the name errors call it)."""
    if target.dockerfile_inline is not None:
        return target.dockerfile_inline, f"dockerfile-inline of {target.name}"
    directory = target.context or "."
    if not os.path.isdir(directory):
        problem = "is not a directory" if os.path.exists(directory) else "not found"
        raise NotFound(f'unable to prepare context: path "{directory}" {problem}')
    path = inputs.dockerfile_path(target)
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig"), path
    except UnicodeDecodeError as fault:
        raise Invalid(f"{path} is not UTF-8 text: {fault.reason} at byte {fault.start}") from None
    except FileNotFoundError:
        raise NotFound(f"failed to read dockerfile: open {path}: no such file") from None
    except OSError as fault:
        raise Invalid(f"failed to read dockerfile: open {path}: {fault.strerror}") from None


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
        raise Invalid(f"shm-size: invalid size '{target.shm_size}'") from None


def _secret(context: Context, secret: Secret) -> tuple[str, bytes]:
    lead = f"secret {secret.id}"
    if not secret.id:
        raise Invalid("secret: id is missing")
    name = secret.env or secret.id
    if secret.env or (not secret.src and name in context.environ):
        if name not in context.environ:
            raise NotFound(f"{lead}: there is no environment variable {name}")
        return secret.id, context.environ[name].encode("utf-8", "surrogateescape")
    try:
        with open(secret.src or secret.id, "rb") as file:
            return secret.id, file.read()
    except OSError as fault:
        source = secret.src or secret.id
        raise NotFound(f"{lead}: failed to read {source}: {fault.strerror}") from None


def _attest(target: Target) -> Attestations | None:
    if not target.attest:
        return None
    from kobako.build.attest.options import parse

    return parse([str(entry) for entry in target.attest]) or None


def _provenance_told(context: Context) -> str:
    from kobako.cli.build_outputs import metadata_provenance

    return metadata_provenance(context)


def _outputs(target: Target, metadata: bool) -> tuple[Output, ...] | None:
    """What is to become of the result; None: an image of the store."""
    if not target.output and not target.annotations and not metadata:
        return None
    from kobako.build.outputs import annotation, choice, spec

    return choice.choose(
        [spec.parse(str(entry)) for entry in target.output or ()],
        tags=target.tags or (),
        annotations=[a for t in target.annotations or () for a in annotation.parse_flag(t)],
    )
