"""`build --call=METHOD` and `--check`: what is printed instead of building."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.building import BuildRequest

METHODS = "build check outline targets"


class Call(Record):
    """`METHOD[,format=text|json][,ignorestatus=BOOL]`."""

    method: str
    format: str = "text"
    ignore_status: bool = False


def wanted(values: Values) -> Call | None:
    """What is asked for; None for a build."""
    text = values.text("call")
    if values.on("check"):
        text = ",".join(["check", *text.split(",")[1:]]) if text else "check"
    return parse("--call", text) if text else None


def parse(where: str, text: str) -> Call | None:
    """A call as written after `--call`, or in the place `where`; None for `build`."""
    call = Call("")
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals and not call.method:
            call = call.replace(method="check" if field == "lint" else field)
        elif key == "format" and value in ("text", "json"):
            call = call.replace(format=value)
        elif key == "ignorestatus" and value.lower() in ("true", "1", "false", "0"):
            call = call.replace(ignore_status=value.lower() in ("true", "1"))
        else:
            raise Invalid(f"{where} {text}: {field!r} is neither a method nor format=text|json")
    if call.method not in METHODS.split():
        raise Invalid(f"{where} {text}: no such method; there are {', '.join(METHODS.split())}")
    return None if call.method == "build" else call


def answer(context: Context, request: BuildRequest, call: Call) -> int:
    """Print what is asked for; the exit code. A context that was fetched for it is discarded."""
    try:
        return _answer(context, request, call)
    finally:
        if request.fetched is not None:
            request.fetched.discard()


def _answer(context: Context, request: BuildRequest, call: Call) -> int:
    from kobako.engine.build import checks as build_checks

    if call.method == "targets":
        targets = build_checks.targets(request)
        context.write(targets.text() if call.format == "text" else _json(targets.document()))
        return 0
    if call.method == "outline":
        outline = build_checks.outline(context.engine, request)
        context.write(outline.text() if call.format == "text" else _json(outline.document()))
        return 0
    checked = build_checks.check(context.engine, request)
    if call.format == "json":
        context.write(_json(checked.document()))
    else:
        context.write(checked.text())
        if checked.fault is not None:
            raise checked.fault
    return 0 if checked.clean or call.ignore_status else 1


def _json(document: object) -> str:
    import json

    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
