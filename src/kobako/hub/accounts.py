"""The hub's accounts: names, roles and password hashes."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time

from kobako.errors import Conflict, Invalid, NotFound
from kobako.hub import names, passwords
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.hub.database import Database

ADMIN = "admin"
USER = "user"
_REMEMBERED = 60.0
_SHORTEST = 8


class Account(Record):
    """`generation` changes with every new password: tokens made before it end with it."""

    name: str
    role: str
    generation: str
    created: float


class Accounts:
    """An account `alice` owns the repositories `alice/...`; admins own all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = os.urandom(32)
        self._verified: dict[bytes, float] = {}
        self._hashing = threading.BoundedSemaphore(4)  # 16 MiB each

    def add(self, name: str, password: str, *, role: str = USER) -> Account:
        """Create an account; `Conflict` if there is one of this name, `Invalid` for bad words."""
        names.account(name)
        _check(password, role)
        stored, account = passwords.hash_password(password), _new(name, role)
        row = (name, role, stored, account.generation, account.created)
        try:
            with self._database.write() as c:
                c.execute("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise Conflict(f"there is already an account {name}") from error
        return account

    def passwd(self, name: str, password: str) -> None:
        """Set a new password; every token of the account ends."""
        _check(password, USER)
        stored = passwords.hash_password(password)
        with self._database.write() as c:
            done = c.execute(
                "UPDATE accounts SET password = ?, generation = ? WHERE name = ?",
                (stored, secrets.token_hex(8), name),
            )
            if not done.rowcount:
                raise NotFound(f"there is no account {name}")

    def remove(self, name: str) -> None:
        """Remove an account; its repositories stay, in the hands of the admins."""
        with self._database.write() as c:
            if not c.execute("DELETE FROM accounts WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"there is no account {name}")

    def list(self) -> Sequence[Account]:
        """All accounts by name."""
        with self._database.read() as c:
            rows = c.execute("SELECT name, role, generation, created FROM accounts ORDER BY name")
            return [Account(*row) for row in rows]

    def get(self, name: str) -> Account | None:
        """One account, or None."""
        query = "SELECT name, role, generation, created FROM accounts WHERE name = ?"
        with self._database.read() as c:
            row = c.execute(query, (name,)).fetchone()
        return Account(*row) if row else None

    def check(self, name: str, password: str) -> Account | None:
        """The account these credentials are of, or None; as slow for a name that does not exist.

        What was verified is remembered for a minute (as a keyed hash), so that a client sending
        its password with each request costs one scrypt, not one per request.
        """
        query = "SELECT name, role, generation, created, password FROM accounts WHERE name = ?"
        with self._database.read() as c:
            row = c.execute(query, (name,)).fetchone()
        generation = row[2] if row else ""
        secret = "\0".join((name, generation, password)).encode("utf-8", "surrogatepass")
        mark = hmac.digest(self._key, secret, hashlib.sha256)
        if row and self._verified.get(mark, 0.0) > time.monotonic():
            return Account(*row[:4])
        with self._hashing:
            matches = passwords.verify(password, row[4] if row else passwords.impossible())
        if not (row and matches):
            return None
        if len(self._verified) > 1000:
            self._verified = {}
        self._verified[mark] = time.monotonic() + _REMEMBERED
        return Account(*row[:4])


def _new(name: str, role: str) -> Account:
    return Account(name, role, secrets.token_hex(8), time.time())


def _check(password: str, role: str) -> None:
    if role not in (ADMIN, USER):
        raise Invalid(f"{role!r} is no role", hint=f"choose {ADMIN} or {USER}")
    if len(password) < _SHORTEST:
        raise Invalid(f"a password needs at least {_SHORTEST} characters")
    if len(password) > 1024:
        raise Invalid("a password may have at most 1024 characters")
