"""How to talk to registries: what every call of this room is given."""

from __future__ import annotations

from kobako.record import Record
from kobako.remote.endpoint import RegistryConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.remote.credentials import CredentialFile


class Limits(Record):
    """Bounds of transfers. Times are seconds.

    `parallel` blobs move at once. `read` bounds each wait for bytes, `document` the whole of a
    request that moves no blob. A failed step is tried `attempts` times in all, the first pause
    being `backoff`, each further one twice as long, and never longer than `pause` whatever the
    server asks for. A blob that moves fewer than `floor` bytes within `read` seconds has stalled.
    """

    parallel: int = 3
    connect: float = 15.0
    read: float = 60.0
    document: float = 120.0
    attempts: int = 5
    backoff: float = 0.5
    pause: float = 60.0
    floor: int = 1024


class Client(Record):
    """A user's view of registries: their configuration, the credentials file, the limits.

    Without `credentials` every request is anonymous.
    """

    registries: RegistryConfig = RegistryConfig()
    credentials: CredentialFile | None = None
    limits: Limits = Limits()
    user_agent: str = "kobako"
