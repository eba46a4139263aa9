"""kobako build"""

from __future__ import annotations

import sys

from kobako.cli import build_flags
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.build_display import Display
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.building import BuildRequest, Built

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
    from kobako.cli.build_display import Display
    from kobako.cli.endings import Ending
    from kobako.errors import KobakoError

    if values.text("iidfile") or values.text("metadata-file"):
        from kobako.cli import build_outputs

        build_outputs.check_files(values)
    request = build_flags.request(context, values, words[0])
    style = _style(context, values, request)
    request = request.replace(
        context_size=style == "classic", keep_failed=values.text("on-error") == "shell"
    )
    display = Display(style, context.environ, explain=request.explain)
    ending = Ending()
    try:
        with display, ending:
            if request.stop_at:
                from kobako.cli import build_shell

                place = build_shell.at_stop(context, request, display.on_event)
            else:
                built = _build(context, request, display)
    except KeyboardInterrupt:
        return ending.code
    except KobakoError as fault:
        if not request.keep_failed:
            raise
        from kobako.cli import build_shell

        return build_shell.after_failure(context, fault)
    if request.stop_at:
        display.warn()
        return build_shell.open_at_stop(context, request, place)
    _write_files(values, built)
    _tell(context, request, built, display)
    return 0


def _style(context: Context, values: Values, request: BuildRequest) -> str:
    from kobako.cli.progress import style as styles

    said = "quiet" if values.on("quiet") else values.text("progress")
    texts = (request.dockerfile,) * max(1, len(request.platforms))
    style = styles.choose(said, context.environ, texts)
    if style == "classic" and _writes_to_stdout(request):
        return "plain"  # which goes to standard error
    return style


def _build(context: Context, request: BuildRequest, display: Display) -> Built:
    from kobako.engine.build import building

    # Of its own: an interrupted thread may hold it for ever, and `sys.stdout` is flushed at exit.
    stdout = open(sys.stdout.fileno(), "wb", closefd=False) if _writes_to_stdout(request) else None
    built = building.build(context.engine, request, display.on_event, stdout=stdout)
    if built.delivered is None and built.image_id:
        display.finished(built.image_id, built.names)
    return built


def _tell(context: Context, request: BuildRequest, built: Built, display: Display) -> None:
    """What came of it. Standard output has the image's id or nothing, or what was asked for."""
    if built.delivered is not None:
        from kobako.cli import build_outputs

        build_outputs.told(context, built.delivered, quiet=display.quiet)
    if display.style == "classic":  # docker's classic lines never had warnings; --check has
        if built.image_id:
            context.out(f"Successfully built {built.image_id.partition(':')[2][:12]}")
        for name in built.names:
            context.out(f"Successfully tagged {name}")
        return
    if display.style == "quiet" and not _writes_to_stdout(request):
        context.out(built.image_id)
    display.warn()


def _writes_to_stdout(request: BuildRequest) -> bool:
    if request.outputs is None:
        return False
    from kobako.build.outputs.choice import uses_stdout

    return uses_stdout(request.outputs)


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
