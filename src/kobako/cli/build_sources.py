"""`--secret`, `--ssh` and `--allow` of a build: what they name, read."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ENTITLEMENTS = ("network.host", "security.insecure", "device", "buildx.local.delete")
_LARGEST = 500 << 10  # what docker takes


def secrets(words: list[str], environ: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """`id=name[,src=path|,env=VARIABLE][,type=file|env]`, or a name alone that is a file, or the
    name of a variable, as docker has it."""
    return tuple(_secret(word, environ) for word in words)


def _secret(word: str, environ: Mapping[str, str]) -> tuple[str, bytes]:
    from kobako.build.dockerfile.mounts import split_csv
    from kobako.build.dockerfile.source import Problem

    name = source = variable = kind = ""
    try:
        fields = split_csv(word)
    except Problem as problem:
        raise Invalid(f"--secret {word}: {problem.message}") from None
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            raise Invalid(f"--secret {word}: invalid field {field!r} must be a key=value pair")
        if key == "type":
            if value not in ("file", "env"):
                raise Invalid(f"--secret {word}: unsupported secret type {value!r}")
            kind = value
        elif key == "id":
            name = value
        elif key in ("source", "src"):
            source = value
        elif key == "env":
            variable = value
        else:
            raise Invalid(f"--secret {word}: unexpected key {key!r} in {field!r}")
    if not name:
        raise Invalid(f"--secret {word}: id is missing")
    if kind == "env" and not variable:
        variable, source = source or name, ""
    if not variable and not source and name in environ:
        variable = name
    if variable:
        # As with buildx a variable that is not set is an empty secret.
        return name, environ.get(variable, "").encode("utf-8", "surrogateescape")
    try:
        with open(source or name, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as fault:
        raise Invalid(f"--secret {word}: {source or name}: {fault.strerror}") from None
    if len(data) > _LARGEST:
        raise Invalid(f"--secret {word}: larger than {_LARGEST >> 10} KiB")
    return name, data


def ssh(words: list[str], environ: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`default|id[=socket|=key,key...]`; without a path it is the agent of the environment."""
    import os

    found = []
    for word in words:
        name, _, paths = word.partition("=")
        sources = tuple(os.path.abspath(p) for p in paths.split(",") if p)
        if not sources:
            agent = environ.get("SSH_AUTH_SOCK", "")
            if not agent:
                raise Invalid(
                    f"--ssh {word}: there is no agent: SSH_AUTH_SOCK is not set",
                    hint="Start ssh-agent, or name a key: --ssh default=~/.ssh/id_ed25519",
                )
            sources = (agent,)
        for path in sources:
            if not os.path.exists(path):
                raise Invalid(f"--ssh {word}: {path}: no such file")
        found.append((name or "default", sources))
    return tuple(found)


def entitlements(words: list[str]) -> tuple[str, ...]:
    """The names of `--allow`; those that have no meaning here are accepted."""
    for word in words:
        if word.partition("=")[0] not in (*_ENTITLEMENTS, "fs", "fs.read", "fs.write"):
            raise Invalid(f"--allow {word}: unknown entitlement", hint=", ".join(_ENTITLEMENTS))
    return tuple(words)


def contexts(words: list[str]) -> tuple[tuple[str, str], ...]:
    """`--build-context name=what`, each name once: the last one counts."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or not text:
            raise Invalid(
                f"invalid context value: {word}, expected name=path|URL|docker-image://..."
            )
        found[name] = text
    return tuple(found.items())
