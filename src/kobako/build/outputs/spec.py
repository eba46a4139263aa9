"""`--output type=...,key=value`: where a result goes and in which form.

The types and keys are BuildKit's (its README, "Output") and buildx's short forms: a path alone is a
directory to write the files into, `-` alone a tar of them on standard output.
"""

from __future__ import annotations

from kobako.build.dockerfile.mounts import split_csv
from kobako.build.dockerfile.source import Problem, suggest
from kobako.build.outputs.annotation import Annotation, parse_attribute
from kobako.errors import Invalid, Unsupported
from kobako.record import Record

TYPES = ("cacheonly", "docker", "image", "local", "oci", "registry", "tar")
STDOUT = "-"

_TREE_KEYS = ("dest", "platform-split", "attestation-prefix", "source-date-epoch")
_FORM_KEYS = (
    "name", "compression", "compression-level", "force-compression", "oci-mediatypes",
    "oci-artifact", "rewrite-timestamp", "attestation-inline", "prefer-nondist-layers",
)  # fmt: skip
_STORE_KEYS = (
    "push", "push-by-digest", "registry.insecure", "unpack", "store", "name-canonical",
    "dangling-name-prefix", "danging-name-empty-only",
)  # fmt: skip
_KEYS = {
    "cacheonly": (),
    "local": (*_TREE_KEYS, "mode"),
    "tar": _TREE_KEYS,
    "oci": (*_FORM_KEYS, "dest", "tar"),
    "docker": (*_FORM_KEYS, "dest", "tar", "context"),
    "image": (*_FORM_KEYS, *_STORE_KEYS),
    "registry": (*_FORM_KEYS, *_STORE_KEYS),
}
_WITHOUT_EFFECT = {
    "dangling-name-prefix": "images without a name are found by their id",
    "danging-name-empty-only": "images without a name are found by their id",
    "prefer-nondist-layers": "layers keep the media type they came with",
    "context": "the image goes into this user's own store",
}
_LEVELS = {"": 22, "uncompressed": 0, "gzip": 9, "zstd": 22}
_TRUE, _FALSE = ("1", "t", "true", "TRUE", "True", "T"), ("0", "f", "false", "FALSE", "False", "F")


class Output(Record):
    """Base of where a result goes. `notes` tell of options that were accepted without effect."""


class CacheOnly(Output):
    """Nowhere: the build is done for its cache."""


class TreeOutput(Output):
    """The files of the result: below the directory `dest`, or as one tar ("-": standard output).

    `split`: a directory for each platform; None means when there are several. `delete`: what `dest`
    has and the result has not goes. `epoch`: every file gets this time (seconds).
    `attestation_prefix` stands before the names of attestations.
    """

    dest: str
    tar: bool = False
    split: bool | None = None
    delete: bool = False
    epoch: int | None = None
    attestation_prefix: str = ""
    notes: tuple[str, ...] = ()


class ImageForm(Record):
    """How the documents and layers of an image are written.

    `compression` is "", "uncompressed", "gzip" or "zstd": the first leaves layers as they are.
    `force_compression`: layers of the base image too. `docker_types`: Docker's media types instead
    of OCI's. `artifact`: attestations as OCI artifacts; None is the default of the family.
    """

    names: tuple[str, ...] = ()
    compression: str = ""
    level: int | None = None
    force_compression: bool = False
    docker_types: bool = False
    artifact: bool | None = None
    annotations: tuple[Annotation, ...] = ()


class ImageOutput(Output):
    """An image of the store, unless not to be stored, and of a registry when `push`.

    `by_digest`: pushed without a tag. `insecure`: over plain HTTP or with any certificate.
    """

    form: ImageForm
    push: bool = False
    by_digest: bool = False
    store: bool = True
    insecure: bool = False
    notes: tuple[str, ...] = ()


class ArchiveOutput(Output):
    """An archive of the image at `dest` ("-": standard output): `kind` "oci" or "docker".

    `directory`: not a tar but the layout itself, as a directory.
    """

    kind: str
    dest: str
    form: ImageForm
    directory: bool = False
    notes: tuple[str, ...] = ()


def parse(text: str) -> Output:
    """What one `--output` says; `Invalid` or `Unsupported` names the key and the remedy."""
    if not text.startswith("type=") and "," not in text and '"' not in text:
        if text == STDOUT:
            return TreeOutput(dest=STDOUT, tar=True)
        if text:
            return _tree("local", _Options("local", {"dest": text}))
    values = _fields(text)
    kind = values.pop("type", "")
    if not kind:
        raise Invalid(f"--output {text}: type is required", hint=f"One of: {', '.join(TYPES)}")
    if kind not in TYPES:
        raise Invalid(
            f"--output {text}: unknown type {kind!r}{suggest(kind, TYPES)}",
            hint=f"One of: {', '.join(TYPES)}",
        )
    annotations = tuple(a for key, value in values.items() for a in parse_attribute(key, value))
    options = _Options(kind, {k: v for k, v in values.items() if not parse_attribute(k, "")})
    options.refuse_unknown()
    if kind == "cacheonly":
        return CacheOnly()
    if kind in ("local", "tar"):
        return _tree(kind, options)
    form = _form(options, annotations)
    if kind == "oci" or (kind == "docker" and ("dest" in options.values or options.is_off("tar"))):
        return _archive(kind, options, form)
    return _image(kind, options, form)


