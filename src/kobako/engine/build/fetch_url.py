"""Files of HTTP servers, for ADD and contexts: kept as blobs, asked for again only if they changed.

What a server said of a URL is kept in the build cache: its ETag and Last-Modified go along with the
next request, and a server that says 304 sends nothing. The secrets HTTP_AUTH_HEADER_<host> and
HTTP_AUTH_TOKEN_<host> are shown to that host, and to none it redirects to.
"""

from __future__ import annotations

import time

from kobako.build.cache import cache_key
from kobako.build.sources import Remote, UrlSource
from kobako.engine import web_file
from kobako.errors import Corrupt, Invalid, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from urllib3 import BaseHTTPResponse

    from kobako.engine.engine import Engine
    from kobako.oci import Digest

_HEADER, _TOKEN = "HTTP_AUTH_HEADER_", "HTTP_AUTH_TOKEN_"


def look_up(engine: Engine, source: UrlSource, secrets: dict[str, bytes]) -> Remote:
    """What the URL leads to, downloaded unless it is here already.

    With a checksum nobody is asked: that says all. `NotFound`, `Unavailable`, and `Corrupt` when
    the bytes are others than the checksum's.
    """
    if source.checksum:
        return Remote(source, source.checksum, None)
    return _download(engine, source, secrets)


def obtain(engine: Engine, remote: Remote, secrets: dict[str, bytes]) -> tuple[str, int]:
    """(the path of the file, its time in seconds), downloaded where it has gone since."""
    from kobako.oci import Digest

    source = remote.source
    assert isinstance(source, UrlSource)
    digest, modified = Digest.parse(remote.digest), remote.modified
    blobs = engine.store.blobs
    if not blobs.exists(digest):
        modified = _download(engine, source, secrets).modified
        if not blobs.exists(digest):
            raise Unavailable(f"{source.url} changed while it was being built from")
    elif source.checksum:
        said = _remembered(engine, source)
        modified = said.get("modified") if said.get("digest") == digest else None
    return str(blobs.path(digest)), modified or 0


def _download(engine: Engine, source: UrlSource, secrets: dict[str, bytes]) -> Remote:
    from kobako.oci import Digest

    said = _remembered(engine, source)
    headers = _authorization(source.url, secrets)
    plain = len(headers)
    if said and engine.store.blobs.exists(Digest.parse(said["digest"])):
        if said["etag"]:
            headers["If-None-Match"] = said["etag"]
        if said["last_modified"]:
            headers["If-Modified-Since"] = said["last_modified"]
    with web_file.Get(engine, source.url, headers) as response:
        if response.status == 304 and len(headers) > plain:
            return _checked(source, Digest.parse(said["digest"]), said["modified"])
        if response.status != 200:
            hint = f"Give a secret: --secret id={_TOKEN}{_host(source.url)},src=FILE"
            raise web_file.refusal(source.url, response.status, hint)
        digest = _save(engine, response)
        last = response.headers.get("Last-Modified", "")
        said = {
            "digest": str(digest),
            "etag": response.headers.get("ETag", ""),
            "last_modified": last,
            "modified": _seconds(last),
        }
    _remember(engine, source, said)
    return _checked(source, digest, said["modified"])


def _checked(source: UrlSource, digest: Digest, modified: int | None) -> Remote:
    if source.checksum and digest != source.checksum:
        raise Corrupt(f"digest mismatch for {source.url}: {digest} (expected: {source.checksum})")
    return Remote(source, str(digest), modified)


def _authorization(url: str, secrets: dict[str, bytes]) -> dict[str, str]:
    """What a server wants to see: a whole header, or the token of one; of both the token."""
    host = _host(url)
    header = secrets.get(_HEADER + host)
    token = secrets.get(_TOKEN + host)
    value = header if token is None else b"Bearer " + token
    if value is None:
        return {}
    text = value.decode("latin-1").strip()
    if "\n" in text or "\r" in text:
        raise Invalid(f"the secret for {host} has several lines: it is to be one header's value")
    return {"Authorization": text}


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


def _save(engine: Engine, response: BaseHTTPResponse) -> Digest:
    with engine.store.blobs.writer() as writer:
        while data := web_file.read(response):
            writer.write(data)
        return writer.commit()


def _seconds(text: str) -> int | None:
    """A date as HTTP writes it in seconds since 1970."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _row(source: UrlSource) -> str:
    return cache_key("url", source.url)


def _remembered(engine: Engine, source: UrlSource) -> dict[str, Any]:
    from kobako.fastjson import loads

    row = engine.store.db.cache.get(_row(source))
    found: dict[str, Any] = loads(row.value) if row is not None else {}
    return found


def _remember(engine: Engine, source: UrlSource, said: dict[str, Any]) -> None:
    from kobako.fastjson import dumps
    from kobako.store.cache import CacheRow

    engine.store.db.cache.put(
        CacheRow(_row(source), dumps({**said, "at": time.time_ns()}), kind="url")
    )
