"""What happened to containers, images and volumes: a log every operation appends to.

<root>/events/log holds a line a record, the newest last; log.1, log.2, ... are older (see
`event_rotation`). A record is written whole by one `write` to a file opened O_APPEND, so that any
number of processes may do it at once; of one that was cut short readers pass over the rest
(`event_reader`). A record begins with HEAD and is

    {"timeNano":N,"Type":"container","Action":"start","ID":"...","Attributes":{"name":"..."}}

A container's has docker's network and the volumes it mounts before "Attributes", as starting and
ending mean something for them, too.
"""

from __future__ import annotations

import os
from time import time_ns

from kobako.fastjson import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HEAD = b'{"timeNano":'
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_FULL = 4 << 20  # bytes of a file, after which another one is begun


def path(root: str) -> str:
    """Where a store keeps its log."""
    return root + "/events/log"


def journal(root: str, about: bytes) -> bytes:
    """What the monitor of a container is told, to record its start and its end."""
    return os.fsencode(path(root)) + b"\0" + about


def subject(identity: str, attributes: Mapping[str, str], inner: bytes = b"") -> bytes:
    """Whom a record is about: the part of a line that stays the same. `inner` are more fields."""
    return b'"ID":%s,%s"Attributes":%s' % (dumps(identity), inner, dumps(attributes)[:-1])


def of_container(identity: str, name: str, image: str, document: dict[str, Any]) -> bytes:
    """The `subject` of a container, of the document its row has."""
    volumes = [m for m in document["Mounts"] if m["Type"] == "volume"]
    inner = b'"Network":%s,' % dumps(document["HostConfig"]["NetworkMode"])
    if volumes:
        inner += b'"Volumes":%s,' % dumps([[m["Name"], m["Destination"], m["RW"]] for m in volumes])
    labels = document["Config"]["Labels"] or {}
    return subject(identity, {**labels, "image": image, "name": name}, inner)


def line(kind: str, action: str, about: bytes, **more: str) -> bytes:
    """A record of now. `more` are attributes besides those of the subject."""
    extra = b"," + dumps(more)[1:-1] if more else b""
    head = b'%b%d,"Type":"%b","Action":%b,' % (HEAD, time_ns(), kind.encode(), dumps(action))
    return b"%b%b%b}}\n" % (head, about, extra)


def _begin(file: str) -> int:
    try:
        os.mkdir(os.path.dirname(file))
    except FileExistsError:  # by another process, just now
        pass
    return os.open(file, _FLAGS, 0o600)


def append(root: str, lines: bytes) -> None:
    """Write lines down. That this cannot be done stops nobody: events are for who watches."""
    file = path(root)
    try:
        try:
            fd = os.open(file, _FLAGS, 0o600)
        except FileNotFoundError:  # an older store; where its root has gone, nothing is made
            fd = _begin(file)
        try:
            os.write(fd, lines)
            full = os.lseek(fd, 0, os.SEEK_CUR) > _FULL
        finally:
            os.close(fd)
    except OSError:
        return
    if full:
        from kobako.store import event_rotation

        event_rotation.rotate(file, _FULL)
