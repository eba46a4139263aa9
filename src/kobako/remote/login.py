"""Login and logout: credentials are tried with the registry before they are stored."""

from __future__ import annotations

from kobako.errors import Invalid, Unauthorized, Unavailable
from kobako.record import Record
from kobako.remote.client import Client
from kobako.remote.credentials import CredentialFile, Credentials, registry_domain
from kobako.remote.endpoint import endpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.remote.endpoint import Endpoint


class Login(Record):
    """A login that succeeded: whose credentials are stored now, and the path of the file they lie
    in unencrypted ("" if a helper keeps them).
    """

    host: str
    unencrypted_path: str


def login(server: str, username: str, password: str, client: Client) -> Login:
    """Check a user name and password with a registry (docker.io if `server` is empty) and store
    them, or the identity token the registry gives in their place.

    Where the registry's pushes go to a mirror, it is the mirror one logs in to.
    Raises `Unauthorized` if they are wrong, `Unavailable`, `Invalid`.
    """
    from kobako.remote.session import Session
    from kobako.remote.transport import Transport

    file = _file(client)
    endpoint = _endpoint(server, client)
    offered = Credentials(username, password)
    with Transport(client) as transport:
        session = Session(endpoint, transport, offered)
        session.open()
        identity = session.auth.identity()
        answer = session.request("GET", "/v2/").answer()
        if answer.status == 401:
            raise Unauthorized(
                f"login attempt to {session.base}/v2/ failed with status: 401 Unauthorized",
                hint="check the user name and the password",
            )
        if answer.status not in (200, 404):
            raise Unavailable(
                f"login attempt to {session.base}/v2/ failed with status: {answer.status}"
            )
    kept = Credentials(username, "", identity) if identity else offered
    return Login(endpoint.host, file.set(endpoint.host, kept))


def logout(server: str, client: Client) -> bool:
    """Forget the credentials of a registry; whether there were any."""
    found = False
    for host in {registry_domain(server), _endpoint(server, client).host}:
        found = _file(client).erase(host) or found
    return found


def stored(server: str, client: Client) -> Credentials:
    """What is stored for a registry, empty if there is nothing."""
    return _file(client).get(_endpoint(server, client).host)


def _endpoint(server: str, client: Client) -> Endpoint:
    return endpoints(registry_domain(server), client.registries, push=True)[0]


def _file(client: Client) -> CredentialFile:
    if client.credentials is None:
        raise Invalid("no credentials file is configured")
    return client.credentials
