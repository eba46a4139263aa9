"""JSON by the interpreter's own C scanner and encoder, without the `json` package.

`import json` pulls `re` and costs 5-8 ms, a fifth of what `kobako run` may take. The accelerator
module `_json` does all the work in either case; where an interpreter lacks it, the package is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\n\r"


class _Scanner:
    """The settings `_json.make_scanner` reads: those of `json.loads`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


def _unserialisable(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} has no JSON form")


try:
    import _json
except ImportError:  # pragma: no cover - interpreters without the accelerator

    def loads(data: bytes | str) -> Any:
        import json

        return json.loads(data)

    def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
        import json

        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
        return text.encode("utf-8", "surrogateescape")

else:
    _scan = _json.make_scanner(_Scanner())  # type: ignore[arg-type]  # all it reads of a JSONDecoder

    def loads(data: bytes | str) -> Any:
        """The value of a JSON document in UTF-8; `ValueError` names the position of a fault."""
        text = data if isinstance(data, str) else data.decode("utf-8")
        start = len(text) - len(text.lstrip(_SPACE))
        try:
            value, end = _scan(text, start)
        except StopIteration as stop:
            raise ValueError(f"JSON value expected at character {stop.value}") from None
        except SystemError:  # the scanner builds its error from json.decoder, not yet imported
            import json

            return json.loads(text)
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None
        if text[end:].strip(_SPACE):
            raise ValueError(f"extra data after the JSON value at character {end}")
        return value

    def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
        """Compact UTF-8 JSON: no spaces, keys in the given order or sorted. Bytes that os.fsdecode
        has hidden in strings come out again: then it is for `restore` alone."""
        encode = _json.make_encoder(
            {}, _unserialisable, _json.encode_basestring, None, ":", ",", sort_keys, False, False
        )
        return "".join(encode(value, 0)).encode("utf-8", "surrogateescape")


def restore(data: bytes) -> Any:
    """What `dumps` was given, for a document of our own: strings of the system (arguments, names of
    files) that are not UTF-8 come back as they were."""
    return loads(data.decode("utf-8", "surrogateescape"))
