"""Making a container: image + request -> a bundle on disk and a row. Nothing runs yet."""

from __future__ import annotations

import os

from kobako.errors import Conflict, Invalid, KobakoError, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.engine.requests import CreateRequest
    from kobako.engine.security import Security
    from kobako.events import OnEvent
    from kobako.runtime.spec import BindMount, ContainerOptions, ProcessOptions, Tmpfs

DEFAULT_LOG = "100000000,10"  # what `log_options` says for a container that asks for nothing
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Created(Record):
    """A new container: what is on disk, and what the person should be told about it.

    `lowers` are the trees it is stacked on, topmost first, `spec` its runtime-spec document.
    """

    id: str
    directory: str
    lowers: list[str]
    spec: dict[str, Any]
    warnings: tuple[str, ...] = ()


def create(
    engine: Engine,
    request: CreateRequest,
    on_event: OnEvent,
    foreseen: Callable[[Created], Callable[[], None]] | None = None,
) -> Created:
    """Make a container. Pulls the image as `request.pull` says.

    `foreseen` is called when everything it mounts is there but not yet its row, which may still
    fail: what it returns is called then.

    Raises `NotFound` (image), `Conflict` (name in use), `Invalid` (the request does not fit).
    """
    from kobako.engine import names, unpack
    from kobako.linux import claim

    names.check(request.name)
    image = find_image(engine, request, on_event)
    container_id = names.random_id()
    lowers = unpack.lowers(engine, image)
    document, plan = _document(engine, request, image, container_id, lowers)
    directory = engine.container_dir(container_id)
    created = Created(container_id, directory, lowers, plan, _warnings(request))
    held = claim.make(directory)
    take_back = None
    try:
        engine.driver.prepare(directory, lowers)
        write_etc(
            directory,
            hostname=document["Config"]["Hostname"],
            host_network=request.network != "none",
            extra_hosts=request.extra_hosts,
            dns=request.dns,
            dns_search=request.dns_search,
            dns_options=request.dns_options,
        )
        if foreseen is not None:
            take_back = foreseen(created)
        _write_spec(directory, plan)
        _add_row(engine, container_id, request, image, document)
    except BaseException:
        from kobako.snapshot.driver import remove_tree

        if take_back is not None:
            take_back()
        remove_tree(directory)
        raise
    finally:
        os.close(held)
    return created


def find_image(engine: Engine, request: CreateRequest, on_event: OnEvent) -> LocalImage:
    """The request's image, pulled when the policy says so."""
    from kobako.engine import images
    from kobako.engine.requests import PULL_ALWAYS, PULL_NEVER

    if request.pull != PULL_ALWAYS:
        try:
            image = images.find(engine, request.image)
        except NotFound:
            if request.pull == PULL_NEVER:
                raise
        else:
            if not request.platform and image.target == image.row.manifest:
                return image
            from kobako.oci import Platform

            wanted = request.platform or str(Platform.host())
            if wanted == image.row.platform:
                return image
            here = images.for_platform(engine, image, wanted)
            if here is not None or not request.platform:
                return here or image
    from kobako.engine import transfers

    return transfers.pull_for_run(engine, request.image, request.platform, on_event)


def namespaces(request: CreateRequest) -> list[dict[str, str]]:
    """The namespaces of the request's container, as its runtime-spec will have them."""
    from kobako.runtime import spec

    return spec.namespaces(
        network=_network(request.network),
        pid=request.pid or "private",
        ipc=_ipc(request.ipc),
        uts=request.uts or "private",
        cgroup=request.cgroupns or "private",
    )


