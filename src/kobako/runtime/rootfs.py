"""The container's file system, made by its first process in its own mount namespace.

Every destination is resolved inside the root (`linux.inroot`) and mounted on by descriptor, so that
no symlink of the image leads a mount, a device or a new directory out of it.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Invalid, StartFailed
from kobako.linux import inroot
from kobako.linux.mount import Mount, make_nodev, make_readonly, set_propagation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kobako.runtime.bundle import Bundle
    from kobako.runtime.stage import Stage

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}


def prepare(bundle: Bundle, stage: Stage | None = None) -> int:
    """Makes every mount and device of the bundle, and hides what is to be hidden; a descriptor of
    the root, ready for pivot_root.

    Raises `StartFailed` naming the mount that failed.
    """
    spec = bundle.spec
    propagation = spec.get("linux", {}).get("rootfsPropagation") or "rprivate"
    # Whatever is mounted from here on must not be seen outside: "shared" is received, never sent.
    deep = "r" + propagation.removeprefix("r")
    set_propagation("/", "rslave" if deep in ("rshared", "rslave") else "rprivate")
    root = os.path.join(bundle.path, spec["root"]["path"])
    try:
        for mount in bundle.rootfs:
            mount.apply()
        if not bundle.rootfs:
            Mount("none", root, root, ("rbind",)).apply()
        root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if denies_devices(spec):
            make_nodev(root_fd)
    except OSError as fault:
        raise failure("the root filesystem", root, fault) from None
    left = stage.move(root_fd, spec) if stage else None
    if left is not None:
        for entry in left:
            _mount(bundle.path, root_fd, spec, entry)
        return root_fd
    furnish(bundle.path, root_fd, spec, spec.get("mounts") or ())
    set_sysctls(root_fd, spec.get("linux", {}))
    restrict(root_fd, spec.get("linux", {}))
    return root_fd


def bind(base: str, root_fd: int, spec: dict[str, Any]) -> None:
    """Only what the spec binds into the root from elsewhere: for who looks at the files of a
    container from outside. `StartFailed` as of `prepare`."""
    for entry in spec.get("mounts") or ():
        if entry.get("type") == "bind" and not is_around(entry["destination"]):
            _mount(base, root_fd, spec, entry)


def is_around(destination: str) -> bool:
    """Whether a mount lies in what is the same around every root (`stage`)."""
    return destination.strip("/").partition("/")[0] in ("proc", "dev", "sys", "", ".", "..")


def furnish(
    base: str, root_fd: int, spec: dict[str, Any], mounts: Iterable[dict[str, Any]]
) -> None:
    """Makes the mounts, relative sources being below `base`, and the devices."""
    for entry in mounts:
        _mount(base, root_fd, spec, entry)
    if _has_own_dev(spec):
        _make_devices(root_fd, spec)


def set_sysctls(root_fd: int, linux: dict[str, Any]) -> None:
    """Those of the spec, by the /proc of the root."""
    for name, value in (linux.get("sysctl") or {}).items():
        _set_sysctl(root_fd, name, value)


def restrict(root_fd: int, linux: dict[str, Any]) -> None:
    """Hides, and makes read-only, the paths that the spec names."""
    for path in linux.get("maskedPaths") or ():
        _mask(root_fd, path)
    for path in linux.get("readonlyPaths") or ():
        _protect(root_fd, path)


def denies_devices(spec: dict[str, Any]) -> bool:
    """Whether the spec's device rules deny all to begin with (config-linux.md, "Allowed devices").

    They are kept without a cgroup: nothing that the container can write lets devices be opened, and
    the allowed ones are the host's own, bound in place.
    """
    rules = (spec.get("linux", {}).get("resources") or {}).get("devices") or ()
    return any(not r.get("allow") and r.get("type", "a") == "a" for r in rules)


def finish(root_fd: int, spec: dict[str, Any]) -> None:
    """After the mounts: the working directory, a read-only root."""
    try:
        os.close(inroot.make_directories(root_fd, spec["process"].get("cwd") or "/"))
    except OSError:
        pass  # read-only or not a directory: chdir says what is wrong
    if spec["root"].get("readonly"):
        try:
            make_readonly(root_fd)
        except OSError as fault:
            raise failure("a read-only root", "/", fault) from None


def bind_console(root_fd: int, slave: int) -> None:
    """Shows the container's terminal as /dev/console."""
    try:
        at = inroot.make_file(root_fd, "/dev/console", 0o600)
        Mount("none", f"/proc/self/fd/{slave}", "/dev/console", ("bind",)).apply(at=at)
        os.close(at)
    except OSError as fault:
        raise failure("the terminal", "/dev/console", fault) from None


