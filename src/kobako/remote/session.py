"""Talking to one registry server: its scheme settled, requests authorized, redirects followed."""

from __future__ import annotations

from kobako.errors import Denied, KobakoError, Unavailable
from kobako.remote import failures
from kobako.remote.auth import Authorizer
from kobako.remote.credentials import Credentials
from kobako.remote.failures import Busy, NotTLS, Transient, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import RawIOBase
    from typing import TypeVar

    from kobako.remote.endpoint import Endpoint
    from kobako.remote.transport import Response, Transport

    T = TypeVar("T")

_MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)


class Session:
    """One endpoint, opened. Used from several threads.

    `base` is the URL before `/v2/` that answered. Without `credentials` the client's file is asked
    for the endpoint's.
    """

    def __init__(
        self, endpoint: Endpoint, transport: Transport, credentials: Credentials | None = None
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self.base = ""
        self._given = credentials
        self.auth = Authorizer(transport, endpoint, self._credentials)

    @property
    def host(self) -> str:
        return self.endpoint.host

    def open(self) -> None:
        """Settle which scheme the server speaks and how it wants to be asked: GET /v2/.

        Raises `Unreachable`, `Unavailable`.
        """
        fault: KobakoError | None = None
        for base in self.endpoint.bases:
            try:
                self._settle(base, last=base == self.endpoint.bases[-1])
            except (NotTLS, Transient) as failure:
                fault = fault or failure
            else:
                self.base = base
                return
        assert fault is not None
        raise fault

    def request(
        self,
        method: str,
        target: str,
        *,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Callable[[], RawIOBase] | bytes | None = None,
    ) -> Response:
        """A request for a path below the base or an absolute URL (a session's Location).

        Authorization goes to the registry's own origin alone. `body` is made anew for each send.
        Redirects are followed for GET and HEAD. Raises `KobakoError`s of `failures`.
        """
        url = self.absolute(self.base, target)
        own = _origin(url) == _origin(self.base)
        authorization = self.auth.header(scopes) if own else ""
        response = self._send(method, url, headers, authorization, body)
        if response.status == 401 and own and self.auth.challenged(response):
            response.answer()
            scopes = scopes or self.auth.challenged_scopes()
            again = self.auth.header(scopes, fresh=True)
            if again:
                response = self._send(method, url, headers, again, body)
                authorization = again
        for _ in range(_MAX_REDIRECTS):
            if response.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                return response
            location = response.headers.get("Location", "")
            response.close()
            following = self.absolute(response.url, location)
            if _origin(following) != _origin(url):
                authorization = ""
            url = following
            response = self._send(method, url, headers, authorization, None)
        response.close()
        raise Unavailable(f"{failures.shown_url(url)}: more than {_MAX_REDIRECTS} redirects")

    def absolute(self, base: str, location: str) -> str:
        """A Location against the URL it came from. Raises `Unavailable`, or `Denied` for a way
        from TLS to the clear.
        """
        from urllib.parse import urljoin

        try:
            url = urljoin(base + "/", location) if location.startswith("/") else location
            if "://" not in url:
                url = urljoin(base, location)
        except ValueError:
            url = ""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("http", "https") or not rest or not url.isascii():
            raise Unavailable(
                f"{self.host}: the registry names a location that is no URL: "
                f"{failures.shown(location)!r}"
            )
        if scheme == "http" and base.startswith("https:") and self.endpoint.verify:
            raise Denied(
                f"{self.host}: the registry leads from TLS to plain HTTP: "
                f"{failures.shown_url(url)}",
                hint="configure the registry as insecure if that is meant",
            )
        return url

    def retried(self, step: Callable[[], T]) -> T:
        """Do an idempotent step until it succeeds, fails for good, or was tried often enough.

        No connection at all is not tried again: the fault is local, or there is another endpoint.
        """
        limits = self.transport.client.limits
        for attempt in range(limits.attempts - 1):
            try:
                return step()
            except Unreachable:
                raise
            except Transient as fault:
                self.pause(attempt, fault)
        return step()

    def pause(self, attempt: int, fault: Transient) -> None:
        """Wait before the attempt after `attempt` (0 was the first)."""
        limits = self.transport.client.limits
        wait = max(fault.retry_after, limits.backoff * 2**attempt)
        self.transport.sleep(min(wait, limits.pause))

    def _settle(self, base: str, *, last: bool) -> None:
        """Try a base; with retries if it is the last one or does speak HTTP."""
        if not last:
            try:
                self._ping(base)
                return
            except Busy:
                pass
        self.retried(lambda: self._ping(base))

    def _ping(self, base: str) -> None:
        response = self._send("GET", f"{base}/v2/", None, "", None)
        if response.status == 401:
            known = self.auth.challenged(response)
            response.answer()
            if not known:
                raise Unavailable(
                    f"{self.host}: the registry asks for an unknown kind of authentication"
                )
            return
        answer = response.answer()
        if answer.status == 400 and b"HTTPS" in answer.body.upper():
            raise NotTLS(f"{failures.shown_url(base)}: client sent HTTP request to HTTPS server")
        if answer.status >= 500 or answer.status == 429:
            raise failures.of_answer(answer, f"registry {self.host}")

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        authorization: str,
        body: Callable[[], RawIOBase] | bytes | None,
    ) -> Response:
        sent = dict(headers or {})
        if authorization:
            sent["Authorization"] = authorization
        stream = body() if callable(body) else body
        try:
            return self.transport.request(
                method,
                url,
                host=self.endpoint.config,
                verify=self.endpoint.verify,
                headers=sent,
                body=stream,
            )
        finally:
            if stream is not None and not isinstance(stream, bytes):
                stream.close()

    def _credentials(self) -> Credentials:
        if self._given is not None:
            return self._given
        file = self.transport.client.credentials
        return file.get(self.endpoint.host) if file is not None else Credentials()


def _origin(url: str) -> tuple[str, str]:
    """Scheme and `host:port` of a URL: what an Authorization header may be sent to."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].partition("?")[0].lower()
    if ":" not in authority.rpartition("]")[2]:
        authority += ":443" if scheme == "https" else ":80"
    return scheme, authority
