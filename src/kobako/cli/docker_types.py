"""docker's Go types of what `inspect` shows, as its templates see them.

A template of docker's is carried out on values of Go, not on the JSON they are printed as: a field
that JSON leaves out is there and has its zero value, so that `{{if .State.Health}}` asks rather
than fails; a list that is null prints `[]`; a struct prints its values in order. The types are
those of docker's Engine API (its Go module `api/types`).
"""

from __future__ import annotations

from kobako.cli.template_functions import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STRUCTS = {
    "container": """ID:Id Created Path Args:[] State:state Image ResolvConfPath HostnamePath
        HostsPath LogPath Name RestartCount:0 Driver Platform MountLabel ProcessLabel
        AppArmorProfile ExecIDs:[] HostConfig:host_config GraphDriver:graph_driver SizeRw:nil
        SizeRootFs:nil Mounts:[mount] Config:config NetworkSettings:network_settings""",
    "state": """Status Running:no Paused:no Restarting:no OOMKilled:no Dead:no Pid:0 ExitCode:0
        Error StartedAt FinishedAt Health:*health""",
    "health": "Status FailingStreak:0 Log:[probe]",
    "probe": "Start End ExitCode:0 Output",
    "config": """Hostname Domainname User AttachStdin:no AttachStdout:no AttachStderr:no
        ExposedPorts:map Tty:no OpenStdin:no StdinOnce:no Env:[] Cmd:[] Healthcheck:*healthcheck
        ArgsEscaped:no Image Volumes:map WorkingDir Entrypoint:[] NetworkDisabled:no MacAddress
        OnBuild:[] Labels:map StopSignal StopTimeout:nil Shell:[]""",
    "healthcheck": "Test:[] Interval:ns Timeout:ns StartPeriod:ns StartInterval:ns Retries:0",
    "host_config": """Binds:[] ContainerIDFile LogConfig:log_config NetworkMode PortBindings:map
        RestartPolicy:restart_policy AutoRemove:no VolumeDriver VolumesFrom:[] CapAdd:[] CapDrop:[]
        CgroupnsMode Dns:[] DnsOptions:[] DnsSearch:[] ExtraHosts:[] GroupAdd:[] IpcMode Cgroup
        Links:[] OomScoreAdj:0 PidMode Privileged:no PublishAllPorts:no ReadonlyRootfs:no
        SecurityOpt:[] StorageOpt:map Tmpfs:map UTSMode UsernsMode ShmSize:0 Sysctls:map Runtime
        ConsoleSize:[] Isolation CpuShares:0 Memory:0 NanoCpus:0 CgroupParent BlkioWeight:0
        BlkioWeightDevice:[] BlkioDeviceReadBps:[] BlkioDeviceWriteBps:[] BlkioDeviceReadIOps:[]
        BlkioDeviceWriteIOps:[] CpuPeriod:0 CpuQuota:0 CpuRealtimePeriod:0 CpuRealtimeRuntime:0
        CpusetCpus CpusetMems Devices:[device] DeviceCgroupRules:[] DeviceRequests:[]
        KernelMemory:0 KernelMemoryTCP:0 MemoryReservation:0 MemorySwap:0 MemorySwappiness:nil
        OomKillDisable:nil PidsLimit:nil Ulimits:[ulimit] CpuCount:0 CpuPercent:0 IOMaximumIOps:0
        IOMaximumBandwidth:0 Mounts:[] MaskedPaths:[] ReadonlyPaths:[] Init:nil""",
    "log_config": "Type Config:map",
    "restart_policy": "Name MaximumRetryCount:0",
    "device": "PathOnHost PathInContainer CgroupPermissions",
    "ulimit": "Name Hard:0 Soft:0",
    "graph_driver": "Data:map Name",
    "mount": "Type Name Source Destination Driver Mode RW:no Propagation",
    "network_settings": """Bridge SandboxID HairpinMode:no LinkLocalIPv6Address
        LinkLocalIPv6PrefixLen:0 Ports:map SandboxKey SecondaryIPAddresses:[]
        SecondaryIPv6Addresses:[] EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen:0
        IPAddress IPPrefixLen:0 IPv6Gateway MacAddress Networks:map(endpoint)""",
    "endpoint": """IPAMConfig:nil Links:[] Aliases:[] NetworkID EndpointID Gateway IPAddress
        IPPrefixLen:0 IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen:0 MacAddress
        DriverOpts:map""",
    "image": """ID:Id RepoTags:[] RepoDigests:[] Parent Comment Created Container
        ContainerConfig:*config DockerVersion Author Config:*config Architecture Variant Os
        OsVersion Size:0 VirtualSize:0 GraphDriver:graph_driver RootFS:root_fs Metadata:metadata""",
    "root_fs": "Type Layers:[] BaseLayer",
    "metadata": "LastTagTime",
    "volume": """CreatedAt Driver Labels:map Mountpoint Name Options:map Scope Status:map
        UsageData:nil""",
    "network": """Name ID:Id Created Scope Driver EnableIPv6:no IPAM:ipam Internal:no Attachable:no
        Ingress:no ConfigFrom:config_from ConfigOnly:no Containers:map Options:map Labels:map""",
    "ipam": "Driver Options:map Config:[]",
    "config_from": "Network",
}
"""Field:kind, a string where there is no kind. `*x` is a pointer to a struct, `nil` one to a
number or the like; `[x]` and `map(x)` hold structs; `ID:Id` is `ID` to Go and `Id` in JSON."""


