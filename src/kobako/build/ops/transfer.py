"""COPY and ADD: files of the context, a stage or an image into a tree, as a layer."""

from __future__ import annotations

import os

from kobako.build.cache import cache_key
from kobako.build.files import DIRECTORY, FILE, TreeFiles
from kobako.build.match import Pattern, has_wildcards
from kobako.build.ops.result import Result, record, restore
from kobako.errors import NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.files import Entry, Files
    from kobako.build.graph import Output
    from kobako.build.ops.copying import Copier
    from kobako.build.ops.fresh import Fresh
    from kobako.build.ops.modes import Mode
    from kobako.build.sources import GitSource, UrlSource
    from kobako.build.why.listing import Listing
    from kobako.build.worker import ChangedTree, LayerRef, Worker


_MANY = 64
"""So many files are worth a row that says what they were like when they were last looked at."""


class TransferSpec(Record):
    """What to copy, everything expanded. `destination` is absolute and keeps its trailing slash.

    `epoch` (seconds) is the time of files from a context, and the latest of others.
    `remotes` says which of the sources, by position, are fetched. `contents` are (name, bytes) of
    here-documents. `literal`: there are no wildcards. `link`: the layer is made of nothing but what
    is copied, whatever is below it: its symlinks are not followed and the directories above are
    new. `origin` is what errors call the source.
    """

    sources: tuple[str, ...]
    destination: str
    contents: tuple[tuple[str, bytes], ...] = ()
    chown: str = ""
    chmod: str = ""
    exclude: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    unpack: bool = False
    epoch: int = 0
    remotes: tuple[tuple[int, UrlSource | GitSource], ...] = ()
    literal: bool = False
    keyword: str = "COPY"
    origin: str = "the build context"


class Chosen(Record):
    """One file or directory a source pattern stands for. `base` is where its path is cut off
    with `--parents`; `name` what it is called in a destination directory; `further` is what the
    same walk through a source with `--parents` has found after another."""

    entry: Entry
    name: str
    base: Entry
    further: bool = False


