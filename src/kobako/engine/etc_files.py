"""The files docker puts over the image's: /etc/hosts, /etc/hostname and /etc/resolv.conf."""

from __future__ import annotations

import os

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.runtime.spec import BindMount


_IP6_HOSTS = (
    "fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


def binds(directory: str, taken: set[str]) -> list[BindMount]:
    """What shows them in the container, but for those at places that are `taken`."""
    from kobako.runtime.spec import BindMount

    names = ("hosts", "hostname", "resolv.conf")
    return [
        BindMount(os.path.join(directory, name), f"/etc/{name}")
        for name in names
        if f"/etc/{name}" not in taken
    ]


def build_binds(directory: str) -> list[BindMount]:
    """The same for a step of a build. As with BuildKit they cannot be written, so that a step that
    tries fails rather than loses what it wrote, and /etc/hostname is the image's own file."""
    from kobako.runtime.spec import BindMount

    return [
        BindMount(os.path.join(directory, name), f"/etc/{name}", readonly=True)
        for name in ("hosts", "resolv.conf")
    ]


def write(
    directory: str,
    *,
    hostname: str,
    host_network: bool,
    extra_hosts: tuple[str, ...],
    dns: tuple[str, ...],
    dns_search: tuple[str, ...] = (),
    dns_options: tuple[str, ...] = (),
    building: bool = False,
) -> None:
    """Write them in a container's directory. What a build sees of the hosts is the same on every
    machine."""
    hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    if building:
        hosts = hosts.replace("localhost\n", f"localhost {hostname}\n", 1)
    else:
        hosts = (_host_file("/etc/hosts") if host_network else "") or hosts + _IP6_HOSTS
    if hostname != os.uname().nodename and not building:
        hosts += f"127.0.1.1\t{hostname}\n"
    for entry in extra_hosts:
        name, address = extra_host(entry)
        hosts += f"{address}\t{name}\n"
    contents = {
        "hosts": hosts,
        "hostname": hostname + "\n",
        "resolv.conf": _resolv_conf(dns, dns_search, dns_options),
    }
    for name, text in contents.items():
        with open(os.path.join(directory, name), "w") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the umask is: all its users read them
            file.write(text)


def _resolv_conf(dns: tuple[str, ...], search: tuple[str, ...], options: tuple[str, ...]) -> str:
    """The host's, each part replaced by what was asked for; a search of "." is none."""
    host = _host_file("/etc/resolv.conf")
    if not (dns or search or options):
        return host
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in host.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in kept:
            kept[word].append(rest.strip())
    lines = [f"search {' '.join(s for s in search if s != '.') or ' '.join(kept['search'])}"]
    lines += [f"nameserver {server}" for server in dns or kept["nameserver"]]
    lines.append(f"options {' '.join(options) or ' '.join(kept['options'])}")
    if search == (".",):
        del lines[0]
    return "".join(f"{line}\n" for line in lines if line.partition(" ")[2])


def extra_host(entry: str) -> tuple[str, str]:
    """(name, address) of `host=ip` or `host:ip`; an IPv6 address may stand in brackets. With the
    host's network its gateway is the host itself."""
    import _socket as socket

    name, separator, address = entry.partition("=")
    if not separator:
        name, _, address = entry.partition(":")
    if not name or not address:
        raise Invalid(f'bad format for add-host: "{entry}"', hint="Use host:ip or host=ip.")
    if address == "host-gateway":
        return name, "127.0.0.1"
    address = address.removeprefix("[").removesuffix("]")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        raise Invalid(f"invalid IP address in add-host: {address!r}") from None
    return name, address


def _host_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
