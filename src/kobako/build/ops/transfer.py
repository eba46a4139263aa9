"""COPY and ADD: files of the context, a stage or an image into a tree, as a layer."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.files import TreeFiles
from kobako.build.ops.choosing import choose
from kobako.build.ops.chosen_digest import digest_chosen, place_of
from kobako.build.ops.result import Result, record, restore
from kobako.build.wildcards import has_wildcards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.files import Files
    from kobako.build.graph import Output
    from kobako.build.ops.choosing import TransferSpec
    from kobako.build.why.listing import Listing
    from kobako.build.worker import Worker


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
        from kobako.build.ops.transferring import Transfer

        context = self._context() if self._context is not None else None
        fetched = self._fetched(inputs)
        transfer = Transfer(self._spec, self._local, self._worker, context, fetched)
        layer = transfer.carry_out(inputs, output)
        return inputs[0].then(self._lineage(), layer, self._spec.epoch)

    def _fetched(self, inputs: tuple[Result, ...]) -> tuple[Result, ...]:
        count = len(self._spec.remotes)
        return inputs[-count:] if count else ()

    def _digest(self, files: Files, memo: tuple[str, ...]) -> str:
        found = self._digests.get(memo)
        if found is None:
            found = self._digests[memo] = digest_chosen(files, self._local, self._cache)
        return found
