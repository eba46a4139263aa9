"""The keys that end one's stay at a container's terminal and leave it running."""

from __future__ import annotations

import os

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context

DEFAULT = "ctrl-p,ctrl-q"
LEFT = "read escape sequence"
"""What docker says when they were typed."""


def find(context: Context, given: str) -> bytes:
    """The bytes of --detach-keys, else of docker's config.json ("detachKeys"), else the default."""
    return parse(given or _configured(context) or DEFAULT)


def parse(text: str) -> bytes:
    """`ctrl-p,ctrl-q` or `a,b`: single characters, or `ctrl-` and a letter or one of `@[\\]^_`."""
    keys = bytearray()
    for word in text.split(","):
        control, letter = word[:5].lower() == "ctrl-", word[5:].upper()
        if control and len(letter) == 1 and "@" <= letter <= "_":
            keys.append(ord(letter) - ord("@"))
        elif word == "DEL":
            keys.append(127)
        elif len(word.encode()) == 1:
            keys += word.encode()
        else:
            raise Invalid(
                f"Invalid detach keys ({text}) provided",
                hint=f"Write single keys with commas between them, as in {DEFAULT}.",
            )
    return bytes(keys)


def _configured(context: Context) -> str:
    from kobako.fastjson import loads

    path = os.path.join(context.docker_config(), "config.json")
    try:
        with open(path, "rb") as file:
            found = loads(file.read()).get("detachKeys", "")
    except (OSError, ValueError, AttributeError):
        return ""  # what else is wrong with the file is for the verbs that need it to say
    return found if isinstance(found, str) else ""
