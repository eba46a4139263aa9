"""One repository of one registry server: the calls of the distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

from kobako import fastjson
from kobako.errors import Corrupt, Invalid, KobakoError, NotFound, Unauthorized, Unavailable
from kobako.oci import mediatypes
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.record import Record
from kobako.remote import failures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase

    from kobako.oci.reference import Reference
    from kobako.remote.session import Session
    from kobako.remote.transport import Response

MAX_MANIFEST = 8 << 20
_MAX_LIST = 16 << 20
_MAX_PAGES = 10_000
_ACCEPT = {"Accept": ", ".join((*mediatypes.ACCEPTED, *mediatypes.SCHEMA1))}


class Repository:
    """A repository on an open session. Used from several threads.

    `reference` names what the user asked for, in messages; its path is the repository's.
    Methods raise `KobakoError`s: `NotFound`, `Unauthorized`, `Denied`, `Invalid`, `Unavailable`
    (of which `failures.Transient` may be tried again).
    """

    def __init__(self, session: Session, reference: Reference) -> None:
        self.session = session
        self.reference = reference
        self.path = reference.path
        self._pull = (f"repository:{self.path}:pull",)
        self._push = (f"repository:{self.path}:pull,push",)
        self._delete = (f"repository:{self.path}:delete,pull",)

    def manifest(self, wanted: str) -> Manifest | Index:
        """The manifest or index of a tag or digest, verified if it is a digest."""
        target = f"/v2/{self.path}/manifests/{wanted}"
        response = self.session.request("GET", target, scopes=self._pull, headers=_ACCEPT)
        if response.status != 200:
            raise self._manifest_fault(response.answer(), wanted)
        raw = response.document(MAX_MANIFEST)
        said = response.headers.get("Docker-Content-Digest", "")
        for text in {wanted, said}:
            if ":" in text and not Digest.parse(text).verifies(raw):
                raise Corrupt(
                    f"manifest for {self.reference.familiar()}: {self.session.host} sent other "
                    f"content than {text}"
                )
        return parse_manifest_or_index(raw, response.headers.get("Content-Type", ""))

    def head(self, wanted: str) -> Descriptor | None:
        """What a tag or digest names, without fetching it; None if the server will not say.

        Raises `NotFound`.
        """
        target = f"/v2/{self.path}/manifests/{wanted}"
        with self.session.request("HEAD", target, scopes=self._pull, headers=_ACCEPT) as response:
            if response.status == 404:
                raise self._manifest_fault(response.answer(), wanted)
            length = response.length
            digest = response.headers.get("Docker-Content-Digest", "")
            if response.status != 200 or length is None or not digest:
                return None
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
            try:
                return Descriptor(kind, Digest.parse(digest), length)
            except Invalid:
                return None

    def put_manifest(self, document: Manifest | Index, wanted: str) -> None:
        """Upload a manifest under a tag or its digest. Idempotent."""
        response = self.session.request(
            "PUT",
            f"/v2/{self.path}/manifests/{wanted}",
            scopes=self._push,
            headers={"Content-Type": document.media_type},
            body=document.raw,
        )
        answer = response.answer()
        if answer.status not in (200, 201, 202):
            raise self.push_fault(answer, f"push of manifest {wanted}")
        said = answer.headers.get("Docker-Content-Digest", "")
        if said and said != document.digest and said.startswith("sha256:"):
            raise Corrupt(
                f"push of {self.reference.familiar()}: {self.session.host} stored {said[:71]} "
                f"instead of {document.digest}"
            )

    def delete_manifest(self, wanted: str) -> None:
        """Delete a manifest by digest, or a tag where the registry can do that."""
        target = f"/v2/{self.path}/manifests/{wanted}"
        answer = self.session.request("DELETE", target, scopes=self._delete).answer()
        if answer.status not in (200, 202, 204):
            what = f"delete of {self.reference.familiar()}"
            if answer.status == 404:
                raise self._manifest_fault(answer, wanted)
            raise failures.of_answer(answer, what)

    def blob(self, digest: Digest, offset: int = 0) -> Response:
        """A blob's bytes from `offset` on: status 206, or 200 where the server sends it whole."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        target = f"/v2/{self.path}/blobs/{digest}"
        response = self.session.request("GET", target, scopes=self._pull, headers=headers)
        if response.status not in (200, 206):
            raise self._pull_fault(response.answer(), f"blob {digest} of {self._named}")
        return response

    def foreign(self, url: str, offset: int = 0) -> Response:
        """The bytes of a layer that lies outside the registry. No credentials are sent."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self.session.request("GET", url, headers=headers)
        if response.status not in (200, 206):
            raise failures.of_answer(response.answer(), failures.shown_url(url))
        return response

    def has_blob(self, digest: Digest, size: int) -> bool:
        """Whether the repository has a blob of this size. Anything unclear counts as no."""
        target = f"/v2/{self.path}/blobs/{digest}"
        with self.session.request("HEAD", target, scopes=self._push) as response:
            if response.status == 200:
                return response.length is None or response.length == size
            if response.status in (401, 403):
                raise self.push_fault(response.answer(), f"push to {self._named}")
            if response.status == 429 or response.status >= 500:
                raise failures.of_answer(response.answer(), f"push to {self._named}")
            return False

    def begin_upload(self, digest: Digest, mount_from: str = "") -> str:
        """Start an upload and return its session's URL; or, if `mount_from` names a repository of
        this registry that has the blob and the registry took it from there, "".
        """
        target = f"/v2/{self.path}/blobs/uploads/"
        scopes: tuple[str, ...] = self._push
        if mount_from:
            target += f"?mount={digest}&from={mount_from}".replace(":", "%3A")
            scopes += (f"repository:{mount_from}:pull",)
        headers = {"Content-Length": "0"}
        response = self.session.request("POST", target, scopes=scopes, headers=headers, body=b"")
        answer = response.answer()
        if answer.status == 201 and mount_from:
            return ""
        if answer.status not in (202, 201):
            raise self.push_fault(answer, f"push to {self._named}")
        return self.location(answer)

    def put_blob(
        self, upload: str, digest: Digest, body: Callable[[], RawIOBase] | bytes, size: int
    ) -> None:
        """Finish an upload in one request that carries the whole blob (or what is left of it)."""
        target = f"{upload}{'&' if '?' in upload else '?'}digest={digest}".replace(
            f"digest={digest}", f"digest={str(digest).replace(':', '%3A')}"
        )
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        answer = self.session.request(
            "PUT", target, scopes=self._push, headers=headers, body=body
        ).answer()
        if answer.status not in (200, 201, 202, 204):
            raise self.push_fault(answer, f"push of blob {digest}")

    def patch_blob(self, upload: str, body: Callable[[], RawIOBase], size: int) -> str:
        """Send the whole blob as one chunk; the URL at which to finish."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Content-Range": f"0-{size - 1}",
        }
        answer = self.session.request(
            "PATCH", upload, scopes=self._push, headers=headers, body=body
        ).answer()
        if answer.status not in (200, 201, 202, 204):
            raise self.push_fault(answer, f"push to {self._named}")
        return self.location(answer)

    def location(self, answer: failures.Answer) -> str:
        """The upload session's URL an answer names."""
        location = answer.headers.get("Location", "")
        if not location:
            raise Unavailable(f"push to {self._named}: the registry names no upload location")
        return self.session.absolute(answer.url, location)

    def tags(self) -> list[str]:
        """All tags, in the registry's order."""
        found: list[str] = []
        for page in pages(
            self.session, f"/v2/{self.path}/tags/list?n=1000", self._pull, self._fault
        ):
            found += strings(page.get("tags"))
        return found

    @property
    def _named(self) -> str:
        return self.reference.familiar_name

    def _fault(self, answer: failures.Answer) -> KobakoError:
        if answer.status == 404:
            said = answer.said() or "name unknown"
            return NotFound(f"repository {self._named} not found: {said}")
        return self._pull_fault(answer, f"repository {self._named}")

    def _manifest_fault(self, answer: failures.Answer, wanted: str) -> KobakoError:
        name = self.reference.familiar()
        if answer.status == 404 and answer.code() != "NAME_UNKNOWN":
            # The answer to HEAD has no body to say it.
            said = answer.said() or "manifest unknown: manifest unknown"
            return NotFound(f"manifest for {name} not found: {said}")
        return self._pull_fault(answer, f"manifest {wanted} of {self._named}")

    def _pull_fault(self, answer: failures.Answer, what: str) -> KobakoError:
        unknown = answer.status == 404 and answer.code() == "NAME_UNKNOWN"
        if answer.status not in (401, 403) and not unknown:
            return failures.of_answer(answer, what)
        said = answer.said() or (
            "unauthorized: authentication required"
            if answer.status == 401
            else "denied: requested access to the resource is denied"
        )
        kind = NotFound if unknown else type(failures.of_answer(answer, what))
        return kind(
            f"pull access denied for {self._named}, repository does not exist or may require "
            f"'docker login': {said}",
            hint="" if unknown else self._login_hint(),
        )

    def push_fault(self, answer: failures.Answer, what: str) -> KobakoError:
        """The error for a refused push."""
        fault = failures.of_answer(answer, what)
        if answer.status not in (401, 403):
            return fault
        # Docker shows the registry's own words alone: people search for them.
        said = answer.said() or fault.message.removeprefix(f"{what}: ")
        return type(fault)(said, hint=self._login_hint())

    def _login_hint(self) -> str:
        known = bool(self.session.auth.credentials)
        return self.session.auth.hint("log in as a user who may" if known else "log in first")


