"""Methods and path patterns to handlers."""

from __future__ import annotations

import re

from kobako.http.response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.http.request import Request
    from kobako.http.response import Upgrade

    Handler = Callable[[Request], Response | Upgrade]

_NAMED = re.compile(r"\{([a-z_]+)(\.\.\.)?\}")


class Router:
    """Finds the handler of a request; the first pattern added that fits wins.

    A pattern is a path in which `{name}` stands for one segment and `{name...}` for one or more
    (as many as fit). HEAD is answered by the GET handler: the server leaves the body out.
    """

    def __init__(
        self,
        *,
        not_found: Handler | None = None,
        not_allowed: Callable[[Request, str], Response] | None = None,
    ) -> None:
        self._routes: list[tuple[re.Pattern[str], dict[str, Handler]]] = []
        self._by_pattern: dict[str, dict[str, Handler]] = {}
        self._not_found = not_found or _default_not_found
        self._not_allowed = not_allowed or _default_not_allowed

    def add(self, methods: str, pattern: str, handler: Handler) -> None:
        """Route `methods` (separated by spaces) on `pattern` to `handler`."""
        handlers = self._by_pattern.get(pattern)
        if handlers is None:
            handlers = self._by_pattern[pattern] = {}
            self._routes.append((_compile(pattern), handlers))
        for method in methods.split():
            handlers[method] = handler

    def __call__(self, request: Request) -> Response | Upgrade:
        """Answer `request`; 404 and 405 (with Allow) where nothing is routed."""
        allowed: set[str] = set()
        for expression, handlers in self._routes:
            match = expression.fullmatch(request.path)
            if match is None:
                continue
            handler = handlers.get(request.method)
            if handler is None and request.method == "HEAD":
                handler = handlers.get("GET")
            if handler is not None:
                request.params = match.groupdict()
                return handler(request)
            allowed.update(handlers)
        if not allowed:
            return self._not_found(request)
        if "GET" in allowed:
            allowed.add("HEAD")
        return self._not_allowed(request, ", ".join(sorted(allowed)))


def _compile(pattern: str) -> re.Pattern[str]:
    expression, position = "", 0
    for match in _NAMED.finditer(pattern):
        inner = ".+" if match[2] else "[^/]+"
        expression += re.escape(pattern[position : match.start()]) + f"(?P<{match[1]}>{inner})"
        position = match.end()
    return re.compile(expression + re.escape(pattern[position:]))


def _default_not_found(request: Request) -> Response:
    return Response.json(404, {"message": "page not found"})


def _default_not_allowed(request: Request, allow: str) -> Response:
    body = {"message": f"{request.method} is not allowed here"}
    return Response.json(405, body, (("Allow", allow),))
