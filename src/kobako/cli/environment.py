"""The environment of a container's process, from `--env` and `--env-file`."""

from __future__ import annotations

from kobako.cli.flags import bad_value
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values


def environment(context: Context, values: Values) -> list[str]:
    """`--env-file` lines, then `--env`; a bare KEY takes the caller's value, or nothing."""
    found: list[str] = []
    for path in values.many("env-file"):
        found += file_lines(path, "env-file")
    found += values.many("env")
    out = []
    for word in found:
        if not word or word.startswith("="):
            raise bad_value("-e, --env", word, f"invalid environment variable: {word}")
        if "=" in word:
            out.append(word)
        elif word in context.environ:
            out.append(f"{word}={context.environ[word]}")
    return out


def file_lines(path: str, flag: str) -> list[str]:
    """The lines of a file of KEY=VALUE, but empty ones and comments; `Invalid` names the file."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as fault:
        raise Invalid(f"--{flag} {path}: {getattr(fault, 'strerror', None) or fault}") from None
    kept = []
    for at, line in enumerate(lines, 1):
        line = line.strip("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        key = line.partition("=")[0]
        if any(c.isspace() for c in key):
            raise Invalid(f"--{flag} {path}, line {at}: variable '{key}' contains whitespaces")
        kept.append(line)
    return kept
