"""One HTTP request over pooled connections, with deadlines, and a way to break all of them off."""

from __future__ import annotations

import os
import threading
import time
import weakref

import urllib3

from kobako.errors import Invalid
from kobako.remote import connection, failures
from kobako.remote.failures import Cancelled, Transient

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from io import RawIOBase
    from typing import Any

    from urllib3 import BaseHTTPResponse
    from urllib3.connection import HTTPConnection

    from kobako.remote.client import Client
    from kobako.remote.endpoint import HostConfig

CHUNK = 1 << 20


class Transport:
    """The connections of one operation. Used from several threads; not after `close`.

    Redirects are not followed and nothing is retried here.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._responses: weakref.WeakSet[Response] = weakref.WeakSet()
        self._managers: dict[tuple[Any, ...], urllib3.PoolManager] = {}

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def close(self) -> None:
        """Close every connection, also those of responses that nobody closed."""
        self.abort()
        with self._lock:
            left = list(self._responses)
        for response in left:
            response.close()
        for manager in self._managers.values():
            manager.clear()
        self._managers.clear()

    def abort(self) -> None:
        """Break off all requests under way: their threads find their sockets shut down."""
        self._cancelled.set()
        with self._lock:
            connections, responses = list(self._connections), list(self._responses)
        for opened in connections:
            connection.shut(opened.sock)
        for response in responses:
            response.shutdown()

    def sleep(self, seconds: float) -> None:
        """Pause; raises `Cancelled` at once when the operation is broken off."""
        if self._cancelled.wait(seconds):
            raise Cancelled

    def request(
        self,
        method: str,
        url: str,
        *,
        host: HostConfig,
        verify: bool,
        headers: Mapping[str, str],
        body: bytes | RawIOBase | None = None,
    ) -> Response:
        """Send a request; returns when the headers have come. The caller closes the response.

        Raises `Transient` (and its subclasses), `Unavailable`, or `Invalid` for what is no URL.
        """
        if self.cancelled:
            raise Cancelled
        limits = self.client.limits
        proxy = self._proxy(url)
        manager = self._manager(url.partition(":")[0], host, verify, proxy)
        sent = {"User-Agent": self.client.user_agent, "Accept-Encoding": "identity", **headers}
        try:
            answer = manager.request(
                method,
                url,
                body=body,
                headers=sent,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=limits.connect, read=limits.read),
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as fault:
            # AttributeError: a connection whose socket `abort` or the server took away.
            if self.cancelled:
                raise Cancelled from None
            if isinstance(fault, (urllib3.exceptions.LocationValueError, UnicodeError)):
                raise Invalid(f"malformed URL {failures.shown_url(url)}") from None
            raise failures.of_exception(fault, url, proxied=proxy) from None
        response = Response(answer, url, self)
        with self._lock:
            self._responses.add(response)
        return response

    def _register(self, opened: HTTPConnection) -> None:
        with self._lock:
            self._connections.add(opened)
        if self.cancelled:
            connection.shut(opened.sock)

    def _proxy(self, url: str) -> str:
        scheme, _, rest = url.partition("://")
        return self.client.registries.proxy_for(scheme, rest.partition("/")[0])

    def _manager(
        self, scheme: str, host: HostConfig, verify: bool, proxy: str
    ) -> urllib3.PoolManager:
        """The pools for one way of trusting and one proxy."""
        key: tuple[object, ...] = (scheme, proxy)
        if scheme == "https":
            key += (verify, host.ca_file, host.client_cert, host.client_key, host.certificates)
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                manager = self._new_manager(scheme, host, verify, proxy)
                manager.pool_classes_by_scheme = connection.pools(
                    self._register, self.client.limits.document
                )
                self._managers[key] = manager
        return manager

    def _new_manager(
        self, scheme: str, host: HostConfig, verify: bool, proxy: str
    ) -> urllib3.PoolManager:
        settings: dict[str, Any] = {
            "maxsize": self.client.limits.parallel + 1,
            "blocksize": CHUNK,
        }
        if scheme == "https":
            settings["ssl_context"] = _context(host, verify)
            if not verify:
                settings["assert_hostname"] = False
        if not proxy:
            return urllib3.PoolManager(**settings)
        headers = None
        authority = proxy.partition("://")[2].partition("/")[0]
        if "@" in authority:
            from urllib.parse import unquote

            secret = unquote(authority.rpartition("@")[0])
            headers = urllib3.make_headers(proxy_basic_auth=secret)
        try:
            return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
        except (urllib3.exceptions.HTTPError, ValueError, AssertionError):
            raise Invalid(
                f"malformed proxy URL {failures.shown_url(proxy)}",
                hint="a proxy is a URL such as http://127.0.0.1:3128",
            ) from None


class Response:
    """An answer whose body has not been read. Close it, or read it to its end."""

    __slots__ = ("__weakref__", "_answer", "_told", "_transport", "headers", "status", "url")

    def __init__(self, answer: BaseHTTPResponse, url: str, transport: Transport) -> None:
        self._answer = answer
        self._transport = transport
        self._told: failures.Answer | None = None
        self.url = url
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if not self._answer.isclosed():  # type: ignore[attr-defined]  # of urllib3's HTTPResponse
            self._answer.close()
        self._answer.release_conn()

    def shutdown(self) -> None:
        """Wake a reader of the body, from another thread."""
        try:
            self._answer.shutdown()
        except (OSError, ValueError, RuntimeError):
            pass  # read to its end already

    @property
    def length(self) -> int | None:
        """The Content-Length, if there is a sane one."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, in pieces of at most 1 MiB. Raises `Transient`.

        A body that is shorter than its Content-Length, or that stalls, is a failure.
        """
        limits = self._transport.client.limits
        started, count = time.monotonic(), 0
        while chunk := self._read():
            yield chunk
            count += len(chunk)
            now = time.monotonic()
            if now - started > limits.read:
                if count < limits.floor:
                    raise Transient(
                        f"{failures.shown_url(self.url)}: the transfer stalled "
                        f"({count} bytes in {now - started:.0f} s)"
                    )
                started, count = now, 0

    def document(self, limit: int) -> bytes:
        """The whole body; `Invalid` if it is longer than `limit` bytes. Closes the response."""
        deadline = time.monotonic() + self._transport.client.limits.document
        found = bytearray()
        with self:
            while chunk := self._read(65536):
                found += chunk
                if len(found) > limit:
                    raise Invalid(
                        f"{failures.shown_url(self.url)}: the answer is longer than {limit} bytes"
                    )
                if time.monotonic() > deadline:
                    raise Transient(f"{failures.shown_url(self.url)}: the answer takes too long")
        return bytes(found)

    def answer(self) -> failures.Answer:
        """The response as a failure to be told, with its body if that is short. Closes it."""
        if self._told is None:
            try:
                body = self.document(failures.MAX_ERROR_BODY)
            except (Invalid, Transient):
                body = b""
            self._told = failures.Answer(self.status, self.headers, body, self.url)
        return self._told

    def _read(self, size: int = CHUNK) -> bytes:
        try:
            return self._answer.read1(size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as fault:
            if self._transport.cancelled:
                raise Cancelled from None
            raise failures.of_exception(fault, self.url) from None


def _context(host: HostConfig, verify: bool) -> ssl.SSLContext:
    """How TLS servers are to be believed."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=host.ca_file or None)
        if not verify:
            # urllib3 would warn at every request of what was decided on purpose
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if host.client_cert:
            context.load_cert_chain(host.client_cert, host.client_key or None)
        if host.certificates:
            _load_directory(context, host.certificates)
    except (OSError, ssl.SSLError) as fault:
        named = (host.ca_file, host.client_cert, host.client_key, host.certificates)
        files = ", ".join(f for f in named if f)
        raise Invalid(
            f"cannot load the certificates of {host.domain} ({files}): "
            f"{failures.shown(str(fault.strerror or fault))}"
        ) from None
    return context


def _load_directory(context: ssl.SSLContext, directory: str) -> None:
    """The certificates of a directory as docker has them
    (https://docs.docker.com/engine/security/certificates/).
    """
    names = sorted(os.listdir(directory))
    for name in names:
        path = os.path.join(directory, name)
        if name.endswith(".crt"):
            context.load_verify_locations(path)
        elif name.endswith(".cert"):
            key = name.removesuffix(".cert") + ".key"
            if key not in names:
                raise Invalid(
                    f"missing key {key} for client certificate {path}",
                    hint="certificates of authorities have the extension .crt",
                )
            context.load_cert_chain(path, os.path.join(directory, key))
