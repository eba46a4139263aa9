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
    from kobako.engine.build.building import Built

COMMAND = Command(
    "build",
    "build [OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    build_flags.FLAGS,
    least=1,
    most=1,
)


_QUIET = ("quiet", "none", "rawjson")
"""What is shown in these styles is not followed by words for a person."""


def main(context: Context, values: Values, words: list[str]) -> int:
    if values.given("call") or values.given("check"):
        from kobako.cli import build_call

        call = build_call.wanted(values)
        if call is not None:
            return build_call.answer(context, build_flags.request(context, values, words[0]), call)
    from kobako.cli.check_warnings import CheckWarnings
    from kobako.cli.endings import Ending
    from kobako.cli.progress import style as styles
    from kobako.engine.build import building
    from kobako.errors import KobakoError

    request = build_flags.request(context, values, words[0])
    said = "quiet" if values.on("quiet") else values.text("progress")
    texts = (request.dockerfile,) * max(1, len(request.platforms))
    style = styles.choose(said, context.environ, texts)
    if style == "classic" and request.outputs is not None and _writes_to_stdout(request.outputs):
        style = "plain"  # which goes to standard error
    classic = style == "classic"
    request = request.replace(context_size=classic)
    progress = styles.make(style, context.environ)
    warnings = CheckWarnings(progress)
    on_event = warnings.event
    explanation = None
    if request.explain:
        from kobako.cli.build_explanation import Explanation

        explanation = Explanation(on_event)
        on_event = explanation.event
    last = None
    if style == "quiet":  # the others leave it on the screen themselves
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
            if built is not None and built.delivered is None and built.image_id:
                progress.finished(built.image_id, built.names)
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
        if built is None and style not in _QUIET:
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

        build_outputs.told(context, built.delivered, quiet=style in _QUIET)
    if request.outputs is not None and _writes_to_stdout(request.outputs):
        if style not in _QUIET:
            warnings.show()
        return 0
    if style == "quiet":
        context.out(built.image_id)
    elif classic:
        if built.image_id:
            context.out(f"Successfully built {built.image_id.partition(':')[2][:12]}")
        for name in built.names:
            context.out(f"Successfully tagged {name}")
    if style not in _QUIET and not classic:  # docker's classic lines never had them; --check has
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
