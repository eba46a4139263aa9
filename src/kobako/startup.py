"""Which modules the short verbs need, in an order in which each comes after those it imports.

Start-up is a feature: what is sure to be needed is loaded by `straight.load` in one go, a fifth
cheaper than by the imports that ask for it. Nothing depends on these lists: a module that is
missing here is imported where it is asked for. tests/e2e/test_e2e_startup.py keeps them exact.
"""

from __future__ import annotations

EVERY = "cli cli.verbs cli.dispatch errors record cli.flags cli.context"
"""What every verb begins with."""

_DATABASE = " store store.sqlite store.database store.store"

_EXEC = (
    " engine engine.execute runtime fastjson linux"
    " linux.libc runtime.bundle engine.engine engine.containers linux.process"
    " linux.channel linux.caps linux.seccomp runtime.ourselves"
    " runtime.program"
    " runtime.state runtime.attach runtime.join"
    + _DATABASE
    + " store.event_log store.containers engine.program engine.users runtime.process_spec"
    " runtime.seccomp runtime.seccomp.default runtime.seccomp.profile"
)

VERBS = {
    "run": (
        "cli.container_flags cli.run cli.terminal engine engine.run engine.requests runtime"
        " runtime.surroundings engine.surroundings fastjson linux linux.libc linux.mount"
        " runtime.bundle engine.engine linux.process linux.channel runtime.container runtime.ahead"
        " linux.caps engine.privilege"
    ),
    "exec": "cli.exec cli.terminal cli.environment" + _EXEC,
    "probe": "cli.probe" + _EXEC,
    "build": (
        "cli.progress cli.progress.style cli.build_flags cli.build build events"
        " build.progress cli.build_display cli.endings cli.build_context cli.build_sources"
        " engine engine.build engine.build.access engine.build.building oci oci.platform"
        " cli.progress.base cli.progress.classic engine.engine linux linux.claim engine.scratch"
        " engine.sweep build.worker engine.build.worker store oci.digest store.ingest store.leases"
        " store.content store.sqlite store.database store.store store.images"
        " engine.images engine.image_naming oci.reference fastjson build.dockerfile"
        " build.ignore build.cache build.survey"
        " build.files build.memory build.context build.options engine.store_cache oci.moment"
        " build.epoch build.arguments build.lint build.lint.verdict build.graph"
        " build.loading build.beginnings build.ops oci.descriptor build.ops.result"
        " build.ops.metadata build.plan build.gotext build.ports build.stage_log build.stage"
        " build.lower_stage build.named build.needs oci.document oci.execution oci.config"
        " build.lower build.ops.run build.reporting oci.mediatypes oci.manifest"
        " build.result_image build.solver build.assemble cli.units image image.mutate"
        " build.lower_run store.cache engine.moments store.event_log"
    ),
    "commit": (
        "cli.commit engine engine.commit engine.engine engine.containers engine.image_naming"
        " engine.images engine.layers image oci oci.mediatypes fastjson oci.digest oci.document"
        " oci.execution oci.platform oci.config oci.descriptor oci.manifest image.mutate"
        " store store.ingest store.leases oci.reference store.sqlite store.database store.store"
        " store.containers runtime runtime.state store.images store.content engine.filesystem"
        " layer layer.entry layer.format linux linux.libc linux.fs linux.ownership"
        " layer.attributes layer.blocks layer.change layer.codec oci.hasher layer.pump layer.pax"
        " layer.tar_writer layer.pack snapshot engine.privilege linux.mount linux.process"
        " snapshot.driver snapshot.overlay snapshot.overlay_diff store.failures store.writer"
        " oci.moment engine.moments store.closure store.event_log"
    ),
    "ps": (
        "cli.listing cli.ps engine engine.containers engine.engine"
        + _DATABASE
        + " store.containers fastjson runtime runtime.state cli.units cli.table"
    ),
    "images": (
        "cli.listing cli.images engine engine.image_listing engine.engine"
        + _DATABASE
        + " oci oci.digest store.images oci.reference cli.units cli.table"
    ),
}
"""By the verb's module; of `run`, what it takes until the monitor is forked."""

CREATE = (
    "engine.program engine.container_document engine.etc_files engine.create"
    " runtime.process_spec runtime.spec"
    " engine.names engine.lowers linux.claim engine.images"
    + _DATABASE
    + " store.event_log oci oci.digest store.content store.images store.containers"
    " oci.reference snapshot"
    " snapshot.trees oci.document oci.execution engine.users snapshot.driver snapshot.overlay"
    " linux.seccomp runtime.seccomp runtime.seccomp.default runtime.seccomp.profile"
)
"""Of `run`, while the monitor gets ready."""

MONITOR = (
    "linux.seccomp runtime.ourselves runtime.program linux.inroot"
    " runtime.rootfs"
    " runtime.init runtime.monitor runtime.launcher runtime.stage runtime.launch"
)
"""Of the monitor of `run`."""

END = "engine.container_removal linux.fs runtime.attach runtime.state"
"""Of `run`, while the monitor starts the container."""

LAYER = (
    "linux.libc linux.fs linux.placement linux.process linux.mount engine.privilege snapshot"
    " snapshot.trees engine.lowers engine.names snapshot.driver snapshot.overlay"
    " build.ops.rootpath layer layer.entry layer.change layer.settle layer.pax"
    " layer.tar_writer engine.filesystem engine.layers layer.format linux.ownership"
    " snapshot.overlay_diff layer.attributes layer.blocks layer.codec oci.hasher layer.pump"
    " layer.pack snapshot.unpacking build.why build.wildcards build.ops.choosing"
    " build.ops.chosen_digest build.why.record linux.fork store.failures store.writer"
)
"""Of `build`, when a step is not found in the cache."""

COPY = (
    "build.ops.transferring engine.build.worker_tree build.ops.accounts linux.pouring"
    " build.ops.copying build.ops.modes build.ops.scribe build.ops.fresh"
)
"""Of such a step, when it copies files; after LAYER."""

STEP = (
    "engine.bundles runtime runtime.surroundings engine.surroundings linux.channel"
    " runtime.bundle runtime.container runtime.ahead engine.build.monitor"
    " engine.build.plain_tree linux.caps runtime.process_spec runtime.spec"
    " engine.build.mounts engine.build.run linux.seccomp runtime.ourselves runtime.program"
    " linux.inroot engine.etc_files engine.program runtime.rootfs engine.users"
    " runtime.init runtime.monitor runtime.launcher runtime.stage runtime.launch"
    " runtime.seccomp runtime.seccomp.default runtime.seccomp.profile runtime.attach"
)
"""Of such a step, when it runs a command; after LAYER."""
