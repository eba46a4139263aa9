"""Carrying out a COPY or ADD: what it takes goes into a tree, which becomes a layer."""

from __future__ import annotations

import os

from kobako import groups
from kobako.build.files import FILE, TreeFiles
from kobako.build.ops.choosing import choose, wanted_by
from kobako.build.ops.rootpath import first_name
from kobako.build.ops.rootpath import resolve as resolve_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.files import Entry, Files
    from kobako.build.graph import Output
    from kobako.build.ops.choosing import TransferSpec
    from kobako.build.ops.copying import Copier
    from kobako.build.ops.fresh import Fresh
    from kobako.build.ops.modes import Mode
    from kobako.build.ops.result import Result
    from kobako.build.worker import ChangedTree, LayerRef, Worker

_MANY = 500


class Transfer:
    """One COPY or ADD under way: see `transfer.TransferOp`."""

    def __init__(
        self,
        spec: TransferSpec,
        local: TransferSpec,
        worker: Worker,
        context: Context | None,
        fetched: tuple[Result, ...],
    ) -> None:
        """`local` is `spec` without what is `fetched`."""
        self._spec = spec
        self._local = local
        self._worker = worker
        self._context = context
        self._fetched = fetched

    def carry_out(self, inputs: tuple[Result, ...], output: Output) -> LayerRef | None:
        """The new layer; from the tree of the second input where there is no context."""
        below = () if self._spec.link else inputs[0].layers
        change = self._worker.change(
            below, self._spec.epoch, within=self._within(), many=self._is_many()
        )

        def note(text: str) -> None:
            output(2, f"{self._spec.keyword} --chown: {text}\n".encode())

        with change as tree:
            groups.load("build-copy")
            if self._context is not None or not self._local.sources:
                self._fill(tree, self._context, below, note)
            else:
                with self._worker.mounted(inputs[1].layers) as source:
                    files = TreeFiles(source)
                    try:
                        self._fill(tree, files, below, note)
                    finally:
                        files.close()
        return change.layer

    def _is_many(self) -> bool:
        """Whether many files may be copied: how many, a context alone says at once."""
        context = self._context
        if context is None:
            return True
        chosen = choose(context, self._local)
        return sum(context.signature(one.entry)[1] for one in chosen) > _MANY

    def _within(self) -> str:
        """The name in the root below which everything is written, where one source of a context is
        all there is to copy and the tree has no say in it; else ""."""
        spec = self._spec
        plain = not (spec.chown or spec.contents or spec.remotes or spec.unpack)
        if self._context is None or not plain or len(spec.sources) > 1:
            return ""
        return first_name(spec.destination)

    def _fill(
        self,
        tree: ChangedTree,
        files: Files | None,
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
        for fetched in self._fetched:
            from kobako.build.ops.remote import place

            place(fetched, spec, copier, tree, owner, self._worker)
        if spec.parents:  # is made even if nothing is found to copy
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

        fd = files.open(entry)
        try:
            if not is_archive(fd):
                return False
            directory = resolve_path(tree.path, self._spec.destination)
            copier.make_directories(directory, plain=True)
            unpack(fd, tree, directory, owner, entry.path)
            files.check_read(fd, entry)
            return True
        finally:
            os.close(fd)
