"""kobako build"""

from __future__ import annotations

import sys

from kobako.cli import build_flags
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.outputs.spec import Output
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.building import Built

COMMAND = Command(
    "build",
    "build [OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    build_flags.FLAGS,
    least=1,
    most=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    if values.given("call") or values.given("check"):
        from kobako.cli import build_call

        call = build_call.wanted(values)
        if call is not None:
            return build_call.answer(context, build_flags.request(context, values, words[0]), call)
    from kobako.cli import build_progress
    from kobako.cli.check_warnings import CheckWarnings
    from kobako.cli.endings import Ending
    from kobako.engine import building
    from kobako.errors import Invalid, KobakoError

    style = values.text("progress") or context.environ.get("BUILDKIT_PROGRESS", "") or "auto"
    if values.on("quiet"):
        style = "quiet"
    if style not in build_flags.STYLES.split():
        raise Invalid(
            f"invalid progress mode {style!r}: one of {', '.join(build_flags.STYLES.split())}"
        )
    request = build_flags.request(context, values, words[0])
    if request.outputs is not None and _writes_to_stdout(request.outputs) and style != "quiet":
        style = "plain"  # which goes to standard error
    classic = style in ("auto", "classic")
    request = request.replace(context_size=classic)
    progress = build_progress.select(style)
    warnings = CheckWarnings(progress.event)
    on_event = warnings.event
    explanation = None
    if request.explain:
        from kobako.cli.build_explanation import Explanation

        explanation = Explanation(on_event)
        on_event = explanation.event
    last = None
    if not classic:  # whose lines stay
        from kobako.cli.last_output import LastOutput

        last = LastOutput(on_event)
        on_event = last.event
    ending = Ending()
    built = place = fault = None
    shell = values.text("on-error") == "shell"
    request = request.replace(keep_failed=shell)
    try:
        with ending:
            if request.stop_at:
                from kobako.cli import build_shell

                place = build_shell.at_stop(context, request, on_event)
            else:
                built = building.build(context.engine, request, on_event, stdout=sys.stdout.buffer)
    except KeyboardInterrupt:
        return ending.code
    except KobakoError as error:
        if not shell:
            raise
        fault = error
    finally:
        progress.close()
        if last is not None:
            last.show()
        if explanation is not None:
            explanation.show()
        if built is None and style != "quiet":
            warnings.show()
    if fault is not None:
        from kobako.cli import build_shell

        return build_shell.after_failure(context, fault)
    if place is not None:
        return build_shell.open_at_stop(context, request, place)
    assert built is not None  # nothing failed, nothing stopped
    _write_files(values, built)
    if built.delivered is not None:
        from kobako.cli import build_outputs

        build_outputs.told(context, built.delivered, quiet=style == "quiet")
    if request.outputs is not None and _writes_to_stdout(request.outputs):
        if style != "quiet":
            warnings.show()
        return 0
    if style == "quiet":
        context.out(built.image_id)
    elif classic:
        if built.image_id:
            context.out(f"Successfully built {built.image_id.partition(':')[2][:12]}")
        for name in built.names:
            context.out(f"Successfully tagged {name}")
    elif built.delivered is None:
        progress.finished(built.image_id, built.names)
    if style != "quiet" and not classic:  # docker's classic lines never had them; --check has
        warnings.show()
    return 0


def _writes_to_stdout(outputs: tuple[Output, ...]) -> bool:
    from kobako.build.outputs.choice import uses_stdout

    return uses_stdout(outputs)


def _write_files(values: Values, built: Built) -> None:
    """--iidfile and --metadata-file."""
    if not values.text("iidfile") and not values.text("metadata-file"):
        return
    from kobako.cli import build_outputs

    if values.text("iidfile"):
        build_outputs.write(values.text("iidfile"), built.image_id.encode())
    if values.text("metadata-file"):
        found = built.delivered.metadata if built.delivered is not None else {}
        build_outputs.write(values.text("metadata-file"), build_outputs.metadata(found))
