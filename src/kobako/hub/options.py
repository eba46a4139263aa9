"""How a hub behaves: chosen when it is opened, the same for all of its requests."""

from __future__ import annotations

from kobako.record import Record


class Options(Record):
    """Sizes are bytes, times seconds; 0 means no bound where nothing else is said.

    `open` lets anybody push and delete (private repositories excepted): for loopback and labs.
    `anonymous_pull` lets anybody read public repositories. `public_url` is how clients reach the
    hub ("https://hub.example.org") when the Host header cannot be trusted to say so.
    `quota` bounds what blobs and uploads take together.
    """

    open: bool = False
    anonymous_pull: bool = True
    private_by_default: bool = False
    service: str = "kobako-hub"
    public_url: str = ""
    token_seconds: int = 300
    max_manifest: int = 4 * 1024 * 1024
    max_blob: int = 0
    quota: int = 0
    upload_seconds: int = 24 * 3600
    blob_grace_seconds: int = 24 * 3600
    page_size: int = 1000
