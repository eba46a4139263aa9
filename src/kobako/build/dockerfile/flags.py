"""The `--flags` of instructions."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem, suggest

TEXT, SWITCH, LIST = "text", "switch", "list"

FLAGS: dict[str, dict[str, str]] = {
    "FROM": {"platform": TEXT},
    "RUN": {"mount": LIST, "network": TEXT, "security": TEXT, "device": LIST},
    "COPY": {
        "from": TEXT,
        "chown": TEXT,
        "chmod": TEXT,
        "link": SWITCH,
        "parents": SWITCH,
        "exclude": LIST,
    },
    "ADD": {
        "chown": TEXT,
        "chmod": TEXT,
        "link": SWITCH,
        "exclude": LIST,
        "checksum": TEXT,
        "keep-git-dir": SWITCH,
        "unpack": SWITCH,
    },
    "HEALTHCHECK": {
        "interval": TEXT,
        "timeout": TEXT,
        "start-period": TEXT,
        "start-interval": TEXT,
        "retries": TEXT,
    },
}


def takes_flags(keyword: str, rest: str) -> bool:
    """Whether flags are looked at: whatever stands before the rest of these goes unnoticed."""
    return keyword not in ("ARG", "STOPSIGNAL") and (
        keyword != "HEALTHCHECK" or rest[:4].upper() != "NONE"
    )


class Flags:
    """The flags of one instruction, checked against what its keyword knows."""

    def __init__(self, keyword: str, words: tuple[str, ...]) -> None:
        self._texts: dict[str, str] = {}
        self._switches: dict[str, bool] = {}
        self._lists: dict[str, list[str]] = {}
        known = FLAGS.get(keyword, {})
        for word in words:
            flag, equals, value = word.partition("=")
            name = flag[2:]
            kind = known.get(name)
            if kind is None:
                raise Problem(f"unknown flag: {flag}{suggest(name, known)}", flag)
            if kind == SWITCH:
                self._once(name, self._switches, flag)
                self._switches[name] = _switch(flag, equals, value)
                continue
            if not equals:
                raise Problem(f"missing a value on flag: {flag}", flag)
            if kind == LIST:
                self._lists.setdefault(name, []).append(value)
            else:
                self._once(name, self._texts, flag)
                self._texts[name] = value

    @staticmethod
    def _once(name: str, seen: dict[str, str] | dict[str, bool], flag: str) -> None:
        if name in seen:
            raise Problem(f"duplicate flag specified: {flag}", flag)

    def text(self, name: str, default: str = "") -> str:
        return self._texts.get(name, default)

    def switch(self, name: str) -> bool | None:
        """None when the flag was not given."""
        return self._switches.get(name)

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(self._lists.get(name, ()))


def _switch(flag: str, equals: str, value: str) -> bool:
    if equals and not value:
        raise Problem(f"missing a value on flag: {flag}", flag)
    lowered = value.lower()
    if lowered not in ("", "true", "false"):
        raise Problem(f"expecting boolean value for flag {flag}, not: {value}", flag)
    return lowered != "false"
