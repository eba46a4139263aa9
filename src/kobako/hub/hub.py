"""The hub put together: an embedded store, its tables, and the handlers above them."""

from __future__ import annotations

import os

from kobako.errors import Unavailable
from kobako.http import Response, Router, Server
from kobako.hub import refusals
from kobako.hub.access import Access
from kobako.hub.accounts import Accounts
from kobako.hub.collect import Collected, collect
from kobako.hub.contents import Contents
from kobako.hub.database import Database
from kobako.hub.manifests import Manifests
from kobako.hub.options import Options
from kobako.hub.page import Page
from kobako.hub.repositories import Repositories
from kobako.hub.search import Search
from kobako.hub.signing_in import SigningIn
from kobako.hub.tokens import Tokens
from kobako.hub.transfers import BlobTransfers
from kobako.hub.uploads import Uploads
from kobako.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.http import Limits, Request, Served


def _ignore(*_: object) -> None:
    """The callback of those who do not watch."""


class Hub:
    """A registry in a directory.

        <data_dir>/   an embedded kobako store: blobs/, oci-layout, kobako.db
          hub.db        accounts, repositories, tags, manifests
          uploads/      uploads under way
          token.key     signs bearer tokens, mode 0600

    `accounts` and `repositories` are its management doors. Several processes may open one
    directory at once; each is safe against `kill -9` at any point.
    """

    def __init__(self, data_dir: str, options: Options) -> None:
        self.data_dir = data_dir
        self.options = options
        self._store = Store.open(data_dir)
        self._uploads = Uploads(os.path.join(data_dir, "uploads"))
        self._database = Database(os.path.join(data_dir, "hub.db"))
        self._contents = Contents(self._store, self._uploads.directory)
        self._tokens = Tokens(os.path.join(data_dir, "token.key"), options.service)
        self.accounts = Accounts(self._database)
        self.repositories = Repositories(
            self._database, self._contents, private=options.private_by_default
        )

    @staticmethod
    def open(data_dir: str | os.PathLike[str], options: Options | None = None) -> Hub:
        """Open a hub's directory, made with mode 0700 if it is not there."""
        path = os.fspath(data_dir)
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            return Hub(path, options or Options())
        except OSError as error:
            raise Unavailable(f"cannot open the hub in {path}: {error.strerror}") from error

    def router(self) -> Router:
        """The hub as a handler, to stand under a `kobako.http.Server`."""
        router = Router(not_found=refusals.not_found, not_allowed=refusals.not_allowed)
        access = Access(self.options, self.accounts, self._tokens, self.repositories)
        SigningIn(access, self.accounts, self._tokens, self.options).add_to(router)
        Manifests(access, self.repositories, self._contents, self.options).add_to(router)
        BlobTransfers(
            access, self.repositories, self._contents, self._uploads, self.options
        ).add_to(router)
        Search(access).add_to(router)
        router.add("GET", "/", Page(access, self.repositories).get)
        router.add("GET", "/healthz", _healthy)
        return router

    def serve(
        self,
        host: str,
        port: int,
        *,
        limits: Limits | None = None,
        on_served: Callable[[Served], None] = _ignore,
        on_fault: Callable[[BaseException, str], None] = _ignore,
    ) -> tuple[Server, tuple[str, int]]:
        """Serve in threads of this process; returns the running server and its actual address.

        Port 0 takes a free one. `Server.close` ends it; the hub stays open.
        """
        server = Server(
            self.router(),
            limits=limits,
            render_error=refusals.render,
            on_served=on_served,
            on_fault=on_fault,
        )
        address = server.listen_tcp(host, port)
        server.start()
        return server, address

    def serve_forever(
        self,
        host: str,
        port: int,
        *,
        on_ready: Callable[[tuple[str, int]], None] = _ignore,
        on_served: Callable[[Served], None] = _ignore,
        on_fault: Callable[[BaseException, str], None] = _ignore,
        grace: float = 10.0,
    ) -> None:
        """Serve until the calling thread is interrupted (KeyboardInterrupt, SystemExit from a
        signal handler); requests under way get `grace` seconds to end. `on_ready` is told the
        actual address once connections are accepted.
        """
        server, address = self.serve(host, port, on_served=on_served, on_fault=on_fault)
        try:
            on_ready(address)
            server.wait()
        finally:
            server.close(grace)

    def gc(self, *, blob_grace: float | None = None, upload_age: float | None = None) -> Collected:
        """Remove stale uploads and content no repository needs; safe while the hub serves.

        The ages (seconds) default to the options'; 0 takes everything not referenced now.
        """
        options = self.options
        return collect(
            self._database,
            self._contents,
            os.path.join(self.data_dir, "blobs"),
            self._uploads.directory,
            blob_grace=options.blob_grace_seconds if blob_grace is None else blob_grace,
            upload_age=options.upload_seconds if upload_age is None else upload_age,
        )

    def close(self) -> None:
        """Close the databases; servers must be closed before. Idempotent."""
        self._database.close()
        self._store.close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _healthy(request: Request) -> Response:
    return Response.text(200, "ok\n")
