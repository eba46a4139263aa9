"""The profile of a container by what was asked for, and the filter of a section.

What nearly every container has, with docker's default capabilities or none, is translated already:
`default.<machine>.bpf` and `bare.<machine>.bpf` beside this file. `write_prepared` makes them.
"""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.linux.seccomp import FLAG_SPEC_ALLOW, Filter
from kobako.runtime.seccomp import default

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

UNCONFINED = "unconfined"
_PREPARED = (("default", ("CAP_SYS_CHROOT",)), ("bare", ()))


def section(
    wanted: str, capabilities: Collection[str], *, privileged: bool = False
) -> dict[str, Any] | None:
    """`linux.seccomp` for what was asked for: "" (the default profile; none when privileged),
    "unconfined", or a profile's JSON text. None: no filter. `Invalid` if the text is no profile."""
    if wanted == UNCONFINED or (privileged and not wanted):
        return None
    here = os.uname()
    if not wanted:
        return default.section(capabilities, here.machine)
    from kobako.runtime.seccomp import moby

    found = moby.section(wanted, capabilities, here.machine, here.release)
    if found is not None:
        filter_of(found)  # what cannot be translated is refused now, not at the start
    return found


def filter_of(section: dict[str, Any]) -> Filter:
    """The filter of a runtime-spec section on this machine."""
    machine = os.uname().machine
    for name, capabilities in _PREPARED:
        if section == default.section(capabilities, machine):
            prepared = _read(name, machine)
            if prepared:
                return Filter(prepared, FLAG_SPEC_ALLOW)
    from kobako.runtime.seccomp import translate

    try:
        return Filter(translate.program(section, machine), translate.flags(section))
    except (AttributeError, KeyError, TypeError) as fault:
        raise Invalid(f"linux.seccomp is not as the runtime-spec has it: {fault}") from None


def _read(name: str, machine: str) -> bytes:
    try:
        with open(_path(name, machine), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _path(name: str, machine: str) -> str:
    return os.path.join(os.path.dirname(__file__), f"{name}.{machine}.bpf")


def prepared(machine: str) -> dict[str, bytes]:
    """Path -> content of the files translated ahead for a machine."""
    from kobako.runtime.seccomp import translate

    return {
        _path(name, machine): translate.program(default.section(capabilities, machine), machine)
        for name, capabilities in _PREPARED
    }


def write_prepared() -> None:
    """Translate the default profile anew after it has changed:
    `python -c "from kobako.runtime.seccomp import profile; profile.write_prepared()"`."""
    for machine in default.ARCHITECTURES:
        for path, content in prepared(machine).items():
            with open(path, "wb") as file:
                file.write(content)
