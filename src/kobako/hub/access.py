"""Who asks, and what they may do: Basic and Bearer credentials, scopes, the challenge."""

from __future__ import annotations

import base64
import re

from kobako.errors import Unauthorized
from kobako.hub import accounts as roles
from kobako.hub.names import LIBRARY
from kobako.hub.refusals import Refusal
from kobako.hub.throttle import Throttle
from kobako.hub.tokens import Claims, Scope
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.http import Request
    from kobako.hub.accounts import Account, Accounts
    from kobako.hub.options import Options
    from kobako.hub.repositories import Repositories
    from kobako.hub.tokens import Tokens

PULL, PUSH, DELETE = "pull", "push", "delete"
_ACTIONS = (PULL, PUSH, DELETE)
_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
_MOST_SCOPES = 64


class Caller(Record):
    """Who sent a request. `scopes` None: not limited by a token; `presented`: sent credentials."""

    account: str = ""
    role: str = ""
    scopes: tuple[Scope, ...] | None = None
    presented: bool = False


class Access:
    """The hub's policy.

    Admins may do everything; an account everything in its own namespace; anybody may pull what is
    public, if the hub allows it at all. A repository that a caller may not see looks exactly like
    one that does not exist. A token narrows this to its scopes.
    """

    def __init__(
        self, options: Options, accounts: Accounts, tokens: Tokens, repositories: Repositories
    ) -> None:
        self._options = options
        self._accounts = accounts
        self._tokens = tokens
        self._repositories = repositories
        self._throttle = Throttle()

    def identify(self, request: Request) -> Caller:
        """The caller of a request; wrong credentials are refused, missing ones are nobody's."""
        header = request.headers.get("authorization")
        kind, _, value = header.partition(" ")
        if not header:
            return Caller()
        if kind.lower() == "basic":
            name, password = _basic(value.strip())
            account = self.login(request, name, password)
            return Caller(account.name, account.role, None, True)
        if kind.lower() == "bearer":
            return self._bearer(request, value.strip())
        raise self.challenge(request, "", "this kind of credentials is not supported")

    def login(self, request: Request, name: str, password: str) -> Account:
        """The account of a name and password; too many failures are refused for a while."""
        wait = self._throttle.wait_time(request.peer, name)
        if wait:
            raise Refusal(
                429,
                "TOOMANYREQUESTS",
                f"too many failed logins, try again in {wait} seconds",
                headers=(("Retry-After", str(wait)),),
            )
        account = self._accounts.check(name, password)
        if account is None:
            self._throttle.failed(request.peer, name)
            raise self.challenge(request, "", "incorrect username or password")
        self._throttle.succeeded(request.peer, name)
        return account

    def require(self, request: Request, repository: str, *actions: str) -> Caller:
        """The caller, if all `actions` on `repository` are allowed; a refusal otherwise."""
        caller = self.identify(request)
        for action in actions:
            if not self.may(caller, repository, action):
                raise self._refusal(request, caller, repository, actions)
        return caller

    def may(self, caller: Caller, repository: str, action: str) -> bool:
        """Whether the policy and the caller's token allow an action."""
        if caller.scopes is not None and not any(
            s.repository == repository and action in s.actions for s in caller.scopes
        ):
            return False
        return self._policy(caller.account, caller.role, repository, action)

    def may_see(self, caller: Caller, repository: str, private: bool) -> bool:
        """Whether a repository that exists appears in this caller's lists."""
        if self._owns(caller.account, caller.role, repository):
            return True
        known = bool(caller.account) or self._options.anonymous_pull or self._options.open
        return known and not private

    def visible(self, caller: Caller, last: str, at_once: int) -> Iterator[str]:
        """The names of the repositories a caller may see, in order, after `last`. So many are asked
        for `at_once`."""
        while rows := self._repositories.list(last, at_once):
            yield from (r.name for r in rows if self.may_see(caller, r.name, r.private))
            last = rows[-1].name

    def grant(self, account: Account | None, wanted: list[str]) -> tuple[Claims, int]:
        """The claims for requested scopes ("repository:name:pull,push"): what policy allows."""
        name, role = (account.name, account.role) if account else ("", "")
        scopes = []
        for text in wanted[:_MOST_SCOPES]:
            kind, _, rest = text.partition(":")
            repository, _, asked = rest.rpartition(":")
            if kind != "repository" or not repository:
                continue
            words = _ACTIONS if asked == "*" else [a for a in asked.split(",") if a in _ACTIONS]
            allowed = tuple(a for a in words if self._policy(name, role, repository, a))
            if allowed:
                scopes.append(Scope(repository, allowed))
        generation = account.generation if account else ""
        return Claims(name, generation, tuple(scopes)), self._options.token_seconds

    def challenge(self, request: Request, scope: str, message: str, fault: str = "") -> Refusal:
        """A 401 that tells the client where to get a token, and for what."""
        fields = f'realm="{self.base_url(request)}/auth/token",service="{self._options.service}"'
        if scope:
            fields += f',scope="{scope}"'
        if fault:
            fields += f',error="{fault}"'
        header = ("WWW-Authenticate", f"Bearer {fields}")
        return Refusal(401, "UNAUTHORIZED", message, headers=(header,))

    def base_url(self, request: Request) -> str:
        """How the client reaches us, without a trailing slash."""
        if self._options.public_url:
            return self._options.public_url.rstrip("/")
        host = request.headers.get("host")
        return f"http://{host}" if _HOST.fullmatch(host) else ""

    def _bearer(self, request: Request, token: str) -> Caller:
        try:
            claims = self._tokens.verify(token)
            if not claims.account:
                return Caller("", "", claims.scopes, True)
            account = self._accounts.get(claims.account)
            if account is None or account.generation != claims.generation:
                raise Unauthorized("the token's account has changed")
        except Unauthorized as error:
            raise self.challenge(request, "", error.message, "invalid_token") from error
        return Caller(account.name, account.role, claims.scopes, True)

    def _owns(self, account: str, role: str, repository: str) -> bool:
        if role == roles.ADMIN:
            return True
        return bool(account) and repository.startswith(account + "/") and account != LIBRARY

    def _policy(self, account: str, role: str, repository: str, action: str) -> bool:
        if self._owns(account, role, repository):
            return True
        private = self._repositories.private(repository)
        if self._options.open:
            return not private
        if action != PULL or private is not False:
            return False
        return bool(account) or self._options.anonymous_pull

    def _refusal(
        self, request: Request, caller: Caller, repository: str, actions: tuple[str, ...]
    ) -> Refusal:
        scope = f"repository:{repository}:{','.join(actions)}"
        if not caller.presented:
            return self.challenge(request, scope, "authentication required")
        if all(self._policy(caller.account, caller.role, repository, a) for a in actions):
            message = "the token does not cover this request"
            return self.challenge(request, scope, message, "insufficient_scope")
        if not caller.account and not (self._options.anonymous_pull and actions == (PULL,)):
            return self.challenge(request, scope, "authentication required")
        if actions == (PULL,):
            return Refusal(
                404, "NAME_UNKNOWN", "repository name not known to registry",
                detail={"name": repository},
            )  # fmt: skip
        return Refusal(
            403, "DENIED", f"requested access to {repository} is denied",
            detail={"name": repository, "actions": list(actions)},
        )  # fmt: skip


def _basic(value: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(value, validate=True).decode("utf-8")
    except ValueError:
        decoded = ""
    name, colon, password = decoded.partition(":")
    if not colon:
        raise Refusal(400, "UNAUTHORIZED", "the Basic credentials are malformed")
    return name, password
