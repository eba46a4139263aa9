"""The part of an image that is no program: directories, a fresh /etc, terminals, locale.

Nothing here is copied from this machine but what every machine of its kind has: terminal
descriptions, the C.UTF-8 locale, os-release and, on request, the public certificates.
"""

from __future__ import annotations

import os

from kobako.errors import KobakoError, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.image.from_host.plan import TreePlan

_DIRECTORIES = {
    "/dev": 0o755,
    "/etc": 0o755,
    "/home": 0o755,
    "/opt": 0o755,
    "/proc": 0o555,
    "/root": 0o700,
    "/run": 0o755,
    "/srv": 0o755,
    "/sys": 0o555,
    "/tmp": 0o1777,
    "/usr/local/bin": 0o755,
    "/var/lib": 0o755,
    "/var/log": 0o755,
    "/var/tmp": 0o1777,
}

_ETC = {
    "passwd": (
        "root:x:0:0:root:/root:{shell}\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    ),
    "group": "root:x:0:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\n",
    "nsswitch.conf": (
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
        "services: files\nprotocols: files\nnetworks: files\n"
    ),
    "hosts": "",
    "resolv.conf": "",
    "hostname": "",
}

_TERMINALS = (
    "alacritty ansi dumb foot linux rxvt rxvt-unicode rxvt-unicode-256color screen"
    " screen-256color tmux tmux-256color vt100 vt102 vt220 xterm xterm-256color xterm-color"
    " xterm-kitty"
).split()
_TERMINFO_DIRECTORIES = (
    "/etc/terminfo",
    "/lib/terminfo",
    "/usr/lib/terminfo",
    "/usr/share/terminfo",
)
_LOCALES = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")

_CERTIFICATE_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CERTIFICATE_LINKS = ("/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem", "/etc/pki/tls/cert.pem")


def add_directories(plan: TreePlan) -> None:
    """The merged /usr of this machine, when it has one, and the places programs expect."""
    for name in ("/bin", "/sbin", "/lib", "/lib64"):
        if os.path.islink(name):
            plan.add(name)
    for where, mode in _DIRECTORIES.items():
        plan.directory(where, mode)


def add_etc(plan: TreePlan, shell: str) -> None:
    """Accounts of root and nobody, name service, and empty files the runtime fills."""
    for name, text in _ETC.items():
        plan.write(f"/etc/{name}", text.format(shell=shell).encode())
    plan.write("/etc/os-release", _os_release())
    # A shell that has no prompt of its own says who and where it is, as Debian's images do.
    plan.write("/root/.bashrc", b"PS1='\\u@\\h:\\w\\$ '\n")


def add_terminals(plan: TreePlan) -> None:
    """The descriptions of the terminals people use, wherever this machine keeps them."""
    for directory in _TERMINFO_DIRECTORIES:
        for name in _TERMINALS:
            for path in (f"{directory}/{name[0]}/{name}", f"{directory}/{ord(name[0]):x}/{name}"):
                if os.path.lexists(path):
                    _add_or_skip(plan, path)


def add_locale(plan: TreePlan) -> None:
    """C.UTF-8, where it is kept in files rather than in libc."""
    for directory in _LOCALES:
        for top, directories, files in os.walk(directory):
            directories.sort()
            for name in sorted(files):
                _add_or_skip(plan, f"{top}/{name}")


def add_certificates(plan: TreePlan) -> None:
    """The certificate authorities this machine trusts; `NotFound` when it has no bundle."""
    for bundle in _CERTIFICATE_BUNDLES:
        if os.path.isfile(bundle):
            break
    else:
        raise NotFound(
            "this machine has no bundle of certificate authorities", hint="leave out --with-ca"
        )
    with open(bundle, "rb") as file:
        data = file.read()
    if b"PRIVATE KEY" in data:
        raise NotFound(f"{bundle} holds a private key and is not copied into an image")
    plan.write(_CERTIFICATE_BUNDLES[0], data)
    for link in _CERTIFICATE_LINKS:
        plan.symlink(link, _CERTIFICATE_BUNDLES[0])


def _os_release() -> bytes:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, "rb") as file:
                return file.read(16384)
        except OSError:
            continue
    return b'ID=linux\nNAME="Linux"\nPRETTY_NAME="Linux"\n'


def _add_or_skip(plan: TreePlan, path: str) -> None:
    try:
        plan.add(path)
    except KobakoError as error:
        plan.skip(path, error.message)
