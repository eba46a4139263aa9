"""The flags `run` and `create` share, and how they become a `CreateRequest`."""

from __future__ import annotations

from kobako.cli.flags import (
    BOOL,
    LIST,
    NUMBER,
    TEXT,
    BadValue,
    Flag,
    Refused,
    Values,
    bad_value,
    pairs,
    size_flag,
)
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.cli.context import Context
    from kobako.engine.requests import CreateRequest

RARE = "unmet_flags health_flags limit_flags"
"""`Command.rare` of both."""
FLAGS = (
    Flag(
        "annotation", "", LIST, "Add an annotation to the container (passed through to the bundle)"
    ),
    Flag("add-host", "", LIST, "Add a custom host-to-IP mapping (host:ip)"),
    Flag("attach", "a", LIST, "Attach to STDIN, STDOUT or STDERR", choices="stdin stdout stderr"),
    Flag("cap-add", "", LIST, "Add Linux capabilities"),
    Flag("cap-drop", "", LIST, "Drop Linux capabilities"),
    Flag("cgroupns", "", TEXT, "Cgroup namespace to use", choices="host private"),
    Flag("cidfile", "", TEXT, "Write the container ID to the file"),
    Flag("device", "", LIST, "Add a host device to the container"),
    Flag("dns", "", LIST, "Set custom DNS servers"),
    Flag("dns-option", "", LIST, "Set DNS options"),
    Flag("dns-opt", "", LIST, "Set DNS options", hidden=True),
    Flag("dns-search", "", LIST, "Set custom DNS search domains"),
    Flag("domainname", "", TEXT, "Container NIS domain name"),
    Flag("entrypoint", "", TEXT, "Overwrite the default ENTRYPOINT of the image"),
    Flag("env", "e", LIST, "Set environment variables"),
    Flag("env-file", "", LIST, "Read in a file of environment variables"),
    Flag("expose", "", LIST, "Expose a port or a range of ports"),
    Flag("group-add", "", LIST, "Add additional groups to join"),
    Flag("hostname", "h", TEXT, "Container host name"),
    Flag(
        "init",
        "",
        BOOL,
        "Run an init inside the container that forwards signals and reaps processes",
    ),
    Flag("interactive", "i", BOOL, "Keep STDIN open even if not attached"),
    Flag("ipc", "", TEXT, "IPC mode to use", choices="host private"),
    Flag("label", "l", LIST, "Set meta data on a container"),
    Flag("label-file", "", LIST, "Read in a line delimited file of labels"),
    Flag(
        "log-driver", "", TEXT, "Logging driver for the container", choices="json-file local none"
    ),
    Flag("log-opt", "", LIST, "Log driver options"),
    Flag("mount", "", LIST, "Attach a filesystem mount to the container", "mount"),
    Flag("name", "", TEXT, "Assign a name to the container"),
    Flag(
        "network", "", TEXT, "Connect a container to a network", "network", "default", "host none"
    ),
    Flag("net", "", TEXT, "Connect a container to a network", hidden=True),
    Flag("oom-score-adj", "", NUMBER, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag("pid", "", TEXT, "PID namespace to use", choices="host"),
    Flag("platform", "", TEXT, "Set platform if server is multi-platform capable"),
    Flag("privileged", "", BOOL, "Give extended privileges to this container"),
    Flag(
        "pull",
        "",
        TEXT,
        'Pull image before running ("always", "missing", "never")',
        "string",
        "missing",
        "always missing never",
    ),
    Flag("quiet", "q", BOOL, "Suppress the pull output"),
    Flag("read-only", "", BOOL, "Mount the container's root filesystem as read only"),
    Flag("rm", "", BOOL, "Automatically remove the container when it exits"),
    Flag("security-opt", "", LIST, "Security Options"),
    Flag("shm-size", "", TEXT, "Size of /dev/shm", "bytes"),
    Flag("stop-signal", "", TEXT, "Signal to stop the container"),
    Flag("stop-timeout", "", NUMBER, "Timeout (in seconds) to stop a container"),
    Flag("sysctl", "", LIST, "Sysctl options", "map"),
    Flag("tmpfs", "", LIST, "Mount a tmpfs directory"),
    Flag("tty", "t", BOOL, "Allocate a pseudo-TTY"),
    Flag("ulimit", "", LIST, "Ulimit options", "ulimit"),
    Flag("user", "u", TEXT, "Username or UID (format: <name|uid>[:<group|gid>])"),
    Flag("uts", "", TEXT, "UTS namespace to use", choices="host"),
    Flag("volume", "v", LIST, "Bind mount a volume"),
    Flag("volumes-from", "", LIST, "Mount volumes from the specified container(s)"),
    Flag("workdir", "w", TEXT, "Working directory inside the container"),
)


def request(context: Context, values: Values, words: list[str]) -> CreateRequest:
    """The request of `run` or `create`; files and the environment are read here."""
    from kobako.engine.requests import CreateRequest

    healthcheck = restart_policy = limits = None
    parent = ""
    if values.knows("health-cmd"):
        from kobako.cli import health_flags, limit_flags, unmet_flags

        unmet_flags.check(context, values)
        restart_policy = unmet_flags.restart_policy(values)
        healthcheck = health_flags.healthcheck(values)
        limits, parent = limit_flags.limits(context, values)
    env: list[str] = []
    try:
        labelled = labels("-l, --label", values.many("label"), values.many("label-file"))
        if values.given("env") or values.given("env-file"):
            from kobako.cli.environment import environment

            env = environment(context, values)
    except BadValue:
        raise
    except Invalid as fault:
        raise Refused(fault.message) from None
    made = CreateRequest(
        image=words[0],
        command=tuple(words[1:]),
        name=values.text("name"),
        entrypoint=_entrypoint(values),
        env=tuple(env),
        labels=tuple(labelled),
        user=values.text("user"),
        groups=tuple(values.many("group-add")),
        workdir=_workdir(values.text("workdir")),
        tty=values.on("tty"),
        stdin=values.on("interactive"),
        detached=values.knows("detach") and values.on("detach"),
        init=values.on("init"),
        ulimits=tuple(_checked("--ulimit", values.many("ulimit"), _ulimit)),
        oom_score_adj=_oom_score(values.number("oom-score-adj")),
        auto_remove=values.on("rm"),
        healthcheck=healthcheck,
        limits=limits,
        cgroup_parent=parent,
        restart_policy=restart_policy,
        annotations=tuple(pairs(values.many("annotation"))),
        log_driver=values.text("log-driver"),
        log_options=tuple(pairs(values.many("log-opt"))),
        stop_signal=_signal(values.text("stop-signal")),
        stop_timeout=values.number("stop-timeout") if values.given("stop-timeout") else None,
        pull=_pull(values.text("pull")),
        platform=values.text("platform"),
    )
    return _surrounded(made, values)


def _surrounded(made: CreateRequest, values: Values) -> CreateRequest:
    """The request with what lies around the process: namespaces, mounts, rights."""
    return made.replace(
        hostname=values.text("hostname"),
        domainname=values.text("domainname"),
        extra_hosts=tuple(_checked("--add-host", values.many("add-host"), _host)),
        dns=tuple(_addresses("dns", values.many("dns"))),
        dns_options=tuple(values.many("dns-option") + values.many("dns-opt")),
        dns_search=tuple(values.many("dns-search")),
        network=values.text("net") or values.text("network"),
        expose=tuple(values.many("expose")),
        pid=values.text("pid"),
        ipc=values.text("ipc"),
        uts=values.text("uts"),
        cgroupns=values.text("cgroupns"),
        volumes=tuple(values.many("volume")),
        volumes_from=tuple(values.many("volumes-from")),
        mounts=tuple(_checked("--mount", values.many("mount"), _mount)),
        tmpfs=tuple(values.many("tmpfs")),
        shm_size=size_flag(values, "shm-size", 64 << 20) or 64 << 20,
        read_only=values.on("read-only"),
        privileged=values.on("privileged"),
        cap_add=tuple(values.many("cap-add")),
        cap_drop=tuple(values.many("cap-drop")),
        security_opt=tuple(map(_security_option, values.many("security-opt"))),
        sysctls=tuple(_sysctls(values.many("sysctl"))),
        devices=tuple(values.many("device")),
    )


def _entrypoint(values: Values) -> tuple[str, ...] | None:
    if not values.given("entrypoint"):
        return None
    return (values.text("entrypoint"),) if values.text("entrypoint") else ()


def labels(flag: str, given: list[str], files: list[str]) -> list[tuple[str, str]]:
    """`--label-file` lines, then `--label`s, as pairs; `flag` is the latter as it is shown."""
    for word in given:
        if not word or word.startswith("="):
            raise bad_value(flag, word, f"invalid label '{word}': empty name")
    found: list[str] = []
    for path in files:
        from kobako.cli.environment import file_lines

        found += file_lines(path, "label-file")
    return pairs(found + given)


def _security_option(option: str) -> str:
    """The option with the profile itself where it names the file of one."""
    from kobako.engine.security import split

    name, path = split(option)
    if name != "seccomp" or path in ("", "unconfined", "builtin"):
        return option
    from kobako import fastjson

    try:
        with open(path, "rb") as file:
            return f"seccomp={fastjson.dumps(fastjson.loads(file.read())).decode()}"
    except OSError as fault:
        why = f"open {path}: {(fault.strerror or '').lower()}"
        raise Refused(f"opening seccomp profile ({path}) failed: {why}") from None
    except ValueError as fault:
        raise Refused(f"compacting json for seccomp profile ({path}) failed: {fault}") from None


def _workdir(path: str) -> str:
    if path and not path.startswith("/"):
        raise Invalid(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def _pull(policy: str) -> str:
    if policy not in ("always", "missing", "never"):
        raise bad_value("--pull", policy, "one of always, missing, never")
    return policy


def _checked(flag: str, words: list[str], check: Callable[[str], None]) -> list[str]:
    """The values of a flag, none of which `check` minds."""
    for word in words:
        try:
            check(word)
        except BadValue:
            raise
        except Invalid as fault:
            raise bad_value(flag, word, fault.message, fault.hint) from None
    return words


def _ulimit(word: str) -> None:
    from kobako.engine.program import ulimit

    ulimit(word)


def _host(word: str) -> None:
    from kobako.engine.etc_files import extra_host

    extra_host(word)


def _mount(word: str) -> None:
    from kobako.engine.volumes import mount_fields

    try:
        mount_fields(word)
    except Invalid as fault:
        raise BadValue(fault.message) from None  # which names the flag


def _addresses(flag: str, words: list[str]) -> list[str]:
    import _socket as socket

    for word in words:
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in word else socket.AF_INET, word)
        except OSError:
            said = f"IP address is not correctly formatted: {word}"
            raise bad_value(f"--{flag}", word, said) from None
    return words


def _sysctls(words: list[str]) -> list[tuple[str, str]]:
    """Those that belong to a namespace of the container; others would be the host's."""
    for word in words:
        name, equals, _ = word.partition("=")
        own = name in _IPC_SYSCTLS or name.startswith(("net.", "fs.mqueue."))
        if not equals or not own:
            hint = f"Known: net.*, fs.mqueue.*, {', '.join(_IPC_SYSCTLS)}."
            raise bad_value("--sysctl", word, f"sysctl '{word}' is not allowed", hint)
    return pairs(words)


_IPC_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip


def _signal(name: str) -> str:
    """A name or number of a signal, as it was given."""
    if name:
        from kobako.engine import signals

        signals.number(name)
    return name


def _oom_score(score: int) -> int:
    if not -1000 <= score <= 1000:
        raise Invalid(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    return score
