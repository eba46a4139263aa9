"""kobako bake"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.read import Defined, Surroundings
    from kobako.bake.selection import Selection
    from kobako.cli.build_call import Call
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.building import BuildRequest

_STYLES = "auto none plain quiet rawjson tty"

COMMAND = Command(
    "bake",
    "bake [OPTIONS] [TARGET...]",
    "Build from a file",
    (
        Flag("allow", "", LIST, "Allow build to access specified resources"),
        Flag("call", "", TEXT, 'Set method for evaluating build ("check", "outline", "targets")'),
        Flag("check", "", BOOL, 'Shorthand for "--call=check"'),
        Flag("explain", "", BOOL, "Say for each step that runs why it was not in the cache"),
        Flag("file", "f", LIST, "Build definition file"),
        Flag("list", "", TEXT, "List targets or variables"),
        Flag("load", "", BOOL, 'Shorthand for "--set=*.output=type=docker". Conditional.'),
        Flag("metadata-file", "", TEXT, "Write build result metadata to a file"),
        Flag("no-cache", "", BOOL, "Do not use cache when building the image"),
        Flag("print", "", BOOL, "Print the options without building"),
        Flag("progress", "", TEXT, f"Type of progress output ({_STYLES})", choices=_STYLES),
        Flag("provenance", "", TEXT, 'Shorthand for "--set=*.attest=type=provenance"'),
        Flag("pull", "", BOOL, "Always attempt to pull all referenced images"),
        Flag("push", "", BOOL, 'Shorthand for "--set=*.output=type=registry". Conditional.'),
        Flag("sbom", "", TEXT, 'Shorthand for "--set=*.attest=type=sbom"'),
        Flag("set", "", LIST, 'Override target value (e.g., "targetpattern.key=value")'),
        Flag("var", "", LIST, 'Set a variable value (e.g., "name=value")'),
    ),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.bake import document, inputs
    from kobako.cli import bake_files, build_call
    from kobako.errors import Invalid

    if values.on("print") and values.text("list"):
        raise Invalid("--print and --list are mutually exclusive")
    call = build_call.wanted(values)
    base = ""
    if words and inputs.remote(words[0]):
        from kobako.bake import read as room
        from kobako.cli import bake_remote

        url, there, words = bake_remote.split(words)
        around = bake_files.surroundings(context, values.many("var"), there)
        fetched = bake_remote.fetch(context, url, values.many("file"))
        defined, base = room.read(list(fetched.files), around), fetched.base
    else:
        around = bake_files.surroundings(context, values.many("var"))
        defined = bake_files.read(context, values.many("file"), around)
    for warning in defined.config.warnings:
        context.err(f"WARNING: {warning}")
    if values.text("list"):
        return bake_files.listing(context, values.text("list"), defined)
    chosen = select(context, values, words, defined, around, base)
    if values.on("print"):
        context.out(document.printed(chosen))
        return 0
    return _carry_out(context, values, chosen, call)


def _carry_out(context: Context, values: Values, chosen: Selection, call: Call | None) -> int:
    """Build the targets, or answer what they are asked instead."""
    from kobako.cli import bake_allow, bake_call, bake_requests

    bake_allow.check(context, values.many("allow"), _free(values), chosen)
    metadata = bool(values.text("metadata-file"))
    if metadata:
        from kobako.cli import build_outputs

        build_outputs.check_files(values)
    building: list[BuildRequest] = []
    asked: dict[str, tuple[BuildRequest, Call]] = {}
    requests = bake_requests.requests(
        context, chosen.targets, metadata=metadata, explain=values.on("explain")
    )
    for target in chosen.targets:
        request = requests[target.name]
        own = bake_call.of(target, call)
        if own is None:
            building.append(request)
        else:
            asked[target.name] = (request, own)
    code = 0
    if building:
        from kobako.cli import bake_build

        code = bake_build.build(context, values, tuple(building))
    if asked and not code:
        whole = call is not None and call.format == "json"
        code = bake_call.answer(context, chosen, asked, whole)
    return code


def _free(values: Values) -> list[str]:
    """The paths `--set` names: who gives them on the command line has allowed them."""
    from kobako.bake.entries import csv_fields

    found = []
    for word in values.many("set"):
        key, _, value = word.partition("=")
        if key.rstrip("+").rpartition(".")[2] not in (
            "output",
            "cache-from",
            "cache-to",
            "secrets",
            "ssh",
        ):
            found += [value] if ".secret." in key and value.startswith("src=") else []
            continue
        for field in csv_fields(value):
            name, equals, path = field.partition("=")
            found += [path] if equals and name in ("dest", "src", "source") else []
            found += [field] if not equals else []
    return found


def select(
    context: Context,
    values: Values,
    words: list[str],
    defined: Defined,
    around: Surroundings,
    base: str = "",
) -> Selection:
    """The targets the words name, as the flags change them."""
    from kobako.bake import overrides, selection

    said = overrides.parse(_overrides(values), around.lookup)
    epoch = context.environ.get("SOURCE_DATE_EPOCH", "")
    return selection.select(defined.config, words, said, epoch, base)


def _overrides(values: Values) -> list[str]:
    """`--set`, and the flags that are short for one."""
    from kobako.bake.entries import canonical_attestation

    found = values.many("set")
    found += [f"*.{name}=true" for name in ("push", "load") if values.on(name)]
    call = _call(values)
    if call:
        found.append(f"*.call={call}")
    for name in ("no-cache", "pull"):
        if values.given(name):
            found.append(f"*.{name}={'true' if values.on(name) else 'false'}")
    for kind in ("sbom", "provenance"):
        if values.text(kind):
            found.append(f"*.attest={canonical_attestation(kind, values.text(kind))}")
    return found


def _call(values: Values) -> str:
    """The method `--call` and `--check` ask for: lint, outline or targets; "" to build."""
    said = "check" if values.on("check") else values.text("call")
    name = said.partition(",")[0]
    return {"check": "lint", "build": ""}.get(name, name)
