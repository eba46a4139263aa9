"""kobako inspect"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "inspect",
    "inspect [OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on kobako objects",
    (
        Flag("format", "f", TEXT, "Format output using a Go template or 'json'"),
        Flag("size", "s", BOOL, "Display total file sizes if the type is container"),
        Flag("type", "", TEXT, "Only inspect objects of the given type", choices="container image"),
    ),
    least=1,
    completes="object",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.errors import Invalid, Unsupported

    kind = values.text("type")
    if kind in ("network", "volume", "node", "service", "secret", "config", "task", "plugin"):
        raise Unsupported(f"--type {kind}: there is nothing of that kind to inspect")
    if kind not in ("", "container", "image"):
        raise Invalid(f'"{kind}" is not a valid value for --type', hint="container or image")
    return show(context, values, words, kind)


def show(context: Context, values: Values, words: list[str], kind: str) -> int:
    """Print the documents of the objects named, of one `kind` unless that is ""."""
    from kobako.engine import inspection

    size = values.on("size")
    return print_documents(
        context, values, words, lambda n: inspection.inspect(context.engine, n, kind, size=size)
    )


def print_documents(
    context: Context, values: Values, words: list[str], find: Callable[[str], dict[str, Any]]
) -> int:
    """Print what is found of each name, as --format says; go on where there is nothing."""
    import json

    from kobako.cli import docker_types, template
    from kobako.cli.context import error_text
    from kobako.errors import KobakoError

    found, failed = [], False
    for name in words:
        try:
            found.append(find(name))
        except KobakoError as fault:
            context.err(error_text(fault))
            failed = True
    form = values.text("format")
    if form and form != "json":
        run = template.compile_template(template.unescape(form))
        for document in found:
            context.out(run(docker_types.typed(document)))
    elif form == "json":
        context.out(template.to_json(found))
    else:
        context.out(json.dumps(found, indent=4, ensure_ascii=False))
    return 1 if failed else 0
