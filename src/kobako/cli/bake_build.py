"""The targets of a bake, built as one graph."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.building import BuildRequest, Built


def build(context: Context, values: Values, requests: tuple[BuildRequest, ...]) -> int:
    """Build all of them and say what came of it; the exit code."""
    from kobako.cli.build_display import Display
    from kobako.cli.endings import Ending
    from kobako.cli.progress import style as styles
    from kobako.engine.build import building

    texts = tuple(request.dockerfile for request in requests)
    display = Display(
        styles.choose(values.text("progress"), context.environ, ("", *texts)),
        context.environ,
        explain=values.on("explain"),
    )
    ending = Ending()
    try:
        with display, ending:
            built = building.build_all(
                context.engine, requests, display.on_event, stdout=sys.stdout.buffer
            )
    except KeyboardInterrupt:
        return ending.code
    if values.text("metadata-file"):
        _metadata(values.text("metadata-file"), requests, built)
    if not display.quiet:
        for request, one in zip(requests, built, strict=True):
            _told(context, request, one)
        display.warn()
    return 0


def _told(context: Context, request: BuildRequest, built: Built) -> None:
    """The closing lines of one target, on standard error."""
    from kobako.cli import build_outputs

    if built.delivered is not None:
        build_outputs.told(context, built.delivered, quiet=False)
    elif built.image_id:
        names = ", ".join(built.names) or built.image_id.partition(":")[2][:12]
        context.err(f"{request.name}: {names}")


def _metadata(path: str, requests: tuple[BuildRequest, ...], built: tuple[Built, ...]) -> None:
    """`--metadata-file`: what each target gave, by its name."""
    import json

    from kobako.cli import build_outputs

    found = {
        request.name: json.loads(build_outputs.metadata(one.delivered.metadata))
        for request, one in zip(requests, built, strict=True)
        if one.delivered is not None
    }
    text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
    build_outputs.write(path, text.encode())
