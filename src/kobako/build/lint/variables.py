"""Checks of variables: used before they are defined, or holding what is better kept secret."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.gotext import quoted
from kobako.build.lint.finding import Finding
from kobako.build.lint.suggestion import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.subject import Visit

_SETTINGS = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
"""Build arguments that never become variables."""

_SECRET = frozenset(
    "apikey auth credential credentials key password pword passwd secret token".split()
)
_HARMLESS = frozenset("public file version".split())


def undefined_var(visit: Visit) -> Iterator[Finding]:
    for names, known in visit.unset:
        for name in names:
            if name in _SETTINGS:
                continue
            near = nearest(name, known)
            detail = f"Usage of undefined variable '${name}'"
            detail += f" (did you mean ${near}?)" if near else ""
            yield Finding("UndefinedVar", detail, visit.where.start, visit.where.end, name)


def secrets_used_in_arg_or_env(visit: Visit) -> Iterator[Finding]:
    instruction = visit.instruction
    if isinstance(instruction, i.Env):
        kind, names = "ENV", list(visit.words)
    elif isinstance(instruction, i.Arg):
        kind, names = "ARG", [name for name, _ in instruction.pairs]
    else:
        return
    for name in names:
        parts = set(name.lower().split("_"))
        if parts & _SECRET and not parts & _HARMLESS:
            what = f"{kind} {quoted(name)}"
            detail = f"Do not use ARG or ENV instructions for sensitive data ({what})"
            where = visit.where
            yield Finding("SecretsUsedInArgOrEnv", detail, where.start, where.end, name)
