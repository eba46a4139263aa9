"""`python foreign_runtime.py STORE CONTAINER COMMAND...`: a bundle for another runtime.

Mounts the container's root filesystem at the bundle's rootfs, in a mount namespace of its own, as
containerd does for its runtimes, and becomes the command in the bundle's directory. config.json is
what kobako has written.
"""

from __future__ import annotations

import os
import sys

from kobako.fastjson import loads
from kobako.linux import process
from kobako.linux.mount import Mount, set_propagation
from kobako.snapshot import select
from kobako.store import Store


def main(root: str, name: str, command: list[str]) -> None:
    with Store.open(root) as store:
        row = store.db.containers.find(name)
    bundle = f"{root}/containers/{row.id}"
    mounts = select(root, "native").mounts(bundle, loads(row.spec)["Lowers"])
    process.unshare(process.CLONE_NEWNS)
    set_propagation("/", "rprivate")
    for mount in mounts:
        mount.apply()
    if command[0] == "crun" and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        # crun 1.8 refuses to run beside cgroup v1, even when it is to make no cgroup.
        Mount("cgroup2", "none", "/sys/fs/cgroup").apply()
    os.chdir(bundle)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
