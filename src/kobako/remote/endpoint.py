"""From a reference's domain to the base URLs that may answer for it, in the order to try them."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DOCKER_IO = "docker.io"
_DOCKER_IO_HOST = "registry-1.docker.io"


class Mirror(Record):
    """A registry that answers for another. `url` is `http[s]://host[:port][/prefix]`.

    Pushes pass mirrors by, unless `push` is set: then they go there and nowhere else.
    """

    url: str
    push: bool = False


class HostConfig(Record):
    """What is configured for one `host[:port]`, be it a reference's domain or a mirror's host.

    `insecure` allows plain HTTP and certificates nobody vouches for. `ca_file`, `client_cert` and
    `client_key` are paths of PEM files; empty means the system's authorities and no client
    certificate. `certificates` is a directory as docker's `certs.d/<host>`: authorities in
    `*.crt`, beside the system's; client certificates in `*.cert`, each with its `*.key`.
    """

    domain: str
    mirrors: tuple[Mirror, ...] = ()
    insecure: bool = False
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    certificates: str = ""


class RegistryConfig(Record):
    """Everything configured about registries.

    `proxies` are (lower-case variable, value) pairs of `http_proxy`, `https_proxy` and `no_proxy`.
    `certificates` are directories such as `/etc/docker/certs.d`: the first that has one named
    after a host counts for it.
    """

    hosts: tuple[HostConfig, ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    certificates: tuple[str, ...] = ()

    def host(self, domain: str) -> HostConfig:
        """What is configured for `domain`; the defaults if nothing is."""
        known = next((h for h in self.hosts if h.domain == domain), HostConfig(domain))
        if known.ca_file or known.certificates or domain.strip(".") == "":
            return known
        for directory in self.certificates:
            path = os.path.join(directory, domain)
            if os.path.isdir(path):
                return known.replace(certificates=path)
        return known

    def proxy_for(self, scheme: str, host: str) -> str:
        """The proxy's URL for requests to `host` ("" for none), by the usual variables' rules."""
        values = dict(self.proxies)
        if is_loopback(host) or _matches(values.get("no_proxy", ""), host):
            return ""
        proxy = values.get(f"{scheme}_proxy", "")
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy


class Endpoint(Record):
    """One registry server to try.

    `host` is `host[:port]`, the key of credentials and of what is remembered of blobs; `bases` are
    the URLs before `/v2/`, the preferred scheme first. `verify` is whether TLS certificates count.
    """

    host: str
    bases: tuple[str, ...]
    config: HostConfig
    mirror: bool = False
    verify: bool = True


def endpoints(domain: str, config: RegistryConfig, *, push: bool = False) -> tuple[Endpoint, ...]:
    """Who may answer for `domain`, in order: mirrors first, the registry itself last.

    For a push: the mirror configured to take pushes, else the registry itself alone.
    Raises `Invalid` for a mirror that is no URL.
    """
    configured = config.host(domain)
    mirrors = configured.mirrors
    if push:
        taking = tuple(m for m in mirrors if m.push)[:1]
        return _mirrors(taking, config) or (_own(domain, configured),)
    return (*_mirrors(mirrors, config), _own(domain, configured))


def is_loopback(host: str) -> bool:
    """Whether `host[:port]` is this machine by name or address: what docker lets be insecure."""
    name = host_name(host)
    if name in ("localhost", "::1"):
        return True
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(p.isdecimal() for p in parts)


def host_name(host: str) -> str:
    """`host` without its port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _own(domain: str, configured: HostConfig) -> Endpoint:
    if domain == DOCKER_IO:
        return Endpoint(DOCKER_IO, (f"https://{_DOCKER_IO_HOST}",), configured)
    secure, plain = f"https://{domain}", f"http://{domain}"
    if is_loopback(domain):
        # Plain HTTP first: nothing secret is sent before the server has shown what it speaks.
        verify = bool(configured.ca_file) and not configured.insecure
        bases = (secure,) if verify else (plain, secure)
        return Endpoint(domain, bases, configured, verify=verify)
    if configured.insecure:
        return Endpoint(domain, (secure, plain), configured, verify=False)
    return Endpoint(domain, (secure,), configured)


def _mirrors(mirrors: Iterable[Mirror], config: RegistryConfig) -> tuple[Endpoint, ...]:
    found = []
    for mirror in mirrors:
        scheme, separator, rest = mirror.url.rstrip("/").partition("://")
        host = rest.partition("/")[0]
        if not separator or scheme not in ("http", "https") or not host or "@" in host:
            raise Invalid(
                f"invalid registry mirror {mirror.url.rpartition('@')[2]!r}",
                hint="a mirror is a URL such as http://127.0.0.1:5000, without user and password",
            )
        configured = config.host(host)
        verify = not (configured.insecure or (is_loopback(host) and not configured.ca_file))
        base = f"{scheme}://{rest}"
        found.append(Endpoint(host, (base,), configured, mirror=True, verify=verify))
    return tuple(found)


def _matches(no_proxy: str, host: str) -> bool:
    name = host_name(host)
    for entry in no_proxy.replace(",", " ").split():
        if entry in ("*", host):
            return True
        suffix = host_name(entry).lstrip("*").lstrip(".")
        if suffix and (name == suffix or name.endswith("." + suffix)):
            return True
    return False
