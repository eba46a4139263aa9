"""Files of web servers: one GET whose redirects are followed, by the proxies of the settings.

What goes wrong is `Unavailable`, and `NotFound` or `Denied` where the server says that; `Invalid`
what is no URL.
"""

from __future__ import annotations

import io

from kobako.errors import Denied, Invalid, NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from urllib3 import BaseHTTPResponse

    from kobako.engine.engine import Engine
    from kobako.events import OnEvent

_CONNECT, _READ = 15.0, 60.0
_REDIRECTS = 10
_CHUNK = 1 << 20


class Get:
    """A request; as a context manager it is the response, closed at the end.

    `headers` go to redirects of the same host only. Whoever wants the body takes `read`.
    """

    def __init__(self, engine: Engine, url: str, headers: dict[str, str]) -> None:
        import urllib3

        self.url = url
        proxy = _proxy(dict(engine.settings.proxies), url)
        settings: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=_CONNECT, read=_READ),
            "retries": urllib3.Retry(total=_REDIRECTS, connect=1, read=1, redirect=_REDIRECTS),
        }
        self._pool = (
            urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
        )
        self._headers = {"User-Agent": "kobako", "Accept-Encoding": "identity", **headers}

    def __enter__(self) -> BaseHTTPResponse:
        import urllib3

        try:
            return self._pool.request("GET", self.url, headers=self._headers, preload_content=False)
        except urllib3.exceptions.LocationValueError:
            raise Invalid(f"{self.url}: not a URL: give a host") from None
        except urllib3.exceptions.HTTPError as error:
            raise _failed(self.url, error) from None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._pool.clear()


def read(response: BaseHTTPResponse, size: int = _CHUNK) -> bytes:
    """The next bytes of the body; none at its end."""
    import urllib3

    try:
        return response.read(size)
    except urllib3.exceptions.HTTPError as error:
        raise _failed(response.geturl() or "the download", error) from None


def refusal(url: str, status: int, hint: str = "") -> NotFound | Denied | Unavailable:
    """What a status that is not 200 comes to."""
    if status == 404:
        return NotFound(f"{url}: not found (404)")
    said = f"{url}: invalid response status {status}"
    return Denied(said, hint=hint) if status in (401, 403) else Unavailable(said)


def open_body(engine: Engine, url: str, action: str, on_event: OnEvent) -> BinaryIO:
    """What the URL leads to, as a stream that the caller closes; `action` tells how far it is."""
    return io.BufferedReader(_Body(Get(engine, url, {}), action, on_event), _CHUNK)


class _Body(io.RawIOBase):
    def __init__(self, get: Get, action: str, on_event: OnEvent) -> None:
        self._get, self._action, self._tell = get, action, on_event
        self._current = 0
        self._response = get.__enter__()
        if self._response.status != 200:
            self.close()
            raise refusal(get.url, self._response.status)
        length = self._response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdecimal() else 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]  # Buffer: 3.12
        from kobako.events import LayerProgress

        data = read(self._response, len(into))
        into[: len(data)] = data
        self._current += len(data)
        self._tell(LayerProgress("", self._action, self._current, self._total))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._get.__exit__(None, None, None)
        super().close()


def _failed(url: str, error: Exception) -> Unavailable:
    reason = getattr(error, "reason", None) or error
    return Unavailable(f"cannot fetch {url}: {reason}")


def _proxy(proxies: dict[str, str], url: str) -> str:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].rpartition(":")[0] or rest.partition("/")[0]
    for word in proxies.get("no_proxy", "").split(","):
        word = word.strip().lstrip(".").partition(":")[0]
        if word and (word == "*" or host == word or host.endswith("." + word)):
            return ""
    return proxies.get(f"{scheme}_proxy", "") or proxies.get("all_proxy", "")
