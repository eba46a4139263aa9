"""What a build is asked for, and what it gives back."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.build.context import Context
    from kobako.build.graph import Vertex
    from kobako.build.named import NamedContext
    from kobako.build.ops.result import Result
    from kobako.build.plan import Plan
    from kobako.build.worker import LayerRef
    from kobako.oci import ImageConfig, Manifest, Platform


class BuildOptions(Record):
    """Everything `kobako build` can say, with files and environment already read.

    `dockerfile` is the text, `dockerfile_name` what errors call it. `build_args` maps names to
    values (`--build-arg NAME` without a value is looked up by the caller). `pull` asks registries
    again. `no_cache_filter` names stages whose steps are carried out whatever the cache has.
    `parallelism` bounds the vertices executed at once; 1 builds strictly in order.
    `epoch` is the time results bear, in seconds; None: the build argument SOURCE_DATE_EPOCH, else
    that of each stage's base image (`build.epoch`).
    `explain`: each step that runs is told why, as `progress.Explained`.
    `stop_at` is a line or a stage: the build ends there (`build.halt`).
    `secrets` maps ids to bytes; `ssh` maps ids to the socket of an agent or to files with keys.
    `allow` are entitlements ("security.insecure", "network.host"). `labels` are added to the
    result.
    """

    dockerfile: str
    dockerfile_name: str = "Dockerfile"
    target: str = ""
    build_args: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    network: str = "default"
    parallelism: int = 0
    epoch: int | None = None
    secrets: tuple[tuple[str, bytes], ...] = ()
    ssh: tuple[tuple[str, tuple[str, ...]], ...] = ()
    allow: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    ulimits: tuple[str, ...] = ()
    context_size: bool = False
    explain: bool = False
    stop_at: str = ""


class Job(Record):
    """One target to build: a platform or a bake target, say. Jobs of one build share a graph.

    `name` tells the jobs of a build apart where progress names a stage ("linux/arm64 builder").
    Without a context COPY and ADD find nothing. `contexts` are the named ones.
    """

    options: BuildOptions
    context: Context | None = None
    name: str = ""
    contexts: tuple[tuple[str, NamedContext], ...] = ()


class StepResult(Record):
    """One instruction of the target's stages after it was done."""

    line: int
    text: str
    cached: bool


class BuildResult(Record):
    """The built image. The layers' blobs are in the store; config and manifest are not yet.

    The lowest `inherited` layers are those of the image it is based on. `plan` and `results` (of
    all vertices of the build) tell how it came to be.
    """

    config: ImageConfig
    manifest: Manifest
    layers: tuple[LayerRef, ...]
    steps: tuple[StepResult, ...]
    inherited: int = 0
    plan: Plan | None = None
    results: Mapping[Vertex[Result], Result] | None = None
