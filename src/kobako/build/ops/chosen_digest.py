"""The digest of the files a COPY or ADD takes, and what is kept of it for the next build."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.files import DIRECTORY, FILE, OTHER
from kobako.build.ops.choosing import choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.files import Files
    from kobako.build.ops.choosing import Chosen, TransferSpec

_MANY = 64
"""So many files are worth a row that says what they were like when they were last looked at."""


def digest_chosen(files: Files, spec: TransferSpec, cache: Cache) -> str:
    """One digest over everything about the chosen files that ends up in a layer: paths, kinds,
    modes, bytes, link targets, and owners and attributes where they are copied; never times."""
    from kobako.build.context import Context

    chosen = choose(files, spec)
    if not isinstance(files, Context):
        return _digest_tree(files, chosen)
    place = place_of(files, spec)
    names = [(one.name, one.entry.path, one.base.path) for one in chosen]
    signed = [files.signature(one.entry) for one in chosen]
    signature = cache_key(names, [sign for sign, _ in signed])
    row = cache.get(place)  # there is one where there were many files
    many = sum(count for _, count in signed) > _MANY
    if row is not None and row["signature"] == signature:
        return str(row["digest"])
    digest, listed = _digest_context(files, chosen, cache)
    _note_files(files, cache, place, digest, listed)
    if many and files.settled():
        cache.put(place, {"signature": signature, "digest": digest})
    return digest


def _note_files(
    files: Context, cache: Cache, place: str, digest: str, listed: list[tuple[str, str, int, str]]
) -> None:
    """Keeps what the files were like, so that a later build can say which one changed."""
    row = cache.get(f"listing:{place}")
    if row is not None and row["digest"] == digest:
        return
    from kobako.build.why.listing import Listing

    listing = Listing.of(digest, listed)
    files.listings[place] = row, listing
    cache.put(f"listing:{place}", listing.document())


def place_of(files: Files, spec: TransferSpec) -> str:
    """What the files chosen from a context are found by in the next build."""
    return cache_key("chosen", files.root, spec.sources, spec.parents, spec.keyword)


def _digest_context(
    files: Context, chosen: list[Chosen], cache: Cache
) -> tuple[str, list[tuple[str, str, int, str]]]:
    """(the digest, path, kind, mode and digest or link target of each file)."""
    entries = [
        (one, [one.entry, *(files.walk(one.entry) if one.entry.kind == DIRECTORY else ())])
        for one in chosen
    ]
    files.digest_all([e for _, below in entries for e in below if e.kind == FILE], cache)
    lines: list[str] = []
    listed: list[tuple[str, str, int, str]] = []
    for one, below in entries:
        lines.append(f"{one.name}\0{one.entry.path[len(one.base.path) :]}")
        cut = len(one.entry.path)
        for entry in below:
            content = files.digest(entry, cache) if entry.kind == FILE else entry.target
            if entry.kind == OTHER:
                content = str(files.device(entry))
            lines.append(f"{entry.path[cut:]}\0{entry.kind}\0{entry.mode:o}\0{content}")
            if (owner := files.owner(entry)) != (0, 0):
                lines[-1] += f"\0{owner}"
            listed.append((entry.path, entry.kind, entry.mode, content))
    return cache_key("\0\0".join(lines)), listed


def _digest_tree(files: Files, chosen: list[Chosen]) -> str:
    from kobako.build.files import hash_file

    parts: list[object] = []
    for one in chosen:
        parts.append((one.name, one.entry.path[len(one.base.path) :]))
        below = files.walk(one.entry) if one.entry.kind == DIRECTORY else ()
        for entry in (one.entry, *below):
            content = entry.target
            if entry.kind == FILE:
                content = hash_file(files.open(entry), entry.stat.st_size)
            inner = entry.path[len(one.entry.path) :]
            parts.append((inner, entry.kind, entry.mode, content))
            device = files.device(entry)
            if device is not None:
                parts.append(device)
            parts.append((files.owner(entry), files.xattrs(entry)))
    return cache_key(parts)
