"""What docker's documents of a container have where nothing was asked for.

Only what was asked for is kept with a container; `inspect` shows the rest too, because templates
ask for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = (
    "CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime "
    "MemoryReservation MemorySwap CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth OomScoreAdj"
)
_WORDS = (
    "ContainerIDFile VolumeDriver Cgroup UsernsMode Isolation CgroupParent CpusetCpus CpusetMems"
)
_NOTHING = (
    "VolumesFrom CapAdd CapDrop GroupAdd Links BlkioDeviceReadBps BlkioDeviceWriteBps "
    "BlkioDeviceReadIOps BlkioDeviceWriteIOps DeviceCgroupRules DeviceRequests MemorySwappiness "
    "OomKillDisable PidsLimit Ulimits"
)
_LISTS = "DnsOptions DnsSearch BlkioWeightDevice Devices"

DEFAULTS: dict[str, Any] = {
    "LogConfig": {"Type": "json-file", "Config": {}},
    "PortBindings": {},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "CgroupnsMode": "private",
    "PublishAllPorts": False,
    "Runtime": "kobako",
    "ConsoleSize": [0, 0],
    **dict.fromkeys(_NUMBERS.split(), 0),
    **dict.fromkeys(_WORDS.split(), ""),
    **dict.fromkeys(_NOTHING.split()),
    **{name: [] for name in _LISTS.split()},
}
"""Of HostConfig."""

ENDPOINT: dict[str, Any] = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "NetworkID": "",
    "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
    "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DriverOpts": None,
}  # fmt: skip
"""A network a container is in."""

NETWORK: dict[str, Any] = {
    "Bridge": "", "SandboxID": "", "HairpinMode": False, "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0, "Ports": {}, "SandboxKey": "", "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None, "EndpointID": "", "Gateway": "",
    "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0,
    "IPv6Gateway": "", "MacAddress": "",
}  # fmt: skip
"""NetworkSettings but for the networks."""