class Nil:
    """A pointer that points nowhere."""

    document = None

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "<nil>"


NIL = Nil()


class Struct(dict):  # type: ignore[type-arg]  # names in Go to values, in Go's order
    """`document` is what JSON shows of it."""

    document: dict[str, Any]

    def __str__(self) -> str:
        return "{" + " ".join(map(show, self.values())) + "}"


class Ulimit(Struct):
    def __str__(self) -> str:
        return f"{self['Name']}={self['Soft']}:{self['Hard']}"


class NilMap(dict):  # type: ignore[type-arg]
    document = None

    def __str__(self) -> str:
        return "map[]"


class NilList(list):  # type: ignore[type-arg]
    document = None

    def __str__(self) -> str:
        return "[]"


class Duration(int):
    """Nanoseconds."""

    @property
    def document(self) -> int:
        return int(self)

    def __str__(self) -> str:
        from kobako.build.gotext import duration

        return duration(self)


def typed(document: dict[str, Any]) -> dict[str, Any]:
    """What `inspect` has found, as a template is to see it."""
    marks = {"State": "container", "RootFS": "image", "Mountpoint": "volume", "IPAM": "network"}
    name = next((kind for mark, kind in marks.items() if mark in document), "")
    return _struct(name, document) if name else document


def _struct(name: str, document: dict[str, Any]) -> Struct:
    made = Ulimit() if name == "ulimit" else Struct()
    made.document = document
    for word in _STRUCTS[name].split():
        field, _, kind = word.partition(":")
        key, kind = (kind, "") if kind == "Id" else (field, kind)
        made[field] = _value(kind, document.get(key))
    return made


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return _zero(kind)
    if kind == "ns":
        return Duration(value)
    if kind.lstrip("*") in _STRUCTS:
        return _struct(kind.lstrip("*"), value)
    if kind[:1] == "[" and kind != "[]":
        return [_struct(kind[1:-1], item) for item in value]
    if kind.startswith("map("):
        return {key: _struct(kind[4:-1], item) for key, item in value.items()}
    return value


def _zero(kind: str) -> Any:
    if kind in _STRUCTS:
        return _struct(kind, {})
    if kind[:1] == "[":
        return NilList()
    if kind.startswith("map"):
        return NilMap()
    if kind[:1] == "*" or kind == "nil":
        return NIL
    return {"no": False, "0": 0, "ns": Duration(0)}.get(kind, "")
