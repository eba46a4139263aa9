"""A registry by its domain: the endpoints that answer for it, tried in order."""

from __future__ import annotations

from kobako.errors import Denied, KobakoError, NotFound, Unauthorized, Unavailable
from kobako.remote import failures
from kobako.remote import repository as repositories
from kobako.remote.endpoint import endpoints
from kobako.remote.repository import Repository
from kobako.remote.session import Session
from kobako.remote.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from kobako.oci.descriptor import Descriptor
    from kobako.oci.reference import Reference
    from kobako.remote.client import Client
    from kobako.remote.endpoint import Endpoint

    T = TypeVar("T")


class Registry:
    """Sessions with the endpoints of `domain`: mirrors first, unless `push` is set.

    Opened when first needed, on `transport`, which the caller closes.
    """

    def __init__(self, domain: str, transport: Transport, *, push: bool = False) -> None:
        self.domain = domain
        self.transport = transport
        self.endpoints = endpoints(domain, transport.client.registries, push=push)
        self._sessions: dict[Endpoint, Session] = {}

    def session(self, endpoint: Endpoint) -> Session:
        """The open session with an endpoint. Raises `Unavailable`."""
        session = self._sessions.get(endpoint)
        if session is None:
            session = Session(endpoint, self.transport)
            session.open()
            self._sessions[endpoint] = session
        return session

    def first(self, step: Callable[[Session], T], *, after: Endpoint | None = None) -> T:
        """What the first endpoint gives that can do the step, with retries at each.

        `after` leaves out the endpoints up to and including it. Raises the error that tells most,
        naming every endpoint tried.
        """
        tried: list[tuple[Endpoint, KobakoError]] = []
        start = self.endpoints.index(after) + 1 if after is not None else 0
        for endpoint in self.endpoints[start:]:
            try:
                session = self.session(endpoint)
                return session.retried(lambda: step(session))  # noqa: B023 - called at once
            except KobakoError as fault:
                tried.append((endpoint, fault))
        raise _told(tried)


def resolve(reference: Reference, client: Client) -> Descriptor:
    """What a reference names in its registry now: a HEAD, or a GET where that does not tell.

    Raises `NotFound`, `Unauthorized`, `Denied`, `Unavailable`.
    """
    reference = reference.with_default_tag()
    wanted = str(reference.digest or reference.tag)

    def ask(session: Session) -> Descriptor:
        repository = Repository(session, reference)
        return repository.head(wanted) or repository.manifest(wanted).descriptor

    with Transport(client) as transport:
        return Registry(reference.domain, transport).first(ask)


def tags(reference: Reference, client: Client) -> list[str]:
    """All tags of a reference's repository, in the registry's order."""
    with Transport(client) as transport:
        registry = Registry(reference.domain, transport)
        return registry.first(lambda session: Repository(session, reference).tags())


def catalog(domain: str, client: Client) -> list[str]:
    """The repositories of a registry, where it allows listing them."""
    with Transport(client) as transport:
        return Registry(domain, transport, push=True).first(repositories.catalog)


def delete(reference: Reference, client: Client) -> None:
    """Delete a manifest from its registry; a tag is looked up first, for most registries delete
    digests alone.
    """
    reference = reference.with_default_tag()

    def ask(session: Session) -> None:
        repository = Repository(session, reference)
        wanted = reference.digest
        if wanted is None:
            tag = str(reference.tag)
            wanted = (repository.head(tag) or repository.manifest(tag).descriptor).digest
        repository.delete_manifest(str(wanted))

    with Transport(client) as transport:
        Registry(reference.domain, transport, push=True).first(ask)


def _told(tried: list[tuple[Endpoint, KobakoError]]) -> KobakoError:
    """One error for what all endpoints said: the registry's own, unless it was only out of reach
    and a mirror had more to say.
    """
    if not tried:
        return Unavailable("no registry endpoint is left to try")
    fault = tried[-1][1]
    if isinstance(fault, failures.Unreachable):
        for kind in (NotFound, Unauthorized, Denied):
            telling = [f for _, f in tried if isinstance(f, kind)]
            if telling:
                fault = telling[0]
                break
    if len(tried) == 1:
        return fault
    each = "; ".join(f"{_named(endpoint)}: {other.message}" for endpoint, other in tried)
    copy = KobakoError.__new__(type(fault))
    KobakoError.__init__(copy, f"{fault.message} (tried {each})", hint=fault.hint)
    return copy


def _named(endpoint: Endpoint) -> str:
    return failures.shown_url(endpoint.bases[0])


def following(registry: Registry, session: Session) -> Iterator[Session]:
    """The sessions after one, opened as they are reached; those that do not open are left out."""
    position = registry.endpoints.index(session.endpoint)
    for endpoint in registry.endpoints[position + 1 :]:
        try:
            yield registry.session(endpoint)
        except KobakoError:
            continue
