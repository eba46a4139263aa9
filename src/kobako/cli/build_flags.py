"""The flags of `build` and what they ask for: also for other verbs that build."""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Flag
from kobako.cli.progress.style import STYLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.attest.options import Attestations
    from kobako.build.outputs.spec import Output
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.building import BuildRequest

FLAGS = (
    Flag("add-host", "", LIST, "Add a custom host-to-IP mapping (host:ip)"),
    Flag("allow", "", LIST, "Allow privileged entitlements (network.host, security.insecure)"),
    Flag("annotation", "", LIST, "Add annotation to the image"),
    Flag("attest", "", LIST, 'Attestation parameters (format: "type=sbom")'),
    Flag("build-arg", "", LIST, "Set build-time variables"),
    Flag("build-context", "", LIST, "Additional build contexts (e.g., name=path)"),
    Flag(
        "cache-from",
        "",
        LIST,
        'External cache sources (e.g., "user/app:cache", "type=local,src=dir")',
    ),
    Flag(
        "cache-to", "", LIST, 'Cache export destinations (e.g., "type=registry,ref=user/app:cache")'
    ),
    Flag("call", "", TEXT, "Set method for evaluating build (check, outline, targets)", "string"),
    Flag("cgroup-parent", "", TEXT, "Set the parent cgroup for RUN instructions"),
    Flag("check", "", BOOL, "Shorthand for --call=check"),
    Flag("compress", "", BOOL, "Compress the build context", hidden=True),
    Flag("explain", "", BOOL, "Say for each step that runs why it was not in the cache"),
    Flag("file", "f", TEXT, "Name of the Dockerfile (default: PATH/Dockerfile)"),
    Flag("force-rm", "", BOOL, "Always remove intermediate containers", hidden=True),
    Flag("iidfile", "", TEXT, "Write the image ID to a file"),
    Flag("label", "", LIST, "Set metadata for an image"),
    Flag("load", "", BOOL, 'Shorthand for "--output=type=docker"'),
    Flag("metadata-file", "", TEXT, "Write build result metadata to a file"),
    Flag("network", "", TEXT, "Network of RUN instructions", default="default"),
    Flag("no-cache", "", BOOL, "Do not use cache when building the image"),
    Flag("no-cache-filter", "", LIST, "Do not cache specified stages (STAGE[,STAGE...])"),
    Flag("on-error", "", TEXT, "On a failed step: open a shell there (shell)", choices="shell"),
    Flag("output", "o", LIST, 'Output destination (format: "type=local,dest=path")'),
    Flag("platform", "", LIST, "Set target platform for build"),
    Flag("progress", "", TEXT, f"Type of progress output ({STYLES})", choices=STYLES),
    Flag("provenance", "", TEXT, 'Shorthand for "--attest=type=provenance"'),
    Flag("pull", "", BOOL, "Always attempt to pull all referenced images"),
    Flag("push", "", BOOL, 'Shorthand for "--output=type=registry"'),
    Flag("quiet", "q", BOOL, "Suppress the build output and print image ID on success"),
    Flag("rm", "", BOOL, "Remove intermediate containers", default=True, hidden=True),
    Flag("sbom", "", TEXT, 'Shorthand for "--attest=type=sbom"'),
    Flag("secret", "", LIST, 'Secret to expose to the build ("id=mysecret[,src=/file]")'),
    Flag("shm-size", "", TEXT, "Shared memory size for build containers", "bytes"),
    Flag("ssh", "", LIST, 'SSH agent socket or keys to expose ("default|<id>[=<socket>|<key>]")'),
    Flag("stop-at", "", TEXT, "Build up to a line or stage, then open a shell", "LINE|STAGE"),
    Flag("tag", "t", LIST, 'Name and optionally a tag (format: "name:tag")'),
    Flag("target", "", TEXT, "Set the target build stage to build"),
    Flag("ulimit", "", LIST, "Ulimit options", "ulimit"),
)