def command_line(
    config: dict[str, Any], entrypoint: tuple[str, ...] | None, command: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """(entrypoint, command): the image's, each replaced by what was asked for.

    Giving an entrypoint drops the image's command, as docker does.
    """
    own = list(config.get("Entrypoint") or [])
    words = list(config.get("Cmd") or [])
    if entrypoint is not None:
        own, words = list(entrypoint), []
    if command:
        words = list(command)
    return own, words


def environment(
    image: list[str], given: tuple[str, ...], *, terminal: bool, hostname: str, home: str
) -> list[str]:
    """The environment of a container's process, in docker's order: PATH, HOSTNAME, TERM, image,
    given, HOME."""
    found: dict[str, str] = {}
    defaults = [PATH, f"HOSTNAME={hostname}"] + (["TERM=xterm"] if terminal else [])
    for entry in (*defaults, *image, *given):
        key, _, value = entry.partition("=")
        found[key] = value
    found.setdefault("HOME", home)
    return [f"{key}={value}" for key, value in found.items()]


def _document(
    engine: Engine,
    request: CreateRequest,
    image: LocalImage,
    container_id: str,
    lowers: list[str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the container's own document, as docker's inspect shows it; its runtime-spec)."""
    from kobako.engine import images
    from kobako.runtime import spec

    config = images.config(engine, image).config
    entrypoint, command = command_line(config, request.entrypoint, request.command)
    words = entrypoint + command
    if not words or not words[0]:
        raise Invalid("no command specified", hint="The image has none either: add one.")
    hostname = _hostname(request, container_id)
    binds, tmpfs = _volumes(engine, request)
    own = etc_binds(engine.container_dir(container_id), {b.target for b in binds})
    run = words
    if request.init:
        from kobako.engine import init_program

        own.append(init_program.bind())
        run = [*init_program.COMMAND, *words]
    process = _process(request, config, run, hostname, lowers)
    document = {
        "Config": _config(request, config, entrypoint, command, hostname),
        "HostConfig": _host_config(request),
        "Path": words[0],
        "Args": words[1:],
        "Mode": engine.mode.name,
        "Mounts": _mount_list(binds, tmpfs),
        "Lowers": lowers,
    }
    return document, spec.document(_options(request, process, hostname, own + binds, tmpfs))


def _hostname(request: CreateRequest, container_id: str) -> str:
    if request.hostname:
        return request.hostname
    shared = request.network == "host" and request.uts != "private"
    return os.uname().nodename if shared else container_id[:12]


def _process(
    request: CreateRequest,
    config: dict[str, Any],
    words: list[str],
    hostname: str,
    lowers: list[str],
) -> ProcessOptions:
    """The first process: the image's user, environment and directory where nothing else is said."""
    from kobako.engine import users
    from kobako.runtime import spec

    security = _security(request.security_opt)
    user = users.resolve(request.user or config.get("User", ""), lowers, request.groups)
    env = environment(
        config.get("Env") or [],
        request.env,
        terminal=request.tty,
        hostname=hostname,
        home=user.home,
    )
    return spec.ProcessOptions(
        args=tuple(words),
        env=tuple(env),
        cwd=request.workdir or config.get("WorkingDir") or "/",
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        terminal=request.tty,
        privileged=request.privileged,
        cap_add=request.cap_add,
        cap_drop=request.cap_drop,
        no_new_privileges=bool(security and security.no_new_privileges),
        ulimits=tuple(ulimit(text) for text in request.ulimits),
        oom_score_adj=request.oom_score_adj,
    )


def _options(
    request: CreateRequest,
    process: ProcessOptions,
    hostname: str,
    binds: list[BindMount],
    tmpfs: list[Tmpfs],
) -> ContainerOptions:
    """Everything around the process."""
    from kobako.runtime import spec

    security = _security(request.security_opt)
    return spec.ContainerOptions(
        process=process,
        hostname=hostname,
        domainname=request.domainname,
        read_only=request.read_only,
        network=_network(request.network),
        pid=request.pid or "private",
        ipc=_ipc(request.ipc),
        uts=request.uts or "private",
        cgroupns=request.cgroupns or "private",
        binds=tuple(binds),
        tmpfs=tuple(tmpfs),
        shm_size=request.shm_size,
        sysctls=request.sysctls,
        seccomp=security.seccomp if security else "",
        bare_paths=bool(security and security.bare_paths),
        annotations=(*request.annotations, _log(request)),
    )


def _config(
    request: CreateRequest,
    config: dict[str, Any],
    entrypoint: list[str],
    command: list[str],
    hostname: str,
) -> dict[str, Any]:
    """docker's Config: the image's, changed as asked."""
    found: dict[str, Any] = {
        "Hostname": hostname,
        "Domainname": request.domainname,
        "User": request.user or config.get("User", ""),
        "AttachStdin": request.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": request.tty,
        "OpenStdin": request.stdin,
        "StdinOnce": request.stdin,
        "Env": _kept_env(config.get("Env") or [], request.env),
        "Cmd": command or None,
        "Image": request.image,
        "Volumes": config.get("Volumes"),
        "WorkingDir": request.workdir or config.get("WorkingDir", ""),
        "Entrypoint": entrypoint or None,
        "OnBuild": config.get("OnBuild"),
        "Labels": {**(config.get("Labels") or {}), **dict(request.labels)},
        "StopSignal": request.stop_signal or config.get("StopSignal") or "",
    }
    if request.stop_timeout is not None:
        found["StopTimeout"] = request.stop_timeout
    for key in ("ExposedPorts", "Healthcheck", "Shell"):
        if config.get(key):
            found[key] = config[key]
    if request.healthcheck is not None:
        found["Healthcheck"] = request.healthcheck
    if request.expose:
        from kobako.image.config_change import apply_changes

        ports = {"ExposedPorts": found.get("ExposedPorts")}
        ports = apply_changes(ports, [f"EXPOSE {word}" for word in request.expose])
        found["ExposedPorts"] = ports["ExposedPorts"]
    return found


def _host_config(request: CreateRequest) -> dict[str, Any]:
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
        "IpcMode": _ipc(request.ipc),
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
        "VolumesFrom": list(request.volumes_from),
        "Sysctls": dict(request.sysctls),
    }
    if request.ulimits:
        made = [ulimit(text) for text in request.ulimits]
        asked["Ulimits"] = [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in made]
    return found | {key: value for key, value in asked.items() if value}


def _log(request: CreateRequest) -> tuple[str, str]:
    """How much of its output is kept, for the monitor."""
    from kobako.runtime.spec import LOG_ANNOTATION

    if not (request.log_driver or request.log_options):
        return LOG_ANNOTATION, DEFAULT_LOG
    from kobako.engine import log_options

    bounds = log_options.bounds(request.log_driver, request.log_options)
    return LOG_ANNOTATION, f"{bounds.size},{bounds.files}"


def _volumes(engine: Engine, request: CreateRequest) -> tuple[list[BindMount], list[Tmpfs]]:
    if not (request.volumes or request.mounts or request.tmpfs or request.volumes_from):
        return [], []
    from kobako.engine import volumes

    others: list[dict[str, Any]] = []
    for word in request.volumes_from:
        others += _mounts_of(engine, word)
    return volumes.plan(request, os.path.join(engine.settings.root, "volumes"), others)


def _mounts_of(engine: Engine, word: str) -> list[dict[str, Any]]:
    """What another container mounts, for NAME or NAME:ro or NAME:rw."""
    from kobako.engine import containers

    name, _, mode = word.partition(":")
    if mode not in ("", "ro", "rw"):
        raise Invalid(f"invalid mode for volumes-from: {mode}")
    listed: list[dict[str, Any]] = containers.find(engine, name).document["Mounts"]
    return [{**m, "RW": m["RW"] and mode != "ro"} for m in listed if m["Type"] == "bind"]


def _kept_env(image: list[str], given: tuple[str, ...]) -> list[str]:
    found: dict[str, str] = {}
    for entry in (*image, *given):
        key, _, value = entry.partition("=")
        found[key] = value
    return [f"{key}={value}" for key, value in found.items()]


def _network(name: str) -> str:
    if name in ("default", "host", "none"):
        return "private" if name == "none" else "host"
    raise Invalid(
        f"network {name} not found", hint='Networks there are: "host" (the default) and "none".'
    )


def _ipc(mode: str) -> str:
    return mode if mode not in ("", "shareable", "private") else "private"


def _security(options: tuple[str, ...]) -> Security | None:
    """What was asked for, if anything was."""
    if not options:
        return None
    from kobako.engine import security

    return security.parse(options)


def ulimit(text: str) -> Any:
    from kobako.runtime.spec import Ulimit

    name, _, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    if name not in _ULIMITS.split():
        raise Invalid(f"invalid ulimit type: {name}", hint=f"Known: {_ULIMITS}.")
    try:
        found = Ulimit(name, int(soft), int(hard) if colon else int(soft))
    except ValueError:
        raise Invalid(f"invalid ulimit argument: {text}", hint="Use name=soft:hard.") from None
    if found.soft > found.hard >= 0 or (found.soft < 0 <= found.hard):
        raise Invalid(
            f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )
    return found


_ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack"
)


