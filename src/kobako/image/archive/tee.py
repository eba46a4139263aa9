"""Content that goes two ways at once: into the store, and to whoever unpacks it."""

from __future__ import annotations

import io
import queue
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from kobako.oci.digest import Digest

_DEPTH = 16  # chunks of up to 1 MiB in flight


class Tee:
    """Runs `consume(diff_id, stream)` in a thread and feeds it.

    The consumer may stop reading at any time. An error of it is raised by `finish`, once the
    content is stored, and never disturbs the storing.
    """

    def __init__(
        self, consume: Callable[[Digest | None, BinaryIO], None], diff_id: Digest | None
    ) -> None:
        self._pipe = _Pipe()
        self._error: BaseException | None = None
        self._consume = consume
        self._diff_id = diff_id
        self._thread = threading.Thread(target=self._run, name="kobako-unpack")
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        """Hand on a chunk; waits while the consumer is far behind."""
        self._pipe.put(chunk)

    def finish(self) -> None:
        """The end of the content: wait for the consumer, raise its error."""
        self._pipe.put(b"")
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """The content will not come to its end: the consumer's read fails."""
        self._pipe.broken = True
        self._pipe.put(b"")
        self._thread.join()

    def _run(self) -> None:
        try:
            self._consume(self._diff_id, io.BufferedReader(self._pipe, 1 << 18))
        except BaseException as error:  # carried over to the thread that feeds us
            self._error = error
        finally:
            self._pipe.stop()


class _Pipe(io.RawIOBase):
    """The reading end, and the queue behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self._chunks: queue.Queue[bytes] = queue.Queue(_DEPTH)
        self._current = memoryview(b"")
        self._ended = False
        self._stopped = threading.Event()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._current and not self._ended:
            self._current = memoryview(self._chunks.get())
            self._ended = not self._current
        if self.broken:
            raise OSError("the archive could not be read to its end")
        size = min(len(buffer), len(self._current))
        buffer[:size] = self._current[:size]
        self._current = self._current[size:]
        return size

    def put(self, chunk: bytes) -> None:
        while not self._stopped.is_set():
            try:
                self._chunks.put(chunk, timeout=0.1)
                return
            except queue.Full:
                continue

    def stop(self) -> None:
        """Nobody reads any more."""
        self._stopped.set()
        while not self._chunks.empty():
            self._chunks.get_nowait()
