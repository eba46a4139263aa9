"""docker's `-v`, `--mount` and `--tmpfs` as binds and tmpfs of the runtime."""

from __future__ import annotations

import os

from kobako.errors import Invalid, Unsupported
from kobako.runtime.spec import BindMount, Tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from kobako.engine.requests import CreateRequest

_OPTIONS = frozenset(
    "ro rw z Z nocopy private rprivate slave rslave shared rshared bind rbind "
    "consistent cached delegated".split()
)
_IGNORED = frozenset("z Z nocopy consistent cached delegated".split())


def plan(
    request: CreateRequest,
    volumes_dir: str,
    others: Sequence[dict[str, Any]] = (),
    declared: Iterable[str] = (),
) -> tuple[list[BindMount], list[Tmpfs]]:
    """What is bound and what is a tmpfs. Named volumes live in `volumes_dir`/NAME/_data. `others`
    are mounts of other containers, for where there is nothing of the request's own; where the image
    has `declared` a volume and nothing else is, there is an anonymous one.

    A missing source of `-v` is made as a directory, one of `--mount` is an error, as docker has it.
    """
    binds = [_volume(text, volumes_dir) for text in request.volumes]
    tmpfs = [_tmpfs(text) for text in request.tmpfs]
    for text in request.mounts:
        made = _mount(text, volumes_dir)
        if isinstance(made, BindMount):
            binds.append(made)
        else:
            tmpfs.append(made)
    seen: set[str] = set()
    for target in [b.target for b in binds] + [t.target for t in tmpfs]:
        if target in seen:
            raise Invalid(f"Duplicate mount point: {target}")
        seen.add(target)
    inherited = {m["Destination"]: m for m in others if m["Destination"] not in seen}
    binds += [BindMount(m["Source"], at, not m["RW"]) for at, m in inherited.items()]
    seen |= set(inherited)
    places = {_target(path if path.startswith("/") else f"/{path}", path) for path in declared}
    binds += [_volume(path, volumes_dir) for path in sorted(places - seen)]
    return binds, tmpfs


def _volume(text: str, volumes_dir: str) -> BindMount:
    parts = text.split(":")
    if len(parts) == 1:
        from kobako.engine.names import random_id

        parts = [random_id(), parts[0]]
    if len(parts) > 3 or not all(parts[:2]):
        raise Invalid(f"invalid volume specification: '{text}'")
    source, target = parts[0], _target(parts[1], text)
    options = tuple(o for o in (parts[2] if len(parts) == 3 else "").split(",") if o)
    for option in options:
        if option not in _OPTIONS:
            raise Invalid(f"invalid volume specification: '{text}': invalid mode: {option}")
    if source.startswith(("/", ".", "~")):
        source = os.path.abspath(source)
        if not os.path.lexists(source):
            os.makedirs(source)
    else:
        source = named(source, volumes_dir)
    kept = tuple(o for o in options if o not in _IGNORED - {"nocopy"} | {"ro", "rw"})
    return BindMount(source, target, "ro" in options, kept)


def new_ones(binds: Sequence[BindMount], volumes_dir: str) -> list[BindMount]:
    """Those that are empty volumes, to be given what the image has there."""
    inside = volumes_dir + "/"
    return [
        bind
        for bind in binds
        if bind.source.startswith(inside)
        and "nocopy" not in bind.options
        and not os.listdir(bind.source)
    ]


def name_of(source: str, volumes_dir: str) -> str:
    """The volume a bind's source is, "" when it is none."""
    inside = volumes_dir + "/"
    if not source.startswith(inside) or not source.endswith("/_data"):
        return ""
    return source[len(inside) : -len("/_data")]


def is_anonymous(name: str) -> bool:
    """Whether a volume was made for one container: its name is an id."""
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


def check_name(name: str) -> None:
    """`Invalid` for what cannot be the name of a volume."""
    allowed = name.replace("_", "").replace(".", "").replace("-", "")
    if not (allowed.isalnum() and allowed.isascii() and name[0].isalnum()) or len(name) < 2:
        raise Invalid(
            f'"{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            hint="If you intended to pass a host directory, use an absolute path.",
        )