def etc_binds(directory: str, taken: set[str]) -> list[BindMount]:
    from kobako.runtime.spec import BindMount

    names = ("hosts", "hostname", "resolv.conf")
    return [
        BindMount(os.path.join(directory, name), f"/etc/{name}")
        for name in names
        if f"/etc/{name}" not in taken
    ]


def _mount_list(binds: list[BindMount], tmpfs: list[Tmpfs]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = [
        {
            "Type": "bind",
            "Source": b.source,
            "Destination": b.target,
            "Mode": "",
            "RW": not b.readonly,
            "Propagation": "rprivate",
        }
        for b in binds
    ]
    return listed + [
        {"Type": "tmpfs", "Source": "", "Destination": t.target, "Mode": "", "RW": True}
        for t in tmpfs
    ]


def write_etc(
    directory: str,
    *,
    hostname: str,
    host_network: bool,
    extra_hosts: tuple[str, ...],
    dns: tuple[str, ...],
    dns_search: tuple[str, ...] = (),
    dns_options: tuple[str, ...] = (),
    building: bool = False,
) -> None:
    """The files docker puts over the image's, in a container's directory: hosts, hostname and
    resolv.conf. What a build sees of the hosts is the same on every machine."""
    hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    if building:
        hosts = hosts.replace("localhost\n", f"localhost {hostname}\n", 1)
    elif host_network:
        hosts = _host_file("/etc/hosts") or hosts
    if hostname != os.uname().nodename and not building:
        hosts += f"127.0.1.1\t{hostname}\n"
    for entry in extra_hosts:
        name, address = extra_host(entry)
        hosts += f"{address}\t{name}\n"
    contents = {
        "hosts": hosts,
        "hostname": hostname + "\n",
        "resolv.conf": _resolv_conf(dns, dns_search, dns_options),
    }
    for name, text in contents.items():
        with open(os.path.join(directory, name), "w") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the umask is: all its users read them
            file.write(text)


def _resolv_conf(dns: tuple[str, ...], search: tuple[str, ...], options: tuple[str, ...]) -> str:
    """The host's, each part replaced by what was asked for; a search of "." is none."""
    host = _host_file("/etc/resolv.conf")
    if not (dns or search or options):
        return host
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in host.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in kept:
            kept[word].append(rest.strip())
    lines = [f"search {' '.join(s for s in search if s != '.') or ' '.join(kept['search'])}"]
    lines += [f"nameserver {server}" for server in dns or kept["nameserver"]]
    lines.append(f"options {' '.join(options) or ' '.join(kept['options'])}")
    if search == (".",):
        del lines[0]
    return "".join(f"{line}\n" for line in lines if line.partition(" ")[2])


def extra_host(entry: str) -> tuple[str, str]:
    """(name, address) of `host=ip` or `host:ip`; an IPv6 address may stand in brackets. With the
    host's network its gateway is the host itself."""
    import _socket as socket

    name, separator, address = entry.partition("=")
    if not separator:
        name, _, address = entry.partition(":")
    if not name or not address:
        raise Invalid(f"bad format for add-host: {entry!r}", hint="Use host:ip or host=ip.")
    if address == "host-gateway":
        return name, "127.0.0.1"
    address = address.removeprefix("[").removesuffix("]")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        raise Invalid(f"invalid IP address in add-host: {address!r}") from None
    return name, address


def _host_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _write_spec(directory: str, plan: dict[str, Any]) -> None:
    from kobako.fastjson import dumps

    with open(os.path.join(directory, "config.json"), "wb") as file:
        file.write(dumps(plan))


def _add_row(
    engine: Engine,
    container_id: str,
    request: CreateRequest,
    image: LocalImage,
    document: dict[str, Any],
) -> None:
    """Take the name and the id in one step; a random name is tried again when it is taken."""
    import time

    from kobako.engine import names
    from kobako.fastjson import dumps
    from kobako.store.rows import ContainerRow

    rows = engine.store.db.containers
    for attempt in range(10):
        name = request.name.removeprefix("/") or names.random_name() + (
            str(attempt) if attempt else ""
        )
        row = ContainerRow(
            id=container_id,
            name=name,
            image_id=image.id,
            image_ref=request.image,
            created_ns=time.time_ns(),
            spec=dumps(document),
        )
        try:
            rows.add(row)
            return
        except Conflict:
            if request.name:
                raise
    raise KobakoError("no free container name was found", hint="Give one with --name.")


def _warnings(request: CreateRequest) -> tuple[str, ...]:
    found = []
    for text in request.devices:
        found.append(f"--device {text} is not supported yet. Device discarded.")
    return tuple(found)
