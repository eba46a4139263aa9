"""Hashes, encodings and identifiers."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.functions.signature import ANY, function, whole
from kobako.bake.source import Fault
from kobako.bake.values import NUMBER, STRING, Value, list_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.scope import Function


def _hash(name: str) -> Function:
    def body(value: Value) -> Value:
        import hashlib

        digest = hashlib.new(name, value.raw.encode(), usedforsecurity=False)
        return values.text(digest.hexdigest())

    return function(body, STRING)


def _base64decode(value: Value) -> Value:
    import base64
    import binascii

    try:
        return values.text(base64.b64decode(value.raw, validate=True).decode())
    except (binascii.Error, ValueError):
        raise Fault(f'failed to decode base64 data "{value.raw}"') from None


def _base64encode(value: Value) -> Value:
    import base64

    return values.text(base64.b64encode(value.raw.encode()).decode())


def _csvdecode(value: Value) -> Value:
    import csv
    import io

    try:
        rows = list(csv.reader(io.StringIO(value.raw), strict=True))
    except csv.Error as error:
        raise Fault(f"malformed CSV: {error}") from None
    if not rows:
        raise Fault("missing header line")
    header = rows[0]
    if len(set(header)) != len(header):
        raise Fault("duplicate column name")
    found = []
    for at, row in enumerate(rows[1:], 2):
        if row and len(row) != len(header):
            raise Fault(f"wrong number of fields on line {at}")
        if row:
            pairs = zip(header, row, strict=True)
            found.append(values.object_of({name: values.text(v) for name, v in pairs}))
    kind = values.object_type(dict.fromkeys(header, STRING))
    return list_of(kind, found)


def _urlencode(value: Value) -> Value:
    from urllib.parse import quote_plus

    return values.text(quote_plus(value.raw))


def _uuidv4() -> Value:
    import uuid

    return values.text(str(uuid.uuid4()))


def _uuidv5(space: Value, name: Value) -> Value:
    import uuid

    known = {
        "dns": uuid.NAMESPACE_DNS,
        "url": uuid.NAMESPACE_URL,
        "oid": uuid.NAMESPACE_OID,
        "x500": uuid.NAMESPACE_X500,
    }
    try:
        namespace = known.get(space.raw) or uuid.UUID(space.raw)
    except ValueError:
        raise Fault(f'uuidv5() doesn\'t support namespace "{space.raw}"') from None
    return values.text(str(uuid.uuid5(namespace, name.raw)))


def _bcrypt(value: Value, cost: Value | None = None) -> Value:
    from kobako.bake.functions import crypto

    rounds = 10 if cost is None else whole(cost, "the cost")
    return values.text(crypto.bcrypt(value.raw, rounds))


def _rsadecrypt(ciphertext: Value, key: Value) -> Value:
    from kobako.bake.functions import crypto

    return values.text(crypto.rsa_decrypt(ciphertext.raw, key.raw))


FUNCTIONS: dict[str, Function] = {
    "base64decode": function(_base64decode, STRING),
    "base64encode": function(_base64encode, STRING),
    "bcrypt": function(_bcrypt, STRING, NUMBER, optional=1),
    "csvdecode": function(_csvdecode, STRING),
    "jsondecode": function(lambda v: values.from_json(v.raw), STRING),
    "jsonencode": function(lambda v: values.text(values.to_json(v)), ANY, nulls=True),
    "md5": _hash("md5"),
    "rsadecrypt": function(_rsadecrypt, STRING, STRING),
    "sha1": _hash("sha1"),
    "sha256": _hash("sha256"),
    "sha512": _hash("sha512"),
    "urlencode": function(_urlencode, STRING),
    "uuidv4": function(_uuidv4),
    "uuidv5": function(_uuidv5, STRING, STRING),
}
