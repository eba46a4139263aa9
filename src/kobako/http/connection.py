"""One client connection: requests in, responses out, until either side has had enough."""

from __future__ import annotations

import socket
import time

from kobako.errors import Invalid, KobakoError
from kobako.http.body import Body
from kobako.http.head import Head, HeadTooLarge
from kobako.http.request import Request
from kobako.http.response import Response, Upgrade
from kobako.http.served import Served
from kobako.http.wire import Disconnected, Wire
from kobako.http.writer import ResponseWriter, head_bytes
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.http.limits import Limits
    from kobako.http.router import Handler

_TLS_HANDSHAKE = 0x16  # the first byte of a TLS record that opens a connection (RFC 8446, 5.1)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BROKEN = "the server failed to answer this request"


class Service(Record):
    """What connections of a server share.

    `render_error` turns an error the handler raised into a response; `on_served` and `on_fault`
    are called from the connection's thread, the latter with exceptions nobody expected.
    """

    handler: Handler
    limits: Limits
    render_error: Callable[[KobakoError], Response]
    on_served: Callable[[Served], None]
    on_fault: Callable[[BaseException, str], None]


class Connection:
    """Serves one socket in the calling thread; `idle_since` is set between requests."""

    def __init__(self, sock: socket.socket, peer: str, service: Service) -> None:
        self.idle_since: float | None = time.monotonic()
        self.closing = False
        self._socket = sock
        self._peer = peer
        self._service = service
        self._wire = Wire(sock)

    def run(self) -> None:
        """Serve until the connection ends; never raises. The socket is closed afterwards."""
        limits = self._service.limits
        try:
            if self._wire.wait(limits.head_time):
                self.idle_since = None
                while self._serve_one() and not self.closing:
                    self.idle_since = time.monotonic()
                    if self.closing or not self._wire.wait(limits.keep_alive):
                        break
                    self.idle_since = None
        except Disconnected:
            pass
        except Exception as error:
            self._service.on_fault(error, f"connection of {self._peer or 'a local client'}")
        finally:
            self._socket.close()

    def end_if_idle(self) -> None:
        """End the connection unless a request is under way (which then becomes its last)."""
        self.closing = True
        if self.idle_since is not None:
            self.abort()

    def abort(self) -> None:
        """End the connection now, whatever it does; safe from any thread."""
        self.closing = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _serve_one(self) -> bool:
        limits = self._service.limits
        began = time.monotonic()
        received, sent = self._wire.received - self._wire.buffered, self._wire.sent
        if self._wire.first() == _TLS_HANDSHAKE:
            # Clients try TLS first; one left waiting for the end of a head goes on after 10 s.
            self._refuse(Invalid("this is HTTP without TLS: use http://"))
            return False
        raw = self._wire.take_until(b"\r\n\r\n", limits.head, began + limits.head_time)
        try:
            if raw is None:
                raise HeadTooLarge("the request head is too long", 431)
            head = Head(raw, limits)
            expects = "100-continue" in head.headers.tokens("expect") and head.http11
            body = Body(self._wire, limits, head.length, self._continuation(expects))
            request = Request(
                head.method, head.target, head.headers, body, peer=self._peer, http11=head.http11
            )
        except KobakoError as error:
            self._refuse(error)
            return False
        status = 0
        try:
            answer = self._answer(request)
            status = 101 if isinstance(answer, Upgrade) else answer.status
            if isinstance(answer, Upgrade):
                self._hand_over(request, answer)
                return False
            return self._respond(request, answer, expects)
        finally:
            self._service.on_served(
                Served(
                    request.method,
                    request.target,
                    status,
                    self._wire.received - self._wire.buffered - received,
                    self._wire.sent - sent,
                    time.monotonic() - began,
                    self._peer,
                    request.headers.get("user-agent"),
                )
            )

    def _continuation(self, expects: bool) -> Callable[[], None]:
        if not expects:
            return lambda: None
        return lambda: self._wire.send(_CONTINUE, self._service.limits.send_idle)

    def _answer(self, request: Request) -> Response | Upgrade:
        try:
            return self._service.handler(request)
        except Disconnected:
            raise
        except KobakoError as error:
            return self._service.render_error(error)
        except Exception as error:
            self._service.on_fault(error, repr(request))
            return self._service.render_error(KobakoError(_BROKEN))

    def _respond(self, request: Request, response: Response, expects: bool) -> bool:
        body = request.body
        unasked = expects and not body.started and not body.ended
        persistent = (
            request.http11
            and not response.close
            and not self.closing
            and not unasked  # whether its body still comes is the client's choice
            and not body.broken
            and (body.ended or self._short(body))
            and "close" not in request.headers.tokens("connection")
        )
        writer = ResponseWriter(
            self._wire,
            idle=self._service.limits.send_idle,
            head_only=request.method == "HEAD",
            http11=request.http11,
        )
        persistent = writer.send(response, persistent)
        if persistent and not body.ended:
            persistent = self._drained(body)
        if not persistent and not body.ended:
            self._linger()
        return persistent

    def _short(self, body: Body) -> bool:
        return body.length is not None and body.length <= self._service.limits.drain

    def _drained(self, body: Body) -> bool:
        try:
            for _ in body.chunks(16 * 1024):
                pass
        except KobakoError:
            return False
        return True

    def _hand_over(self, request: Request, upgrade: Upgrade) -> None:
        protocol = request.headers.get("upgrade")
        fields = list(upgrade.headers)
        if protocol and "upgrade" in request.headers.tokens("connection"):
            fields += [("Connection", "Upgrade"), ("Upgrade", protocol)]
            head = head_bytes(101, fields)
        else:
            head = head_bytes(200, fields)
        if not request.body.ended:
            raise Invalid("an upgrade needs its request body read first")
        self._wire.send(head, self._service.limits.send_idle)
        self._socket.settimeout(None)
        upgrade.serve(self._socket, self._wire.rest())

    def _refuse(self, error: KobakoError) -> None:
        """Answer what could not be parsed, and end."""
        response = self._service.render_error(error)
        writer = ResponseWriter(
            self._wire, idle=self._service.limits.send_idle, head_only=False, http11=True
        )
        writer.send(response, False)
        self._linger()

    def _linger(self) -> None:
        """Read on a little while: closing with unread input resets, and the answer is lost."""
        end = time.monotonic() + self._service.limits.linger
        scrap = memoryview(bytearray(64 * 1024))
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while True:
                self._wire.read_into(scrap, end)
        except (OSError, Disconnected):
            return
