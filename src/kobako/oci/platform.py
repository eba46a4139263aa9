"""Platforms: what a machine runs and what an image is for.

Names are Go's (`amd64`), as the image-spec asks; the spellings users and kernels know are
normalised as containerd does. https://github.com/containerd/platforms
"""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", "v8"),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
    "mips64el": ("mips64le", ""),
}
_KNOWN = frozenset(
    "386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x wasm"
    " sparc64 ".split()
)
_SYSTEMS = frozenset(
    "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris"
    " wasip1 windows zos".split()
)
# A 64-bit machine usually runs its 32-bit sibling's programs too: taken when nothing else is there.
_SIBLINGS = {"amd64": "386", "arm64": "arm"}
_IMPLIED = (("amd64", "v1"), ("arm64", "v8"))


class Platform(Record):
    """An operating system and an architecture, e.g. linux/arm64/v8."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def host(cls) -> Platform:
        """The platform of the running kernel."""
        return cls("linux", os.uname().machine).normalised()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`os/arch[/variant]`, `arch[/variant]` or `os`, in any known spelling; else `Invalid`."""
        parts = text.split("/")
        if len(parts) > 3 or not all(p and not p.strip(_ALLOWED) for p in parts):
            raise Invalid(
                f'"{text}" is an invalid platform: expected os/architecture[/variant]',
                hint="for example linux/amd64 or linux/arm64/v8",
            )
        if len(parts) == 1:
            if parts[0].lower() in _SYSTEMS:
                return cls.host().replace(os=parts[0].lower())
            parts.insert(0, "linux")
        elif parts[0].lower() not in _SYSTEMS and _known(parts[0]):
            parts.insert(0, "linux")
        platform = cls(*parts[:3]).normalised()
        if len(parts) > 3 or not _known(platform.architecture):
            raise Invalid(
                f'"{text}" is an invalid platform: unknown operating system or architecture',
                hint="for example linux/amd64 or linux/arm64/v8",
            )
        return platform

    def normalised(self) -> Platform:
        """The same platform in containerd's spelling: arm is v7 unless said, arm64 of v8 and amd64
        of v1 say no variant."""
        architecture, variant = self.architecture.lower(), self.variant.lower()
        renamed = _ARCHITECTURES.get(architecture)
        if renamed is not None:
            architecture, variant = renamed[0], variant or renamed[1]
        if variant.isdigit():
            variant = "v" + variant
        if architecture == "arm":
            variant = variant or "v7"
        elif architecture == "386" or (architecture, variant) in _IMPLIED:
            variant = ""
        return Platform(self.os.lower(), architecture, variant, self.os_version)

    def rank(self, wanted: Platform) -> int | None:
        """How well an image for this platform serves `wanted`: 0 exactly, higher worse, None not.

        A machine runs images of lower variants of its architecture (arm/v7 runs arm/v6), and as a
        last resort its 32-bit sibling's.
        """
        have, want = self.normalised(), wanted.normalised()
        if have.os != want.os:
            return None
        if have.architecture == want.architecture and have.variant == want.variant:
            return 0
        had, level = _level(have), _level(want)
        if had is None or level is None:
            return None
        if have.architecture == want.architecture:
            return int((level - had) * 10) if had < level else None
        if _SIBLINGS.get(want.architecture) == have.architecture and had <= level:
            return 1000 + int((level - had) * 10)
        return None

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform can run on `wanted`."""
        return self.rank(wanted) is not None

    def to_json(self) -> dict[str, Any]:
        """The `platform` object of a descriptor (image-spec image-index.md)."""
        found: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            found["os.version"] = self.os_version
        if self.variant:
            found["variant"] = self.variant
        return found

    def __str__(self) -> str:
        return "/".join(p for p in (self.os, self.architecture, self.variant) if p)


def _known(architecture: str) -> bool:
    architecture = architecture.lower()
    return architecture in _KNOWN or architecture in _ARCHITECTURES


def _level(platform: Platform) -> float | None:
    """Variants by age: v8 above v7, v8.1 above v8; without one amd64 is v1 and arm64 v8. None:
    unknown."""
    implied = "8" if platform.architecture == "arm64" else "1"
    text = platform.variant.removeprefix("v") or implied
    if text.strip("0123456789.") or len(text) > 4 or text.count(".") > 1 or text == ".":
        return None
    return float(text)
