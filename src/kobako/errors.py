"""The exception tree. Every error kobako raises on purpose is one of these.

    KobakoError
    ├── Invalid        the request or a document is malformed            exit 1   HTTP 400
    ├── Unauthorized   credentials are missing or wrong                  exit 1   HTTP 401
    ├── Denied         credentials or permissions do not suffice         exit 1   HTTP 403
    ├── NotFound       the named object does not exist                   exit 1   HTTP 404
    ├── Conflict       the object is in a state that forbids the request exit 1   HTTP 409
    ├── Unsupported    this machine or version cannot do it              exit 1   HTTP 501
    ├── Unavailable    a peer, a disk or a resource failed us            exit 1   HTTP 503
    ├── Corrupt        stored bytes are not what their digest says       exit 1   HTTP 500
    └── StartFailed    a container's process could not be started        exit 125-127

A message names the operation and the object; `hint` says what to do next. Foreign errors (OSError,
sqlite, urllib3) are mapped once, at the boundary of the room that talks to them.
"""

from __future__ import annotations

import errno

_LIMITS = {errno.EMFILE: "-n", errno.EAGAIN: "-u"}


class KobakoError(Exception):
    """Base of the tree. `str(e)` is the message for a person, without a trailing period."""

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(KobakoError):
    http_status = 400


class Unauthorized(KobakoError):
    http_status = 401


class Denied(KobakoError):
    http_status = 403


class NotFound(KobakoError):
    http_status = 404


class Conflict(KobakoError):
    http_status = 409


class Unsupported(KobakoError):
    http_status = 501


class Unavailable(KobakoError):
    http_status = 503


class Corrupt(KobakoError):
    http_status = 500


class StartFailed(KobakoError):
    """A process could not be started in a container.

    `exit_code` is what docker's client would exit with: 127 when the program does not exist,
    126 when it cannot be executed, 125 when the container itself could not be made.
    """

    http_status = 400

    def __init__(self, message: str, *, exit_code: int = 125, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def remedy(fault: OSError) -> str:
    """Which limit of this machine's the kernel may have met when it refused; "" if none."""
    limit = _LIMITS.get(fault.errno or 0)
    return f"Is the limit of `ulimit {limit}` reached?" if limit else ""
