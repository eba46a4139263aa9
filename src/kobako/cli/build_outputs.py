"""`build`'s flags that say what is to become of the result, and what is told of it afterwards.
Imported only where one of them is given."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from kobako.build.outputs.spec import Output
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.deliver import Delivered


def chosen(values: Values) -> tuple[Output, ...]:
    """The outputs the flags ask for."""
    from kobako.build.outputs import annotation, choice, spec
    from kobako.errors import Invalid

    outputs = choice.choose(
        [spec.parse(text) for text in values.many("output")],
        push=values.on("push"),
        load=values.on("load"),
        tags=values.many("tag"),
        annotations=[a for text in values.many("annotation") for a in annotation.parse_flag(text)],
    )
    if choice.uses_stdout(outputs) and sys.stdout.isatty():
        raise Invalid(
            "dest file is required for this output: refusing to write to the terminal",
            hint="Redirect the output, or give dest=FILE.",
        )
    if "buildx.local.delete" in values.many("allow"):
        return outputs
    for output in outputs:
        if isinstance(output, spec.TreeOutput) and output.delete and not _is_below(output.dest):
            raise Invalid(
                f"--output type=local: mode=delete would remove what else is in {output.dest}",
                hint="Below the current directory it is done; else add --allow buildx.local.delete",
            )
    return outputs


def _is_below(dest: str) -> bool:
    """Whether a directory lies below the current one, links resolved."""
    here, there = os.path.realpath("."), os.path.realpath(dest)
    return there != here and there.startswith(here.rstrip("/") + "/")


def check_files(values: Values) -> None:
    """The files that are to say what came of it can be written: told before a build begins."""
    from kobako.engine.build.destinations import check_file

    for flag in ("iidfile", "metadata-file"):
        if values.given(flag) and values.text(flag):
            check_file(values.text(flag), f"--{flag}")


def write(path: str, data: bytes) -> None:
    """A result file (`--iidfile`, `--metadata-file`): whole or not at all."""
    from kobako.engine.build.export_files import write_to

    def fill(sink: BinaryIO) -> None:
        sink.write(data)

    write_to(path, None, fill)


def metadata_provenance(context: Context) -> str:
    """How much provenance --metadata-file is to have, as buildx lets the environment say."""
    said = context.environ.get("BUILDX_METADATA_PROVENANCE", "") or "min"
    return said if said in ("min", "max") else ""


def metadata(delivered: dict[str, Any]) -> bytes:
    """The content of `--metadata-file`, as buildx writes it."""
    import json
    from random import SystemRandom

    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    name = "".join(SystemRandom().choice(letters) for _ in range(25))
    whole = {**delivered, "buildx.build.ref": f"kobako/kobako/{name}"}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False).encode()


def told(context: Context, done: Delivered, *, quiet: bool) -> None:
    """The closing lines of a build with outputs, on standard error: out may be a tar."""
    if quiet:
        return
    lines = [f"Pushed {name}" for name in done.pushed]
    lines += [f"Exported to {place}" for place in done.places]
    for line in lines:
        context.err(line)
