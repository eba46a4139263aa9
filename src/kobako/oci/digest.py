"""Content digests (image-spec descriptor.md, "Digests"): `algorithm:encoded` as a string type."""

from __future__ import annotations

import sys

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import ClassVar

_HEX = "0123456789abcdef"
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Digest(str):
    """`sha256:<64 hex digits>` and the like. Made by `parse` or `of`, so always well formed."""

    __slots__ = ()

    EMPTY: ClassVar[Digest]
    """The digest of no bytes at all."""

    @classmethod
    def parse(cls, text: str) -> Digest:
        """A digest from text; `Invalid` names what is wrong with it.

        sha256, sha384 and sha512 are known; hex digits must be lower case, as everywhere in OCI.
        """
        algorithm, colon, encoded = text.partition(":")
        if not colon or not algorithm:
            raise Invalid(f"invalid digest {_shown(text)}: expected algorithm:hex")
        length = _LENGTHS.get(algorithm)
        if length is None:
            raise Invalid(f"invalid digest {_shown(text)}: unsupported digest algorithm")
        if len(encoded) != length:
            raise Invalid(
                f"invalid digest {_shown(text)}: {algorithm} takes {length} hex digits, "
                f"not {len(encoded)}"
            )
        if encoded.strip(_HEX):
            raise Invalid(f"invalid digest {_shown(text)}: only the digits 0-9a-f are allowed")
        return cls(text)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The sha256 digest of `data`."""
        return cls("sha256:" + _sha256(data))

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hex digits."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first 12 hex digits, as docker shows ids."""
        return self.partition(":")[2][:12]

    def verifies(self, data: bytes) -> bool:
        """Whether `data` has this digest."""
        return self.hash(data) == self.encoded

    def hash(self, data: bytes) -> str:
        """The hex digest of `data` by this digest's algorithm."""
        if self.startswith("sha256:"):
            return _sha256(data)
        import hashlib

        return hashlib.new(self.algorithm, data).hexdigest()

    def __repr__(self) -> str:
        return f"Digest({str.__repr__(self)})"


DiffID = Digest
"""The digest of a layer's uncompressed tar."""
ChainID = Digest
"""The digest of a stack of layers (image-spec config.md, "Layer ChainID")."""


# hashlib loads libcrypto (3 ms); the interpreter's own sha256 is there at once and fast enough for
# this many bytes.
LITTLE = 256 << 10


def _sha256(data: bytes) -> str:
    if len(data) > LITTLE:
        import hashlib

        return hashlib.sha256(data).hexdigest()
    try:  # looking for a module that is not there takes longer than the hash
        if sys.version_info >= (3, 12):
            from _sha2 import sha256  # type: ignore[import-not-found]  # no stubs
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]  # no stubs
    except ImportError:
        from hashlib import sha256
    digest: str = sha256(data).hexdigest()
    return digest


def _shown(text: str) -> str:
    return repr(text if len(text) <= 160 else text[:157] + "...")


Digest.EMPTY = Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def chain_id(diff_ids: Iterable[Digest]) -> Digest:
    """The ChainID of layers from the lowest to the topmost; `Invalid` if there are none."""
    chain: Digest | None = None
    for diff_id in diff_ids:
        chain = diff_id if chain is None else Digest.of(f"{chain} {diff_id}".encode())
    if chain is None:
        raise Invalid("no layers: an empty stack has no ChainID")
    return chain
