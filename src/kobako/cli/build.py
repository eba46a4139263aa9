"""kobako build"""

from __future__ import annotations

from kobako.cli import build_flags
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "build",
    "build [OPTIONS] PATH | -",
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
    from kobako.errors import Invalid

    style = values.text("progress") or context.environ.get("BUILDKIT_PROGRESS", "") or "auto"
    if values.on("quiet"):
        style = "quiet"
    if style not in build_flags.STYLES.split():
        raise Invalid(
            f"invalid progress mode {style!r}: one of {', '.join(build_flags.STYLES.split())}"
        )
    classic = style in ("auto", "classic")
    request = build_flags.request(context, values, words[0]).replace(context_size=classic)
    progress = build_progress.select(style)
    warnings = CheckWarnings(progress.event)
    ending = Ending()
    built = None
    try:
        with ending:
            built = building.build(context.engine, request, warnings.event)
    except KeyboardInterrupt:
        return ending.code
    finally:
        progress.close()
        if built is None and style != "quiet":
            warnings.show()
    if values.text("iidfile"):
        with open(values.text("iidfile"), "w") as file:
            file.write(built.image_id)
    if style == "quiet":
        context.out(built.image_id)
    elif classic:
        context.out(f"Successfully built {built.image_id.partition(':')[2][:12]}")
        for name in built.names:
            context.out(f"Successfully tagged {name}")
    else:
        progress.finished(built.image_id, built.names)
    if style != "quiet":
        warnings.show()
    return 0
