"""`--attest type=provenance,...`, and its short forms `--provenance` and `--sbom`."""

from __future__ import annotations

from kobako.build.dockerfile.mounts import split_csv
from kobako.build.dockerfile.source import Problem, suggest
from kobako.errors import Invalid, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MIN, MAX = "min", "max"
VERSIONS = ("v0.2", "v1")

_KEYS = {
    "provenance": (
        "builder-id", "disabled", "filename", "inline-only", "mode", "reproducible", "version",
    ),
    "sbom": ("disabled", "filename", "generator", "inline-only"),
}  # fmt: skip
_TRUE, _FALSE = ("1", "t", "true", "TRUE", "True", "T"), ("0", "f", "false", "FALSE", "False", "F")


class Provenance(Record):
    """`mode` "min" leaves out build arguments, labels and secrets, "max" tells every step.

    `filename` is its name in files (`--output type=local`), unless `inline_only`.
    """

    mode: str = MAX
    version: str = "v1"
    builder_id: str = ""
    reproducible: bool = False
    filename: str = "provenance.json"
    inline_only: bool = False


class Sbom(Record):
    """A list of the packages in the result."""

    filename: str = "sbom.spdx.json"
    inline_only: bool = False


class Attestations(Record):
    """What is asked for; None: nothing of the kind."""

    provenance: Provenance | None = None
    sbom: Sbom | None = None

    def __bool__(self) -> bool:
        return self.provenance is not None or self.sbom is not None


def parse(texts: Sequence[str], provenance: str = "", sbom: str = "") -> Attestations:
    """What the flags ask for; the last one of a type counts. Without any: nothing."""
    found = Attestations()
    short = [_spelt_out("provenance", provenance), _spelt_out("sbom", sbom)]
    for text in (*texts, *(text for text in short if text)):
        values = _fields(text)
        kind = values.pop("type", "")
        if kind not in _KEYS:
            raise Invalid(
                f"--attest {text}: "
                + (f"unknown type {kind!r}{suggest(kind, _KEYS)}" if kind else "type is required"),
                hint="One of: provenance, sbom",
            )
        unknown = [key for key in values if key not in _KEYS[kind]]
        if unknown:
            raise Invalid(
                f"--attest {text}: unknown key {unknown[0]!r}{suggest(unknown[0], _KEYS[kind])}",
                hint=f"It takes: {', '.join(_KEYS[kind])}",
            )
        found = found.replace(**{kind: _read(kind, values, text)})
    return found


def _spelt_out(kind: str, text: str) -> str:
    """`--sbom=true` and `--provenance=mode=max` as `--attest` has it."""
    if not text:
        return ""
    if text in _TRUE or text in _FALSE:
        return f"type={kind},disabled={str(text in _FALSE).lower()}"
    return f"type={kind},{text}"


def _fields(text: str) -> dict[str, str]:
    try:
        fields = split_csv(text)
    except Problem:
        raise Invalid(f"--attest {text}: a quote is missing or in the middle of a field") from None
    values = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise Invalid(f"--attest {text}: {field!r} is not key=value")
        values[key.strip().lower()] = value
    return values


def _read(kind: str, values: dict[str, str], text: str) -> Provenance | Sbom | None:
    def on(key: str) -> bool:
        value = values.get(key, "false")
        if value not in _TRUE and value not in _FALSE:
            raise Invalid(f"--attest {text}: {key} is true or false, not {value!r}")
        return value in _TRUE

    if on("disabled"):
        return None
    name = values.get("filename")
    if name is not None and (not name or "/" in name or name in (".", "..")):
        raise Invalid(f"--attest {text}: filename is the name of a file, not {name!r}")
    if kind == "sbom":
        if "generator" in values:
            raise Unsupported(
                f"--attest {text}: generator images are not run: kobako lists the packages itself",
                hint="Leave out generator=, or scan the pushed image with that tool.",
            )
        return Sbom(filename=name or "sbom.spdx.json", inline_only=on("inline-only"))
    mode = {"full": MAX}.get(values.get("mode", MAX), values.get("mode", MAX))
    if mode not in (MIN, MAX):
        raise Invalid(f"--attest {text}: mode is min or max, not {mode!r}")
    version = values.get("version", "v1")
    if version not in VERSIONS:
        raise Invalid(f"--attest {text}: version is v0.2 or v1, not {version!r}")
    return Provenance(
        mode=mode,
        version=version,
        builder_id=values.get("builder-id", ""),
        reproducible=on("reproducible"),
        filename=name or "provenance.json",
        inline_only=on("inline-only"),
    )
