"""Repositories by a word: `GET /v1/search`, of the first registry API, which docker's `search` asks
a registry of one's own for. The distribution specification has nothing in its place.
"""

from __future__ import annotations

from kobako.http import Response
from kobako.hub.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http import Request, Router
    from kobako.hub.access import Access
    from kobako.hub.repositories import Repositories

_PAGE, _MOST = 25, 100  # docker's own
_AT_ONCE = 500


class Search:
    """The handler of `/v1/search`."""

    def __init__(self, access: Access, repositories: Repositories) -> None:
        self._access = access
        self._repositories = repositories

    def add_to(self, router: Router) -> None:
        router.add("GET", "/v1/search", self.get)

    def get(self, request: Request) -> Response:
        """The first `n` repositories the caller may see whose names contain `q`."""
        most = _limit(request.argument("n"))
        found = self._matching(request, request.argument("q").lower(), most)
        results = [
            {
                "name": name,
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": False,
                "is_trusted": False,
            }
            for name in found
        ]
        return Response.json(
            200,
            {
                "query": request.argument("q"),
                "num_results": len(results),
                "num_pages": 1,
                "page": 1,
                "page_size": most,
                "results": results,
            },
        )

    def _matching(self, request: Request, word: str, most: int) -> list[str]:
        caller = self._access.identify(request)
        found: list[str] = []
        last = ""
        while rows := self._repositories.list(last, _AT_ONCE):
            found += [
                r.name
                for r in rows
                if word in r.name and self._access.may_see(caller, r.name, r.private)
            ]
            if len(found) >= most:
                break
            last = rows[-1].name
        return found[:most]


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", f"n must be a number, not {text[:40]!r}")
    return min(int(text[:10]) or _PAGE, _MOST)
