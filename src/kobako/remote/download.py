"""One blob from a registry into the store: verified on the way, resumed where it broke off."""

from __future__ import annotations

from kobako.errors import Corrupt, Invalid, KobakoError
from kobako.events import LayerProgress
from kobako.remote import failures
from kobako.remote.failures import Transient, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kobako.events import OnEvent
    from kobako.oci.descriptor import Descriptor
    from kobako.remote.session import Session
    from kobako.remote.transport import Response
    from kobako.store.content import ContentStore
    from kobako.store.writer import BlobWriter

    Source = tuple[Session, Callable[[int], Response]]
    """Who serves the blob, and how to ask for its bytes from an offset on."""

_STEP = 1 << 18
"""Bytes between two progress events, at least."""
_PROGRESS = 1 << 20
"""An attempt that moved as many bytes was not in vain: the count of attempts starts anew."""


class Download:
    """A blob on its way; `run` does it."""

    def __init__(self, blobs: ContentStore, wanted: Descriptor, on_event: OnEvent | None) -> None:
        """`on_event` None: not a layer, nobody watches."""
        self._blobs = blobs
        self._wanted = wanted
        self._on_event = on_event
        self._shown = 0

    def run(self, sources: Iterable[Source]) -> None:
        """Get the blob from the first source that has it whole.

        Raises `Corrupt` if what all of them send is not what the digest and size say, or why the
        last one could not serve it.
        """
        fault: KobakoError | None = None
        for session, ask in sources:
            try:
                self._from(session, ask)
            except KobakoError as failure:
                fault = failure
            else:
                return
        raise fault or Invalid(f"blob {self._wanted.digest}: nobody serves it")

    def _from(self, session: Session, ask: Callable[[int], Response]) -> None:
        limits = session.transport.client.limits
        writer = self._writer()
        attempt, restarted = 0, False
        try:
            while True:
                before = writer.size
                try:
                    self._continue(writer, ask)
                    self._say("Verifying Checksum")
                    writer.commit()
                    self._say("Download complete")
                    return
                except (Corrupt, Invalid) as fault:
                    # A resumed transfer may have been stitched of two contents: once more, whole.
                    if restarted:
                        raise _unverified(fault) from None
                    restarted = True
                    writer.abort()
                    writer = self._writer()
                except Transient as fault:
                    if isinstance(fault, Unreachable) and writer.size == 0:
                        raise
                    attempt = 0 if writer.size - before >= _PROGRESS else attempt + 1
                    if attempt >= limits.attempts:
                        raise
                    session.pause(attempt, fault)
        finally:
            writer.abort()

    def _continue(self, writer: BlobWriter, ask: Callable[[int], Response]) -> None:
        """Append what is missing. Raises `Transient` if it breaks off before the end."""
        wanted, offset = self._wanted, writer.size
        if offset == wanted.size and offset:
            return
        self._say("Downloading", offset)
        with ask(offset) as response:
            skip = 0
            if response.status == 206:
                where = response.headers.get("Content-Range", "")
                if not offset or not where.startswith(f"bytes {offset}-"):
                    raise Corrupt(f"blob {wanted.digest}: the server sent another range")
            else:
                skip = offset
            length = response.length
            if length is not None and length != wanted.size - offset + skip:
                raise Corrupt(
                    f"blob {wanted.digest}: the server has {length + offset - skip} bytes instead "
                    f"of {wanted.size}"
                )
            for chunk in response.chunks():
                data = chunk
                if skip:
                    data = chunk[skip:]
                    skip -= len(chunk) - len(data)
                writer.write(data)
                self._say("Downloading", writer.size)
        if writer.size < wanted.size:
            raise Transient(
                f"{failures.shown_url(response.url)}: the transfer ended after {writer.size} of "
                f"{wanted.size} bytes"
            )

    def _writer(self) -> BlobWriter:
        self._shown = -_STEP
        return self._blobs.writer(self._wanted.digest, self._wanted.size)

    def _say(self, action: str, current: int = 0) -> None:
        if self._on_event is None:
            return
        total = 0
        if action == "Downloading":
            total = self._wanted.size
            if current - self._shown < max(_STEP, total // 200) and current < total:
                return
            self._shown = current
        self._on_event(LayerProgress(self._wanted.digest.short, action, current, total))


def _unverified(fault: KobakoError) -> Corrupt:
    return Corrupt(
        f"filesystem layer verification failed: {fault.message}",
        hint="the registry's content is damaged or altered: push it there again",
    )
