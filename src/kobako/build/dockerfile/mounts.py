"""`RUN --mount=type=cache,target=/root/.cache`: its fields."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem, suggest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode",
    "uid", "gid", "src", "dst", "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


class MountFlag(Record):
    """One `--mount` after expansion; `env` None means that it was not given."""

    type: str = "bind"
    from_: str = ""
    source: str = ""
    target: str = ""
    readonly: bool = False
    size: int = 0
    id: str = ""
    sharing: str = ""
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def mount_source(text: str) -> str:
    """The `from=` of a mount that is not yet expanded, "" without one: stages depend on it."""
    for field in split_csv(text):
        key, _, value = field.partition("=")
        if key.lower() == "from":
            at = value.find("$")
            if at != -1 and at != len(value) - 1:
                problem = "'from' doesn't support variable expansion, define alias stage instead"
                raise Problem(problem, value)
            return value
    return ""


def parse_mount(text: str, expand: Callable[[str], str]) -> MountFlag:
    """Reads and checks a `--mount`, each value expanded."""
    values: dict[str, object] = {"type": "bind"}
    readonly: bool | None = None
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            if key in ("readonly", "ro"):
                readonly = True
            elif key in ("readwrite", "rw"):
                readonly = False
            elif key == "required":
                _allow(key, values, ("secret", "ssh"))
                values["required"] = True
            else:
                raise Problem(f"invalid field '{field}' must be a key=value pair", field)
            continue
        value = expand(value)
        if key in ("readonly", "ro", "readwrite", "rw"):
            readonly = _boolean(key, value) == (key in ("readonly", "ro"))
            continue
        if key not in _KEYS:
            raise Problem(f"unexpected key '{key}' in '{field}'{suggest(key, _KEYS)}", field)
        key = _ALIASES.get(key, key)
        values["from_" if key == "from" else key] = _value(key, value, values)
    if readonly is None:
        readonly = values["type"] not in ("cache", "tmpfs")
    mount = MountFlag().replace(readonly=readonly, **values)
    _check(mount)
    return mount


def _value(key: str, value: str, values: dict[str, object]) -> object:
    if key == "type":
        if value.lower() not in TYPES:
            raise Problem(f'unsupported mount type "{value}"{suggest(value, TYPES)}', value)
        return value.lower()
    if key == "sharing":
        if value.lower() not in _SHARING:
            raise Problem(f'unsupported sharing value "{value}"{suggest(value, _SHARING)}', value)
        return value.lower()
    if key == "required":
        _allow(key, values, ("secret", "ssh"))
        return _boolean(key, value)
    if key == "size":
        _allow(key, values, ("tmpfs",))
        return parse_size(value)
    if key in ("mode", "uid", "gid"):
        try:
            number = int(value, 8 if key == "mode" else 10)
        except ValueError:
            number = -1
        if number < 0 or number >= 1 << 32 or not value.isdigit():
            raise Problem(f"invalid value {value} for {key}", value)
        return number
    return value


def _check(mount: MountFlag) -> None:
    kind = mount.type
    if kind not in ("secret", "ssh", "cache"):
        for key, number in (("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)):
            if number is not None:
                raise Problem(f'{key} not allowed for "{kind}" type mounts')
    if kind == "secret":
        if mount.from_:
            raise Problem("secret mount should not have a from")
        if mount.sharing:
            raise Problem("secret mount should not define sharing")
        if not (mount.source or mount.target or mount.id):
            raise Problem("invalid secret mount. one of source, target required")
        if mount.source and mount.id:
            raise Problem("both source and id can't be set")
    if mount.sharing and kind != "cache":
        raise Problem(f"invalid cache sharing set for {kind} mount")


def _allow(key: str, values: dict[str, object], types: tuple[str, ...]) -> None:
    if values["type"] not in types:
        raise Problem(f"unexpected key '{key}' for mount type '{values['type']}'", key)


def _boolean(key: str, value: str) -> bool:
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Problem(f"invalid value for {key}: {value}", value)


def parse_size(text: str) -> int:
    """`64m`, `1.5GiB` → bytes, in powers of 1024."""
    lowered = text.strip().lower()
    number = lowered.rstrip("bikmgtp ")
    unit = lowered[len(number) :].strip()
    scale = _SIZES.get(unit.removesuffix("b").removesuffix("i") if unit != "b" else "b")
    try:
        size = float(number)
    except ValueError:
        size = -1.0
    if scale is None or not 0 <= size < 1 << 62 or not number[-1:].isdigit():
        raise Problem(f"invalid value for size: {text}", text)
    return int(size * scale)


def split_csv(text: str) -> list[str]:
    """The fields of one line of CSV."""
    fields: list[str] = []
    at = 0
    while True:
        if text.startswith('"', at):
            field, at = _quoted(text, at + 1)
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            field, at = text[at:end], end
            if '"' in field:
                raise Problem(f'failed to parse csv mounts: bare " in non-quoted field in {text}')
        fields.append(field)
        if at >= len(text):
            return fields
        at += 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    while True:
        end = text.find('"', at)
        if end < 0:
            raise Problem(f'failed to parse csv mounts: extraneous or missing " in {text}')
        out.append(text[at:end])
        at = end + 1
        if text.startswith('"', at):
            out.append('"')
            at += 1
            continue
        if at < len(text) and text[at] != ",":
            raise Problem(f'failed to parse csv mounts: extraneous or missing " in {text}')
        return "".join(out), at
