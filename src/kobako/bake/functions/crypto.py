"""`bcrypt` and `rsadecrypt`, without a library of our own for either."""

from __future__ import annotations

from kobako.bake.source import Fault

_BASE64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def bcrypt(word: str, cost: int) -> str:
    """bcrypt with a random salt, by the system's libcrypt (or musl's libc)."""
    import ctypes
    import os

    if not 4 <= cost <= 31:
        raise Fault(f"bcrypt's cost is between 4 and 31, not {cost}")
    if len(word.encode()) > 72 or "\0" in word:
        raise Fault("bcrypt takes at most 72 bytes")
    bits = int.from_bytes(os.urandom(16), "big") << 4  # 132 bits are 22 letters
    salt = "".join(_BASE64[bits >> shift & 63] for shift in range(126, -1, -6))
    for name in ("libcrypt.so.1", "libcrypt.so.2", None):
        try:
            function = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        found: bytes | None = function(word.encode(), f"$2b${cost:02d}${salt}".encode())
        if found and found.startswith(b"$2"):
            return "$2a$" + found.decode()[4:]
    raise Fault("this machine has no libcrypt with bcrypt")


def rsa_decrypt(ciphertext: str, key: str) -> str:
    """The PKCS #1 v1.5 plaintext of base64 text, by a PEM private key (PKCS #1 or #8)."""
    import base64
    import binascii

    try:
        data = base64.b64decode(ciphertext, validate=True)
    except (binascii.Error, ValueError):
        raise Fault(
            f'failed to decode input "{ciphertext}": the ciphertext must be base64'
        ) from None
    try:
        modulus, private = _private_key(key)
    except (ValueError, IndexError, TypeError):
        raise Fault("failed to parse the RSA private key: it must be PEM, unencrypted") from None
    size = (modulus.bit_length() + 7) // 8
    block = pow(int.from_bytes(data, "big"), private, modulus).to_bytes(size, "big")
    end = block.find(b"\0", 2)
    if len(data) != size or block[:2] != b"\0\2" or end < 10:
        raise Fault("failed to decrypt: the text was not encrypted for this key")
    try:
        return block[end + 1 :].decode()
    except ValueError:
        raise Fault("failed to decrypt: the plaintext is no UTF-8") from None


def _private_key(pem: str) -> tuple[int, int]:
    """(modulus, private exponent)."""
    import base64

    lines = pem.strip().splitlines()
    if "PRIVATE KEY" not in lines[0]:
        raise ValueError
    document = base64.b64decode("".join(line for line in lines if not line.startswith("-")))
    items = _sequence(document)
    if len(items) >= 3 and isinstance(items[2], bytes):  # PKCS #8 wraps PKCS #1
        items = _sequence(items[2])
    modulus, private = items[1], items[3]
    if not isinstance(modulus, int) or not isinstance(private, int):
        raise ValueError
    return modulus, private


def _sequence(document: bytes) -> list[int | bytes]:
    """The integers and octet strings of a DER sequence; other elements as b""."""
    _, body, _ = _element(document, 0)
    items: list[int | bytes] = []
    at = 0
    while at < len(body):
        tag, content, at = _element(body, at)
        items.append(int.from_bytes(content, "big") if tag == 2 else content if tag == 4 else 0)
    return items


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    return tag, data[at : at + length], at + length
