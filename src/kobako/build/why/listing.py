"""The files a COPY took from a context, as they were: to name the one that changed."""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64

from kobako.oci import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_BETWEEN = "//"  # no path has it


class Listing:
    """path -> traits, a short text that is another when the file is another. `digest` stands for
    the whole."""

    def __init__(self, digest: str, traits: dict[str, str]) -> None:
        self.digest = digest
        self.traits = traits

    @classmethod
    def of(cls, digest: str, files: Iterable[tuple[str, str, int, str]]) -> Listing:
        """From (path, kind, mode, digest or link target) of each file."""
        return cls(
            digest,
            {
                path: f"{kind[0]}{mode:o}:"
                + (content if kind != "link" else Digest.of(os.fsencode(content)).encoded)[:16]
                for path, kind, mode, content in files
            },
        )

    @classmethod
    def load(cls, document: dict[str, Any]) -> Listing:
        paths = os.fsdecode(a2b_base64(document["paths"])).split(_BETWEEN)
        traits = str(document["traits"]).split(_BETWEEN)
        return cls(str(document["digest"]), dict(zip(paths, traits, strict=True)))

    def document(self) -> dict[str, Any]:
        paths = os.fsencode(_BETWEEN.join(self.traits))
        return {
            "digest": self.digest,
            "paths": b2a_base64(paths, newline=False).decode(),
            "traits": _BETWEEN.join(self.traits.values()),
        }

    def changes_since(self, earlier: Listing) -> list[str]:
        """`src/app.py changed`, `new.py is new`, `old.py is gone`; in order of paths."""
        before, now = earlier.traits, self.traits
        found = {
            path: "changed" if path in before else "is new"
            for path, traits in now.items()
            if before.get(path) != traits
        }
        found.update((path, "is gone") for path in before if path not in now)
        return [f"{path or '.'} {found[path]}" for path in sorted(found)]
