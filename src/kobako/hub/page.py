"""The page at `/`: what the hub has, and how to pull it. No script, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from kobako.http import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http import Request
    from kobako.hub.access import Access
    from kobako.hub.repositories import Repositories

_MOST_REPOSITORIES = 500
_MOST_TAGS = 20
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#eee;padding:.1em .3em}li{margin:.3em 0}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


class Page:
    """The handler of `/`."""

    def __init__(self, access: Access, repositories: Repositories) -> None:
        self._access = access
        self._repositories = repositories

    def get(self, request: Request) -> Response:
        """The repositories the caller may see, with their first tags."""
        caller = self._access.identify(request)
        host = self._access.base_url(request).partition("://")[2] or "this-hub"
        items = [
            self._item(repository.name, host)
            for repository in self._repositories.list("", _MOST_REPOSITORIES)
            if self._access.may_see(caller, repository.name, repository.private)
        ]
        body = "".join(items) or "<li>Nothing has been pushed yet.</li>"
        text = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>kobako hub</title>'
            f"<style>{_STYLE}</style><h1>kobako hub</h1><ul>{body}</ul></html>\n"
        )
        headers = (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        )
        return Response(200, headers, text.encode())

    def _item(self, name: str, host: str) -> str:
        tags = self._repositories.tags(name, "", _MOST_TAGS + 1) or ()
        shown = ", ".join(escape(tag) for tag in tags[:_MOST_TAGS])
        if len(tags) > _MOST_TAGS:
            shown += ", …"
        first = "latest" if "latest" in tags else (tags[0] if tags else "")
        command = f"kobako pull {host}/{name}" + (f":{first}" if first else "")
        return f"<li><b>{escape(name)}</b> {shown}<br><code>{escape(command)}</code></li>"
