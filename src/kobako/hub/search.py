"""Repositories by a word: `GET /v1/search`, of the first registry API, which docker's `search` asks
a registry of one's own for. The distribution specification has nothing in its place.
"""

from __future__ import annotations

from itertools import islice

from kobako.http import Response
from kobako.hub import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http import Request, Router
    from kobako.hub.access import Access

_PAGE, _MOST = 25, 100  # docker's own
_AT_ONCE = 500


class Search:
    """The handler of `/v1/search`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def add_to(self, router: Router) -> None:
        router.add("GET", "/v1/search", self.get)

    def get(self, request: Request) -> Response:
        """The first `n` repositories the caller may see whose names contain `q`."""
        most = min(names.number(request.argument("n")) or _PAGE, _MOST)
        word = request.argument("q").lower()
        visible = self._access.visible(self._access.identify(request), "", _AT_ONCE)
        results = [
            {
                "name": name,
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": False,
                "is_trusted": False,
            }
            for name in islice((n for n in visible if word in n), most)
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
