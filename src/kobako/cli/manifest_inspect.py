"""kobako manifest inspect"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.registry_manifests import Found
    from kobako.oci import Descriptor

COMMAND = Command(
    "inspect",
    "manifest inspect [OPTIONS] MANIFEST",
    "Display a manifest or an index of a registry",
    (
        Flag("insecure", "", BOOL, "Allow communication with an insecure registry"),
        Flag("verbose", "v", BOOL, "Output additional info including layers and platform"),
    ),
    least=1,
    most=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import json

    from kobako.engine import registry_manifests
    from kobako.oci import Index

    insecure = values.on("insecure")
    found = registry_manifests.look_up(context.engine, words[0], insecure=insecure)
    if values.on("verbose"):
        shown: Any
        if isinstance(found.document, Index):
            parts = registry_manifests.children(context.engine, found, insecure=insecure)
            entries = {entry.digest: entry for entry in found.document.manifests}
            shown = [_verbose(part, entries[part.document.digest]) for part in parts]
        else:
            platform = registry_manifests.platform(context.engine, found, insecure=insecure)
            shown = _verbose(found, found.document.descriptor.replace(platform=platform))
        context.out(json.dumps(shown, indent="\t", ensure_ascii=False))
        return 0
    indent = 3 if isinstance(found.document, Index) else "\t"
    context.out(json.dumps(json.loads(found.document.raw), indent=indent, ensure_ascii=False))
    return 0


def _verbose(found: Found, descriptor: Descriptor) -> dict[str, Any]:
    import json

    from kobako.oci import mediatypes

    docker = mediatypes.is_docker(found.document.media_type)
    return {
        "Ref": str(found.reference),
        "Descriptor": descriptor.to_json(),
        "SchemaV2Manifest" if docker else "OCIManifest": json.loads(found.document.raw),
    }
