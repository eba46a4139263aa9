"""Digests of bytes as they come."""

from __future__ import annotations

from kobako.oci.digest import LITTLE, Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Hasher:
    """The digest of bytes as they come, in any number of pieces."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._parts: list[bytes] = []
        self._held = 0
        self._hash: Any = None
        if algorithm != "sha256":
            self._load()

    def update(self, data: Any) -> None:
        """Takes a bytes-like object."""
        if self._hash is not None:
            self._hash.update(data)
            return
        self._parts.append(bytes(data))
        self._held += len(data)
        if self._held > LITTLE:
            self._load()

    def _load(self) -> None:
        try:  # a part of `hashlib`, which imports every other algorithm too
            import _hashlib as algorithms
        except ImportError:
            import hashlib as algorithms  # type: ignore[no-redef]  # where OpenSSL is not there

        self._hash = algorithms.new(self._algorithm)
        for part in self._parts:
            self._hash.update(part)
        self._parts.clear()

    @property
    def digest(self) -> Digest:
        """Of all that came so far."""
        if self._hash is None:
            return Digest.of(b"".join(self._parts))
        return Digest(f"{self._algorithm}:{self._hash.hexdigest()}")