def failure(what: str, where: str, fault: OSError) -> StartFailed:
    """The error for a mount that could not be made."""
    name = errno.errorcode.get(fault.errno or 0, "")
    reason = fault.strerror or os.strerror(fault.errno or 0)
    hint = ""
    if what == "proc" and fault.errno == errno.EPERM:
        hint = (
            "A container around this one hides parts of its /proc: start that one with"
            " --security-opt systempaths=unconfined."
        )
    return StartFailed(f"cannot mount {what} on {where}: {reason} ({name})", hint=hint)


def _mount(base: str, root_fd: int, spec: dict[str, Any], entry: dict[str, Any]) -> None:
    target = "/" + str(entry["destination"]).lstrip("/")
    kind = entry.get("type") or "none"
    source = entry.get("source") or kind
    if kind == "cgroup" and not os.path.isdir("/sys/fs/cgroup"):
        return  # a machine, or what we see of it, without any to show
    options = [o for o in entry.get("options") or () if o != "tmpcopyup"]
    if kind == "bind" and not {"bind", "rbind"} & set(options):
        options.insert(0, "rbind")
    mount = Mount.of_options(kind, source, target, options)
    nodev = denies_devices(spec) and "dev" not in options
    if {"idmap", "ridmap"} & set(options):
        raise Invalid(f"mount on {target}: idmapped mounts are not supported")
    try:
        if mount.is_bind:
            mount = mount.replace(source=os.path.join(base, source))
            mode = os.stat(mount.source).st_mode
            is_directory = stat.S_ISDIR(mode)
            nodev = nodev and not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode))
        else:
            is_directory = True
            nodev = nodev and kind == "tmpfs"
        if nodev and "nodev" not in mount.flags:
            mount = mount.replace(flags=(*mount.flags, "nodev"))
        at = (inroot.make_directories if is_directory else inroot.make_file)(root_fd, target)
        try:
            _apply(mount, at, root_fd, spec)
        finally:
            os.close(at)
    except OSError as fault:
        raise failure(mount.source if mount.is_bind else kind, target, fault) from None


def require_place(at: int, target: str) -> None:
    """That `at` is the place meant, and not one to which a symlink of the image leads."""
    if not os.readlink(f"/proc/self/fd/{at}").endswith(target.rstrip("/")):
        raise OSError(errno.ELOOP, "a symlink of the image leads elsewhere")


def _apply(mount: Mount, at: int, root_fd: int, spec: dict[str, Any]) -> None:
    """Applies a mount, or the nearest thing the kernel allows us."""
    if mount.type in ("proc", "sysfs"):
        require_place(at, mount.target)
    if mount.type == "cgroup":
        _mount_cgroup(mount, at)
        return
    owner: tuple[int, int] | None = None
    if mount.type == "devpts":
        mount, _ = _of_known_ids(mount)
    elif mount.type == "tmpfs" and "id=" in mount.data:
        mount, owner = _of_known_ids(mount)
    try:
        mount.apply(at=at)
        if owner is not None:
            _write_down(root_fd, mount.target, owner)
    except OSError as fault:
        stand_in = _stand_in(mount, fault, spec)
        if stand_in is None:
            raise
        stand_in.apply(at=at)


def _stand_in(mount: Mount, fault: OSError, spec: dict[str, Any]) -> Mount | None:
    own = {n["type"] for n in spec.get("linux", {}).get("namespaces") or ()}
    if fault.errno not in (errno.EPERM, errno.EACCES):
        return None
    if mount.type == "sysfs":  # the network namespace is not ours
        return _host_tree(mount, "/sys")
    if mount.type == "proc" and "pid" not in own:
        return _host_tree(mount, "/proc")
    if mount.type == "mqueue" and "ipc" not in own:
        return _host_tree(mount, "/dev/mqueue")
    return None


def _of_known_ids(mount: Mount) -> tuple[Mount, tuple[int, int] | None]:
    """Without a user and a group this user namespace has no id for, as one of a single id has none
    for the tty group: that would be refused, and told on the machine's console, which takes its
    time. With it, where something was left out, the (uid, gid) that were asked for."""
    asked = {"uid": 0, "gid": 0}
    kept = []
    for option in mount.data.split(","):
        kind, _, number = option.partition("=")
        if kind in asked and number.isdigit():
            asked[kind] = int(number)
            if not _has_id(kind, int(number)):
                continue
        kept.append(option)
    if len(kept) == len(mount.data.split(",")):
        return mount, None
    return mount.replace(data=",".join(kept)), (asked["uid"], asked["gid"])


def _has_id(kind: str, number: int) -> bool:
    with open(f"/proc/self/{kind}_map", "rb", buffering=0) as file:
        spans = [[int(number) for number in line.split()] for line in file.read().splitlines()]
    return any(first <= number < first + count for first, _, count in spans)


