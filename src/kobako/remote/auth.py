"""Proving to one registry who we are: basic authentication and docker's token protocol.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
"""

from __future__ import annotations

import threading
import time

from kobako import fastjson
from kobako.errors import Denied, Invalid, Unauthorized, Unavailable
from kobako.record import Record
from kobako.remote import challenge, failures
from kobako.remote.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.remote.challenge import Challenge
    from kobako.remote.endpoint import Endpoint
    from kobako.remote.transport import Response, Transport

CLIENT_ID = "kobako"
_MAX_TOKEN_BODY = 1 << 20
_SHORTEST = 60
"""Seconds a token lives at least and when nothing is said (token.md, `expires_in`)."""
_EARLY = 10
"""Seconds before its end at which a token is no longer used."""
_TRIES = 3


class Token(Record):
    """A bearer token and the monotonic time at which it is no longer to be used."""

    value: str
    expires: float
    refresh_token: str = ""

    def __repr__(self) -> str:
        return "Token(...)"


class Authorizer:
    """The Authorization headers for one endpoint. Used from several threads.

    `credentials` is asked at most once, and only when the server wants to know who we are.
    """

    def __init__(
        self, transport: Transport, endpoint: Endpoint, credentials: Callable[[], Credentials]
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._find = credentials
        self._found: Credentials | None = None
        self._doubt = ""
        self._challenge: Challenge | None = None
        self._secure = False
        self._tokens: dict[tuple[str, ...], Token] = {}
        self._lock = threading.Lock()

    @property
    def credentials(self) -> Credentials:
        if self._found is None:
            try:
                self._found = self._find()
            except (Invalid, Unavailable) as fault:
                # A helper of another machine, say. As for docker that is no reason not to fetch
                # what anybody may have; whoever is refused is told.
                self._found, self._doubt = Credentials(), fault.message
        return self._found

    def hint(self, verb: str) -> str:
        """What to do about a refusal: log in, or mend what keeps the credentials."""
        if self._doubt:
            return f"the credentials could not be read: {self._doubt}"
        return f"{verb}: kobako login {self._endpoint.host}"

    def challenged(self, response: Response) -> bool:
        """Take note of a 401's challenge; whether it is one we know how to answer."""
        known = [
            c
            for c in challenge.parse(response.headers.get("WWW-Authenticate", ""))
            if c.scheme == "basic" or (c.scheme == "bearer" and c.get("realm"))
        ]
        known.sort(key=lambda c: c.scheme != "bearer")
        if not known:
            return False
        with self._lock:
            self._challenge = known[0]
            self._secure = response.url.startswith("https:")
        return True

    def header(self, scopes: tuple[str, ...], *, fresh: bool = False) -> str:
        """The header's value for a request that needs `scopes`; empty where none is needed.

        `fresh` asks the server for a new token even if there is one. Raises `Unauthorized` for
        wrong credentials, `Denied`, `Unavailable`.
        """
        with self._lock:
            if self._challenge is None:
                return ""
            if self._challenge.scheme == "basic":
                return _basic(self.credentials) if self.credentials.password else ""
            if self.credentials.registry_token:
                return f"Bearer {self.credentials.registry_token}"
            token = None if fresh else self._known(scopes)
            if token is None:
                token = self._tokens[scopes] = self._retried(scopes, offline=False)
            return f"Bearer {token.value}"

    def identity(self) -> str:
        """Check the credentials with the token server; the identity token it offers, or "".

        For `login`. Raises `Unauthorized` if they are wrong.
        """
        with self._lock:
            if self._challenge is None or self._challenge.scheme == "basic":
                return ""
            token = self._tokens[()] = self._retried((), offline=True)
            return token.refresh_token

    def challenged_scopes(self) -> tuple[str, ...]:
        """The scopes the last challenge named."""
        return tuple(self._challenge.get("scope").split()) if self._challenge is not None else ()

    def _known(self, scopes: tuple[str, ...]) -> Token | None:
        """A token that covers the scopes and lives on."""
        now = time.monotonic()
        for held, token in self._tokens.items():
            if token.expires > now and set(scopes) <= set(held) and (held or not scopes):
                return token
        return None

    def _retried(self, scopes: tuple[str, ...], *, offline: bool) -> Token:
        """Ask for a token; a hiccup of the token server does not fail a whole transfer."""
        limits = self._transport.client.limits
        for attempt in range(_TRIES - 1):
            try:
                return self._fetch(scopes, offline=offline)
            except failures.Unreachable:
                raise
            except failures.Transient as fault:
                pause = max(fault.retry_after, limits.backoff * 2**attempt)
                self._transport.sleep(min(pause, limits.pause))
        return self._fetch(scopes, offline=offline)

    def _fetch(self, scopes: tuple[str, ...], *, offline: bool) -> Token:
        from urllib.parse import urlencode

        assert self._challenge is not None
        realm, service = self._challenge.get("realm"), self._challenge.get("service")
        self._check_realm(realm)
        credentials = self.credentials
        started = time.monotonic()
        headers = {}
        if credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": CLIENT_ID,
                "scope": " ".join(scopes),
                "refresh_token": credentials.identity_token,
            }
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode({k: v for k, v in form.items() if v}).encode()
            response = self._request("POST", realm, headers, body)
        else:
            query = [("service", service)] if service else []
            query += [("scope", scope) for scope in scopes]
            if credentials.password:
                query.append(("account", credentials.username))
                headers["Authorization"] = _basic(credentials)
            if offline:
                query += [("client_id", CLIENT_ID), ("offline_token", "true")]
            url = realm + ("&" if "?" in realm else "?") + urlencode(query) if query else realm
            response = self._request("GET", url, headers, None)
        return self._read(response, started)

    def _request(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        return self._transport.request(
            method,
            url,
            host=self._endpoint.config,
            verify=self._endpoint.verify,
            headers=headers,
            body=body,
        )

    def _check_realm(self, realm: str) -> None:
        """A secret seen under TLS is not sent in the clear, whatever the server names."""
        scheme = realm.partition("://")[0].lower()
        host = realm.partition("://")[2].partition("/")[0]
        if scheme not in ("http", "https") or not host or "@" in host:
            raise Unavailable(
                f"{self._endpoint.host}: the registry names a token server that is no URL: "
                f"{failures.shown_url(realm)!r}"
            )
        if scheme == "http" and self._secure and self._endpoint.verify:
            raise Denied(
                f"{self._endpoint.host}: the registry names a token server without TLS: "
                f"{failures.shown_url(realm)}",
                hint="credentials are not sent in the clear",
            )

    def _read(self, response: Response, started: float) -> Token:
        what = f"token for {self._endpoint.host}"
        if response.status != 200:
            answer = response.answer()
            if answer.status in (400, 401):
                said = answer.said() or "unauthorized: incorrect username or password"
                raise Unauthorized(f"{what}: {said}", hint=self.hint("log in again"))
            raise failures.of_answer(answer, what)
        try:
            document = fastjson.loads(response.document(_MAX_TOKEN_BODY))
        except (ValueError, Invalid):
            document = None
        if not isinstance(document, dict):
            raise Unavailable(f"{what}: the token server's answer is no JSON object")
        value = document.get("token") or document.get("access_token")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise Unavailable(f"{what}: the token server's answer holds no token")
        seconds = document.get("expires_in")
        if not isinstance(seconds, int) or seconds < _SHORTEST:
            seconds = _SHORTEST
        refresh = document.get("refresh_token")
        return Token(
            value,
            started + min(seconds, 86400) - _EARLY,
            refresh if isinstance(refresh, str) else "",
        )


def _basic(credentials: Credentials) -> str:
    from binascii import b2a_base64

    text = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + b2a_base64(text, newline=False).decode("ascii")
