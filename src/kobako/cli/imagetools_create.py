"""kobako buildx imagetools create"""

from __future__ import annotations

from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.oci import Reference


def create(context: Context, values: Values, sources: list[str]) -> int:
    """Put an index of the sources under the names of --tag, or print it with --dry-run."""
    import json

    from kobako.engine import registry_manifests
    from kobako.oci import Reference

    targets = [Reference.parse(word).with_default_tag() for word in values.many("tag")]
    dry = values.on("dry-run")
    if not targets and not dry:
        raise Invalid("can't push without tags", hint="Give --tag, or --dry-run to see it.")
    words = [*sources, *map(_described, values.many("file"))]
    found = [_source(word, targets) for word in words]
    if values.on("append"):
        if not targets:
            raise Invalid("--append needs a --tag to append to")
        found = [*_existing(context, targets[0]), *found]
    if not found:
        raise Invalid("no sources specified")
    annotations = [_annotation(word) for word in values.many("annotation")]
    with registry_manifests.composition(context.engine, found) as composition:
        document = composition.document(annotations, prefer_index=values.on("prefer-index"))
        if dry:
            context.out(json.dumps(json.loads(document.raw), indent=2, ensure_ascii=False))
            return 0
        for number, target in enumerate(targets, 1):
            context.err(f"#{number} [internal] pushing {target}")
            composition.put(document, target)
            context.err(f"#{number} DONE")
    return 0


def _source(word: str, targets: list[Reference]) -> Reference:
    """A name; a digest, or a descriptor with one, is of the repository of the first tag."""
    from kobako.oci import Digest, Reference

    if word.startswith("{"):
        word = _digest_in(word)
    try:
        digest = Digest.parse(word)
    except Invalid:
        return Reference.parse(word)
    if not targets:
        raise Invalid(f"{word}: whose digest? Give --tag, or name@{word}")
    return targets[0].replace(tag=None, digest=digest)


def _digest_in(text: str) -> str:
    import json

    try:
        return str(json.loads(text)["digest"])
    except (ValueError, KeyError, TypeError):
        raise Invalid(f"{text[:100]}: no descriptor with a digest") from None


def _described(path: str) -> str:
    """The digest of the descriptor in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            return _digest_in(file.read())
    except (OSError, UnicodeDecodeError) as fault:
        raise Invalid(f"--file {path}: {getattr(fault, 'strerror', None) or fault}") from None


def _existing(context: Context, target: Reference) -> list[Reference]:
    from kobako.engine import registry_manifests

    try:
        registry_manifests.look_up(context.engine, str(target))
    except NotFound:
        return []
    return [target]


def _annotation(word: str) -> tuple[str, str]:
    """`[index:]key=value`: what stands for other places is refused by name."""
    key, equals, value = word.partition("=")
    place, colon, name = key.partition(":")
    if colon and place == "index":
        key = name
    elif colon and place.partition("[")[0] in (
        "manifest", "index-descriptor", "manifest-descriptor",
    ):  # fmt: skip
        raise Invalid(f"--annotation {word}: only annotations of the index can be made")
    if not equals or not key:
        raise Invalid(f"--annotation {word}: key=value is expected")
    return key, value
