"""Request bodies: framing by Content-Length or chunks (RFC 9112 sections 6 and 7), streamed."""

from __future__ import annotations

import time

from kobako.errors import Invalid
from kobako.http.wire import Disconnected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kobako.http.limits import Limits
    from kobako.http.wire import Wire

_HEX = frozenset(b"0123456789abcdefABCDEF")
_CHUNK_LINE = 4096
_TRAILERS = 16 * 1024


class BodyTooLarge(Invalid):
    """A body is longer than its reader accepts."""

    http_status = 413


class Body:
    """The body of one request, read at most once.

    `length` is the announced size in bytes, None when it comes in chunks. `Disconnected` is raised
    when the client leaves or is slower than the limits allow, `Invalid` when the framing is wrong.
    """

    def __init__(
        self, wire: Wire, limits: Limits, length: int | None, on_first_read: Callable[[], None]
    ) -> None:
        self.length = length
        self._wire = wire
        self._limits = limits
        self._first: Callable[[], None] | None = on_first_read
        self._chunked = length is None
        self._left = length or 0  # of the body, or of the present chunk
        self._seen_chunk = False
        self._began = 0.0
        self._taken = 0
        self.ended = length == 0
        self.broken = False

    @property
    def started(self) -> bool:
        """Whether any of it was asked for (after which the client was told to continue)."""
        return self._first is None

    def readinto(self, target: bytearray | memoryview) -> int:
        """Fill as much of `target` as is there without waiting twice; 0 only at the end."""
        if self.ended:
            return 0
        self._begin()
        try:
            with memoryview(target) as view:
                count = self._chunks_into(view) if self._chunked else self._plain_into(view)
        except BaseException:
            self.broken = True
            raise
        self._taken += count
        return count

    def chunks(self, size: int = 256 * 1024) -> Iterator[memoryview]:
        """The body piece by piece; each piece is only valid until the next is asked for."""
        buffer = bytearray(size)
        view = memoryview(buffer)
        while count := self.readinto(view):
            yield view[:count]

    def read(self, limit: int) -> bytes:
        """All of it; `BodyTooLarge` when that is more than `limit` bytes."""
        if self.length is not None and self.length > limit:
            raise BodyTooLarge(f"the request body is {self.length} bytes, {limit} are accepted")
        whole = bytearray()
        for piece in self.chunks(64 * 1024):
            whole += piece
            if len(whole) > limit:
                raise BodyTooLarge(f"the request body is longer than the {limit} bytes accepted")
        return bytes(whole)

    def _begin(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            self._began = time.monotonic()
            self._wire.widen()
            first()

    def _deadline(self) -> float:
        """One wait's end; also enforces the least average rate."""
        now = time.monotonic()
        spent = now - self._began
        if spent > self._limits.body_idle and self._taken < spent * self._limits.body_rate:
            raise Disconnected("the request body came too slowly")
        return now + self._limits.body_idle

    def _plain_into(self, view: memoryview) -> int:
        want = view[: self._left] if self._left < len(view) else view
        count = self._wire.read_into(want, self._deadline())
        self._left -= count
        self.ended = self._left == 0
        return count

    def _chunks_into(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and not self.ended:
            if filled and not self._wire.buffered:
                break
            if not self._left:
                self._next_chunk()
                continue
            want = view[filled : filled + self._left]
            count = self._wire.read_into(want, self._deadline())
            self._left -= count
            filled += count
        return filled

    def _next_chunk(self) -> None:
        if self._seen_chunk and self._line(2) != b"\r\n":
            raise Invalid("a chunk of the request body is longer than announced")
        self._seen_chunk = True
        digits = self._line(_CHUNK_LINE)[:-2].partition(b";")[0].rstrip(b" \t")
        if not 0 < len(digits) <= 15 or not _HEX.issuperset(digits):
            raise Invalid("a chunk of the request body has no valid size")
        self._left = int(digits, 16)
        if not self._left:
            self._skip_trailers()
            self.ended = True

    def _skip_trailers(self) -> None:
        budget = _TRAILERS
        while (line := self._line(budget)) != b"\r\n":
            budget -= len(line)
            if budget < 2:
                raise Invalid("the trailers of the request body are too long")

    def _line(self, limit: int) -> bytes:
        line = self._wire.take_until(b"\r\n", limit, self._deadline())
        if line is None:
            raise Invalid("the chunk framing of the request body is malformed")
        return line
