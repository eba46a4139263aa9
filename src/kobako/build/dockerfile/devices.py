"""`RUN --device=name[,required]`: a device by its CDI name, `vendor.com/class=name`."""

from __future__ import annotations

from kobako.build.dockerfile.mounts import split_csv
from kobako.build.dockerfile.source import Problem, suggest
from kobako.record import Record

_KEYS = ("name", "required")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Device(Record):
    """`required`: without it the command is not to be run."""

    name: str = ""
    required: bool = False


def parse_device(text: str) -> Device:
    """The device a flag names; a field that is no key stands for the name, as names have a `=`."""
    name, required = "", False
    for field in split_csv(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            if equals and value not in _TRUE + _FALSE:
                raise Problem(f"invalid value for {key}: {value}", text)
            required = not equals or value in _TRUE
        elif key == "name" and equals:
            if name:
                raise Problem(f"device name already set to {name}", text)
            name = value
        elif not name:
            name = field
        elif not equals:
            raise Problem(f"invalid field '{field}' must be a key=value pair", text)
        else:
            raise Problem(f"unexpected key '{key}' in '{field}'{suggest(key, _KEYS)}", text)
    return Device(name, required)
