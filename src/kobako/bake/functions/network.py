"""Functions of IP networks."""

from __future__ import annotations

import ipaddress

from kobako.bake import values
from kobako.bake.functions.signature import function, whole
from kobako.bake.source import Fault
from kobako.bake.values import NUMBER, STRING, Value, list_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.scope import Function

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: Value) -> Network:
    try:
        if "/" not in value.raw:
            raise ValueError
        return ipaddress.ip_network(value.raw, strict=False)
    except ValueError:
        raise Fault(f"invalid CIDR expression: {value.raw}") from None


def _host(prefix: Value, number: Value) -> Value:
    network = _network(prefix)
    at = whole(number, "the host number")
    count = network.num_addresses
    if not -count <= at < count:
        raise Fault(f"prefix of {network.prefixlen} does not accommodate a host numbered {at}")
    return values.text(str(network[at]))


def _netmask(prefix: Value) -> Value:
    network = _network(prefix)
    if network.version != 4:
        raise Fault("only IPv4 networks have a netmask")
    return values.text(str(network.netmask))


def _subnet(prefix: Value, new_bits: Value, number: Value) -> Value:
    network = _network(prefix)
    bits, at = whole(new_bits, "newbits"), whole(number, "netnum")
    length = network.prefixlen + bits
    if bits < 0 or length > network.max_prefixlen:
        raise Fault(f"insufficient address space to extend prefix of {network.prefixlen} by {bits}")
    if not 0 <= at < 1 << bits:
        raise Fault(f"prefix extension of {bits} does not accommodate a subnet numbered {at}")
    return values.text(_made(network, int(network.network_address), length, at))


def _made(network: Network, base: int, length: int, at: int) -> str:
    size = network.max_prefixlen - length
    kind = type(network.network_address)
    return f"{kind(base + (at << size))}/{length}"


def _subnets(prefix: Value, *new_bits: Value) -> Value:
    network = _network(prefix)
    at, found = int(network.network_address), []
    end = at + network.num_addresses
    for value in new_bits:
        bits = whole(value, "newbits")
        length = network.prefixlen + bits
        if bits < 1:
            raise Fault("must extend prefix by at least one bit")
        if length > network.max_prefixlen:
            raise Fault(f"would extend prefix to {length} bits")
        size = 1 << network.max_prefixlen - length
        at = (at + size - 1) // size * size
        if at + size > end:
            raise Fault(
                f"not enough remaining address space for a subnet with a prefix of {length}"
            )
        found.append(values.text(_made(network, at, length, 0)))
        at += size
    return list_of(STRING, found)


FUNCTIONS: dict[str, Function] = {
    "cidrhost": function(_host, STRING, NUMBER),
    "cidrnetmask": function(_netmask, STRING),
    "cidrsubnet": function(_subnet, STRING, NUMBER, NUMBER),
    "cidrsubnets": function(_subnets, STRING, rest=NUMBER),
}
