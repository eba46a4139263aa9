"""EXPOSE: `80`, `80/udp`, `8000-8010/tcp` → the keys of `ExposedPorts`."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_ports(words: list[str]) -> list[str]:
    """Each port with its protocol, ranges spelled out. A host's part is dropped, as docker does."""
    found: list[str] = []
    for word in words:
        spec, slash, protocol = word.partition("/")
        protocol = protocol.lower() if slash else "tcp"
        spec = spec.rpartition(":")[2]
        if protocol not in _PROTOCOLS:
            raise Problem(f"invalid proto: {protocol}", word)
        low, dash, high = spec.partition("-")
        first, last = _port(low, word), _port(high if dash else low, word)
        if last < first:
            raise Problem(f"invalid range format for containerPort: {spec}", word)
        found += [f"{port}/{protocol}" for port in range(first, last + 1)]
    return found


def _port(text: str, word: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise Problem(f"invalid containerPort: {word}", word)
    return int(text)
