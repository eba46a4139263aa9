"""Password hashes by scrypt (RFC 7914): `scrypt$n$r$p$salt$key`, hexadecimal."""

from __future__ import annotations

import hashlib
import hmac
import os

_N, _R, _P = 2**14, 8, 1
_MEMORY = 64 * 1024 * 1024


def hash_password(password: str) -> str:
    """A salted hash to store."""
    salt = os.urandom(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_derive(password, salt, _N, _R, _P).hex()}"


def verify(password: str, stored: str) -> bool:
    """Whether `password` made the hash `stored`, in constant time."""
    _, n, r, p, salt, key = stored.split("$")
    derived = _derive(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(derived, bytes.fromhex(key))


def impossible() -> str:
    """A stored hash no password has: verifying against it takes as long as against a real one."""
    return f"scrypt${_N}${_R}${_P}${bytes(16).hex()}${bytes(32).hex()}"


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)
