"""How an image is run: the `config` object of its config (image-spec config.md, "Properties"), with
docker's additions to it."""

from __future__ import annotations

from kobako.oci.document import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.oci.document import Node

_STRINGS = ("User", "WorkingDir", "StopSignal", "Hostname", "Domainname", "Image", "MacAddress")
_LISTS = ("Env", "OnBuild")
_WORDS = ("Cmd", "Entrypoint", "Shell")
_SETS = ("ExposedPorts", "Volumes")
_FLAGS = (
    "ArgsEscaped", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce",
    "NetworkDisabled",
)  # fmt: skip
_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")


def of_config(raw: bytes) -> dict[str, Any]:
    """docker's keys (Env, Cmd, ...) from the bytes of a whole config, of which nothing else is
    read: `ImageConfig.parse` has, when the image was made known."""
    config = decode(raw, "image config").get("config")
    return parameters(config) if config.present else {}


def parameters(node: Node) -> dict[str, Any]:
    """The `config` object, its known keys checked; unknown keys are kept as they are."""
    found = {key: value for key, value in node.object().items() if value is not None}
    for key in found.keys() & set(_STRINGS):
        node.get(key).string()
    for key in found.keys() & set(_LISTS):
        node.get(key).strings()
    for key in found.keys() & set(_WORDS):
        # Early docker wrote a lone string where a list of one is meant.
        words = node.get(key)
        found[key] = [words.value] if isinstance(words.value, str) else list(words.strings())
    for key in found.keys() & set(_SETS):
        node.get(key).object()
    for key in found.keys() & set(_FLAGS):
        if not isinstance(found[key], bool):
            raise node.get(key).fault("expected true or false")
    if "Labels" in found:
        node.get("Labels").pairs()
    if "StopTimeout" in found:
        node.get("StopTimeout").integer(-1, 1 << 31)
    if "Healthcheck" in found:
        _check_healthcheck(node.get("Healthcheck"))
    return found


def _check_healthcheck(node: Node) -> None:
    node.get("Test").strings()
    for key in _TIMES:
        if node.get(key).present:
            node.get(key).integer()
    if node.get("Retries").present:
        node.get("Retries").integer(0, 1 << 31)