def named(name: str, volumes_dir: str) -> str:
    """The directory of a named volume, made when it is new."""
    check_name(name)
    path = os.path.join(volumes_dir, name, "_data")
    if not os.path.isdir(path):
        from kobako.engine import recording

        os.makedirs(path, exist_ok=True)
        recording.volumes(os.path.dirname(volumes_dir), "create", [name])
    return path


def _tmpfs(text: str) -> Tmpfs:
    target, _, options = text.partition(":")
    return Tmpfs(_target(target, text), tuple(o for o in options.split(",") if o))


def _mount(text: str, volumes_dir: str) -> BindMount | Tmpfs:
    given = mount_fields(text)
    kind = given.pop("type", "volume")
    target = _target(given.pop("target"), text)
    readonly = given.pop("readonly", "false") in ("true", "1")
    if kind == "tmpfs":
        options = [f"size={given['tmpfs-size']}"] if given.get("tmpfs-size") else []
        options += [f"mode={given['tmpfs-mode']}"] if given.get("tmpfs-mode") else []
        return Tmpfs(target, tuple(options))
    source = given.pop("source", "")
    propagation = (given["bind-propagation"],) if given.get("bind-propagation") else ()
    if kind == "bind":
        if not source.startswith("/"):
            what = f"invalid mount path: '{source}' mount path must be absolute"
            raise Invalid(
                f'invalid mount config for type "bind": '
                f"{what if source else 'field Source must not be empty'}"
            )
        if not os.path.exists(source):
            raise Invalid(
                f'invalid mount config for type "bind": bind source path does not exist: {source}'
            )
        return BindMount(source, target, readonly, propagation)
    if kind == "volume":
        if not source:
            from kobako.engine.names import random_id

            source = random_id()
        if given.get("volume-nocopy") in ("true", "1"):
            propagation = (*propagation, "nocopy")
        return BindMount(named(source, volumes_dir), target, readonly, propagation)
    raise Invalid(f"invalid mount type {kind!r} in '{text}': one of bind, volume, tmpfs")


def mount_fields(text: str) -> dict[str, str]:
    """The fields of a --mount by their full names, checked as docker's command line checks them."""
    given: dict[str, str] = {}
    for field in text.split(","):
        name, equals, value = field.partition("=")
        key = _SHORT.get(name.lower(), name.lower())
        if not equals and key not in _SWITCHES:
            raise _bad_mount(text, f"invalid field '{field}' must be a key=value pair")
        if key not in _FIELDS:
            raise _bad_mount(text, f"unexpected key '{name}' in '{field}'")
        if key in _SWITCHES and equals and value not in ("true", "false", "1", "0"):
            raise _bad_mount(text, f"invalid value for {name}: {value}")
        given[key] = value if equals else "true"
    kind = given.get("type", "volume")
    if not given.get("target"):
        raise _bad_mount(text, "target is required")
    for prefix in ("bind", "volume", "tmpfs"):
        if prefix != kind and any(key.startswith(f"{prefix}-") for key in given):
            raise _bad_mount(text, f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    for key in _UNMET:
        if key in given:
            raise Unsupported(f"--mount {text}: {key} is not supported")
    return given


def _bad_mount(text: str, why: str) -> Invalid:
    return Invalid(f'invalid argument "{text}" for "--mount" flag: {why}')


_SWITCHES = frozenset("readonly volume-nocopy bind-nonrecursive bind-create-src".split())
_UNMET = frozenset(
    "volume-driver volume-opt volume-subpath bind-nonrecursive bind-recursive "
    "bind-create-src".split()
)
_FIELDS = (
    _SWITCHES
    | _UNMET
    | frozenset(
        "type source target bind-propagation volume-label tmpfs-size tmpfs-mode consistency".split()
    )
)
_SHORT = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}


def _target(target: str, text: str) -> str:
    if not target.startswith("/"):
        raise Invalid(
            f"invalid volume specification: '{text}': invalid mount path: '{target}' mount path "
            "must be absolute"
        )
    path = os.path.normpath(target)
    if path in ("/", "//"):
        raise Invalid(f"invalid volume specification: '{text}': destination can't be '/'")
    return path
