"""Hashing, (de)compression and files side by side: one thread each, joined before anything returns.
They talk through queues of C: an interrupt in those of Python can leave a lock taken for ever.

hashlib, isal and zstd release the GIL, so two cores are well used by two threads. What is little
needs neither threads nor hashlib, whose modules (7 ms) are imported where they are used.
"""

from __future__ import annotations

from kobako.layer import codec
from kobako.layer.blocks import BLOCK
from kobako.oci.hasher import Hasher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _queue import SimpleQueue
    from collections.abc import Callable
    from typing import Protocol, Self

    from kobako.layer.tar_writer import Sink
    from kobako.oci.digest import Digest

    class Readable(Protocol):
        def read(self, size: int, /) -> bytes: ...


_AHEAD = 8  # blocks in flight
_PATIENCE = 1.0  # seconds that a write under way may take when all is given up


class ReadAhead:
    """Reads and hashes a stream in a thread of its own; `next_block` gives what was read.

    A context manager: leaving it ends the thread. `digest` and `size` are of all that was read, and
    final once `next_block` has given `b""`; with `known` the digest is that, and nothing is hashed.
    """

    def __init__(self, stream: Readable, known: Digest | None = None) -> None:
        from _queue import SimpleQueue

        self._stream = stream
        self._known = known
        self._hash = Hasher()
        self.size = 0
        self._blocks: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        self._over: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._places.put(None)
        self._running = self._stopped = self._ended = False

    def __enter__(self) -> Self:
        from _thread import start_new_thread

        from kobako.linux.fork import Undisturbed

        try:
            with Undisturbed():  # or it could be begun and not be known of
                start_new_thread(self._run, ())
                self._running = True
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._places.put(None)
        if self._running:
            self._over.get()

    def _run(self) -> None:
        try:
            while True:
                self._places.get()
                if self._stopped:
                    return
                block = self._stream.read(BLOCK)
                if self._known is None:
                    self._hash.update(block)
                self.size += len(block)
                self._blocks.put(block)
                if not block:
                    return
        except BaseException as fault:  # handed to the consumer, whatever it is
            self._blocks.put(fault)
        finally:
            self._over.put(None)

    def next_block(self) -> bytes:
        """The next bytes, `b""` at the end. Raises what reading raised."""
        if self._ended:
            return b""
        block = self._blocks.get()
        self._places.put(None)
        if isinstance(block, BaseException):
            self._ended = True
            raise block
        self._ended = not block
        return block

    @property
    def digest(self) -> Digest:
        """sha256 of everything read."""
        return self._known or self._hash.digest


def _refuse(data: bytes, /) -> None:
    raise InterruptedError


class HashingSink:
    """Passes bytes on to `sink`, hashing and counting them."""

    def __init__(self, sink: Sink) -> None:
        self._sink_write = sink.write
        self._hash = Hasher()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self._hash.update(data)
        self.size += len(data)
        self._sink_write(data)

    def stop(self) -> None:
        """Nothing more goes to the sink, whoever writes."""
        self._sink_write = _refuse

    @property
    def digest(self) -> Digest:
        return self._hash.digest


class _Work:
    """A thread that takes blocks, a few at most waiting. Of C parts only: `threading` and `queue`
    take longer to import than a small layer to compress."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        from _queue import SimpleQueue
        from _thread import start_new_thread

        self._take = take
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._places.put(None)
        start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                self._take(block)
                self._places.put(None)
        finally:
            self._ended.put(None)

    def give(self, block: bytes) -> None:
        """One more; waits while it is far behind. `take` raises nothing."""
        self._places.get()
        self._blocks.put(block)

    def join(self) -> None:
        """Waits until all that was given is taken, and the thread at its end."""
        self._blocks.put(None)
        self._ended.get()

    def leave(self) -> None:
        """The same, but one that is stuck in what it does, writing what nobody reads say, is left:
        it ends with the process."""
        from _queue import Empty

        self._blocks.put(None)
        try:
            self._ended.get(timeout=_PATIENCE)
        except Empty:
            pass


class CompressingSink:
    """Takes bytes in any sizes; compresses them into `sink` in a thread of its own.

    A context manager; leaving it by an exception gives up. `finish` ends the stream; then `diff_id`
    and `diff_size` are of what was written here, `digest` and `size` of what went into the sink.
    """

    def __init__(self, sink: Sink, name: str, level: int | None = None) -> None:
        self._out = HashingSink(sink)
        self._packing = name, level
        self._hash = Hasher()
        self._parts: list[bytes] = []
        self._held = 0
        self.diff_size = 0
        self._work: _Work | None = None
        self._codec: codec.Compressor  # once it is known whether there is little
        self._fault: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._join()
        else:
            self._give_up()

    def write(self, data: bytes, /) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= BLOCK:
            self._hand_over()

    def _hand_over(self) -> None:
        block = b"".join(self._parts)
        self._parts = []
        self._held = 0
        self.diff_size += len(block)
        if self._work is None:
            self._codec = codec.open_writer(self._out, *self._packing)
            self._work = _Work(self._compress)
        self._work.give(block)
        self._hash.update(block)
        if self._fault is not None:
            raise self._fault

    def _compress(self, block: bytes) -> None:
        if self._fault is None:
            try:
                self._codec.write(block)
            except BaseException as fault:  # raised again in the thread that writes
                self._fault = fault

    def _join(self) -> None:
        if self._work is not None:
            self._work.join()
            self._work = None

    def _give_up(self) -> None:
        """Nothing more is written."""
        self._fault = self._fault or InterruptedError()
        self._out.stop()
        if self._work is not None:
            self._work.leave()
            self._work = None

    def finish(self) -> None:
        """Compresses what is left. What fits one block needs no thread at all."""
        if self._work is None:
            block = b"".join(self._parts)
            self._parts = []
            self.diff_size += len(block)
            self._hash.update(block)
            little = len(block) <= codec.LITTLE
            self._codec = codec.open_writer(self._out, *self._packing, little=little)
            self._codec.write(block)
        else:
            self._hand_over()
            self._join()
        if self._fault is not None:
            raise self._fault
        self._codec.close()

    @property
    def diff_id(self) -> Digest:
        return self._hash.digest

    @property
    def digest(self) -> Digest:
        return self._out.digest

    @property
    def size(self) -> int:
        return self._out.size