class _Options:
    """The keys of one output, each read once and checked."""

    def __init__(self, kind: str, values: dict[str, str]) -> None:
        self.kind = kind
        self.values = values

    def refuse_unknown(self) -> None:
        known = _KEYS[self.kind]
        unknown = [key for key in self.values if key not in known]
        if unknown:
            raise Invalid(
                f"--output type={self.kind}: unknown key {unknown[0]!r}"
                f"{suggest(unknown[0], known)}",
                hint=f"It takes: {', '.join(sorted(known))}" if known else "It takes no keys.",
            )

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"--output type={self.kind}: {key} has no effect: {_WITHOUT_EFFECT[key]}"
            for key in self.values
            if key in _WITHOUT_EFFECT
        )

    def text(self, key: str) -> str:
        return self.values.get(key, "")

    def on(self, key: str, default: bool = False) -> bool:
        """A truth value as Go reads it; a key without a value means yes."""
        value = self.values.get(key)
        if value is None:
            return default
        if value in ("", *_TRUE):
            return True
        if value in _FALSE:
            return False
        raise self.wrong(key, "true or false")

    def is_off(self, key: str) -> bool:
        return key in self.values and not self.on(key)

    def number(self, key: str, most: int) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 19 and int(value) <= most):
            raise self.wrong(key, f"a number up to {most}")
        return int(value)

    def wrong(self, key: str, expected: str) -> Invalid:
        return Invalid(
            f"--output type={self.kind}: invalid value {self.values[key]!r} of {key}: "
            f"expected {expected}"
        )


def _fields(text: str) -> dict[str, str]:
    try:
        fields = split_csv(text)
    except Problem:
        raise Invalid(f"--output {text}: a quote is missing or in the middle of a field") from None
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise Invalid(f"--output {text}: {field!r} is not key=value")
        # an annotation's own key keeps its case, as OCI compares them by bytes
        key = key.strip()
        values[key if key.startswith("annotation") else key.lower()] = value
    return values


def _tree(kind: str, options: _Options) -> TreeOutput:
    dest = options.text("dest")
    if kind == "local" and not dest:
        raise Invalid("--output type=local: dest is required", hint="type=local,dest=DIRECTORY")
    if kind == "local" and dest == STDOUT:
        raise Invalid("--output type=local: a directory cannot be standard output")
    if options.text("mode") not in ("", "copy", "delete"):
        raise options.wrong("mode", "copy or delete")
    return TreeOutput(
        notes=options.notes(),
        dest=dest or STDOUT,
        tar=kind == "tar",
        split=options.on("platform-split") if "platform-split" in options.values else None,
        delete=options.text("mode") == "delete",
        epoch=options.number("source-date-epoch", 1 << 40),
        attestation_prefix=options.text("attestation-prefix"),
    )


def _form(options: _Options, annotations: tuple[Annotation, ...]) -> ImageForm:
    compression = options.text("compression")
    if compression == "estargz":
        raise Unsupported(
            "--output: compression=estargz is not supported: kobako writes no eStargz layers",
            hint="Use compression=zstd, gzip or uncompressed.",
        )
    if compression not in _LEVELS:
        raise options.wrong("compression", "uncompressed, gzip or zstd")
    docker_types = not options.on("oci-mediatypes", True)
    artifact = options.on("oci-artifact") if "oci-artifact" in options.values else None
    if docker_types and compression == "zstd":
        raise Invalid("--output: compression=zstd conflicts with oci-mediatypes=false")
    if docker_types and artifact:
        raise Invalid("--output: oci-artifact=true conflicts with oci-mediatypes=false")
    if docker_types and any(a.level != "manifest" for a in annotations):
        raise Invalid("--output: annotations of an index or descriptor need oci-mediatypes=true")
    options.on("rewrite-timestamp")  # times are clamped to the epoch in any case
    options.on("attestation-inline")
    return ImageForm(
        names=tuple(n.strip() for n in options.text("name").split(",") if n.strip()),
        compression=compression,
        level=options.number("compression-level", _LEVELS[compression]),
        force_compression=options.on("force-compression"),
        docker_types=docker_types,
        artifact=artifact,
        annotations=annotations,
    )


def _archive(kind: str, options: _Options, form: ImageForm) -> ArchiveOutput:
    directory = options.is_off("tar")
    dest = options.text("dest") or STDOUT
    if directory and dest == STDOUT:
        raise Invalid(
            f"--output type={kind}: dest is required with tar=false",
            hint=f"type={kind},tar=false,dest=DIRECTORY",
        )
    return ArchiveOutput(
        notes=options.notes(), kind=kind, dest=dest, form=form, directory=directory
    )


def _image(kind: str, options: _Options, form: ImageForm) -> ImageOutput:
    options.on("unpack")  # layers are unpacked when a container first needs them
    options.on("name-canonical")  # every name is found by name@digest too
    by_digest = options.on("push-by-digest")
    return ImageOutput(
        notes=options.notes(),
        form=form,
        push=options.on("push", kind == "registry"),
        by_digest=by_digest,
        store=options.on("store", True),
        insecure=options.on("registry.insecure"),
    )