class TransferOp:
    """Copies from `context`, or, where that is None, from the tree of the second input.

    The last inputs are the `Fetched` ones of the spec's remotes.
    """

    quick = False

    def __init__(
        self,
        spec: TransferSpec,
        worker: Worker,
        cache: Cache,
        context: Callable[[], Context] | None,
    ) -> None:
        self._spec = spec
        fetched = dict(spec.remotes)
        local = tuple(s for at, s in enumerate(spec.sources) if at not in fetched)
        self._local = spec.replace(sources=local, remotes=()) if fetched else spec
        self._worker = worker
        self._cache = cache
        self._context = context
        self._digests: dict[tuple[str, ...], str] = {}

    def check(self) -> None:
        """Raises what is wrong with the files of a context, whatever comes out of other steps."""
        if self._context is not None and self._local.sources:
            choose(self._context(), self._local)

    def keys(self, inputs: tuple[Result, ...]) -> Iterator[str]:
        """For a stage: the key by the source's layers, then the key by the chosen files."""
        s = self._spec
        key = cache_key(
            "transfer", s.sources, s.destination, s.contents, s.chown, s.chmod, s.exclude,
            s.parents, s.link, s.unpack, s.epoch, inputs[0].chain, repr(s.remotes),
            [fetched.lineage for fetched in self._fetched(inputs)],
        )  # fmt: skip
        if not self._local.sources:
            yield key
        elif self._context is not None:
            yield cache_key(key, self._digest(self._context(), ()))
        else:
            source = inputs[1]
            yield cache_key(key, "layers", source.chain)
            if source.chain not in self._digests:
                with self._worker.mounted(source.layers) as tree:
                    files = TreeFiles(tree)
                    try:
                        self._digest(files, source.chain)
                    finally:
                        files.close()
            yield cache_key(key, "files", self._digests[source.chain])

    def contexts(self) -> tuple[Context, ...]:
        """The contexts it takes files from."""
        return (self._context(),) if self._context is not None and self._local.sources else ()

    def look(self) -> None:
        """Has what it takes from a context read before `keys` asks for it."""
        for context in self.contexts():
            self._digest(context, ())

    @property
    def spec(self) -> TransferSpec:
        """What is copied."""
        return self._spec

    def parts(self, inputs: tuple[Result, ...]) -> dict[str, Any]:
        """The parts of the key by name, for `build.why`."""
        s = self._spec
        flags = [s.chown, s.chmod, *s.exclude, s.parents, s.unpack]
        found: dict[str, Any] = {
            "command": [*s.sources, s.destination, *(str(flag) for flag in flags if flag)],
            "contents": cache_key(s.contents),
            "epoch": s.epoch,
        }
        fetched = self._fetched(inputs)
        if fetched:
            found["remotes"] = [result.lineage for result in fetched]
        if self._local.sources and self._context is not None:
            context = self._context()
            found["files"] = {place_of(context, self._local): self._digest(context, ())}
        return found

    def listings(self, place: str) -> tuple[Listing, Listing] | None:
        """The files of the context as they were in the last build that looked, and as they are."""
        assert self._context is not None
        return self._context().listing_pair(place)

    def restore(self, value: dict[str, Any], inputs: tuple[Result, ...]) -> Result | None:
        return restore(value, self._lineage(), inputs[0], self._worker)

    def record(self, result: Result) -> dict[str, Any]:
        return record(result)

    def _lineage(self) -> str:
        return cache_key("transfer", self._spec.keyword, self._spec.sources, self._spec.destination)

    def execute(self, inputs: tuple[Result, ...], output: Output) -> Result:
        below = () if self._spec.link else inputs[0].layers
        change = self._worker.change(below, self._spec.epoch)

        def note(text: str) -> None:
            output(2, f"{self._spec.keyword} --chown: {text}\n".encode())

        with change as tree:
            if self._context is not None or not self._local.sources:
                context = self._context() if self._context else None
                self._fill(tree, context, inputs, below, note)
            else:
                with self._worker.mounted(inputs[1].layers) as source:
                    files = TreeFiles(source)
                    try:
                        self._fill(tree, files, inputs, below, note)
                    finally:
                        files.close()
        return inputs[0].then(self._lineage(), change.layer, self._spec.epoch)

    def _fetched(self, inputs: tuple[Result, ...]) -> tuple[Result, ...]:
        count = len(self._spec.remotes)
        return inputs[-count:] if count else ()

    def _fill(
        self,
        tree: ChangedTree,
        files: Files | None,
        inputs: tuple[Result, ...],
        below: tuple[LayerRef, ...],
        note: Callable[[str], object],
    ) -> None:
        from kobako.build.ops.accounts import resolve
        from kobako.build.ops.copying import Copier
        from kobako.build.ops.modes import Mode

        spec = self._spec
        owner = None
        if spec.chown:
            target = TreeFiles(tree)
            try:
                owner = resolve(spec.chown, target if below else None, note)
            finally:
                target.close()
        mode = Mode(spec.chmod) if spec.chmod else None
        time = spec.epoch if self._context is not None else None
        chosen = choose(files, self._local) if files is not None and self._local.sources else []
        alone = time is not None and len(chosen) == 1 and not (spec.contents or spec.remotes)
        copier = Copier(
            tree,
            owner=owner,
            mode=mode,
            wanted=wanted_by(spec.exclude),
            time=time,
            fresh=self._fresh(tree, files, mode, owner) if alone else None,
        )
        for fetched in self._fetched(inputs):
            from kobako.build.ops.remote import place

            place(fetched, spec, copier, tree, owner, self._worker)
        if spec.parents:  # is made even if nothing is found to copy
            from kobako.build.ops.rootpath import resolve as resolve_path

            copier.make_directories(resolve_path(tree.path, spec.destination))
        if files is not None:
            for one in chosen:
                if not one.further:
                    copier.begin_source()
                if (
                    spec.unpack
                    and one.entry.kind == FILE
                    and self._unpacked(tree, copier, files, one.entry, owner)
                ):
                    continue
                if spec.parents:
                    copier.place_below(files, one.entry, one.base, spec.destination)
                else:
                    copier.place(files, one.entry, one.name, spec.destination)
        for name, data in spec.contents:
            copier.write(data, name, spec.destination)

    def _fresh(
        self, tree: ChangedTree, files: Files | None, mode: Mode | None, owner: object
    ) -> Fresh | None:
        """What fills new directories with files of a context, where nothing speaks against it."""
        from kobako.build.context import Context
        from kobako.build.ops.fresh import Fresh

        if owner not in (None, (0, 0)) or self._spec.exclude or not isinstance(files, Context):
            return None
        fresh = Fresh(files, mode, self._spec.epoch)
        return fresh if tree.graft(fresh) else None

    def _unpacked(
        self,
        tree: ChangedTree,
        copier: Copier,
        files: Files,
        entry: Entry,
        owner: tuple[int, int] | None,
    ) -> bool:
        from kobako.build.ops.archive import is_archive, unpack
        from kobako.build.ops.rootpath import resolve

        fd = files.open(entry)
        try:
            if not is_archive(fd):
                return False
            directory = resolve(tree.path, self._spec.destination)
            copier.make_directories(directory, plain=True)
            unpack(fd, tree, directory, owner, entry.path)
            files.check_read(fd, entry)
            return True
        finally:
            os.close(fd)

    def _digest(self, files: Files, memo: tuple[str, ...]) -> str:
        found = self._digests.get(memo)
        if found is None:
            found = self._digests[memo] = digest_chosen(files, self._local, self._cache)
        return found


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
    many = sum(count for _, count in signed) > _MANY
    row = cache.get(place) if many else None
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


