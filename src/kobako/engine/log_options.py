"""docker's --log-driver and --log-opt."""

from __future__ import annotations

from kobako.errors import Invalid, Unsupported
from kobako.record import Record

DEFAULT = "json-file"
_OPTIONS = frozenset("max-size max-file compress labels env mode max-buffer-size".split())
# A container nobody looks at must not fill the disk: docker keeps everything by default.
_DEFAULT_SIZE, _DEFAULT_FILES = 100_000_000, 10
_LOCAL_SIZE, _LOCAL_FILES = 20_000_000, 5
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class LogBounds(Record):
    """`size`: bytes a file of the log may have, 0 for any; `files`: how many are kept, 0 for none
    at all."""

    size: int = _DEFAULT_SIZE
    files: int = _DEFAULT_FILES


def bounds(driver: str, options: tuple[tuple[str, str], ...]) -> LogBounds:
    """What is kept of a container's output.

    Drivers: json-file (and "", the default), local, and none. The two differ in their defaults
    alone, 10 files of 100 MB and 5 of 20 MB: both are kept in kobako's own form. As with docker,
    a max-size without max-file keeps one file. max-size=-1 keeps everything.
    """
    driver = driver or DEFAULT
    given = dict(options)
    if driver not in ("json-file", "local", "none"):
        raise Unsupported(
            f"the log driver {driver!r} is not supported",
            hint="Known: json-file (the default), local, none.",
        )
    for name in given:
        if name not in _OPTIONS or (driver == "none"):
            raise Invalid(f"unknown log opt '{name}' for {driver} log driver")
    if driver == "none":
        return LogBounds(0, 0)
    if given.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise Invalid(f"logger: invalid mode: {given['mode']}")
    found = LogBounds() if driver == DEFAULT else LogBounds(_LOCAL_SIZE, _LOCAL_FILES)
    if "max-size" in given:
        size = 0 if given["max-size"] == "-1" else _size(given["max-size"])
        found = LogBounds(size, 1 if driver == DEFAULT else _LOCAL_FILES)
    if "max-file" in given:
        text = given["max-file"]
        if not text.lstrip("-").isdigit():
            raise Invalid(f"max-file: {text!r} is not a number")
        if int(text) < 1:
            raise Invalid("max-file cannot be less than 1")
        found = found.replace(files=int(text))
    compress = given.get("compress", "false")
    if compress not in ("true", "false"):
        raise Invalid(f"compress: {compress!r} is neither true nor false")
    if compress == "true" and driver == DEFAULT:
        raise Unsupported("--log-opt compress=true: files of a log are not compressed by kobako")
    return found


def details(config: dict[str, object], options: dict[str, str]) -> str:
    """What `logs --details` shows before a line: the labels and variables the options name."""
    labels = config.get("Labels")
    environment = config.get("Env")
    assert isinstance(labels, dict)
    assert isinstance(environment, list)
    variables = dict(entry.partition("=")[::2] for entry in environment)
    found = {}
    for option, values in (("labels", labels), ("env", variables)):
        for name in filter(None, options.get(option, "").split(",")):
            if name in values:
                found[name] = values[name]
    return ",".join(f"{_escaped(k)}={_escaped(v)}" for k, v in sorted(found.items()))


def _escaped(text: str) -> str:
    from urllib.parse import quote_plus

    return quote_plus(text)


def _size(text: str) -> int:
    """Bytes of 10m, 1.5g, 500kB: powers of a thousand."""
    word = text.strip().lower().removesuffix("b")
    number, suffix = (word[:-1], word[-1]) if word[-1:].isalpha() else (word, "")
    try:
        size = int(float(number) * _SUFFIXES[suffix])
    except (ValueError, KeyError, OverflowError):
        raise Invalid(f"max-size: invalid size: '{text}'") from None
    if size <= 0:
        raise Invalid("max-size must be a positive number")
    return size
