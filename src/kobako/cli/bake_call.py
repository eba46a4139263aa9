"""`bake --call` and a target's `call`: what is printed instead of building."""

from __future__ import annotations

from kobako.cli.build_call import Call, parse
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.bake.selection import Selection
    from kobako.bake.targets import Target
    from kobako.cli.context import Context
    from kobako.engine.build.building import BuildRequest


def of(target: Target, said: Call | None) -> Call | None:
    """The call of a target: its own method, with the command line's format."""
    own = parse(f"call of target {target.name}", target.call) if target.call else None
    if own is None or said is None:
        return own
    return own.replace(format=said.format, ignore_status=said.ignore_status)


def answer(
    context: Context,
    selection: Selection,
    requests: dict[str, tuple[BuildRequest, Call]],
    whole: bool,
) -> int:
    """Print what each of the targets is asked for; the exit code. `whole`: one JSON document."""
    from kobako.bake import document

    code = 0
    found: dict[str, Any] = {}
    for at, (name, (request, call)) in enumerate(sorted(requests.items())):
        target = next(t for t in selection.targets if t.name == name)
        if whole:
            made, status = _document(context, request, call)
            found[name] = {"build": document.target_document(target), call.method: made}
            code = code or status
            continue
        about = f"{target.description}\n" if target.description else ""
        context.write(("\n" if at else "") + f"{name}\n{about}\n")
        try:
            text, status = _text(context, request, call)
            context.write(text)
        except KobakoError as fault:
            context.write(f"error: {fault}\n")
            status = 1
        code = code or status
    if whole:
        context.out(
            document.indented({"group": document.groups(selection.groups), "target": found})
        )
    return code


def _answered(context: Context, request: BuildRequest, call: Call) -> tuple[Any, int]:
    from kobako.engine.build import checks as build_checks

    if call.method == "targets":
        return build_checks.targets(request), 0
    if call.method == "outline":
        return build_checks.outline(context.engine, request), 0
    checked = build_checks.check(context.engine, request)
    return checked, 0 if checked.clean or call.ignore_status else 1


def _text(context: Context, request: BuildRequest, call: Call) -> tuple[str, int]:
    found, code = _answered(context, request, call)
    fault = getattr(found, "fault", None)
    return found.text() + (f"error: {fault}\n" if fault is not None else ""), code


def _document(context: Context, request: BuildRequest, call: Call) -> tuple[Any, int]:
    try:
        found, code = _answered(context, request, call)
    except KobakoError as fault:
        return {"error": str(fault)}, 1
    return found.document(), code