def _write_down(root_fd: int, target: str, owner: tuple[int, int]) -> None:
    """Says of what has just been mounted whose it is meant to be, for who stands in for root."""
    from kobako.linux.ownership import XATTR, Own

    fd = inroot.open_in_root(root_fd, target, os.O_PATH | os.O_DIRECTORY)
    try:
        os.setxattr(f"/proc/self/fd/{fd}", XATTR, Own(*owner).encode())
    except OSError:
        pass  # a kernel before 6.6 keeps no such thing in a tmpfs: it is root's
    finally:
        os.close(fd)


def _host_tree(mount: Mount, source: str) -> Mount:
    flags = ["r" + f if f in ("ro", "nosuid", "nodev", "noexec") else f for f in mount.flags]
    kept = tuple(f for f in flags if f in ("rro", "rnosuid", "rnodev", "rnoexec"))
    return Mount("none", source, mount.target, ("rbind", "rprivate", *kept))


def _mount_cgroup(mount: Mount, at: int) -> None:
    """The unified hierarchy as our cgroup namespace shows it; with v1, the host's view."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        try:
            mount.replace(type="cgroup2").apply(at=at)
            return
        except OSError as fault:
            if fault.errno not in (errno.EPERM, errno.EBUSY):
                raise
    if os.listdir(f"/proc/self/fd/{at}"):
        return  # came along with the host's /sys
    _host_tree(mount, "/sys/fs/cgroup").apply(at=at)


def _has_own_dev(spec: dict[str, Any]) -> bool:
    for entry in spec.get("mounts") or ():
        if str(entry["destination"]).rstrip("/") == "/dev":
            return entry.get("type") not in ("bind", "none")
    return True


def _make_devices(root_fd: int, spec: dict[str, Any]) -> None:
    dev = inroot.make_directories(root_fd, "/dev")
    umask = os.umask(0)
    bound = denies_devices(spec)
    try:
        for name, (major, minor) in _DEVICES.items():
            number = os.makedev(major, minor)
            _make_device(root_fd, dev, "/dev/" + name, 0o20666, number, bind=bound)
        for device in spec.get("linux", {}).get("devices") or ():
            _make_extra_device(root_fd, device, bind=bound)
        for name, target in _LINKS.items():
            try:
                os.symlink(target, name, dir_fd=dev)
            except FileExistsError:
                pass
    except OSError as fault:
        raise StartFailed(f"cannot make /dev: {fault.strerror}: {fault.filename or ''}") from None
    finally:
        os.umask(umask)
        os.close(dev)


def _make_device(
    root_fd: int, directory: int, path: str, mode: int, number: int, *, bind: bool
) -> None:
    """A device node at `path`, which lies in `directory`; with `bind`, or where the kernel lets us
    make none, the host's of that path bound there."""
    name = path.rpartition("/")[2]
    try:
        if not bind:
            os.mknod(name, mode, number, dir_fd=directory)
            return
    except FileExistsError:
        return
    except PermissionError:
        pass
    try:
        at = os.open(name, _NEW_FILE, 0o666, dir_fd=directory)
    except FileExistsError:
        at = inroot.make_file(root_fd, path, 0o666)
    try:
        Mount("none", path, path, ("bind",)).apply(at=at)
    finally:
        os.close(at)


def _make_extra_device(root_fd: int, device: dict[str, Any], *, bind: bool) -> None:
    kinds = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
    path, kind = device["path"], kinds.get(device["type"])
    if kind is None:
        raise Invalid(f"device {path}: unknown type {device['type']}")
    number = os.makedev(device.get("major", 0), device.get("minor", 0))
    directory = inroot.make_directories(root_fd, path.rpartition("/")[0])
    try:
        mode = kind | device.get("fileMode", 0o666)
        _make_device(root_fd, directory, path, mode, number, bind=bind)
    finally:
        os.close(directory)
    if device.get("uid") or device.get("gid"):
        fd = inroot.open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
        os.chown(f"/proc/self/fd/{fd}", device.get("uid", 0), device.get("gid", 0))
        os.close(fd)


def _set_sysctl(root_fd: int, name: str, value: str) -> None:
    path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
    try:
        fd = inroot.open_in_root(root_fd, path, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as fault:
        raise StartFailed(f"cannot set sysctl {name}={value}: {fault.strerror}") from None


def _mask(root_fd: int, path: str) -> None:
    try:
        at = inroot.open_in_root(root_fd, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if stat.S_ISDIR(os.fstat(at).st_mode):
            Mount("tmpfs", "tmpfs", path, ("ro",), "size=0k").apply(at=at)
        else:
            Mount("none", "/dev/null", path, ("bind",)).apply(at=at)
    except OSError as fault:
        raise failure("a mask", path, fault) from None
    finally:
        os.close(at)


def _protect(root_fd: int, path: str) -> None:
    try:
        at = inroot.open_in_root(root_fd, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        Mount("none", f"/proc/self/fd/{at}", path, ("rbind", "rro")).apply(at=at)
    except OSError as fault:
        raise failure("a read-only view", path, fault) from None
    finally:
        os.close(at)
