"""kobako cp"""

from __future__ import annotations

from kobako.cli.flags import Command, Flag
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "cp",
    "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n"
    "\tkobako cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    (
        Flag("archive", "a", help="Archive mode (copy all uid/gid information)"),
        Flag("follow-link", "L", help="Always follow symbol link in SRC_PATH"),
        Flag(
            "quiet",
            "q",
            help="Suppress progress output during copy. Progress output is automatically "
            "suppressed if no terminal is attached",
        ),
    ),
    least=2,
    most=2,
    completes="container:",
    details="""\
Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.""",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import os
    import sys

    from kobako.engine import copy_paths, copying

    for what, word in zip(("source", "destination"), words, strict=True):
        if not word:
            raise Invalid(f"{what} can not be empty")
    (of, source), (to, target) = map(copy_paths.split_argument, words)
    follow = values.on("follow-link")
    if of and to:
        raise Invalid("copying between containers is not supported")
    if not (of or to):
        raise Invalid("must specify at least one container source")
    if of and target == "-":
        copying.copy_out_stream(context.engine, of, source, 1, follow=follow)
        return 0
    if to and source == "-":
        copying.copy_in_stream(context.engine, 0, to, target)
        return 0
    if of:
        shown = copy_paths.absolute(target, os.getcwd())
        size = copying.copy_out(context.engine, of, source, shown, follow=follow)
    else:
        local = copy_paths.absolute(source, os.getcwd())
        archive = values.on("archive")
        size = copying.copy_in(context.engine, local, to, target, follow=follow, archive=archive)
        shown = f"{to}:{target}"
    if not (values.on("quiet") if values.given("quiet") else not sys.stdout.isatty()):
        from kobako.cli import units

        context.err(f"Successfully copied {units.size(size, 3)} to {shown}")
    return 0
