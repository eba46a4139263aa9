"""Flags of docker's `run` and `create` that kobako knows and does not carry out.

What the container works without is left out with a warning. What would make
another container of it, a device or a network that is not there, is refused.
"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Flag, Refused, Values
from kobako.errors import Invalid, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context

_LEFT_OUT = (("cpu-count", TEXT), ("cpu-percent", TEXT), ("kernel-memory", TEXT))
_REFUSED = (
    ("device-cgroup-rule", LIST, "there is no device cgroup"),
    ("gpus", TEXT, "no device can be added to a container"),
    ("ip", TEXT, "there is no network with addresses of its own"),
    ("ip6", TEXT, "there is no network with addresses of its own"),
    ("link", LIST, "containers share the host's network: use localhost"),
    ("link-local-ip", LIST, "there is no network with addresses of its own"),
    ("mac-address", TEXT, "there is no network with addresses of its own"),
    ("network-alias", LIST, "containers share the host's network: use localhost"),
    ("storage-opt", LIST, "the writable layer has no limit"),
    ("use-api-socket", BOOL, "there is no Engine API"),
)
# Taken, and nothing else than what they ask for exists.
_ONLY = (
    ("disable-content-trust", BOOL, ("true", "false")),
    ("isolation", TEXT, ("", "default")),
    ("runtime", TEXT, ("", "kobako")),
    ("userns", TEXT, ("", "host")),
    ("volume-driver", TEXT, ("", "local")),
)

FLAGS = (
    *(Flag(name, "", kind, "Not enforced: a limit", hidden=True) for name, kind in _LEFT_OUT),
    *(Flag(name, "", kind, f"Not supported: {why}", hidden=True) for name, kind, why in _REFUSED),
    *(Flag(name, "", kind, "Accepted for docker's sake", hidden=True) for name, kind, _ in _ONLY),
    Flag("publish", "p", LIST, "Publish a container's port(s) to the host"),
    Flag("publish-all", "P", BOOL, "Publish all exposed ports to random ports"),
    Flag("restart", "", TEXT, "Restart policy to apply when a container exits", default="no"),
)


def check(context: Context, values: Values) -> None:
    """Warn of what is left out; `Invalid` for bad values, `Unsupported` for what is refused."""
    for name, _, why in _REFUSED:
        if values.given(name):
            raise Unsupported(f"--{name} is not supported", hint=f"{why[0].upper()}{why[1:]}.")
    for name, kind, known in _ONLY:
        if kind == TEXT and values.text(name) not in known:
            raise Unsupported(
                f"--{name} {values.text(name)} is not supported",
                hint=f"There is {known[-1]} alone: leave the flag out.",
            )
    for name, _ in _LEFT_OUT:
        if values.given(name):
            context.err(f"WARNING: --{name} is not enforced. Limitation discarded.")
    _check_ports(context, values)


def restart_policy(values: Values) -> dict[str, Any] | None:
    """docker's RestartPolicy as --restart says it; None when nothing is to be restarted."""
    if not values.given("restart"):
        return None
    from kobako.engine import restarting

    found = restarting.policy(values.text("restart"))
    if found["Name"] == "no":
        return None
    if values.on("rm"):
        raise Refused("conflicting options: cannot specify both --restart and --rm")
    return found


def _check_ports(context: Context, values: Values) -> None:
    published = values.many("publish")
    if not published and not values.on("publish-all"):
        return
    from kobako.cli import published_ports

    for text in published:
        published_ports.check(text)
    network = values.text("net") or values.text("network")
    if network not in ("default", "host", "bridge"):
        raise Invalid(f"ports cannot be published on the network {network!r}")
    context.err("WARNING: Published ports are discarded when using host network mode")
