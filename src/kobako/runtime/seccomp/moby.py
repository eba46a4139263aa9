"""Profiles from files: docker's JSON form, in which rules may depend on capabilities and machine.

A plain `linux.seccomp` section of the runtime-spec is such a profile too.
"""

from __future__ import annotations

from kobako import fastjson
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_KEPT = ("names", "action", "errnoRet", "args")


def section(
    text: str, capabilities: Collection[str], machine: str, kernel: str
) -> dict[str, Any] | None:
    """`linux.seccomp` of a profile for a process with `capabilities` in its bounding set, on a
    `machine` as uname(2) spells it and a `kernel` release; None when the profile is empty.

    Raises `Invalid`.
    """
    try:
        profile = fastjson.loads(text)
    except ValueError as fault:
        raise Invalid(f"the seccomp profile is not JSON: {fault}") from None
    if not isinstance(profile, dict):
        raise Invalid("the seccomp profile is not a JSON object")
    rules = _listed(profile, "syscalls")
    if not profile.get("defaultAction") and not rules:
        return None
    if profile.get("architectures") and profile.get("archMap"):
        raise Invalid("the seccomp profile has both 'architectures' and 'archMap': use one of them")
    found = {k: profile[k] for k in ("defaultAction", "defaultErrnoRet", "flags") if k in profile}
    found["architectures"] = list(profile.get("architectures") or ())
    for entry in _listed(profile, "archMap"):
        if entry.get("architecture") == _NATIVE.get(machine):
            found["architectures"] = [entry["architecture"], *(entry.get("subArchitectures") or ())]
    found["syscalls"] = [
        _rule(rule) for rule in rules if _applies(rule, capabilities, machine, kernel)
    ]
    return found


def _listed(profile: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = profile.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Invalid(f"the seccomp profile's '{key}' is not a list of objects")
    return entries


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    name, names = rule.get("name"), rule.get("names")
    if name and names:
        raise Invalid("a rule of the seccomp profile has both 'name' and 'names'")
    names = [name] if name else names
    arguments = rule.get("args") or []
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise Invalid("a rule of the seccomp profile has no list of 'names'")
    if not isinstance(arguments, list) or not all(isinstance(a, dict) for a in arguments):
        raise Invalid("a rule of the seccomp profile has 'args' that are no list of objects")
    found = {k: rule[k] for k in _KEPT if rule.get(k) is not None}
    found["names"] = names
    return found


def _applies(
    rule: dict[str, Any], capabilities: Collection[str], machine: str, kernel: str
) -> bool:
    arch = _MACHINES.get(machine, machine)
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    if not isinstance(wanted, dict) or not isinstance(unwanted, dict):
        raise Invalid("a rule of the seccomp profile has 'includes' or 'excludes' of no object")
    if wanted.get("arches") and arch not in wanted["arches"]:
        return False
    if arch in (unwanted.get("arches") or ()):
        return False
    if not all(c in capabilities for c in wanted.get("caps") or ()):
        return False
    if any(c in capabilities for c in unwanted.get("caps") or ()):
        return False
    here = _version(kernel)
    if wanted.get("minKernel") and here < _version(wanted["minKernel"]):
        return False
    return not (unwanted.get("minKernel") and here >= _version(unwanted["minKernel"]))


def _version(text: str) -> tuple[int, int]:
    major, _, rest = str(text).partition(".")
    minor = ""
    for letter in rest:
        if not letter.isdigit():
            break
        minor += letter
    if not major.isdigit() or not minor:
        raise Invalid(f"the seccomp profile names a kernel {text!r}: use MAJOR.MINOR")
    return int(major), int(minor)
