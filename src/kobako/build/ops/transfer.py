"""COPY and ADD: files of the context, a stage or an image into a tree, as a layer."""

from __future__ import annotations

import os

from kobako import startup, straight
from kobako.build.cache import cache_key
from kobako.build.files import FILE, TreeFiles
from kobako.build.match import has_wildcards
from kobako.build.ops.choosing import choose, wanted_by
from kobako.build.ops.chosen_digest import digest_chosen, place_of
from kobako.build.ops.result import Result, record, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.files import Entry, Files
    from kobako.build.graph import Output
    from kobako.build.ops.choosing import TransferSpec
    from kobako.build.ops.copying import Copier
    from kobako.build.ops.fresh import Fresh
    from kobako.build.ops.modes import Mode
    from kobako.build.why.listing import Listing
    from kobako.build.worker import ChangedTree, LayerRef, Worker


_MANY = 500


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
        named: Sequence[str] = (),
    ) -> None:
        """`named` is all that the build names in the context, once everything is lowered."""
        self._spec = spec
        self._named = named
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
            context = self._context()
            choose(context, self._local)
            patterns = [s for s in self._local.sources if not self._local.parents or "/./" in s]
            # Of a context that was fetched everything is there.
            if not context.origin and not self._local.literal and any(map(has_wildcards, patterns)):
                from kobako.build.sent import check

                for source in patterns:
                    check(context, source, self._named, self._local.keyword)

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
        change = self._worker.change(
            below, self._spec.epoch, within=self._within(), many=self._is_many()
        )

        def note(text: str) -> None:
            output(2, f"{self._spec.keyword} --chown: {text}\n".encode())

        with change as tree:
            straight.load(startup.COPY)
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

    def _is_many(self) -> bool:
        """Whether many files may be copied: how many, a context alone says at once."""
        if self._context is None:
            return True
        context = self._context()
        chosen = choose(context, self._local)
        return sum(context.signature(one.entry)[1] for one in chosen) > _MANY

    def _within(self) -> str:
        """The name in the root below which everything is written, where one source of a context is
        all there is to copy and the tree has no say in it; else ""."""
        spec = self._spec
        plain = not (spec.chown or spec.contents or spec.remotes or spec.unpack)
        if self._context is None or not plain or len(spec.sources) > 1:
            return ""
        from kobako.build.ops.rootpath import first_name

        return first_name(spec.destination)

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
