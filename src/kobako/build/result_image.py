"""Steps and their results → image configs and a manifest."""

from __future__ import annotations

from kobako.build.gotext import timestamp
from kobako.oci import Descriptor, History, ImageConfig, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.plan import Step
    from kobako.oci import Platform

_COMMENT = "buildkit.dockerfile.v0"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


class Images:
    """The image as it is after each step. `results` grows while the build goes on."""

    def __init__(self) -> None:
        self.results: dict[Vertex[Result], Result] = {}
        self._histories: dict[Step, tuple[History, ...]] = {}
        self._configs: dict[Step, ImageConfig] = {}

    def config(self, step: Step) -> ImageConfig:
        """The config of the image after a step whose vertex has a result."""
        found = self._configs.get(step)
        if found is None:
            found = self._configs[step] = self._config(step)
        return found

    def id_after(self, step: Step) -> str:
        """What stands for the image after a step that nobody needs: as good a name as the digest
        of its config, told by the same things. The configs of all steps are n squared long."""
        lineage = self.results[step.vertex].lineage  # of a base: its id
        return lineage if lineage.startswith("sha256:") else f"sha256:{lineage}"

    def final(self, step: Step, labels: tuple[tuple[str, str], ...]) -> ImageConfig:
        """The config of the built image: `step`'s with the labels of the command line."""
        config = self.config(step)
        if not labels:
            return config
        document = config.document()
        inner = document.setdefault("config", {})
        inner["Labels"] = {**(inner.get("Labels") or {}), **dict(labels)}
        return ImageConfig.build(document)

    def manifest(self, step: Step, config: ImageConfig) -> Manifest:
        """The manifest of the built image, in OCI's form."""
        descriptor = Descriptor(_CONFIG_TYPE, config.digest, len(config.raw))
        layers = [layer.descriptor for layer in self.results[step.vertex].layers]
        return Manifest.build(descriptor, layers)

    def _config(self, step: Step) -> ImageConfig:
        while step.below is not None and step.vertex is step.below.vertex:
            step = step.below  # a FROM alone is the stage it names
        if step.below is None and step.base is not None:
            image = step.base.config
            if image.config.get("Env") == step.config.get("Env"):  # else a PATH was added
                return image
        result = self.results[step.vertex]
        history = self._history(step)
        document: dict[str, Any] = {
            "architecture": step.platform.architecture,
            "os": step.platform.os,
            "config": {k: v for k, v in step.config.items() if v not in (None, [], {}, "")},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in result.layers]},
            "history": [entry.to_json() for entry in history],
        }
        _add_platform(document, _base_platform(step) or step.platform)
        created = next((h.created for h in reversed(history) if h.created), "")
        if created:
            document["created"] = created
        if step.author:
            document["author"] = step.author
        return ImageConfig.build(document)

    def _history(self, step: Step) -> tuple[History, ...]:
        own: list[History] = []
        at = step
        while at.below is not None and at not in self._histories:
            if at.created_by:
                own.append(self._entry(at))
            at = at.below
        known = self._histories.get(at)
        if known is None:
            known = at.base.config.history if at.base is not None else ()
        found = self._histories[step] = (*known, *reversed(own))
        return found

    def _entry(self, step: Step) -> History:
        result = self.results[step.vertex]
        return History(
            created=timestamp(result.created_ns),
            created_by=step.created_by,
            comment=_COMMENT,
            empty_layer=not (step.files and result.added),
        )


def _base_platform(step: Step) -> Platform | None:
    """What the base image says it is for: its variant is kept."""
    below: Step | None = step
    while below is not None:
        if below.base is not None:
            return below.base.config.platform
        below = below.below
    return None


def _add_platform(document: dict[str, Any], platform: Platform) -> None:
    document["architecture"] = platform.architecture or document["architecture"]
    document["os"] = platform.os or document["os"]
    if platform.variant:
        document["variant"] = platform.variant
    if platform.os_version:
        document["os.version"] = platform.os_version
