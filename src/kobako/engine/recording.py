"""Records of what use cases did, for `events`: docker's names of actions and their attributes."""

from __future__ import annotations

from kobako.store import event_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine


def about_container(container: Container) -> bytes:
    """What records say of a container."""
    return event_log.of_container(
        container.id, container.name, container.image_ref, container.document
    )


def container(engine: Engine, container: Container, action: str, **more: str) -> None:
    """Something was done with a container; `more` are attributes besides its labels."""
    line = event_log.line("container", action, about_container(container), **more)
    event_log.append(engine.settings.root, line)


def images(
    engine: Engine, *events: tuple[str, str, str], labels: dict[str, str] | None = None
) -> None:
    """Something was done with images: (action, id or name, name) each; `labels` where they have
    gone."""
    lines = []
    for action, image, name in events:
        own = image_labels(engine, image) if labels is None else labels
        about = event_log.subject(image, {**own, "name": name})
        lines.append(event_log.line("image", action, about))
    if lines:
        event_log.append(engine.settings.root, b"".join(lines))


def image_labels(engine: Engine, image: str) -> dict[str, str]:
    """The labels of an image, none where it is not there."""
    from kobako.engine.images import config, find
    from kobako.errors import KobakoError

    try:
        return config(engine, find(engine, image)).config.get("Labels") or {}
    except KobakoError:
        return {}


def volumes(root: str, action: str, names: Iterable[str]) -> None:
    """Volumes were made or removed."""
    lines = [
        event_log.line("volume", action, event_log.subject(name, {"driver": "local"}))
        for name in names
    ]
    event_log.append(root, b"".join(lines))


def pruned(engine: Engine, kinds: Iterable[str], reclaimed: int) -> None:
    """Unused things of these kinds were removed, which set `reclaimed` bytes free in the end."""
    amounts = [*[0] * (len(tuple(kinds)) - 1), reclaimed]
    lines = [
        event_log.line(kind, "prune", event_log.subject("", {"reclaimed": str(amount)}))
        for kind, amount in zip(kinds, amounts, strict=True)
    ]
    event_log.append(engine.settings.root, b"".join(lines))
