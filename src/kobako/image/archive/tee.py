"""Content that goes two ways at once: into the store, and to whoever unpacks it."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.oci.digest import Digest
    from kobako.store import BlobWriter


class Tee:
    """Runs `consume(diff_id, stream)` in a thread; the stream is what `writer` is given.

    The consumer may stop reading at any time, and need not keep up: it never disturbs the storing.
    """

    def __init__(
        self,
        consume: Callable[[Digest | None, BinaryIO], None],
        diff_id: Digest | None,
        writer: BlobWriter,
    ) -> None:
        self._stream = writer.follow()
        self._error: BaseException | None = None
        self._consume = consume
        self._diff_id = diff_id
        self._thread = threading.Thread(target=self._run, name="kobako-unpack")
        self._thread.start()

    def join(self) -> BaseException | None:
        """Wait for the consumer, the writer having committed or aborted; its error, if any."""
        self._thread.join()
        return self._error

    def _run(self) -> None:
        try:
            self._consume(self._diff_id, self._stream)  # type: ignore[arg-type]  # a raw stream
        except BaseException as error:  # carried over to the thread that stores
            self._error = error
        finally:
            self._stream.close()
