"""Compression of layers: gzip by ISA-L, zstd; bzip2 and xz to read. Told apart by their magic."""

from __future__ import annotations

import io

from kobako.errors import Corrupt, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Protocol

    from kobako.layer.tar_writer import Sink

    class Compressor(Protocol):
        """Compresses what is written into its sink; `close` ends the stream, not the sink."""

        def write(self, data: bytes, /) -> object: ...
        def close(self) -> None: ...


GZIP, ZSTD, BZIP2, XZ, PLAIN = "gzip", "zstd", "bzip2", "xz", "plain"

_CHUNK = 256 << 10
_MAGICS = ((b"\x1f\x8b", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD), (b"BZh", BZIP2), (b"\xfd7zXZ\0", XZ))
_LEVELS = {GZIP: 1, ZSTD: 3}
LITTLE = 64 << 10
"""Bytes that the interpreter's own zlib has packed before ISA-L is loaded."""


def detect(start: bytes) -> str:
    """The codec of a stream by its first 6 bytes; "plain" when it is none we know."""
    for magic, name in _MAGICS:
        if start.startswith(magic):
            return name
    if start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50:  # a skippable zstd frame
        return ZSTD
    return PLAIN


def open_reader(fileobj: BinaryIO) -> tuple[BinaryIO, str]:
    """The decompressed stream of `fileobj` and its codec's name.

    Concatenated members and frames are one stream. Reading raises `Corrupt` for damaged and
    truncated input. Closing the reader leaves `fileobj` open. Memory stays within about 2 MiB.
    """
    start = _first(fileobj, 6)
    name = detect(start)
    return io.BufferedReader(_Reader(fileobj, start, name), 1 << 20), name


def _first(fileobj: BinaryIO, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := fileobj.read(count - len(data))):
        data += more
    return data


class _Reader(io.RawIOBase):
    def __init__(self, fileobj: BinaryIO, start: bytes, name: str) -> None:
        self._file = fileobj
        self._data = start
        self._name = name
        self._engine: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any, /) -> int:
        view = memoryview(target).cast("B")
        data = self._plain(len(view)) if self._name == PLAIN else self._decompressed(len(view))
        view[: len(data)] = data
        return len(data)

    def _plain(self, limit: int) -> bytes:
        if not self._data:
            return self._file.read(limit)
        data, self._data = self._data[:limit], self._data[limit:]
        return data

    def _decompressed(self, limit: int) -> bytes:
        try:
            return self._step(limit)
        except (EOFError, OSError, ValueError) as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise
            raise Corrupt(f"damaged {self._name} data: {fault}") from None
        except Exception as fault:
            if type(fault).__name__ in ("IsalError", "error", "ZstdError", "LZMAError"):
                raise Corrupt(f"damaged {self._name} data: {fault}") from None
            raise

    def _step(self, limit: int) -> bytes:
        while True:
            if self._engine is None:
                if not self._data:
                    self._data = self._file.read(_CHUNK)
                if not self._data.strip(b"\0"):  # the end, or padding after the last member
                    if not self._data:
                        return b""
                    self._data = b""
                    continue
                self._engine = _decompressor(self._name)
                data, self._data = self._data, b""
            elif self._engine.needs_input:
                data = self._file.read(_CHUNK)
                if not data:
                    raise Corrupt(f"truncated {self._name} data")
            else:
                data = b""
            out: bytes = self._engine.decompress(data, limit)
            if self._engine.eof:
                self._data = self._engine.unused_data
                self._engine = None
            if out:
                return out


def _decompressor(name: str) -> Any:
    if name == GZIP:
        from isal import igzip_lib

        return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    if name == ZSTD:
        return _zstd().ZstdDecompressor()
    if name == BZIP2:
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor(memlimit=256 << 20)


def _zstd() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd


def open_writer(
    fileobj: Sink, name: str = GZIP, level: int | None = None, *, little: bool = False
) -> Compressor:
    """A compressor into `fileobj`: "gzip" (level 0-9), "zstd" (0-22) or "plain".

    The same bytes written give the same bytes out: headers carry neither time nor name. `little`:
    no more than LITTLE bytes will be written, which gzip packs another way.
    """
    if name == PLAIN or not name:
        return _PlainWriter(fileobj)
    if name == GZIP:
        return _GzipWriter(fileobj, _LEVELS[GZIP] if level is None else level, little)
    if name == ZSTD:
        return _ZstdWriter(fileobj, _LEVELS[ZSTD] if level is None else level)
    raise Invalid(f"cannot write {name!r}", hint="use gzip, zstd or plain")


class _PlainWriter:
    def __init__(self, fileobj: Sink) -> None:
        self.write = fileobj.write

    def close(self) -> None:
        pass


class _GzipWriter:
    """Raw deflate within our own gzip frame (RFC 1952): mtime 0, no name, OS unknown.

    ISA-L has levels 0 to 3; zlib, ten times slower, packs the higher ones tighter.
    """

    def __init__(self, fileobj: Sink, level: int, little: bool) -> None:
        if not 0 <= level <= 9:
            raise Invalid(f"gzip level {level}: 0 to 9")
        zlib: Any
        if level <= 3 and not little:
            from isal import isal_zlib as zlib
        else:
            import zlib
        self._crc32 = zlib.crc32
        self._engine = zlib.compressobj(level, zlib.DEFLATED, -15)
        self._write = fileobj.write
        self._crc = 0
        self._size = 0
        self._write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")

    def write(self, data: bytes, /) -> None:
        self._crc = self._crc32(data, self._crc)
        self._size += len(data)
        if out := self._engine.compress(data):
            self._write(out)

    def close(self) -> None:
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        self._write(self._engine.flush() + trailer)


class _ZstdWriter:
    def __init__(self, fileobj: Sink, level: int) -> None:
        zstd = _zstd()
        options = {
            zstd.CompressionParameter.compression_level: level,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        self._engine: Any = zstd.ZstdCompressor(options=options)
        self._write = fileobj.write

    def write(self, data: bytes, /) -> None:
        if out := self._engine.compress(data):
            self._write(out)

    def close(self) -> None:
        self._write(self._engine.flush())
