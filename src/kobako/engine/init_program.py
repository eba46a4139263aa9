"""--init: a small program of the host's as process 1, which passes signals on and reaps."""

from __future__ import annotations

import os

from kobako.errors import Unsupported
from kobako.runtime.spec import BindMount

TARGET = "/sbin/docker-init"
COMMAND = (TARGET, "--")
_NAMES = ("docker-init", "tini-static", "catatonit")  # linked statically: they run in any image
_DIRECTORIES = ("/usr/libexec/docker", "/usr/libexec/podman", "/usr/lib/podman", "/usr/local/bin",
                "/usr/bin", "/usr/sbin", "/bin", "/sbin")  # fmt: skip


def bind() -> BindMount:
    """The program where a container finds it. `Unsupported` when the host has none."""
    for name in _NAMES:
        for directory in _DIRECTORIES:
            path = os.path.join(directory, name)
            if os.access(path, os.X_OK):
                return BindMount(os.path.realpath(path), TARGET, readonly=True)
    raise Unsupported(
        "--init needs an init program on this machine, and there is none",
        hint=f"Install one of {', '.join(_NAMES)} (in Debian: catatonit).",
    )
