"""kobako buildx imagetools: images of a registry, looked at and put together where they are."""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.registry_manifests import Found

COMMAND = Command(
    "imagetools",
    "buildx imagetools inspect [OPTIONS] NAME | create [OPTIONS] -t NAME SOURCE...",
    "Show details of an image in its registry, or make an image of those there",
    (
        Flag("annotation", "", LIST, "create: add annotation to the image"),
        Flag("append", "", BOOL, "create: append to existing manifest"),
        Flag("dry-run", "", BOOL, "create: show final image instead of pushing"),
        Flag("file", "f", LIST, "create: read source descriptor from file"),
        Flag("format", "", TEXT, "inspect: format the output using the given Go template"),
        Flag("prefer-index", "", BOOL, "create: an index also of a single manifest", default=True),
        Flag("progress", "", TEXT, "Set type of progress output", hidden=True),
        Flag("raw", "", BOOL, "inspect: show original, unformatted JSON manifest"),
        Flag("tag", "t", LIST, "create: set reference for new image"),
    ),
    least=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.errors import Invalid

    action, *names = words
    if action == "create":
        from kobako.cli import imagetools_create

        return imagetools_create.create(context, values, names)
    if action != "inspect":
        raise Invalid(
            f"'{action}' is not a kobako buildx imagetools command",
            hint="There are create and inspect.",
        )
    if len(names) != 1:
        raise Invalid("kobako buildx imagetools inspect takes one name")
    return _inspect(context, values, names[0])


def _inspect(context: Context, values: Values, name: str) -> int:
    from kobako.cli import template
    from kobako.engine import registry_manifests

    found = registry_manifests.look_up(context.engine, name)
    form = values.text("format")
    if values.on("raw"):
        context.write(found.document.raw.decode())
    elif form:
        context.out(template.render(template.unescape(form), _fields(context, found, form)))
    else:
        context.write(_text(found))
    return 0


def _text(found: Found) -> str:
    from kobako.oci import Index

    document = found.document
    lines = [
        f"Name:      {found.reference}",
        f"MediaType: {document.media_type}",
        f"Digest:    {document.digest}",
    ]
    if isinstance(document, Index):
        lines += ["", "Manifests: "]
        for number, entry in enumerate(document.manifests):
            lines += [""] * bool(number) + [
                f"  Name:        {found.named(entry.digest)}",
                f"  MediaType:   {entry.media_type}",
            ]
            if entry.platform is not None:
                lines.append(f"  Platform:    {entry.platform}")
            if entry.annotations:
                lines.append("  Annotations: ")
                lines += [f"    {key}: {value}" for key, value in entry.annotations]
    return "\n".join(lines) + "\n"


def _fields(context: Context, found: Found, form: str) -> dict[str, Any]:
    """What a template may ask for; configs are fetched if it asks for them."""
    from kobako.cli.docker_types import Struct
    from kobako.engine import registry_manifests
    from kobako.oci import Index

    document = found.document
    manifest = Struct(
        SchemaVersion=2,
        MediaType=document.media_type,
        Digest=str(document.digest),
        Size=len(document.raw),
    )
    manifest.document = {"schemaVersion": 2, **document.descriptor.to_json()}
    if isinstance(document, Index):
        entries = [entry.to_json() for entry in document.manifests]
        manifest["Manifests"] = list(map(_described, entries))
        manifest.document["manifests"] = entries
    fields: dict[str, Any] = {"Name": str(found.reference), "Manifest": manifest}
    if ".Image" in form:
        images = registry_manifests.configs(context.engine, found)
        fields["Image"] = images if isinstance(document, Index) else next(iter(images.values()))
    return fields


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    """A descriptor by the names of Go."""
    from kobako.cli.docker_types import Struct

    made = Struct()
    made.document = entry
    for key, value in entry.items():
        name = {"os": "OS", "urls": "URLs"}.get(key, key[:1].upper() + key[1:])
        made[name] = _described(value) if key == "platform" else value
    return made