def request(context: Context, values: Values, path: str) -> BuildRequest:
    """What the flags ask for, files and environment read; `path` is the context."""
    from kobako.cli import build_context, build_sources
    from kobako.cli.flags import pairs, size_flag
    from kobako.engine.build.building import BuildRequest

    if values.text("cgroup-parent"):
        context.err("WARNING: --cgroup-parent is not enforced yet. Limitation discarded.")
    secrets = build_sources.secrets(values.many("secret"), context.environ)
    ssh = build_sources.ssh(values.many("ssh"), context.environ)
    given = build_context.read(context, path, values.text("file"), secrets, ssh)
    arguments = []
    for word in values.many("build-arg"):
        key, equals, value = word.partition("=")
        if equals:
            arguments.append((key, value))
        elif key in context.environ:
            arguments.append((key, context.environ[key]))
    epoch = context.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and "SOURCE_DATE_EPOCH" not in dict(arguments):
        arguments.append(("SOURCE_DATE_EPOCH", epoch))
    return BuildRequest(
        directory=given.directory,
        dockerfile=given.text,
        dockerfile_name=given.name,
        dockerfile_path=given.path,
        fetched=given.fetched,
        contexts=build_sources.contexts(values.many("build-context")),
        tags=tuple(values.many("tag")),
        build_args=tuple(arguments),
        labels=tuple(pairs(values.many("label"))),
        target=values.text("target"),
        no_cache=values.on("no-cache"),
        no_cache_filter=tuple(
            name for word in values.many("no-cache-filter") for name in word.split(",") if name
        ),
        pull=values.on("pull"),
        explain=values.on("explain"),
        stop_at=values.text("stop-at"),
        platforms=_platforms(values),
        network=values.text("network"),
        extra_hosts=tuple(values.many("add-host")),
        shm_size=size_flag(values, "shm-size", 64 << 20),
        ulimits=tuple(values.many("ulimit")),
        secrets=secrets,
        ssh=ssh,
        allow=build_sources.entitlements(values.many("allow")),
        outputs=_outputs(values),
        attest=_attest(values),
        metadata_provenance=_metadata_provenance(context, values),
        **_caches(values, arguments),
    )


def _attest(values: Values) -> Attestations | None:
    texts, short = values.many("attest"), (values.text("provenance"), values.text("sbom"))
    if not texts and not any(short):
        return None
    from kobako.build.attest.options import parse

    return parse(texts, *short) or None


def _metadata_provenance(context: Context, values: Values) -> str:
    if not values.text("metadata-file"):
        return ""
    from kobako.cli.build_outputs import metadata_provenance

    return metadata_provenance(context)


def _caches(values: Values, arguments: list[tuple[str, str]]) -> dict[str, Any]:
    """Caches to read and to write; the build argument BUILDKIT_INLINE_CACHE asks for one too."""
    inline = dict(arguments).get("BUILDKIT_INLINE_CACHE", "").lower() in ("1", "true")
    if not inline and not values.many("cache-from") and not values.many("cache-to"):
        return {}
    from kobako.build import cache_spec

    to = [*values.many("cache-to"), *(["type=inline"] if inline else [])]
    return {
        "cache_from": cache_spec.parse_from(values.many("cache-from")),
        "cache_to": cache_spec.parse_to(to),
    }


def _platforms(values: Values) -> tuple[str, ...]:
    """`--platform a,b` and several of them; "local" is this machine's."""
    from kobako.oci.platform import Platform

    words = [w.strip() for text in values.many("platform") for w in text.split(",") if w.strip()]
    return tuple(str(Platform.host()) if word == "local" else word for word in words)


def _outputs(values: Values) -> tuple[Output, ...] | None:
    """What is to become of the result; None: an image of the store, as without these flags."""
    if not any((values.many("output"), values.many("annotation"))) and not any(
        (values.on("push"), values.on("load"), values.text("metadata-file"))
    ):
        return None
    from kobako.cli import build_outputs

    return build_outputs.chosen(values)
