"""Image references, by the grammar of github.com/distribution/reference and docker's defaults.

reference := [domain "/"] path [":" tag] ["@" digest]
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.oci.digest import Digest
from kobako.record import Record

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
MAX_PATH = 255

_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_DIGITS = "0123456789"
_HEX = _DIGITS + "abcdef"
_LOWER = _DIGITS + "abcdefghijklmnopqrstuvwxyz"
_LETTERS = _LOWER + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TAG = _LETTERS + "_.-"


class Reference(Record):
    """A name of an image in a registry; `tag` and `digest` may both be there, or neither.

    `domain` and `path` are complete (`docker.io`, `library/python`). `str()` gives the full form,
    `familiar()` what docker shows to people.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """A reference as users write it; docker.io and library/ are filled in, no tag is added.

        Raises `Invalid` with docker's words.
        """
        if len(text) == 64 and not text.strip(_HEX):
            raise Invalid(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )
        if not text:
            raise Invalid(
                "invalid reference format: repository name must have at least one component"
            )
        domain, remainder = _split_domain(text)
        remote = remainder.partition(":")[0]
        if _lowered(remote) != remote:
            raise Invalid(f"invalid reference format: repository name ({remote}) must be lowercase")
        named, at, digest = remainder.partition("@")
        path, colon, tag = named.partition(":")
        if (
            not _is_domain(domain)
            or not all(map(_is_component, path.split("/")))
            or (colon and not is_tag(tag))
            or (at and not digest)
        ):
            raise Invalid(f'invalid reference format: "{_shown(text)}"')
        if len(path) > MAX_PATH:
            raise Invalid(
                "invalid reference format: "
                f"repository name must not be more than {MAX_PATH} characters"
            )
        try:
            pinned = Digest.parse(digest) if at else None
        except Invalid as error:
            raise Invalid(f"invalid reference format: {error}") from None
        return cls(domain, path, tag if colon else None, pinned)

    @property
    def name(self) -> str:
        """Domain and path: `docker.io/library/python`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as docker shows it: `python`, `me/tool`, `quay.io/org/tool`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in short else short

    def familiar(self) -> str:
        """The short form that parses to the same reference: `python:3.12`."""
        return self.familiar_name + self._suffix()

    def with_default_tag(self) -> Reference:
        """This reference with `latest` if it has neither tag nor digest."""
        if self.tag is None and self.digest is None:
            return Reference(self.domain, self.path, DEFAULT_TAG)
        return self

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return tag + (f"@{self.digest}" if self.digest is not None else "")

    def __str__(self) -> str:
        return self.name + self._suffix()


def is_tag(text: str) -> bool:
    """Whether `text` is a tag: `[\\w][\\w.-]{0,127}`."""
    return 0 < len(text) <= 128 and text[0] not in ".-" and not text.strip(_TAG)


def may_be_domain(first: str) -> bool:
    """Whether what stands before a name's first slash is a domain, and no account."""
    return first == "localhost" or "." in first or ":" in first or _lowered(first) != first


def _split_domain(text: str) -> tuple[str, str]:
    """Domain and the rest, by docker's rule."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, _OFFICIAL + text
    if first == _LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    elif not may_be_domain(first):
        first, rest = DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest


def _is_domain(text: str) -> bool:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or not host or host.strip(_HEX + "ABCDEF:"):
            return False
        return not port or (port[0] == ":" and len(port) > 1 and not port[1:].strip(_DIGITS))
    host, colon, port = text.partition(":")
    if colon and (not port or port.strip(_DIGITS)):
        return False
    return all(
        part and not part.strip(_LETTERS + "-") and part[0] != "-" and part[-1] != "-"
        for part in host.split(".")
    )


def _is_component(text: str) -> bool:
    """Runs of [a-z0-9] joined by one dot, one or two underscores, or any number of hyphens."""
    if not text or text.strip(_LOWER + "._-") or text[0] in "._-" or text[-1] in "._-":
        return False
    separator = ""
    for char in text:
        if char in "._-":
            separator += char
        elif separator:
            if separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
    return True


def _lowered(text: str) -> str:
    return text.lower()


def _shown(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
