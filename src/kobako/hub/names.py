"""What repositories, tags and accounts may be called (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re

from kobako.errors import Invalid
from kobako.hub.refusals import Refusal
from kobako.oci import Digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_ACCOUNT = re.compile(_COMPONENT)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST = 255
LIBRARY = "library"


def repository(text: str) -> str:
    """`text`, if it may name a repository; a NAME_INVALID refusal otherwise."""
    if len(text) > _LONGEST or not _REPOSITORY.fullmatch(text):
        raise Refusal(400, "NAME_INVALID", f"invalid repository name {text[:300]!r}")
    return text


def tag(text: str) -> str:
    """`text`, if it may be a tag."""
    if not _TAG.fullmatch(text):
        raise Refusal(400, "TAG_INVALID", f"invalid tag {text[:200]!r}")
    return text


def digest(text: str) -> Digest:
    """The digest `text` is, of an algorithm we compute."""
    try:
        return Digest.parse(text)
    except Invalid as error:
        raise Refusal(400, "DIGEST_INVALID", error.message) from error


def number(text: str) -> int | None:
    """The `n` of a request for a list, None where it has none."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        message = f"n must be a number, not {text[:40]!r}"
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", message, detail={"n": text[:40]})
    return int(text[:10])


def account(text: str) -> str:
    """`text`, if it may name an account: it becomes the first part of repository names."""
    if len(text) > 64 or not _ACCOUNT.fullmatch(text):
        raise Invalid(
            f"invalid account name {text[:80]!r}",
            hint="lower case letters and digits, with single . _ or - between them, at most 64",
        )
    if text == LIBRARY:
        raise Invalid(f"the account name {LIBRARY} is reserved for images kept by admins")
    return text
