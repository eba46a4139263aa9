"""References against docker/distribution's own tables (reference_test.go, normalize_test.go)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.errors import Invalid
from kobako.oci import Digest, Reference

SHA = "sha256:" + "7d" * 32


@pytest.mark.parametrize(
    ("text", "name", "familiar"),
    [
        ("python", "docker.io/library/python", "python"),
        ("me/tool", "docker.io/me/tool", "me/tool"),
        ("library/python", "docker.io/library/python", "python"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/library/python", "docker.io/library/python", "python"),
        ("docker.io/library", "docker.io/library/library", "library"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x", "localhost:5000/x", "localhost:5000/x"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
        ("[2001:db8::1]/x", "[2001:db8::1]/x", "[2001:db8::1]/x"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("Registry/x", "Registry/x", "Registry/x"),
        ("xn--n3h.com/myimage", "xn--n3h.com/myimage", "xn--n3h.com/myimage"),
        ("a.b/c/d/e", "a.b/c/d/e", "a.b/c/d/e"),
        ("foo_bar", "docker.io/library/foo_bar", "foo_bar"),
        ("foo__bar/a-b---c.d", "docker.io/foo__bar/a-b---c.d", "foo__bar/a-b---c.d"),
        ("1000000000000000/x", "docker.io/1000000000000000/x", "1000000000000000/x"),
        ("a" * 63, "docker.io/library/" + "a" * 63, "a" * 63),
    ],
)
def test_names(text: str, name: str, familiar: str) -> None:
    for suffix in ("", ":tag", ":Tag_1.2-x", f"@{SHA}", f":tag@{SHA}"):
        reference = Reference.parse(text + suffix)
        assert reference.name == name
        assert reference.familiar_name == familiar
        assert str(reference) == name + suffix
        assert reference.familiar() == familiar + suffix
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar()) == reference


def test_tag_and_digest() -> None:
    reference = Reference.parse(f"localhost:5000/x:1.0@{SHA}")
    assert (reference.domain, reference.path) == ("localhost:5000", "x")
    assert (reference.tag, reference.digest) == ("1.0", Digest(SHA))
    assert reference.with_default_tag() == reference
    assert str(Reference.parse("x").with_default_tag()) == "docker.io/library/x:latest"
    assert str(Reference.parse(f"x@{SHA}").with_default_tag()).endswith("x@" + SHA)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format: repository name must have at least one component"),
        ("Python", "invalid reference format: repository name (library/Python) must be lowercase"),
        ("a/Python:x", "invalid reference format: repository name (a/Python) must be lowercase"),
        ("a.b/Uppercase", "repository name (Uppercase) must be lowercase"),
        ("ab" * 32, "cannot specify 64-byte hexadecimal strings"),
        ("a" * 256, "must not be more than 255 characters"),
        ("x@sha256:abc", "64 hex digits"),
        ("x@md5:" + "a" * 32, "unsupported digest algorithm"),
        (f"x@{SHA.upper()}", "must be lowercase"),
    ],
)
def test_refusals_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        Reference.parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        ":tag", "/x", "x/", "a//b", "x:", "x@", "x:@" + SHA, "-x", "x-", "_x", "x.", "a..b",
        "a___b",
        "a._b", "a.-b", "x:" + "t" * 129, "x:.t", "x:-t", "x:t t", "x:a:b", " x", "x\n", "x:t\n",
        "日本",
        "https://x/y", "foo_bar.com/x", "-a.com/x", "a-.com/x", "a.com:/x", "a.com:x/y", "[::1/x",
        "[fe80::1%eth0]/x", "[]/x", "[::1]x/y", "a..com/x", "../../etc", "x/../y", "a.com:5000x/y",
        "localhost:5000", "x@@", f"x@{SHA}@{SHA}",
    ],
)  # fmt: skip
def test_malformed_references_are_refused(text: str) -> None:
    if text == "localhost:5000":  # as docker does, this is the image localhost with the tag 5000
        assert str(Reference.parse(text)) == "docker.io/library/localhost:5000"
        return
    with pytest.raises(Invalid, match=r"^invalid (reference format|repository name)"):
        Reference.parse(text)


@given(st.text(alphabet="abzAZ019./:@_-[] \n%é", max_size=24))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except Invalid:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert not any(part in ("", ".", "..") for part in reference.path.split("/"))


@given(st.text(max_size=40))
def test_any_unicode_text_parses_or_is_refused(text: str) -> None:
    try:
        assert Reference.parse(text).name.isascii()
    except Invalid:
        pass
