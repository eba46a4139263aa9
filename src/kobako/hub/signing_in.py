"""`/v2/` and `/auth/token`: how docker and its kin log in (distribution's token protocol)."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from kobako.http import Response
from kobako.hub.access import Caller
from kobako.hub.refusals import API_VERSION, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http import Request, Router
    from kobako.hub.access import Access
    from kobako.hub.accounts import Account, Accounts
    from kobako.hub.options import Options
    from kobako.hub.tokens import Tokens

_FORM_LIMIT = 64 * 1024


class SigningIn:
    """The handlers of the version check and of the token service."""

    def __init__(
        self, access: Access, accounts: Accounts, tokens: Tokens, options: Options
    ) -> None:
        self._access = access
        self._accounts = accounts
        self._tokens = tokens
        self._options = options

    def add_to(self, router: Router) -> None:
        """Route the version check and the token service."""
        router.add("GET", "/v2/", self.version)
        router.add("GET", "/v2", self.version)
        router.add("GET", "/auth/token", self.token)
        router.add("POST", "/auth/token", self.token_by_form)

    def version(self, request: Request) -> Response:
        """200 for who is known (and, in an open hub, for anybody); else where to log in."""
        caller = self._access.identify(request)
        if not caller.presented and not self._options.open:
            raise self._access.challenge(request, "", "authentication required")
        return Response.json(200, {}, (API_VERSION,))

    def token(self, request: Request) -> Response:
        """A token for the account of the Basic credentials, or for nobody in particular."""
        caller = self._access.identify(request) if _basic(request) else Caller()
        account = self._accounts.get(caller.account) if caller.account else None
        if account is None and not (self._options.anonymous_pull or self._options.open):
            raise self._access.challenge(request, "", "authentication required")
        return self._answer(account, request.query.get("scope", []))

    def token_by_form(self, request: Request) -> Response:
        """The OAuth 2 variant: `grant_type=password` in a form."""
        body = request.body.read(_FORM_LIMIT)
        try:
            form = parse_qs(body.decode("utf-8"), errors="strict", max_num_fields=100)
        except ValueError as error:
            raise Refusal(400, "UNSUPPORTED", "the form is malformed") from error
        if form.get("grant_type") != ["password"]:
            raise Refusal(400, "UNSUPPORTED", "only grant_type=password is supported")
        name, password = form.get("username", [""])[0], form.get("password", [""])[0]
        return self._answer(self._access.login(request, name, password), form.get("scope", []))

    def _answer(self, account: Account | None, scopes: list[str]) -> Response:
        wanted = [scope for text in scopes for scope in text.split()]
        claims, seconds = self._access.grant(account, wanted)
        token = self._tokens.sign(claims, seconds)
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        document = {
            "token": token,
            "access_token": token,
            "expires_in": seconds,
            "issued_at": issued,
        }
        return Response.json(200, document, (("Cache-Control", "no-store"),))


def _basic(request: Request) -> bool:
    return request.headers.get("authorization").lower().startswith("basic ")
