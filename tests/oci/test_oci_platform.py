from __future__ import annotations

import os

import pytest

from kobako.errors import Invalid
from kobako.oci import Platform


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("x86-64", "linux/amd64"),
        ("amd64/v1", "linux/amd64"),
        ("amd64/v3", "linux/amd64/v3"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("arm64/v9", "linux/arm64/v9"),
        ("armhf", "linux/arm/v7"),
        ("armel", "linux/arm/v6"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_spellings(text: str, canonical: str) -> None:
    assert str(Platform.parse(text)) == canonical
    assert Platform.parse(canonical) == Platform.parse(text)


def test_the_host() -> None:
    host = Platform.host()
    assert host.os == "linux"
    assert host == Platform.parse(os.uname().machine)
    assert Platform.parse("linux") == host
    assert host.matches(host)


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/none", "x y/amd64", "sun9"])
def test_malformed_platforms_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("image", "wanted", "serves"),
    [
        ("arm64", "arm64/v8", True),
        ("arm/v6", "arm/v7", True),
        ("arm/v7", "arm/v6", False),
        ("amd64", "amd64/v3", True),
        ("amd64/v3", "amd64", False),
        ("arm64/v8", "arm64/v9", True),
        ("386", "amd64", True),
        ("amd64", "386", False),
        ("arm/v7", "arm64", True),
        ("amd64", "arm64", False),
        ("windows/amd64", "linux/amd64", False),
    ],
)
def test_what_runs_where(image: str, wanted: str, serves: bool) -> None:
    assert Platform.parse(image).matches(Platform.parse(wanted)) is serves


def test_the_nearest_variant_wins() -> None:
    want = Platform.parse("arm/v7")
    ranks = [Platform.parse(p).rank(want) for p in ("arm/v7", "arm/v6", "arm/v5")]
    assert ranks == sorted(r for r in ranks if r is not None)
    assert ranks[0] == 0


def test_odd_variants_of_strangers_do_not_break_matching() -> None:
    want = Platform.parse("arm64")
    for variant in ("v", "vinf", "nan", "v1e9", "٣", "x" * 1000, "v٣", "-"):
        Platform("linux", "arm64", variant).matches(want)
        want.matches(Platform("linux", "arm64", variant))
