"""`config.toml`: registries and their mirrors.

[registries."docker.io"]
mirrors = ["http://127.0.0.1:5000"]   # asked first, in order; the registry itself comes last
push = true                           # pushes go to the first mirror instead

[registries."127.0.0.1:5000"]
insecure = true                       # plain HTTP, or TLS without a known certificate
ca = "/etc/kobako/ca.pem"             # else what docker's and podman's certs.d have for it counts
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Registry(Record):
    """What the file says about one registry domain."""

    domain: str
    mirrors: tuple[str, ...] = ()
    push_to_mirror: bool = False
    insecure: bool = False
    ca: str = ""


class Config(Record):
    """The whole file; an absent file is an empty one."""

    registries: tuple[Registry, ...] = ()

    @classmethod
    def load(cls, path: str) -> Config:
        """Read `path`; `Invalid` names the key that is wrong."""
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return cls()
        except OSError as fault:
            raise Invalid(f"configuration {path}: {fault.strerror}") from None
        import tomllib

        try:
            document = tomllib.loads(text.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
            raise Invalid(f"configuration {path}: {fault}") from None
        return _read(path, document)

    def registry(self, domain: str) -> Registry:
        """What is said about `domain`, or the defaults."""
        for registry in self.registries:
            if registry.domain == domain:
                return registry
        return Registry(domain)


_TYPES: dict[str, type] = {"mirrors": list, "push": bool, "insecure": bool, "ca": str}


def _read(path: str, document: dict[str, Any]) -> Config:
    for name in document:
        if name != "registries":
            raise Invalid(f"configuration {path}: unknown key {name!r}", hint="Known: registries")
    table = document.get("registries", {})
    if not isinstance(table, dict):
        raise Invalid(f"configuration {path}: registries must be a table")
    found = []
    for domain, entry in table.items():
        where = f'configuration {path}: registries."{domain}"'
        if not isinstance(entry, dict):
            raise Invalid(f"{where} must be a table")
        for key, value in entry.items():
            if key not in _TYPES:
                raise Invalid(f"{where}: unknown key {key!r}", hint=f"Known: {', '.join(_TYPES)}")
            if not isinstance(value, _TYPES[key]):
                raise Invalid(f"{where}.{key} must be a {_TYPES[key].__name__}")
        mirrors = entry.get("mirrors", [])
        if not all(isinstance(m, str) and m.startswith(("http://", "https://")) for m in mirrors):
            raise Invalid(f"{where}.mirrors must be URLs such as http://127.0.0.1:5000")
        found.append(
            Registry(
                domain,
                tuple(mirrors),
                entry.get("push", False),
                entry.get("insecure", False),
                entry.get("ca", ""),
            )
        )
    return Config(tuple(found))
