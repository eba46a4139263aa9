"""Blobs over HTTP: download, upload, mount, delete (end-2, 4 to 6, 10, 11, 13, 14)."""

from __future__ import annotations

import re

from kobako.http import FileBody, RangeNotSatisfiable, Response, parse_range
from kobako.hub import names
from kobako.hub.access import DELETE, PULL, PUSH
from kobako.hub.refusals import API_VERSION, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http import Request, Router
    from kobako.hub.access import Access, Caller
    from kobako.hub.contents import Contents
    from kobako.hub.options import Options
    from kobako.hub.repositories import Repositories
    from kobako.hub.uploads import Upload, Uploads
    from kobako.oci import Digest

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:\*|[0-9]+))?")
_UNBOUNDED = 2**62


class BlobTransfers:
    """The handlers of `/v2/<name>/blobs/...`."""

    def __init__(
        self,
        access: Access,
        repositories: Repositories,
        contents: Contents,
        uploads: Uploads,
        options: Options,
    ) -> None:
        self._access = access
        self._repositories = repositories
        self._contents = contents
        self._uploads = uploads
        self._options = options

    def add_to(self, router: Router) -> None:
        """Route the paths of uploads and blobs."""
        for start in ("/v2/{name...}/blobs/uploads/", "/v2/{name...}/blobs/uploads"):
            router.add("POST", start, self.begin)
        upload = "/v2/{name...}/blobs/uploads/{id}"
        router.add("GET", upload, self.status)
        router.add("PATCH", upload, self.append)
        router.add("PUT", upload, self.finish)
        router.add("DELETE", upload, self.cancel)
        router.add("GET", "/v2/{name...}/blobs/{digest}", self.download)
        router.add("DELETE", "/v2/{name...}/blobs/{digest}", self.delete)

    def download(self, request: Request) -> Response:
        """GET and HEAD of a blob, whole or one range of it."""
        name, digest = _blob_of(request)
        self._access.require(request, name, PULL)
        size = self._repositories.blob_size(name, digest)
        if size is None:
            raise _blob_unknown(digest)
        etag = f'"{digest}"'
        headers = (
            API_VERSION,
            ("Content-Type", "application/octet-stream"),
            ("Docker-Content-Digest", digest),
            ("ETag", etag),
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "max-age=31536000"),
        )
        if etag in request.headers.get("if-none-match"):
            return Response(304, headers)
        if request.method == "HEAD":
            return Response(200, (*headers, ("Content-Length", str(size))))
        wanted = request.headers.get("range")
        if request.headers.get("if-range", etag) != etag:
            wanted = ""
        try:
            part = parse_range(wanted, size) if wanted else None
        except RangeNotSatisfiable as error:
            whole = ("Content-Range", f"bytes */{size}")
            raise Refusal(416, "SIZE_INVALID", error.message, headers=(whole,)) from error
        file, _ = self._contents.open(digest)
        if part is None:
            return Response(200, headers, FileBody(file, 0, size))
        first, count = part
        where = ("Content-Range", f"bytes {first}-{first + count - 1}/{size}")
        return Response(206, (*headers, where), FileBody(file, first, count))

    def delete(self, request: Request) -> Response:
        """Take a blob out of a repository; other repositories keep it."""
        name, digest = _blob_of(request)
        self._access.require(request, name, DELETE)
        if not self._repositories.remove_blob(name, digest):
            raise _blob_unknown(digest)
        return Response(202, (API_VERSION, ("Docker-Content-Digest", digest)))

    def begin(self, request: Request) -> Response:
        """Begin an upload; or mount a blob; or take it whole, all in one request."""
        name = names.repository(request.params["name"])
        caller = self._access.require(request, name, PULL, PUSH)
        mount = request.argument("mount")
        if mount and self._mounted(caller, name, names.digest(mount), request.argument("from")):
            return _created(name, names.digest(mount))
        whole = request.argument("digest")
        digest = names.digest(whole) if whole else None
        algorithm = request.argument("digest-algorithm", "sha256")
        if algorithm not in ("sha256", "sha384", "sha512"):
            raise Refusal(400, "DIGEST_INVALID", f"unsupported digest algorithm {algorithm[:50]!r}")
        upload_id = self._uploads.begin(name)
        with self._uploads.open(upload_id, name) as upload:
            if digest is None:
                return _progress(202, name, upload)
            try:
                upload.append(request.body, self._limit(upload))
                return self._commit(name, upload, digest)
            finally:
                upload.remove()

    def status(self, request: Request) -> Response:
        """How much of an upload has come."""
        name = names.repository(request.params["name"])
        self._access.require(request, name, PULL, PUSH)
        with self._uploads.open(request.params["id"], name) as upload:
            return _progress(204, name, upload)

    def append(self, request: Request) -> Response:
        """A chunk, or the whole blob as a stream."""
        name = names.repository(request.params["name"])
        self._access.require(request, name, PULL, PUSH)
        with self._uploads.open(request.params["id"], name) as upload:
            self._receive(request, name, upload)
            return _progress(202, name, upload)

    def finish(self, request: Request) -> Response:
        """The last chunk, if any, and the digest of it all."""
        name = names.repository(request.params["name"])
        self._access.require(request, name, PULL, PUSH)
        digest = names.digest(request.argument("digest"))
        with self._uploads.open(request.params["id"], name) as upload:
            self._receive(request, name, upload)
            try:
                return self._commit(name, upload, digest)
            finally:
                upload.remove()

    def cancel(self, request: Request) -> Response:
        """Give an upload up."""
        name = names.repository(request.params["name"])
        self._access.require(request, name, PULL, PUSH)
        with self._uploads.open(request.params["id"], name) as upload:
            upload.remove()
        return Response(204, (API_VERSION, ("Docker-Upload-UUID", upload.id)))

    def _receive(self, request: Request, name: str, upload: Upload) -> None:
        """Append a body after checking that it continues where the upload stands."""
        stated = request.headers.get("content-range")
        if stated:
            match = _CONTENT_RANGE.fullmatch(stated.strip())
            first, last = (int(match[1]), int(match[2])) if match else (-1, -1)
            if first != upload.offset or last < first:
                raise Refusal(
                    416, "BLOB_UPLOAD_INVALID",
                    f"the chunk's range {stated[:60]!r} does not continue at {upload.offset}",
                    headers=_progress(416, name, upload).headers,
                )  # fmt: skip
            length = request.body.length
            if length is not None and length != last - first + 1:
                message = f"the chunk has {length} bytes, its range says {last - first + 1}"
                raise Refusal(400, "SIZE_INVALID", message)
        upload.append(request.body, self._limit(upload))

    def _commit(self, name: str, upload: Upload, digest: Digest) -> Response:
        if not upload.verify(digest):
            raise Refusal(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content",
                detail={"digest": digest},
            )  # fmt: skip
        self._repositories.add_blob(
            name, digest, upload.offset, lambda: self._contents.adopt(upload.data_path, digest)
        )
        return _created(name, digest)

    def _mounted(self, caller: Caller, name: str, digest: Digest, source: str) -> bool:
        """Whether the blob could be taken from `source`, or from any repository the caller sees."""
        for candidate in [source] if source else self._repositories.holders(digest):
            names.repository(candidate)
            if not self._access.may(caller, candidate, PULL) and not (
                not source and self._access.may(caller.replace(scopes=None), candidate, PULL)
            ):
                continue
            if self._repositories.mount(candidate, name, digest):
                return True
        return False

    def _limit(self, upload: Upload) -> int:
        """How long this upload may become."""
        limit = self._options.max_blob or _UNBOUNDED
        if self._options.quota:
            others = self._uploads.bytes() - upload.offset + self._repositories.stored_bytes()
            limit = min(limit, max(0, self._options.quota - others))
        return limit


def _blob_of(request: Request) -> tuple[str, Digest]:
    return names.repository(request.params["name"]), names.digest(request.params["digest"])


def _blob_unknown(digest: Digest) -> Refusal:
    detail = {"digest": digest}
    return Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=detail)


def _created(name: str, digest: Digest) -> Response:
    where = ("Location", f"/v2/{name}/blobs/{digest}")
    return Response(201, (API_VERSION, where, ("Docker-Content-Digest", digest)))


def _progress(status: int, name: str, upload: Upload) -> Response:
    """Where to continue, and from which byte."""
    return Response(
        status,
        (
            API_VERSION,
            ("Location", f"/v2/{name}/blobs/uploads/{upload.id}"),
            ("Range", f"0-{max(0, upload.offset - 1)}"),
            ("Docker-Upload-UUID", upload.id),
        ),
    )
