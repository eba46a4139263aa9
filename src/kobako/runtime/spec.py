"""Process options -> a runtime-spec document, with docker's defaults.

The document is complete in itself: crun and runc run it unchanged once the root filesystem is
mounted. What a mode cannot do (a device node, a fresh sysfs) is the launcher's affair, by attempt.
"""

from __future__ import annotations

from kobako.record import Record
from kobako.runtime import process_spec, surroundings
from kobako.runtime.surroundings import Surroundings, entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.runtime.process_spec import ProcessOptions

OCI_VERSION = "1.0.2"


class BindMount(Record):
    """A host path seen inside the container; options as in `docker run -v` ("ro", "rslave")."""

    source: str
    target: str
    readonly: bool = False
    options: tuple[str, ...] = ()


class Tmpfs(Record):
    """A fresh tmpfs; `options` as in `docker run --tmpfs` ("size=64m", "exec", "mode=1777")."""

    target: str
    options: tuple[str, ...] = ()


class ContainerOptions(Record):
    """What it runs in, `around` it and else.

    `seccomp`: "" for the default profile, "unconfined", or a profile's JSON text. The annotation
    `bundle.LOG_ANNOTATION` is "SIZE,FILES": the bytes a file of the container's log may have (0:
    any), and how many are kept (0: there is no log). `resources` are limits, as the spec's
    `linux.resources` has them, for the cgroup `cgroups_path`; "" for none.
    """

    process: ProcessOptions
    around: Surroundings = Surroundings()
    hostname: str = ""
    domainname: str = ""
    root: str = "rootfs"
    read_only: bool = False
    binds: tuple[BindMount, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    seccomp: str = ""
    device_rules: tuple[dict[str, Any], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    resources: dict[str, Any] | None = None
    cgroups_path: str = ""


def document(options: ContainerOptions) -> dict[str, Any]:
    """The config.json of a container."""
    around = surroundings.document(options.around)
    rules = around["linux"]["resources"].get("devices")
    if rules:
        rules += [dict(rule) for rule in options.device_rules]
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": process_spec.process(options.process),
        "root": {"path": options.root, "readonly": options.read_only},
        "mounts": _mounts(around["mounts"], options),
        "linux": {**around["linux"], "rootfsPropagation": _root_propagation(options)},
    }
    if options.cgroups_path:
        spec["linux"]["cgroupsPath"] = options.cgroups_path
        spec["linux"]["resources"] = {**around["linux"]["resources"], **(options.resources or {})}
    if options.seccomp != "unconfined":
        from kobako.runtime.seccomp import profile

        held = spec["process"]["capabilities"]["bounding"]
        section = profile.section(options.seccomp, held, privileged=options.around.privileged)
        if section:
            spec["linux"]["seccomp"] = section
    if options.sysctls:
        spec["linux"]["sysctl"] = around["linux"].get("sysctl", {}) | dict(options.sysctls)
    if options.hostname and options.around.uts != "host":
        spec["hostname"] = options.hostname
    if options.domainname and options.around.uts != "host":
        spec["domainname"] = options.domainname
    if options.annotations:
        spec["annotations"] = dict(options.annotations)
    return spec


def _root_propagation(options: ContainerOptions) -> str:
    wanted = {o for bind in options.binds for o in bind.options}
    if wanted & {"shared", "rshared"}:
        return "rshared"
    return "rslave" if wanted & {"slave", "rslave"} else "rprivate"


def _mounts(own: list[dict[str, Any]], options: ContainerOptions) -> list[dict[str, Any]]:
    """A container's `own`, and what is mounted besides or instead."""
    taken = {b.target.rstrip("/") for b in options.binds} | {
        t.target.rstrip("/") for t in options.tmpfs
    }
    mounts = [m for m in own if m["destination"] not in taken]
    for tmpfs in options.tmpfs:
        extra = tmpfs.options
        base = [o for o in ("nosuid", "noexec", "nodev", "mode=1777") if not _overridden(o, extra)]
        mounts.append(entry(tmpfs.target, "tmpfs", "tmpfs", (*base, *extra)))
    for bind in options.binds:
        flags = [o for o in bind.options if o not in ("ro", "rw", "z", "Z")]
        if not {"bind", "rbind"} & set(flags):
            flags.insert(0, "rbind")
        if not any(o.lstrip("r") in ("private", "slave", "hared", "shared") for o in flags):
            flags.append("rprivate")
        flags.append("ro" if bind.readonly or "ro" in bind.options else "rw")
        mounts.append(entry(bind.target, "bind", bind.source, flags))
    # A parent is mounted before what lies in it.
    return sorted(mounts, key=lambda m: m["destination"].rstrip("/").count("/"))


def _overridden(option: str, extra: tuple[str, ...]) -> bool:
    if option.startswith("mode="):
        return any(e.startswith("mode=") for e in extra)
    return option.removeprefix("no") in extra or option in extra