def choose(files: Files, spec: TransferSpec) -> list[Chosen]:
    """What the sources stand for, in order. A path without wildcards has to exist."""
    chosen: list[Chosen] = []
    for source in spec.sources:
        if spec.parents:
            chosen += _with_parents(files, source, spec)
            continue
        parts = _clean(source)
        plain = 0
        while plain < len(parts) and (spec.literal or not has_wildcards(parts[plain])):
            plain += 1
        base = _find(files, "/".join(parts[:plain]), spec)
        if plain == len(parts):
            chosen.append(Chosen(base, parts[-1] if parts else "", base))
        elif base.kind == DIRECTORY:
            chosen += [
                Chosen(_find(files, m.path, spec), m.name, base)
                for m in _matching(files, base, parts[plain:])
            ]
    return chosen


def wanted_by(exclude: tuple[str, ...]) -> Callable[[str, bool], bool] | None:
    """`--exclude`: whether to take a path; asked with True, whether to look below it."""
    if not exclude:
        return None
    from kobako.build.ignore import Ignore

    ignore = Ignore(list(exclude), "--exclude")

    def wanted(path: str, below: bool) -> bool:
        if below:
            return ignore.may_take_back_below(path)
        verdict = ignore.top
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            verdict = ignore.verdict("/".join(parts[:depth]), verdict)
        return not verdict.excluded

    return wanted


def _clean(source: str) -> list[str]:
    """The parts of a path; `..` is taken by the letter, whatever a link would make of it."""
    parts: list[str] = []
    for part in source.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _matching(files: Files, base: Entry, parts: list[str]) -> Iterator[Entry]:
    """The entries below a directory whose path matches part by part: `*` never spans a slash."""
    pattern = Pattern(parts[0])
    for entry in files.children(base).values():
        if not pattern.matches(entry.name):
            continue
        if len(parts) == 1:
            yield entry
        elif entry.kind == DIRECTORY:
            yield from _matching(files, entry, parts[1:])


def _with_parents(files: Files, source: str, spec: TransferSpec) -> list[Chosen]:
    """`--parents`: `/./` separates what is cut off from what is kept; `**` is any depth."""
    head, pivot, tail = source.partition("/./")
    base = _find(files, "/".join(_clean(head)) if pivot else "", spec)
    kept = "/".join(_clean(tail if pivot else source))
    if not kept:
        raise NotFound(
            f'{spec.keyword} --parents failed: "{source}" names nothing below a directory',
            hint="Name what is to be copied, * for everything; or leave out --parents.",
        )
    if not has_wildcards(kept):
        found = _find(files, f"{base.path}/{kept}", spec, follow=False)
        if found.path != f"{base.path}/{kept}".strip("/"):  # no link is followed on the way
            raise NotFound(
                f'{spec.keyword} --parents failed: "/{kept}" leads through a symbolic link',
                hint="/./ behind the link makes it the place to begin at.",
            )
        _check_wanted(files, found, base, spec)
        return [Chosen(found, found.name, base)]
    pattern = Pattern(kept, double_star=True)
    cut = len(base.path) + 1 if base.path else 0
    chosen: list[Chosen] = []
    for entry in files.walk(base):
        inside = chosen and entry.path.startswith(chosen[-1].entry.path + "/")
        if not inside and pattern.matches(entry.path[cut:]):
            chosen.append(Chosen(entry, entry.name, base, further=bool(chosen)))
    return chosen


def _check_wanted(files: Files, found: Entry, base: Entry, spec: TransferSpec) -> None:
    """What is named with `--parents` has to be there after `--exclude`, in part at least."""
    wanted = wanted_by(spec.exclude)
    if wanted is None:
        return
    cut = len(base.path) + 1 if base.path else 0
    below = files.walk(found) if found.kind == DIRECTORY else ()
    if not any(wanted(one.path[cut:], False) for one in (found, *below)):
        raise NotFound(f'{spec.keyword} failed: "/{found.path}" is excluded by --exclude')


def _find(files: Files, path: str, spec: TransferSpec, *, follow: bool = True) -> Entry:
    entry = files.lookup(path, follow=follow)
    if entry is None:
        hidden = files.exists_but_excluded(path)
        raise NotFound(
            f'{spec.keyword} failed: "/{path.strip("/")}" not found in {spec.origin}'
            + (" (excluded by .dockerignore)" if hidden else ""),
            hint="Sources are relative to the build context, not to the Dockerfile."
            if spec.origin == "the build context" and not hidden
            else "",
        )
    return entry
