"""What the instructions of a stage made of its config, so that every step can be asked for its own.

A stage of n instructions has n configs of up to n entries. They are told from one log of changes:
a moment is a place in it, and its config is made when somebody wants to see it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Change = tuple[str, str, Any]

SET, PUT, ADD, ENV, ARG = "set", "put", "add", "env", "arg"
"""A member of the config; members of one that is a dict; an item of one that is a list; a variable
of the image; a variable of the build alone."""


class Settings:
    """A config and the variables that are seen with it. Changes are applied in place."""

    def __init__(
        self, config: Mapping[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        """`config` has an `Env`; `variables` are all that are seen, None for those of `Env`."""
        self.config: dict[str, Any] = {key: _own(value) for key, value in config.items()}
        self._env: list[str] = self.config["Env"]
        self._places: dict[str, int] = {}
        self.variables: dict[str, str] = {}
        for place, item in enumerate(self._env):
            name, _, value = item.partition("=")
            self._places.setdefault(name, place)
            self.variables[name] = value
        if variables is not None:
            self.variables = dict(variables)

    def apply(self, change: Change) -> None:
        kind, key, value = change
        if kind == SET:
            self.config[key] = value
        elif kind == PUT:
            self._member(key, {}).update(value)
        elif kind == ADD:
            self._member(key, []).append(value)
        else:
            self.variables[key] = value
            if kind == ENV:
                self._assign(key, f"{key}={value}")

    def environment(self) -> tuple[str, ...]:
        return tuple(f"{name}={value}" for name, value in self.variables.items())

    def _member(self, key: str, empty: Any) -> Any:
        """A member to be changed; what `SET` left there belongs to whoever gave it."""
        found = self.config[key] = self.config.get(key) or empty
        return found

    def _assign(self, name: str, item: str) -> None:
        place = self._places.setdefault(name, len(self._env))
        if place == len(self._env):
            self._env.append(item)
        else:
            self._env[place] = item


class Log:
    """The changes of a stage, from the config it began with."""

    def __init__(
        self, config: Mapping[str, Any], variables: Mapping[str, str] | None = None
    ) -> None:
        self._beginning = Settings(config, variables)
        self._changes: list[Change] = []

    def begin(self) -> Settings:
        return Settings(self._beginning.config, self._beginning.variables)

    def note(self, kind: str, key: str, value: Any) -> Change:
        change = (kind, key, value)
        self._changes.append(change)
        return change

    def moment(self) -> Moment:
        return Moment(self, len(self._changes))

    def changes(self, count: int) -> Iterable[Change]:
        return self._changes[:count]


class Moment:
    """The config as it was after so many changes."""

    __slots__ = ("_count", "_log")

    def __init__(self, log: Log, count: int) -> None:
        self._log = log
        self._count = count

    def settings(self) -> Settings:
        """Made anew: the caller's."""
        settings = self._log.begin()
        for change in self._log.changes(self._count):
            settings.apply(change)
        return settings


def _own(value: Any) -> Any:
    return value.copy() if isinstance(value, (list, dict)) else value
