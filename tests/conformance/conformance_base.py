"""The base images of the cases: a static busybox in a small tree that is described here.

Both sides build on the same bytes: the runner loads the layout into a store, the recorder pushes
it to a registry. Expectations hold what differs from these trees, so busybox's own bytes do not
matter.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")
APPLETS = """
    [ ash awk base64 basename cat chgrp chmod chown cmp cp cut date dd df diff dirname du echo egrep
    env expr false fgrep find grep head hostname id install kill ln ls md5sum mkdir mkfifo mknod
    mktemp mv nproc od paste printenv printf pwd readlink realpath rm rmdir sed seq sh sha256sum
    sleep sort stat sync tail tar tee test touch tr true uname uniq wc whoami xargs yes
""".split()
TIME = 1_700_000_000
CREATED = "2023-11-14T22:13:20Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:100:Bob:/home/bob:/bin/sh
"""
GROUP = """\
root:x:0:
daemon:x:1:
users:x:100:
staff:x:50:alice,bob
alice:x:1000:
"""

# (path, what): a directory's mode and owner, a file's content, or a link's target.
TREE: tuple[tuple[str, Any], ...] = (
    ("bin", (0o755, 0, 0)),
    ("dev", (0o755, 0, 0)),
    ("etc", (0o755, 0, 0)),
    ("etc/group", GROUP),
    ("etc/hostname", ""),
    ("etc/hosts", ""),
    ("etc/motd", "welcome\n"),
    ("etc/passwd", PASSWD),
    ("etc/resolv.conf", ""),
    ("home", (0o755, 0, 0)),
    ("home/alice", (0o750, 1000, 1000)),
    ("proc", (0o755, 0, 0)),
    ("root", (0o700, 0, 0)),
    ("srv", "-> var/data"),
    ("sys", (0o755, 0, 0)),
    ("tmp", (0o1777, 0, 0)),
    ("usr", (0o755, 0, 0)),
    ("usr/share", (0o755, 0, 0)),
    ("usr/share/abs", "-> /var/data"),
    ("usr/share/dangling", "-> /nowhere/at/all"),
    ("usr/share/loop", "-> loop"),
    ("usr/share/one", "one\n"),
    ("usr/share/two", "two\n"),
    ("var", (0o755, 0, 0)),
    ("var/data", (0o755, 0, 0)),
    ("var/data/old", "old\n"),
    ("var/data/sub", (0o775, 0, 50)),
    ("var/data/sub/deep", "deep\n"),
)

CONFIGURED: dict[str, Any] = {
    "User": "alice",
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Env": [PATH, "APP=one", "LANG=C.UTF-8"],
    "Entrypoint": ["/bin/sh", "-c"],
    "Cmd": ["echo hi"],
    "Volumes": {"/data": {}},
    "WorkingDir": "/home/alice",
    "Labels": {"vendor": "acme", "tier": "base"},
    "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000, "Retries": 2},
    "Shell": ["/bin/ash", "-c"],
}

IMAGES: dict[str, dict[str, Any]] = {
    "base": {"Env": [PATH], "Cmd": ["sh"]},
    "configured": CONFIGURED,
    "bare": {},
    "triggers": {
        "Env": [PATH],
        "OnBuild": ["RUN echo triggered > /triggered", "ENV TRIGGERED=yes"],
    },
    "copier": {"Env": [PATH], "WorkingDir": "/app", "OnBuild": ["ARG WHAT=a", "COPY $WHAT /app/"]},
}
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")
MULTI = "multi"  # an index: its images have nothing but /etc/platform


def busybox() -> Path:
    """The static busybox of this machine (Debian's busybox-static)."""
    for path in BUSYBOX:
        if Path(path).exists():
            return Path(path)
    raise FileNotFoundError("no busybox: install busybox-static")


def make(layout: Path) -> None:
    """Write all base images to a new OCI layout, each named `<name>:latest`."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    writer = _Layout(blobs)
    layer = _layer(TREE, busybox().read_bytes())
    entries = [
        writer.image(name, layer, config, PLATFORMS[0]) | _name(name)
        for name, config in IMAGES.items()
    ]
    children = []
    for platform in PLATFORMS:
        tree = (("etc", (0o755, 0, 0)), ("etc/platform", platform + "\n"))
        children.append(writer.image(platform, _layer(tree), {"Env": [PATH]}, platform))
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": children}
    entries.append(writer.document(index, _INDEX) | _name(MULTI))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    top = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
    (layout / "index.json").write_text(json.dumps(top))


_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def _name(name: str) -> dict[str, Any]:
    full = f"docker.io/library/{name}:latest"
    return {
        "annotations": {
            "io.containerd.image.name": full,
            "org.opencontainers.image.ref.name": name,
        }
    }


def _layer(tree: tuple[tuple[str, Any], ...], program: bytes = b"") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, what in tree:
            entry = tarfile.TarInfo(path)
            entry.mtime = TIME
            if isinstance(what, tuple):
                entry.type = tarfile.DIRTYPE
                entry.mode, entry.uid, entry.gid = what
                tar.addfile(entry)
            elif what.startswith("-> "):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, what[3:], 0o777
                tar.addfile(entry)
            else:
                _add_file(tar, entry, what.encode(), 0o644)
            if path == "bin" and program:
                _add_busybox(tar, program)
    return sink.getvalue()


def _add_busybox(tar: tarfile.TarFile, program: bytes) -> None:
    entry = tarfile.TarInfo("bin/busybox")
    entry.mtime = TIME
    _add_file(tar, entry, program, 0o755)
    for name in APPLETS:
        link = tarfile.TarInfo(f"bin/{name}")
        link.mtime, link.mode = TIME, 0o777
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)


def _add_file(tar: tarfile.TarFile, entry: tarfile.TarInfo, data: bytes, mode: int) -> None:
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


class _Layout:
    def __init__(self, blobs: Path) -> None:
        self._blobs = blobs

    def image(
        self, name: str, layer: bytes, config: dict[str, Any], platform: str
    ) -> dict[str, Any]:
        system, architecture, *variant = platform.split("/")
        where = {"os": system, "architecture": architecture}
        if variant:
            where["variant"] = variant[0]
        stored = self._put(layer, _LAYER)
        document = where | {
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [stored["digest"]]},
            "history": [{"created": CREATED, "created_by": f"base {name}"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self.document(document, _CONFIG),
            "layers": [stored],
        }
        return self.document(manifest, _MANIFEST) | {"platform": where}

    def document(self, value: dict[str, Any], media_type: str) -> dict[str, Any]:
        return self._put(json.dumps(value).encode(), media_type)

    def _put(self, data: bytes, media_type: str) -> dict[str, Any]:
        hexed = hashlib.sha256(data).hexdigest()
        (self._blobs / hexed).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{hexed}", "size": len(data)}
