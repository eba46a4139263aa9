"""A place to build in: a context, a fake worker, a cache, and what happened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fake_worker import Command, FakeWorker, snapshot, write_files
from memory_cache import MemoryCache

from kobako.build import build, build_all
from kobako.build.context import Context
from kobako.build.options import BuildOptions, BuildResult, Job
from kobako.events import Event


class Site:
    def __init__(self, root: Path) -> None:
        os.umask(0o022)
        self.context = root / "context"
        self.context.mkdir()
        self.worker = FakeWorker(root / "trees")
        self.cache = MemoryCache()
        self.events: list[Event] = []

    def base(self, name: str = "base", files: dict[str, str] | None = None, **config: Any) -> None:
        self.worker.add_image(name, files or {"etc/hostname": "base"}, config)

    def write(self, **files: str) -> None:
        write_files(self.context, files)

    def put(self, files: dict[str, str]) -> None:
        write_files(self.context, files)

    def command(self, text: str, function: Command) -> None:
        self.worker.commands[text] = function

    def build(self, dockerfile: str, **options: Any) -> BuildResult:
        self.events = []
        self.worker.log = []
        self.worker.requests = []
        context = Context.open_directory(str(self.context))
        try:
            return build(
                BuildOptions(dockerfile=dockerfile, **options),
                context,
                self.worker,
                self.cache,
                self.events.append,
            )
        finally:
            context.close()

    def build_all(self, *jobs: Job) -> tuple[BuildResult, ...]:
        """Builds jobs, all of them in the site's context."""
        self.events = []
        self.worker.log = []
        context = Context.open_directory(str(self.context))
        try:
            return build_all(
                tuple(job.replace(context=context) for job in jobs),
                self.worker,
                self.cache,
                self.events.append,
            )
        finally:
            context.close()

    def tree(self, result: BuildResult) -> dict[str, tuple[Any, ...]]:
        return snapshot(self.worker.tree_of(result.layers), self.worker.owners_of(result.layers))

    def path(self, result: BuildResult) -> Path:
        return self.worker.tree_of(result.layers)