class Page(Record):
    """One JSON object of a paginated list."""

    members: tuple[tuple[str, object], ...]

    def get(self, key: str) -> object:
        return dict(self.members).get(key)


def pages(
    session: Session,
    target: str,
    scopes: tuple[str, ...],
    fault: Callable[[failures.Answer], KobakoError],
) -> Iterator[Page]:
    """The pages of a list, by RFC 5988 `Link` headers. Raises `Unavailable` for endless ones."""
    seen: set[str] = set()
    while target and target not in seen and len(seen) < _MAX_PAGES:
        seen.add(target)
        response = session.request("GET", target, scopes=scopes)
        if response.status != 200:
            raise fault(response.answer())
        url, links = response.url, response.headers.get("Link", "")
        try:
            document = fastjson.loads(response.document(_MAX_LIST))
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Unavailable(f"{failures.shown_url(url)}: the answer is no JSON object")
        yield Page(tuple(document.items()))
        following = _next_link(links)
        target = session.absolute(url, following) if following else ""
    if target:
        raise Unavailable(f"{session.host}: the registry's list has no end")


def strings(value: object) -> list[str]:
    """The strings of a JSON array, printable ones only; null is an empty array."""
    return (
        [v for v in value if isinstance(v, str) and v.isprintable()]
        if isinstance(value, list)
        else []
    )


def catalog(session: Session) -> list[str]:
    """The repositories of a registry that allows listing them."""

    def fault(answer: failures.Answer) -> KobakoError:
        error = failures.of_answer(answer, f"catalog of {session.host}")
        if isinstance(error, Unauthorized):
            return Unauthorized(error.message, hint=f"log in first: kobako login {session.host}")
        return error

    found: list[str] = []
    for page in pages(session, "/v2/_catalog?n=1000", ("registry:catalog:*",), fault):
        found += strings(page.get("repositories"))
    return found


def _next_link(header: str) -> str:
    for link in header.split(","):
        url, _, rest = link.strip().partition(">")
        if url.startswith("<") and 'rel="next"' in rest.replace("rel=next", 'rel="next"'):
            return url[1:]
    return ""
