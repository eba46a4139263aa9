"""Limits of a container made real: its cgroup is made, filled with values, joined, changed.

Loaded only for a container that has `linux.cgroupsPath`. What no controller is there for, or may be
used, is left out: `attempt` says what and why, and the front end warns. A value the kernel refuses
is an error.
"""

from __future__ import annotations

import os

from kobako.errors import Invalid, StartFailed
from kobako.record import Record
from kobako.runtime import cgroup, cgroup_hierarchies, cgroup_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.runtime.cgroup import Place
    from kobako.runtime.cgroup_hierarchies import Hierarchy
    from kobako.runtime.cgroup_limits import Write


class Attempt(Record):
    """`parents` are cgroups the container's can be made in, `writes` what goes into it there (by
    the number of its place), `unmet` says for keys of the document why they cannot be met."""

    parents: list[Place]
    writes: list[tuple[int, Write]]
    unmet: dict[str, str]


def attempt(
    resources: dict[str, Any], path: str, hierarchies: list[Hierarchy] | None = None
) -> Attempt:
    """Whatever can be had of limits in children of the cgroup `path`, which is made."""
    known = cgroup_hierarchies.of_this_process() if hierarchies is None else hierarchies
    found = Attempt([], [], {})
    homes: set[str] = set()
    for hierarchy in sorted(known, key=lambda h: h.version):  # in a hybrid, v1 has what it has
        wanted = [
            write
            for write in cgroup_limits.writes(resources, hierarchy.version)
            if write.controller in hierarchy.controllers and write.controller not in homes
        ]
        if not wanted:
            continue
        controllers = list(dict.fromkeys(write.controller for write in wanted))
        homes |= {*controllers}
        made = cgroup_hierarchies.make(hierarchy, path, controllers)
        usable = [name for name in controllers if made.directory and name not in made.why]
        if usable:
            found.parents.append((hierarchy.version, usable, made.directory))
        for write in wanted:
            _sort_in(write, made.directory, made.why, found)
    for write in cgroup_limits.writes(resources, 1):
        if write.controller not in homes:
            found.unmet[write.key] = f"there is no cgroup controller {write.controller}"
    met = {write.key for _, write in found.writes}
    for key in met & {*found.unmet}:  # one of several ways to say it was enough
        del found.unmet[key]
    return found


def _sort_in(write: Write, directory: str, why: dict[str, str], found: Attempt) -> None:
    if not directory or write.controller in why:
        found.unmet[write.key] = why.get(write.controller, "no cgroup can be made")
        return
    there = [name for name in write.files if os.path.exists(f"{directory}/{name}")]
    if not there:
        found.unmet[write.key] = "the kernel has no such limit"
        return
    found.writes.append((len(found.parents) - 1, write.replace(files=(there[0],))))


def confine(
    state_dir: str,
    linux: dict[str, Any],
    pid: int,
    hierarchies: list[Hierarchy] | None = None,
) -> bool:
    """Make a container's cgroup and put its first process in; False where no limit can be had.

    `linux` is that section of the runtime-spec document. Raises `StartFailed` where the kernel
    refuses a value; nothing is left then.
    """
    record = f"{state_dir}/cgroup"
    cgroup.remove(cgroup.places(record))
    path, _, name = linux["cgroupsPath"].rpartition("/")
    found = attempt(linux["resources"], path or "/", hierarchies)
    here = [(v, c, f"{directory}/{name}") for v, c, directory in found.parents]
    _write_record(record, here)
    if not here:
        return False
    try:
        _fill(here, found.writes, StartFailed)
        cgroup.join(here, pid)
    except OSError as fault:
        cgroup.remove(here)
        raise StartFailed(f"cannot join the cgroup {here[0][2]}: {fault.strerror}") from None
    except StartFailed:
        cgroup.remove(here)
        raise
    return True


def change(
    state_dir: str,
    resources: dict[str, Any],
    path: str,
    processes: Callable[[], list[int]],
) -> dict[str, str]:
    """Give the limits of a container that runs other values, in `resources`; what cannot be met.

    Where it has no cgroup of a controller yet it gets one, and all its `processes` join. `Invalid`
    where the kernel refuses a value.
    """
    record = f"{state_dir}/cgroup"
    before = cgroup.places(record)
    parent, _, name = path.rpartition("/")
    found = attempt(resources, parent or "/")
    here = [(v, c, f"{directory}/{name}") for v, c, directory in found.parents]
    known = [directory for _, _, directory in before]
    new = [place for place in here if place[2] not in known]
    merged = [_merged(place, here) for place in before] + new
    _write_record(record, merged)
    _fill(here, found.writes, Invalid)
    moved: set[int] = set()
    while new and (more := {*processes()} - moved):  # one may fork while we move them
        for pid in more:
            try:
                cgroup.join(new, pid)
            except ProcessLookupError:
                pass
        moved |= more
    return found.unmet


def _merged(place: Place, others: list[Place]) -> Place:
    version, controllers, directory = place
    more = [name for _, names, at in others if at == directory for name in names]
    return version, list(dict.fromkeys([*controllers, *more])), directory


def _write_record(record: str, here: list[Place]) -> None:
    if not here and not os.path.exists(record):
        return
    with open(f"{record}.new", "w") as file:
        file.write("".join(map(cgroup.line, here)))
    os.rename(f"{record}.new", record)


def _fill(
    here: list[Place], writes: list[tuple[int, Write]], failure: type[StartFailed | Invalid]
) -> None:
    for version, controllers, directory in here:
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            pass
        if version == 1 and "cpuset" in controllers:
            cgroup_hierarchies.inherit_cpuset(directory)
    later: list[tuple[str, str]] = []
    for number, write in writes:
        file = f"{here[number][2]}/{write.files[0]}"
        try:
            cgroup_hierarchies.put(file, write.value)
        except OSError as fault:
            # v1 wants memory <= memory+swap at every moment: raised, the second goes first.
            if write.key == "memory.limit" and fault.errno == 22 and here[number][0] == 1:
                later.append((file, write.value))
                continue
            raise failure(_refused(file, write.value, fault)) from None
    for file, value in later:
        try:
            cgroup_hierarchies.put(file, value)
        except OSError as fault:
            raise failure(_refused(file, value, fault)) from None


def _refused(file: str, value: str, fault: OSError) -> str:
    return f"failed to write {value!r} to {file}: {(fault.strerror or '').lower()}"
