"""`--build-context`: names that stand for other files than a Dockerfile's own stages and images."""

from __future__ import annotations

from kobako.errors import KobakoError
from kobako.oci import Platform, Reference
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.plan import Step
    from kobako.build.worker import BaseImage


class NamedContext(Record):
    """One of: the files of a directory, an image by its name, an image that has been looked up for
    a platform, the result of another job of the build by that job's name."""

    context: Context | None = None
    image: str = ""
    base: Callable[[Platform], BaseImage] | None = None
    job: str = ""


class NamedContexts:
    """The named contexts of a job, found as BuildKit finds them: a name is that of a stage, or a
    reference whose default domain and tag do not matter. `result` gives the last step of a job."""

    def __init__(
        self,
        contexts: tuple[tuple[str, NamedContext], ...] = (),
        result: Callable[[str], Step] | None = None,
    ) -> None:
        self._contexts = {_key(name): context for name, context in contexts}
        self.result = result

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._contexts))

    def find(self, name: str, platform: Platform | None = None) -> NamedContext | None:
        """What `name` stands for; `name::platform` comes first."""
        if not self._contexts or name.lower() in ("scratch", "context"):
            return None
        key = _key(name)
        found = self._contexts.get(f"{key}::{platform}") if platform else None
        return found or self._contexts.get(key)


def _key(name: str) -> str:
    name, mark, platform = name.partition("::")
    try:
        found = Reference.parse(name).familiar().removesuffix(":latest")
    except KobakoError:
        found = name.lower()
    return found + mark + platform
