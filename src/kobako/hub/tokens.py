"""Bearer tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 by a key only the hub has."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import time

from kobako import fastjson
from kobako.errors import Unauthorized
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEADER = {"typ": "JWT", "alg": "HS256"}
_LEEWAY = 10


class Scope(Record):
    """What a token is good for: actions on one repository."""

    repository: str
    actions: tuple[str, ...]


class Claims(Record):
    """What a token says; `account` is "" for anybody, `generation` as in `Account`."""

    account: str
    generation: str
    scopes: tuple[Scope, ...]


class Tokens:
    """Signs and verifies. The key is a file of 32 bytes, mode 0600, made when there is none."""

    def __init__(self, key_path: str, service: str) -> None:
        self._key = _load_key(key_path)
        self._service = service

    def sign(self, claims: Claims, seconds: int) -> str:
        """A token that holds for `seconds` from now."""
        now = int(time.time())
        payload = {
            "iss": self._service,
            "aud": self._service,
            "sub": claims.account,
            "gen": claims.generation,
            "iat": now,
            "nbf": now - _LEEWAY,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            "access": [
                {"type": "repository", "name": s.repository, "actions": list(s.actions)}
                for s in claims.scopes
            ],
        }
        signed = f"{_encode(fastjson.dumps(_HEADER))}.{_encode(fastjson.dumps(payload))}"
        return f"{signed}.{_encode(self._mac(signed))}"

    def verify(self, token: str) -> Claims:
        """What a token says, if we signed it for this service and it has not expired."""
        signed, _, mac = token.rpartition(".")
        if not hmac.compare_digest(_decode(mac), self._mac(signed)):
            raise Unauthorized("the token is not one of ours")
        header, _, body = signed.partition(".")
        payload: dict[str, Any] = fastjson.loads(_decode(body))
        now = time.time()
        if fastjson.loads(_decode(header)) != _HEADER or payload["aud"] != self._service:
            raise Unauthorized("the token is for something else")
        if not payload["nbf"] <= now < payload["exp"]:
            raise Unauthorized("the token has expired")
        scopes = tuple(Scope(a["name"], tuple(a["actions"])) for a in payload["access"])
        return Claims(payload["sub"], payload["gen"], scopes)

    def _mac(self, signed: str) -> bytes:
        return hmac.digest(self._key, signed.encode("utf-8", "replace"), "sha256")


def _load_key(path: str) -> bytes:
    fresh = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    if not os.path.exists(path):
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # the first of several processes wins
        except FileExistsError:
            pass
        os.unlink(fresh)
    with open(path, "rb") as file:
        return file.read()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError as error:
        raise Unauthorized("the token is malformed") from error
