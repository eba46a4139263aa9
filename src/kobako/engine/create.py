"""Making a container: image + request -> a bundle on disk and a record. Nothing runs yet."""

from __future__ import annotations

import os

from kobako.engine import container_document, etc_files, program, surroundings
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
    from kobako.runtime.process_spec import ProcessOptions
    from kobako.runtime.spec import BindMount, ContainerOptions, Tmpfs
    from kobako.runtime.surroundings import Surroundings

DEFAULT_LOG = "100000000,10"  # what `log_options` says for a container that asks for nothing


class Created(Record):
    """A new container as it is on disk.

    `lowers` are the trees it is stacked on, topmost first, `spec` its runtime-spec document,
    `document` docker's Config and HostConfig, `subject` what events say of it (`store.event_log`).
    While `held` is open, which is the caller's, nobody else mounts or removes it.
    """

    id: str
    directory: str
    lowers: list[str]
    spec: dict[str, Any]
    held: int
    document: dict[str, Any]
    subject: bytes = b""


def create(
    engine: Engine,
    request: CreateRequest,
    on_event: OnEvent,
    foreseen: Callable[[Created], Callable[[], None]] | None = None,
    around: Surroundings | None = None,
    *,
    attached: bool = False,
) -> Created:
    """Make a container. Pulls the image as `request.pull` says.

    `foreseen` is called when everything it mounts is there but not yet its record, which may still
    fail: what it returns is called then. `around` are the request's surroundings, where they are
    known already. `attached`: the caller is going to stay with it.

    Raises `NotFound` (image), `Conflict` (name in use), `Invalid` (the request does not fit).
    """
    from kobako.engine import lowers, names
    from kobako.linux import claim
    from kobako.store import event_log

    names.check(request.name)
    image = find_image(engine, request, on_event)
    container_id = names.random_id()
    trees = lowers.of_image(engine, image)
    around = around or surroundings.of_request(engine, request)
    document, plan = _document(engine, request, image, container_id, trees, around)
    directory = engine.container_dir(container_id)
    created = Created(container_id, directory, trees, plan, claim.make(directory), document)
    take_back = None
    try:
        engine.driver.prepare(directory, trees)
        etc_files.write(
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
        name = _add_row(engine, container_id, request, image, document)
    except BaseException:
        from kobako.snapshot.driver import remove_tree

        if take_back is not None:
            take_back()
        remove_tree(directory)
        os.close(created.held)
        raise
    subject = event_log.of_container(container_id, name, request.image, document)
    lines = event_log.line("container", "create", subject)
    if attached:
        lines += event_log.line("container", "attach", subject)
    event_log.append(engine.settings.root, lines)
    return created.replace(subject=subject)


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
            if not request.platform and image.is_alone:
                return image
            from kobako.oci import Platform

            wanted = request.platform or str(Platform.host())
            if wanted == image.row.platform:
                return image
            from kobako.engine import image_platforms

            here = image_platforms.for_platform(engine, image, wanted)
            if here is not None or not request.platform:
                return here or image
    from kobako.engine import transfers

    return transfers.pull_for_run(engine, request.image, request.platform, on_event)


def _document(
    engine: Engine,
    request: CreateRequest,
    image: LocalImage,
    container_id: str,
    lowers: list[str],
    around: Surroundings,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the container's own document, as docker's inspect shows it; its runtime-spec)."""
    from kobako.engine import images
    from kobako.runtime import spec

    config = images.execution(engine, image)
    entrypoint, command = program.command_line(config, request.entrypoint, request.command)
    words = entrypoint + command
    if not words or not words[0]:
        raise Invalid("No command specified", hint="The image has none either: add one.")
    hostname = _hostname(request, container_id)
    binds, tmpfs = _volumes(engine, request, config.get("Volumes") or {}, lowers)
    own = etc_files.binds(engine.container_dir(container_id), {b.target for b in binds})
    run = words
    if request.init:
        from kobako.engine import init_program

        own.append(init_program.bind())
        run = [*init_program.COMMAND, *words]
    process = _process(request, config, run, hostname, lowers)
    document: dict[str, Any] = {
        "Config": container_document.config(request, config, entrypoint, command, hostname),
        "HostConfig": container_document.host_config(request),
        "Path": words[0],
        "Args": words[1:],
        "Mode": engine.mode.name,
        "Mounts": container_document.mounts(binds, tmpfs, engine.volumes_dir, request.volumes),
        "Lowers": lowers,
    }
    options = _options(request, process, around, hostname, own + binds, tmpfs)
    if request.limits:
        from kobako.engine import limits

        found = limits.resources(request.limits)
        if found:
            path = limits.path(request.cgroup_parent, container_id)
            options = options.replace(resources=found, cgroups_path=path)
            document["Limited"] = True
    if request.devices:
        from kobako.engine import devices

        bound = devices.binds(request.devices)
        options = options.replace(binds=(*options.binds, *bound), device_rules=devices.rules(bound))
    return document, spec.document(options)


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
    from kobako.runtime import process_spec

    security = _security(request.security_opt)
    user = users.resolve(request.user or config.get("User", ""), lowers, request.groups)
    env = program.environment(
        config.get("Env") or [],
        request.env,
        terminal=request.tty,
        hostname=hostname,
        home=user.home,
    )
    return process_spec.ProcessOptions(
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
        ulimits=tuple(program.ulimit(text) for text in request.ulimits),
        oom_score_adj=request.oom_score_adj,
    )


def _options(
    request: CreateRequest,
    process: ProcessOptions,
    around: Surroundings,
    hostname: str,
    binds: list[BindMount],
    tmpfs: list[Tmpfs],
) -> ContainerOptions:
    """Everything around the process."""
    from kobako.runtime import spec

    security = _security(request.security_opt)
    return spec.ContainerOptions(
        process=process,
        around=around,
        hostname=hostname,
        domainname=request.domainname,
        read_only=request.read_only,
        binds=tuple(binds),
        tmpfs=tuple(tmpfs),
        sysctls=request.sysctls,
        seccomp=security.seccomp if security else "",
        annotations=(*request.annotations, _log(request)),
    )


def _log(request: CreateRequest) -> tuple[str, str]:
    """How much of its output is kept, for the monitor."""
    from kobako.runtime.bundle import LOG_ANNOTATION

    if not (request.log_driver or request.log_options):
        return LOG_ANNOTATION, DEFAULT_LOG
    from kobako.engine import log_options

    bounds = log_options.bounds(request.log_driver, request.log_options)
    return LOG_ANNOTATION, f"{bounds.size},{bounds.files}"


def _volumes(
    engine: Engine, request: CreateRequest, declared: dict[str, Any], lowers: list[str]
) -> tuple[list[BindMount], list[Tmpfs]]:
    """What is mounted: as asked for, and a volume at each place the image has `declared` one."""
    asked = request.volumes or request.mounts or request.tmpfs or request.volumes_from
    if not (asked or declared):
        return [], []
    from kobako.engine import volumes

    others: list[dict[str, Any]] = []
    for word in request.volumes_from:
        others += _mounts_of(engine, word)
    base = engine.volumes_dir
    binds, tmpfs = volumes.plan(request, base, others, declared)
    for bind in volumes.new_ones(binds, base):
        from kobako.engine import volume_content

        volume_content.fill(engine, lowers, bind.target, bind.source)
    return [b.replace(options=tuple(o for o in b.options if o != "nocopy")) for b in binds], tmpfs


def _mounts_of(engine: Engine, word: str) -> list[dict[str, Any]]:
    """What another container mounts, for NAME or NAME:ro or NAME:rw."""
    from kobako.engine import containers

    name, _, mode = word.partition(":")
    if mode not in ("", "ro", "rw"):
        raise Invalid(f"invalid mode for volumes-from: {mode}")
    listed: list[dict[str, Any]] = containers.find(engine, name).document["Mounts"]
    return [{**m, "RW": m["RW"] and mode != "ro"} for m in listed if m["Type"] != "tmpfs"]


def _security(options: tuple[str, ...]) -> Security | None:
    """What was asked for, if anything was."""
    if not options:
        return None
    from kobako.engine import security

    return security.parse(options)


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
) -> str:
    """Take the name and the id in one step; a random name is tried again when it is taken."""
    import time

    from kobako.engine import names
    from kobako.fastjson import dumps
    from kobako.store.containers import ContainerRow

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
            return name
        except Conflict:
            if request.name:
                raise
    raise KobakoError("no free container name was found", hint="Give one with --name.")
