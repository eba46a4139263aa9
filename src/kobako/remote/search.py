"""Repositories of a registry by a word: docker's search, or the catalog where there is none.

`GET /v1/search?q=WORD&n=LIMIT` is the one call of the first registry API that some still answer;
the distribution specification has nothing in its place.
"""

from __future__ import annotations

from kobako import fastjson
from kobako.oci.reference import may_be_domain
from kobako.record import Record
from kobako.remote import failures, repository
from kobako.remote.endpoint import DOCKER_IO
from kobako.remote.registry import Registry
from kobako.remote.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.remote.client import Client
    from kobako.remote.session import Session

_DOCKER_IO_INDEX = "https://index.docker.io"
_MAX_ANSWER = 8 << 20
_NO_SUCH_CALL = (400, 403, 404, 405)


class Found(Record):
    """A repository, by the name it is pulled by; all but that only where the registry tells."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(words: str, limit: int, client: Client) -> list[Found]:
    """What a registry finds, most stars first, at most `limit`; `words` may begin with its domain.

    Mirrors are asked first. Raises `Unauthorized`, `Denied`, `Unavailable`.
    """
    domain, slash, word = words.partition("/")
    if not slash or not may_be_domain(domain):
        domain, word = DOCKER_IO, words
    with Transport(client) as transport:
        found = Registry(domain, transport).first(lambda session: _ask(session, word, limit))
    named = [f.replace(name=_pulled_by(domain, f.name)) for f in found]
    return sorted(named, key=lambda f: -f.stars)[:limit]


def _ask(session: Session, word: str, limit: int) -> list[Found]:
    from urllib.parse import urlencode

    base = _DOCKER_IO_INDEX if session.endpoint.host == DOCKER_IO else ""
    query = urlencode({"q": word, "n": limit})
    response = session.request("GET", f"{base}/v1/search?{query}")
    if response.status == 200:
        results = _results(response.document(_MAX_ANSWER))
        if results is not None:
            return results
    else:
        answer = response.answer()
        if base or answer.status not in _NO_SUCH_CALL:
            raise failures.of_answer(answer, f"search of {session.host}")
    return [Found(name) for name in repository.catalog(session) if word in name]


def _results(raw: bytes) -> list[Found] | None:
    """None if this is no answer to a search: a page for people, say."""
    try:
        document = fastjson.loads(raw)
    except ValueError:
        return None
    listed = document.get("results") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    return [
        _found(r) for r in listed if isinstance(r, dict) and repository.strings([r.get("name")])
    ]


def _found(result: dict[str, Any]) -> Found:
    said, stars = result.get("description"), result.get("star_count")
    description = said if isinstance(said, str) else ""
    return Found(
        result["name"],
        "".join(c if c.isprintable() else " " for c in description),
        stars if isinstance(stars, int) else 0,
        result.get("is_official") is True,
        result.get("is_automated") is True,
    )


def _pulled_by(domain: str, name: str) -> str:
    if domain == DOCKER_IO:
        return name.removeprefix("library/")
    return name if name.startswith(domain + "/") else f"{domain}/{name}"
