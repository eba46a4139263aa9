"""What `--cache-to` and `--cache-from` ask for: `type=registry,ref=NAME,mode=max` and the like."""

from __future__ import annotations

from kobako.build.dockerfile.mounts import split_csv
from kobako.build.dockerfile.source import Problem
from kobako.errors import Invalid, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ELSEWHERE = ("gha", "s3", "azblob")
_FORM = (
    "mode", "image-manifest", "oci-mediatypes", "compression", "compression-level",
    "force-compression", "ignore-error",
)  # fmt: skip
_TO = {
    "registry": ("ref", "registry.insecure", *_FORM),
    "local": ("dest", "tag", "reset", *_FORM),
    "inline": ("mode", "ignore-error"),
}
_FROM = {"registry": ("ref", "registry.insecure"), "local": ("src", "tag", "digest")}
_COMPRESSIONS = ("uncompressed", "gzip", "zstd")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")
_LEVELS = {"uncompressed": range(0), "gzip": range(10), "zstd": range(23)}


class CacheForm(Record):
    """How a cache is written. `everything`: the layers of all stages, not of the result alone.

    `index`: as a list of blobs (BuildKit before 0.21), not as a manifest; `docker`: in the Docker
    family's types. `compression` "" leaves layers as they are.
    """

    everything: bool = False
    index: bool = False
    docker: bool = False
    compression: str = ""
    level: int | None = None
    ignore_error: bool = False


class RegistryCache(Record):
    """A cache in a registry under a name."""

    ref: str
    insecure: bool = False
    form: CacheForm = CacheForm()


class LocalCache(Record):
    """A cache in a directory, an OCI image layout. `digest` picks one whatever it is called;
    `reset` removes what older caches left there."""

    directory: str
    tag: str = "latest"
    digest: str = ""
    reset: bool = False
    form: CacheForm = CacheForm()


class InlineCache(Record):
    """A cache within the config of the image that is built."""

    form: CacheForm = CacheForm()


def parse_to(texts: Sequence[str]) -> tuple[RegistryCache | LocalCache | InlineCache, ...]:
    """`--cache-to`, as often as it was given. `Invalid` and `Unsupported` name the part."""
    return tuple(_to(text) for text in texts if text)


def parse_from(texts: Sequence[str]) -> tuple[RegistryCache | LocalCache, ...]:
    """`--cache-from`: names alone, several to a text, are those of caches in registries."""
    found: list[RegistryCache | LocalCache] = []
    for text in texts:
        if "=" in text:
            found.append(_from(text))
        else:
            found += [RegistryCache(name) for name in _fields("cache-from", text) if name]
    return tuple(found)


def _to(text: str) -> RegistryCache | LocalCache | InlineCache:
    if "=" not in text:
        return RegistryCache(text)
    kind, given = _attributes("cache-to", text, _TO)
    if kind == "inline":
        if given.get("mode", "min") != "min":
            raise Unsupported(
                f"--cache-to {text}: an inline cache holds the layers of the image alone",
                hint="Use type=registry,mode=max for those of all stages.",
            )
        return InlineCache(CacheForm(ignore_error=_switch(text, given, "ignore-error", False)))
    form = _form(text, given)
    if kind == "registry":
        insecure = _switch(text, given, "registry.insecure", False)
        return RegistryCache(_required("cache-to", text, given, "ref"), insecure, form)
    return LocalCache(
        _required("cache-to", text, given, "dest"),
        given.get("tag", "latest"),
        reset=_switch(text, given, "reset", False),
        form=form,
    )


def _from(text: str) -> RegistryCache | LocalCache:
    kind, given = _attributes("cache-from", text, _FROM)
    if kind == "registry":
        insecure = _switch(text, given, "registry.insecure", False)
        return RegistryCache(_required("cache-from", text, given, "ref"), insecure)
    return LocalCache(
        _required("cache-from", text, given, "src"),
        given.get("tag", "latest"),
        given.get("digest", ""),
    )


def _form(text: str, given: dict[str, str]) -> CacheForm:
    mode = given.get("mode", "min")
    if mode not in ("min", "max"):
        raise Invalid(f"--cache-to {text}: mode is min or max, not {mode}")
    oci = _switch(text, given, "oci-mediatypes", True)
    manifest = _switch(text, given, "image-manifest", oci)
    if manifest and not oci:
        raise Invalid(f"--cache-to {text}: image-manifest=true needs oci-mediatypes=true")
    compression = given.get("compression", "")
    if compression and compression not in _COMPRESSIONS:
        raise Unsupported(
            f"--cache-to {text}: compression is {', '.join(_COMPRESSIONS)}, not {compression}"
        )
    if compression == "zstd" and not oci:
        raise Invalid(f"--cache-to {text}: compression=zstd needs oci-mediatypes=true")
    return CacheForm(
        mode == "max",
        not manifest,
        not oci,
        compression,
        _level(text, given, compression),
        _switch(text, given, "ignore-error", False),
    )


def _level(text: str, given: dict[str, str], compression: str) -> int | None:
    level = given.get("compression-level")
    if level is None:
        return None
    allowed = _LEVELS.get(compression or "gzip", range(0))
    if not level.isdigit() or int(level) not in allowed:
        raise Invalid(f"--cache-to {text}: {level} is no level of {compression or 'gzip'}")
    return int(level)


def _attributes(
    flag: str, text: str, known: dict[str, tuple[str, ...]]
) -> tuple[str, dict[str, str]]:
    given: dict[str, str] = {}
    for field in _fields(flag, text):
        key, equals, value = field.partition("=")
        if not equals:
            raise Invalid(f"--{flag} {text}: invalid value {field}: key=value is expected")
        given[key.strip().lower()] = value
    kind = given.pop("type", "")
    if not kind:
        raise Invalid(f'--{flag}: type required for "{text}"')
    if kind in _ELSEWHERE or (kind == "inline" and flag == "cache-from"):
        raise Unsupported(
            f"--{flag} {text}: type={kind} is not supported",
            hint=f"Supported: {', '.join(f'type={name}' for name in known)}."
            + (" An inline cache is read with type=registry." if kind == "inline" else ""),
        )
    if kind not in known:
        raise Invalid(f"--{flag} {text}: unknown type {kind}: one of {', '.join(known)}")
    for key in given:
        if key not in known[kind]:
            raise Invalid(
                f"--{flag} {text}: unknown key {key}",
                hint=f"type={kind} has {', '.join(known[kind])}.",
            )
    return kind, given


def _fields(flag: str, text: str) -> list[str]:
    try:
        return split_csv(text)
    except Problem:
        raise Invalid(f"--{flag} {text}: a quote is not closed") from None


def _required(flag: str, text: str, given: dict[str, str], key: str) -> str:
    value = given.get(key, "")
    if not value:
        raise Invalid(f"--{flag} {text}: {key} is missing")
    return value


def _switch(text: str, given: dict[str, str], key: str, default: bool) -> bool:
    value = given.get(key)
    if value is None:
        return default
    if value.lower() not in (*_TRUE, *_FALSE):
        raise Invalid(f"--cache-to {text}: {key} is true or false, not {value}")
    return value.lower() in _TRUE
