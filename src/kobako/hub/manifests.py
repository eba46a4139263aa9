"""Manifests, tags, referrers and the catalog over HTTP (end-3, 7 to 9, 12)."""

from __future__ import annotations

from itertools import islice
from urllib.parse import quote

from kobako import fastjson
from kobako.errors import NotFound
from kobako.http import Response
from kobako.hub import documents, names
from kobako.hub.access import DELETE, PULL, PUSH
from kobako.hub.refusals import API_VERSION, Refusal
from kobako.oci import Digest, Index, Platform, mediatypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.http import Request, Router
    from kobako.hub.access import Access
    from kobako.hub.contents import Contents
    from kobako.hub.options import Options
    from kobako.hub.repositories import Repositories, StoredManifest

_MOST_TAGS = 64
_ANY = frozenset(("*/*", "application/*", "application/json"))


class Manifests:
    """The handlers of manifests and of the lists made from them."""

    def __init__(
        self, access: Access, repositories: Repositories, contents: Contents, options: Options
    ) -> None:
        self._access = access
        self._repositories = repositories
        self._contents = contents
        self._options = options

    def add_to(self, router: Router) -> None:
        """Route the paths of manifests, tags, referrers and the catalog."""
        manifest = "/v2/{name...}/manifests/{reference}"
        router.add("GET", manifest, self.get)
        router.add("PUT", manifest, self.put)
        router.add("DELETE", manifest, self.delete)
        router.add("GET", "/v2/{name...}/tags/list", self.tags)
        router.add("GET", "/v2/{name...}/referrers/{digest}", self.referrers)
        router.add("GET", "/v2/_catalog", self.catalog)

    def get(self, request: Request) -> Response:
        """GET and HEAD by tag or digest, in the type it was pushed with."""
        name, reference = _reference_of(request)
        self._access.require(request, name, PULL)
        found = self._repositories.manifest(name, reference)
        if found is None:
            raise self._manifest_unknown(name, reference)
        if not isinstance(reference, Digest):
            found = self._negotiate(request, name, found)
        headers = (
            API_VERSION,
            ("Content-Type", found.media_type),
            ("Docker-Content-Digest", found.digest),
            ("ETag", f'"{found.digest}"'),
        )
        if found.digest in request.headers.get("if-none-match"):
            return Response(304, headers)
        if request.method == "HEAD":
            return Response(200, (*headers, ("Content-Length", str(found.size))))
        return Response(200, headers, self._contents.read(found.digest))

    def put(self, request: Request) -> Response:
        """Store a manifest byte for byte, under a tag, a digest, or a digest and several tags."""
        name, reference = _reference_of(request)
        self._access.require(request, name, PULL, PUSH)
        raw = request.body.read(self._options.max_manifest)
        if isinstance(reference, Digest):
            digest, tags = reference, [names.tag(t) for t in request.query.get("tag", ())]
            if not digest.verifies(raw):
                message = "provided digest did not match uploaded content"
                raise Refusal(400, "DIGEST_INVALID", message)
        else:
            digest, tags = Digest.of(raw), [reference]
        if len(tags) > _MOST_TAGS:
            raise Refusal(414, "TAG_INVALID", f"at most {_MOST_TAGS} tags fit in one request")
        content_type = request.headers.get("content-type")
        new = documents.examine(self._repositories, name, raw, content_type, digest)
        self._repositories.add_manifest(name, new, tags, lambda: self._contents.put(raw, digest))
        headers: tuple[tuple[str, str], ...] = (
            API_VERSION,
            ("Location", f"/v2/{name}/manifests/{digest}"),
            ("Docker-Content-Digest", digest),
        )
        if new.subject:
            headers += (("OCI-Subject", new.subject),)
        if isinstance(reference, Digest):
            headers += tuple(("OCI-Tag", tag) for tag in tags)
        return Response(201, headers)

    def delete(self, request: Request) -> Response:
        """Remove a tag; or, by digest, a manifest with every tag on it."""
        name, reference = _reference_of(request)
        self._access.require(request, name, DELETE)
        if isinstance(reference, Digest):
            removed = self._repositories.remove_manifest(name, reference)
        else:
            removed = self._repositories.remove_tag(name, reference)
        if not removed:
            raise self._manifest_unknown(name, reference)
        return Response(202, (API_VERSION,))

    def tags(self, request: Request) -> Response:
        """The tags of a repository, a page at a time."""
        name = names.repository(request.params["name"])
        self._access.require(request, name, PULL)
        most = self._page(request)
        last = request.argument("last")
        found = self._repositories.tags(name, last, -1 if most is None else most + 1)
        if found is None:
            raise _name_unknown(name)
        page, headers = _page(found, most, f"/v2/{name}/tags/list")
        return Response.json(200, {"name": name, "tags": page}, headers)

    def catalog(self, request: Request) -> Response:
        """The repositories the caller may see, a page at a time."""
        caller = self._access.identify(request)
        most = self._page(request) or self._options.page_size
        if request.argument("n") == "0":
            most = 0
        visible = self._access.visible(caller, request.argument("last"), most + 1)
        page, headers = _page([*islice(visible, most + 1)], most, "/v2/_catalog")
        return Response.json(200, {"repositories": page}, headers)

    def referrers(self, request: Request) -> Response:
        """The manifests whose subject is a digest, as an image index; never 404."""
        name = names.repository(request.params["name"])
        subject = names.digest(request.params["digest"])
        self._access.require(request, name, PULL)
        wanted, most = request.argument("artifactType"), self._options.page_size
        rows = self._repositories.referrers(
            name, subject, wanted, request.argument("last"), most + 1
        )
        headers: tuple[tuple[str, str], ...] = (API_VERSION,)
        if wanted:
            headers += (("OCI-Filters-Applied", "artifactType"),)
        if len(rows) > most:
            more = f"/v2/{name}/referrers/{subject}?last={quote(rows[most - 1][0])}"
            if wanted:
                more += f"&artifactType={quote(wanted, safe='')}"
            headers += (("Link", f'<{more}>; rel="next"'),)
        index = {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_INDEX,
            "manifests": [fastjson.loads(descriptor) for _, descriptor in rows[:most]],
        }
        fields = (("Content-Type", mediatypes.OCI_INDEX), *headers)
        return Response(200, fields, fastjson.dumps(index))

    def _negotiate(self, request: Request, name: str, found: StoredManifest) -> StoredManifest:
        """What of a tag's content the client accepts: an old one gets the index's amd64 image."""
        accepted = {part.partition(";")[0].strip() for part in request.headers.tokens("accept")}
        if not accepted or found.media_type in accepted or accepted & _ANY:
            return found
        if found.media_type in mediatypes.INDEXES and accepted & set(mediatypes.MANIFESTS):
            index = Index.parse(self._contents.read(found.digest), found.media_type)
            try:
                chosen = index.select(Platform("linux", "amd64"))
            except NotFound:
                chosen = None
            image = self._repositories.manifest(name, chosen.digest) if chosen else None
            if image is not None and image.media_type in accepted:
                return image
        message = f"the tag is of type {found.media_type}, which the Accept header does not name"
        raise Refusal(404, "MANIFEST_UNKNOWN", message)

    def _manifest_unknown(self, name: str, reference: str) -> Refusal:
        detail = {"name": name, "reference": reference}
        return Refusal(404, "MANIFEST_UNKNOWN", "manifest unknown", detail=detail)

    def _page(self, request: Request) -> int | None:
        """The `n` of a request, None where everything is asked for."""
        asked = names.number(request.argument("n"))
        return None if asked is None else min(asked, 100_000)


def _reference_of(request: Request) -> tuple[str, str | Digest]:
    name, reference = names.repository(request.params["name"]), request.params["reference"]
    return name, names.digest(reference) if ":" in reference else names.tag(reference)


def _name_unknown(name: str) -> Refusal:
    detail = {"name": name}
    return Refusal(404, "NAME_UNKNOWN", "repository name not known to registry", detail=detail)


def _page(
    found: Sequence[str], most: int | None, path: str
) -> tuple[Sequence[str], tuple[tuple[str, str], ...]]:
    """The first `most` of what was found, and a Link when there is more."""
    if most is None or len(found) <= most or not most:
        return found[:most], (API_VERSION,)
    page = found[:most]
    link = f'<{path}?n={most}&last={quote(page[-1], safe="")}>; rel="next"'
    return page, (API_VERSION, ("Link", link))
