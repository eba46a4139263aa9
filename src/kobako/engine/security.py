"""docker's --security-opt."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

NAMES = ("no-new-privileges", "seccomp", "apparmor", "label", "systempaths")


class Security(Record):
    """`seccomp`: "" for the default profile, "unconfined", or a profile's JSON text; `bare_paths`:
    nothing of /proc and /sys is masked."""

    no_new_privileges: bool = False
    seccomp: str = ""
    bare_paths: bool = False


def split(option: str) -> tuple[str, str]:
    """(name, value) of an option; "name:value" is an older way to write it."""
    at = min((i for i in (option.find("="), option.find(":")) if i >= 0), default=len(option))
    return option[:at], option[at + 1 :]


def parse(options: tuple[str, ...]) -> Security:
    """What the options say together; the value of seccomp is the profile itself, not a path.

    AppArmor profiles other than "unconfined" are refused: kobako applies none. SELinux labels are
    taken and mean nothing here.
    """
    found = Security()
    for option in options:
        name, value = split(option)
        if name == "no-new-privileges":
            if value not in ("", "true", "false"):
                raise Invalid(f"invalid --security-opt 2: {option!r}")
            found = found.replace(no_new_privileges=value != "false")
        elif name == "seccomp" and value:
            found = found.replace(seccomp="" if value == "builtin" else value)
        elif name == "systempaths" and value == "unconfined":
            found = found.replace(bare_paths=True)
        elif name == "apparmor" and value and value != "unconfined":
            raise Invalid(
                f"--security-opt {option}: AppArmor profiles are not applied by kobako",
                hint="Leave the option out, or use apparmor=unconfined.",
            )
        elif name not in ("apparmor", "label") or not value:
            raise Invalid(f"invalid --security-opt: {option!r}", hint=f"Known: {', '.join(NAMES)}.")
    return found
