"""What the front ends ask for when they ask for a container."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PULL_ALWAYS, PULL_MISSING, PULL_NEVER = "always", "missing", "never"


class CreateRequest(Record):
    """A container to be made: docker's `create` with everything already read from files and
    environment. Empty values mean "as the image says".

    `entrypoint` None keeps the image's, () clears it. `volumes` are docker's
    `source:target[:options]` with an absolute source, a volume's name, or only a target. The
    "default" network is the host's as long as there is no other. `healthcheck` is docker's
    document, laid over the image's field by field; `restart_policy` docker's RestartPolicy.
    `detached`: it is made to be started with nobody attached.
    `limits` are HostConfig's, None for none.
    """

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    stdin: bool = False
    detached: bool = False
    auto_remove: bool = False
    network: str = "default"
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    volumes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    ulimits: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    oom_score_adj: int = 0
    cgroupns: str = ""
    expose: tuple[str, ...] = ()
    healthcheck: dict[str, Any] | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    limits: dict[str, Any] | None = None
    cgroup_parent: str = ""
    log_driver: str = ""
    log_options: tuple[tuple[str, str], ...] = ()
    init: bool = False
    restart_policy: dict[str, Any] | None = None
    volumes_from: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    stop_signal: str = ""
    stop_timeout: int | None = None
    pull: str = PULL_MISSING
    platform: str = ""
    attached: tuple[str, ...] = ("stdin", "stdout", "stderr")
