"""What `--filter label=...` asks of containers and images."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def match(labels: Mapping[str, str], word: str) -> bool:
    """Whether there is the label `key`, or `key=value`, of a filter."""
    key, equals, value = word.partition("=")
    return key in labels and (not equals or labels[key] == value)
