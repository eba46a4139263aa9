"""docker's own documents of a container, as `inspect` shows them: Config, HostConfig, Mounts."""

from __future__ import annotations

from kobako.engine import program, surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.requests import CreateRequest
    from kobako.runtime.spec import BindMount, Tmpfs


def config(
    request: CreateRequest,
    image: dict[str, Any],
    entrypoint: list[str],
    command: list[str],
    hostname: str,
) -> dict[str, Any]:
    """docker's Config: the image's, changed as asked."""
    attached = not request.detached
    found: dict[str, Any] = {
        "Hostname": hostname,
        "Domainname": request.domainname,
        "User": request.user or image.get("User", ""),
        "AttachStdin": request.stdin and attached,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": request.tty,
        "OpenStdin": request.stdin,
        "StdinOnce": request.stdin and attached,
        "Env": _kept_env(image.get("Env") or [], request.env),
        "Cmd": command or None,
        "Image": request.image,
        "Volumes": image.get("Volumes"),
        "WorkingDir": request.workdir or image.get("WorkingDir", ""),
        "Entrypoint": entrypoint or None,
        "OnBuild": image.get("OnBuild"),
        "Labels": {**(image.get("Labels") or {}), **dict(request.labels)},
        "StopSignal": request.stop_signal or image.get("StopSignal") or "",
    }
    if request.stop_timeout is not None:
        found["StopTimeout"] = request.stop_timeout
    for key in ("ExposedPorts", "Healthcheck", "Shell"):
        if image.get(key):
            found[key] = image[key]
    if request.healthcheck is not None:
        # Field by field, `--no-healthcheck`, too: docker keeps the image's times beside NONE.
        found["Healthcheck"] = {**(image.get("Healthcheck") or {}), **request.healthcheck}
    if request.expose:
        from kobako.image.config_change import apply_changes

        ports = {"ExposedPorts": found.get("ExposedPorts")}
        ports = apply_changes(ports, [f"EXPOSE {word}" for word in request.expose])
        found["ExposedPorts"] = ports["ExposedPorts"]
    return found


def host_config(request: CreateRequest) -> dict[str, Any]:
    """docker's HostConfig: what was asked for beside the image."""
    found: dict[str, Any] = {
        "Binds": list(request.volumes) or None,
        "NetworkMode": request.network,
        "AutoRemove": request.auto_remove,
        "Privileged": request.privileged,
        "ReadonlyRootfs": request.read_only,
        "CapAdd": list(request.cap_add) or None,
        "CapDrop": list(request.cap_drop) or None,
        "SecurityOpt": list(request.security_opt) or None,
        "ExtraHosts": list(request.extra_hosts) or None,
        "Dns": list(request.dns),
        "ShmSize": request.shm_size,
        "Tmpfs": dict(t.partition(":")[::2] for t in request.tmpfs) or None,
        "PidMode": request.pid,
        "IpcMode": surroundings.ipc(request.ipc),
        "UTSMode": request.uts,
    }
    asked = {
        "LogConfig": {
            "Type": request.log_driver or "json-file",
            "Config": dict(request.log_options),
        },
        "GroupAdd": list(request.groups),
        "DnsSearch": list(request.dns_search),
        "DnsOptions": list(request.dns_options),
        "OomScoreAdj": request.oom_score_adj,
        "CgroupnsMode": request.cgroupns,
        "Annotations": dict(request.annotations),
        "Init": request.init,
        "RestartPolicy": request.restart_policy,
        "VolumesFrom": list(request.volumes_from),
        "Sysctls": dict(request.sysctls),
    }
    if request.devices:
        from kobako.engine import devices

        asked["Devices"] = devices.listed(request.devices)
    if request.limits:
        asked |= request.limits
    if request.cgroup_parent:
        asked["CgroupParent"] = request.cgroup_parent
    if request.ulimits:
        made = [program.ulimit(text) for text in request.ulimits]
        asked["Ulimits"] = [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in made]
    return found | {key: value for key, value in asked.items() if value}


def mounts(
    binds: list[BindMount], tmpfs: list[Tmpfs], volumes_dir: str, given: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """docker's Mounts: those that were asked for, `given` as words of `-v`. The sources of volumes
    lie in `volumes_dir`."""
    modes = {place: mode for _, place, mode in (f"{text}::".split(":")[:3] for text in given)}
    listed: list[dict[str, Any]] = []
    for bind in binds:
        from kobako.engine import volumes

        name = volumes.name_of(bind.source, volumes_dir)
        listed.append(
            {
                **({"Type": "volume", "Name": name} if name else {"Type": "bind"}),
                "Source": bind.source,
                "Destination": bind.target,
                **({"Driver": "local"} if name else {}),
                "Mode": modes.get(bind.target) or ("z" if name and bind.target in modes else ""),
                "RW": not bind.readonly,
                "Propagation": "" if name else "rprivate",
            }
        )
    return listed + [
        {"Type": "tmpfs", "Source": "", "Destination": t.target, "Mode": "", "RW": True}
        for t in tmpfs
    ]


def _kept_env(image: list[str], given: tuple[str, ...]) -> list[str]:
    found: dict[str, str] = {}
    for entry in (*image, *given):
        key, _, value = entry.partition("=")
        found[key] = value
    return [f"{key}={value}" for key, value in found.items()]
