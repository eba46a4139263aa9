"""What is written as `key=value,...` or as an object: outputs, caches, secrets, ssh, ..."""

from __future__ import annotations

from kobako.bake import convert, values
from kobako.bake.source import Fault
from kobako.bake.values import STRING, Value
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    E = TypeVar("E")


class Entry(Record):
    """An output, a cache or an attestation: a type, and sorted attributes."""

    type: str
    attributes: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        return next((value for key, value in self.attributes if key == name), "")

    def set(self, name: str, value: str) -> Entry:
        return Entry(self.type, tuple(sorted({**dict(self.attributes), name: value}.items())))

    def __str__(self) -> str:
        """As `--output` and `--cache-to` take it."""
        return csv_line([f"type={self.type}", *(f"{k}={v}" for k, v in self.attributes)])


class Secret(Record):
    id: str = ""
    src: str = ""
    env: str = ""

    def __str__(self) -> str:
        """As `--secret` takes it."""
        pairs = (("id", self.id), ("src", self.src), ("env", self.env))
        return csv_line([f"{key}={value}" for key, value in pairs if value])


class Ssh(Record):
    id: str = ""
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As `--ssh` takes it."""
        return f"{self.id}={','.join(self.paths)}" if self.paths else self.id


def csv_fields(line: str) -> list[str]:
    """The fields of one line of CSV. `Fault` when it is malformed."""
    import csv

    if "\n" in line or "\r" in line:
        raise Fault(f"{line!r} is more than one line")
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as error:
        raise Fault(f"invalid value {line!r}: {error}") from None
    return rows[0] if rows else []


def csv_line(fields: Sequence[str]) -> str:
    shown = (f.replace('"', '""') for f in fields)
    return ",".join(f'"{f}"' if "," in f or '"' in f else f for f in shown)


def _pairs(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in csv_fields(line):
        key, equals, value = field.partition("=")
        if not equals:
            raise Fault(f"invalid value {field}")
        found[key.strip().lower()] = value
    return found


def _entry(found: dict[str, str], problem: str) -> Entry:
    kind = found.pop("type", "")
    if not kind:
        raise Fault(problem)
    return Entry(kind, tuple(sorted(found.items())))


def output(line: str) -> Entry:
    """An output as `--output` takes it: `type=tar,dest=x`, a directory, or `-`."""
    fields = csv_fields(line)
    if fields == [line] and not line.startswith("type="):
        return Entry("tar" if line == "-" else "local", (("dest", line),))
    found = _pairs(line)
    if not found.get("dest"):
        found.pop("dest", None)
    return _entry(found, "type is required for output")


def caches(lines: Sequence[str]) -> tuple[Entry, ...]:
    """Caches as `--cache-from` takes them; names alone are references to registries."""
    found: list[Entry] = []
    for line in lines:
        if not line:
            continue
        if "=" not in line:
            found += [Entry("registry", (("ref", ref),)) for ref in csv_fields(line)]
        else:
            found.append(_entry(_pairs(line), f'type required for "{line}"'))
    return tuple(found)


def attestation(line: str) -> Entry:
    found = _pairs(line)
    if found.get("disabled", ""):
        if not boolean(found["disabled"]):
            del found["disabled"]
        else:
            found["disabled"] = "true"
    return _entry(found, "attestation type not specified")


def secret(line: str) -> Secret:
    found = _pairs(line)
    kind = found.pop("type", "")
    if kind not in ("", "file", "env"):
        raise Fault(f'unsupported secret type "{kind}"')
    src = found.pop("src", "") or found.pop("source", "")
    env = found.pop("env", "")
    known = found.pop("id", "")
    if found:
        raise Fault(f"unexpected key '{next(iter(found))}' in '{line}'")
    if kind == "env" and not env:
        src, env = "", src
    return Secret(known, src, env)


def ssh(line: str) -> Ssh:
    known, equals, paths = line.partition("=")
    return Ssh(known, tuple(paths.split(",")) if equals else ())


def boolean(word: str) -> bool:
    """Go's ParseBool. `Fault` for anything else."""
    if word in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if word in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Fault(f'"{word}" is neither true nor false')


def canonical_attestation(kind: str, word: str) -> str:
    """`--sbom=true` and `--provenance=mode=max` as an attestation."""
    try:
        return f"type={kind},disabled={'false' if boolean(word) else 'true'}"
    except Fault:
        return f"type={kind},{word}"


def without_repeats(held: Sequence[E]) -> tuple[E, ...]:
    """Drops equal entries from the back, the last one taking the dropped one's place (which is
    the order buildx ends up with)."""
    items = list(held)
    for i in range(len(items) - 2, -1, -1):
        for j in range(i + 1, len(items)):
            if items[i] == items[j]:
                items[j] = items[-1]
                items.pop()
                break
    return tuple(items)


def latest(held: Sequence[E], key: Callable[[E], str]) -> tuple[E, ...]:
    """One entry a key: the last, where the first stood."""
    found: dict[str, E] = {}
    for item in held:
        found[key(item)] = item
    return tuple(found.values())


def decode_list(value: Value, kind: str) -> tuple[Entry | Secret | Ssh, ...]:
    """The attribute `kind` of a target: a list of strings and objects. `Fault` says why not."""
    if not value.type.sequence:
        raise Fault(f"list required, not {value.type}")
    found: list[Entry | Secret | Ssh] = []
    for item in value.raw:
        if item.null or item.raw == "":
            continue
        if item.type == STRING:
            if kind in ("cache-from", "cache-to"):
                found += caches([item.raw])
            else:
                found.append(_FROM_LINE[kind](item.raw))
        else:
            found.append(_from_object(item, kind))
    return tuple(found)


def _from_object(item: Value, kind: str) -> Entry | Secret | Ssh:
    if not item.type.mapping:
        raise Fault(f"a string or an object is required, not {item.type}")
    if kind == "ssh":
        paths = item.raw.get("paths")
        held = (
            ()
            if paths is None or paths.null
            else convert.convert(paths, values.list_type(STRING)).raw
        )
        return Ssh(_word(item, "id"), tuple(convert.as_text(p) for p in held))
    if kind == "secret":
        return Secret(_word(item, "id"), _word(item, "src"), _word(item, "env"))
    found = {key: convert.as_text(part) for key, part in item.raw.items() if not part.null}
    if kind == "attest" and "disabled" in found:
        if boolean(found["disabled"]):
            found["disabled"] = "true"
        else:
            del found["disabled"]
    if kind == "output" and not found.get("dest"):
        found.pop("dest", None)
    if kind == "attest":
        return Entry(found.pop("type", ""), tuple(sorted(found.items())))
    if kind == "policy":
        return Entry("", tuple(sorted(found.items())))
    return _entry(found, f'type required for "{values.to_json(item)}"')


def _word(item: Value, name: str) -> str:
    part = item.raw.get(name)
    return "" if part is None or part.null else convert.as_text(part)


def _policy(line: str) -> Entry:
    return Entry("", tuple(sorted(_pairs(line).items())))


_FROM_LINE: dict[str, Callable[[str], Entry | Secret | Ssh]] = {
    "output": output,
    "attest": attestation,
    "secret": secret,
    "ssh": ssh,
    "policy": _policy,
}
