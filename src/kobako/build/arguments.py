"""Build arguments: predefined, global (above the first FROM) and given with `--build-arg`."""

from __future__ import annotations

from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import DockerfileError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile.instructions import Arg, Dockerfile
    from kobako.oci import Platform

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


class Arguments:
    """`given` are the `--build-arg`s; `known` what FROM may use and stages may ask for by ARG."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        given: tuple[tuple[str, str], ...],
        build: Platform,
        target: Platform,
        stage: str,
    ) -> None:
        self.given = dict(given)
        self.asked: set[str] = set()
        self.known = {
            name: self.given.get(name, value)
            for name, value in _platform_arguments(build, target, stage)
        }
        expander_escape = dockerfile.directives.escape
        for instruction in dockerfile.arguments:
            expander = Expander(dict(self.known), expander_escape)
            for name, default in instruction.pairs:
                self.asked.add(name)
                value = self.given.get(name)
                if value is None and default is not None:
                    try:
                        value = expander.word(default)
                    except Problem as problem:
                        raise DockerfileError(
                            dockerfile.source, instruction.where, problem.message
                        ) from None
                if value is not None:
                    self.known[name] = value
                    expander = Expander(dict(self.known), expander_escape)

    def value(self, name: str, default: str | None, expander: Expander) -> str | None:
        """What an ARG of a stage is worth: given, else its default, else the global one."""
        self.asked.add(name)
        if name in self.given:
            return self.given[name]
        if default is not None:
            return expander.word(default)
        return self.known.get(name)

    def proxies(self) -> tuple[str, ...]:
        """Variables every RUN sees without asking and that are in no cache key."""
        found = []
        for name, value in sorted(self.given.items()):
            if name.lower() in _PROXIES:
                found += [f"{name.upper()}={value}", f"{name.lower()}={value}"]
        return tuple(dict.fromkeys(found))

    def unused(self) -> list[str]:
        """Given, but asked for nowhere."""
        return sorted(
            name
            for name in self.given
            if name not in self.asked
            and name.lower() not in _PROXIES
            and name not in ("SOURCE_DATE_EPOCH",)
            and not name.startswith(("BUILDKIT_", "TARGET", "BUILD"))
        )

    def apply(self, instruction: Arg, expander: Expander) -> list[tuple[str, str | None]]:
        """The values of a stage's ARG instruction, in order."""
        values: list[tuple[str, str | None]] = []
        last = len(instruction.pairs) - 1
        for number, (name, default) in enumerate(instruction.pairs):
            value = self.value(name, default, expander)
            values.append((name, value))
            if value is not None and number < last:  # `ARG a=1 b=$a`: b sees a
                expander = Expander({**expander.env, name: value}, expander.escape)
        return values


def _platform_arguments(
    build: Platform, target: Platform, stage: str
) -> tuple[tuple[str, str], ...]:
    return (
        ("BUILDPLATFORM", str(build)),
        ("BUILDOS", build.os),
        ("BUILDOSVERSION", build.os_version),
        ("BUILDARCH", build.architecture),
        ("BUILDVARIANT", build.variant),
        ("TARGETPLATFORM", str(target)),
        ("TARGETOS", target.os),
        ("TARGETOSVERSION", target.os_version),
        ("TARGETARCH", target.architecture),
        ("TARGETVARIANT", target.variant),
        ("TARGETSTAGE", stage or "default"),
    )
