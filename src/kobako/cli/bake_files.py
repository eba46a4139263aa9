"""Bake files as the command line finds, reads and lists them."""

from __future__ import annotations

import os

from kobako.bake.read import DEFAULT_FILES, Defined, Surroundings
from kobako.bake.source import File
from kobako.errors import Invalid, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context


def surroundings(context: Context, said: list[str], there: str = "cwd://") -> Surroundings:
    """What bake files may ask: `--var`, then the environment unless it is shut out. `there` is
    BAKE_CMD_CONTEXT."""
    import time

    from kobako.bake.entries import boolean
    from kobako.bake.scope import World
    from kobako.bake.source import Fault
    from kobako.oci import Platform

    variables: dict[str, str] = {}
    for word in said:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Invalid(f'invalid variable "{word}", expected key=value')
        variables[name] = value
    try:
        closed = boolean(context.environ.get("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP", "0"))
    except Fault:
        closed = False
    environ = {} if closed else dict(context.environ)

    def lookup(name: str) -> str | None:
        return variables.get(name, environ.get(name))

    builtin = {"BAKE_CMD_CONTEXT": there, "BAKE_LOCAL_PLATFORM": str(Platform.host())}
    world = World(context.home(), time.time_ns())
    return Surroundings(lookup, tuple(builtin.items()), world, text)


def text(path: str) -> str | None:
    """A file's text; None when there is none."""
    try:
        with open(path, "rb") as file:
            return _decoded(file.read(), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Invalid(f"failed to read {path}: {error.strerror}") from error


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{name}:{line}: the file is not UTF-8") from None


def read(context: Context, names: list[str], around: Surroundings) -> Defined:
    """What the named files define, or those there are of the usual names."""
    from kobako.bake import read as room

    return room.read(files(context, names), around)


def files(context: Context, names: list[str]) -> list[File]:
    """The named files of this machine, or those there are of the usual names."""
    if context.environ.get("BUILDX_BAKE_FILE_RELATIVE_PATHS", "0") not in ("", "0", "false"):
        raise Unsupported(
            "BUILDX_BAKE_FILE_RELATIVE_PATHS is not supported: paths are those of the directory "
            "bake is called in"
        )
    names = names or _from_environment(context)
    if not names:
        found = [File(name, held) for name in DEFAULT_FILES if (held := text(name)) is not None]
        if not found:
            raise NotFound(
                "couldn't find a bake definition",
                hint=f"It is looked for as {', '.join(DEFAULT_FILES)}; --file names another.",
            )
        return found
    return [_file(name.removeprefix("cwd://")) for name in names]


def _from_environment(context: Context) -> list[str]:
    """BUILDX_BAKE_FILE: names separated by BUILDX_BAKE_PATH_SEPARATOR, else a colon."""
    separator = context.environ.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
    names = context.environ.get("BUILDX_BAKE_FILE", "").split(separator)
    return [name.strip() for name in names if name.strip()]


def _file(name: str) -> File:
    if name == "-":
        import sys

        return File("-", _decoded(sys.stdin.buffer.read(), "standard input"))
    held = text(name)
    if held is None:
        raise NotFound(f"open {name}: no such file or directory")
    return File(name, held)


def listing(context: Context, asked: str, defined: Defined) -> int:
    """`--list=targets`, `--list=type=variables,format=json`."""
    kind, form = _asked(asked)
    rows: list[dict[str, object]]
    table: list[tuple[str, ...]]
    if kind == "targets":
        from kobako.bake.document import target_list

        found = target_list(defined.config)
        rows = [
            {"name": name, "description": about, "group": group} for name, about, group in found
        ]
        table = [("TARGET", "DESCRIPTION"), *((name, about) for name, about, _ in found)]
    else:
        rows = [
            {"name": v.name, "description": v.description, "type": v.type, "value": v.value}
            for v in defined.variables
        ]
        table = [("VARIABLE", "TYPE", "VALUE", "DESCRIPTION")]
        for v in defined.variables:
            shown = "<null>" if v.value is None else v.value
            table.append((v.name, v.type, shown, v.description))
    if form == "json":
        from kobako.bake.document import indented

        kept = [
            {k: v for k, v in row.items() if v or k == "name" or (k == "value" and v is not None)}
            for row in rows
        ]
        context.out(indented(kept) if kept else "null")
    else:
        context.write(_tabbed(table))
    return 0


def _asked(asked: str) -> tuple[str, str]:
    from kobako.bake.entries import csv_fields
    from kobako.bake.source import Fault

    kind, form = "", "table"
    try:
        fields = csv_fields(asked)
    except Fault as fault:
        raise Invalid(f"--list: {fault.message}") from None
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            kind = field
        elif key.strip().lower() == "type":
            kind = value
        elif key.strip().lower() == "format":
            form = value
        else:
            raise Invalid(f"unexpected key '{key}' in '{field}'")
    if kind not in ("targets", "variables"):
        raise Invalid(f'invalid list type "{kind}"', hint="Use targets or variables.")
    if form not in ("table", "json"):
        raise Invalid(f'invalid list format "{form}"', hint="Use table or json.")
    return kind, form


def _tabbed(rows: list[tuple[str, ...]]) -> str:
    """Columns set off by tabs to stops of eight, as Go's tabwriter does."""
    widths = [max(len(row[at]) for row in rows) // 8 * 8 + 8 for at in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        line = ""
        for cell, width in zip(row, widths, strict=False):
            line += cell + "\t" * ((width - len(cell) + 7) // 8)
        lines.append(line + row[-1] + "\n")
    return "".join(lines)
