"""What `--output`, `--push`, `--load` and `--annotation` ask for, and the documents it becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobako.build.attest.options import parse as attestations
from kobako.build.outputs.annotation import Annotation, parse_flag
from kobako.build.outputs.choice import choose, uses_stdout
from kobako.build.outputs.document import Part, assemble
from kobako.build.outputs.spec import (
    ArchiveOutput,
    CacheOnly,
    ImageForm,
    ImageOutput,
    TreeOutput,
    parse,
)
from kobako.errors import Invalid, KobakoError
from kobako.image import mutate
from kobako.oci import Index, Platform, mediatypes

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


def part(platform: Platform) -> Part:
    return Part(platform, mutate.scratch(platform, config={"Env": [str(platform)]}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/dir", TreeOutput(dest="out/dir")),
        ("-", TreeOutput(dest="-", tar=True)),
        ("type=tar", TreeOutput(dest="-", tar=True)),
        ("type=local,dest=a b,mode=delete", TreeOutput(dest="a b", delete=True)),
        (
            'type=tar,"dest=a,b",platform-split=false,source-date-epoch=7',
            TreeOutput(dest="a,b", tar=True, split=False, epoch=7),
        ),
        ("type=oci", ArchiveOutput(kind="oci", dest="-", form=ImageForm())),
        (
            "type=docker,dest=x.tar,name=a",
            ArchiveOutput(kind="docker", dest="x.tar", form=ImageForm(names=("a",))),
        ),
        (
            "type=oci,tar=false,dest=d",
            ArchiveOutput(kind="oci", dest="d", form=ImageForm(), directory=True),
        ),
        ("type=docker", ImageOutput(form=ImageForm())),
        (
            'type=image,"name=a,b",push=true,Compression=zstd,compression-level=19',
            ImageOutput(form=ImageForm(names=("a", "b"), compression="zstd", level=19), push=True),
        ),
        (
            "type=registry,name=r,push-by-digest=true,store=false,registry.insecure=true",
            ImageOutput(
                form=ImageForm(names=("r",)), push=True, by_digest=True, store=False, insecure=True
            ),
        ),
        ("type=cacheonly", CacheOnly()),
        (
            "type=image,annotation-manifest[linux/arm64].A.b=c,annotation-index.k=v=w,annotation.x=",
            ImageOutput(
                form=ImageForm(
                    annotations=(
                        Annotation("manifest", "A.b", "c", ARM),
                        Annotation("index", "k", "v=w"),
                        Annotation("manifest", "x", ""),
                    )
                )
            ),
        ),
    ],
)
def test_outputs(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dest=x,name=y", "type is required"),
        ("type=lokal,dest=x", "did you mean local?"),
        ("type=local", "dest is required"),
        ("type=local,dest=-", "standard output"),
        ("type=tar,destination=x", "unknown key 'destination'"),
        ("type=image,compression=estargz", "estargz is not supported"),
        ("type=image,compression=lz4", "invalid value 'lz4'"),
        ("type=image,compression=gzip,compression-level=10", "a number up to 9"),
        ("type=image,push=maybe", "true or false"),
        ("type=image,oci-mediatypes=false,compression=zstd", "conflicts"),
        ("type=image,annotation-what.k=v", "unknown type 'what'"),
        ("type=oci,tar=false", "dest is required"),
        ('type=image,"name=a', "quote"),
        ("type=image,push", "not key=value"),
    ],
)
def test_faults_are_named(text: str, says: str) -> None:
    with pytest.raises(KobakoError) as caught:
        parse(text)
    assert says in str(caught.value)


def test_an_option_without_effect_is_told() -> None:
    (note,) = parse("type=image,dangling-name-prefix=x").notes
    assert "dangling-name-prefix has no effect" in note


def test_the_flags_of_a_command() -> None:
    def chosen(*texts: str, **flags: Any) -> tuple[object, ...]:
        return choose([parse(t) for t in texts], **flags)

    image = ImageOutput(form=ImageForm())
    assert chosen() == (image,)
    assert chosen("type=cacheonly") == ()
    assert chosen("out") == (TreeOutput(dest="out"),)
    assert chosen("out", load=True) == (TreeOutput(dest="out"), image)
    assert chosen("type=image,name=a", push=True)[0].push  # type: ignore[attr-defined]
    (pushed,) = chosen(push=True, load=True, tags=["t", "u"])
    assert pushed == ImageOutput(form=ImageForm(names=("t", "u")), push=True)
    assert uses_stdout([parse("-")]) and not uses_stdout([parse("out")])
    for faulty in ({"push": True}, {"texts": ("-", "type=oci")}, {"texts": ("a", "a")}):
        with pytest.raises(Invalid):
            chosen(*faulty.pop("texts", ()), **faulty)  # type: ignore[arg-type,misc,call-overload,attr-defined]


def test_annotations_of_the_command_line() -> None:
    assert parse_flag("a=b:c=d") == (Annotation("manifest", "a", "b:c=d"),)
    assert parse_flag("index,manifest-descriptor[linux/aarch64]:k=v") == (
        Annotation("index", "k", "v"),
        Annotation("manifest-descriptor", "k", "v", ARM),
    )
    for text in ("novalue", "what:k=v", "manifest[linux/amd64:k=v", "=v"):
        with pytest.raises(Invalid):
            parse_flag(text)


def test_one_platform_is_a_manifest_and_several_are_an_index() -> None:
    one = assemble([part(AMD)], ImageForm())
    assert not one.is_index and one.target.digest == part(AMD).image.manifest.digest
    notes = tuple(
        a
        for text in ("m=1", "manifest[linux/arm64]:m=2", "index:i=3", "manifest-descriptor:d=4")
        for a in parse_flag(text)
    )
    two = assemble([part(AMD), part(ARM)], ImageForm(annotations=notes))
    index = Index.parse(two.documents[-1])
    assert two.is_index and index.digest == two.target.digest
    assert [e.platform for e in index.manifests] == [AMD, ARM]
    assert dict(index.annotations) == {"i": "3"}
    assert [i.manifest.annotations for i in two.images] == [(("m", "1"),), (("m", "2"),)]
    assert all(e.annotation("d") == "4" for e in index.manifests)
    docker = assemble([part(AMD), part(ARM)], ImageForm(docker_types=True))
    assert docker.target.media_type == mediatypes.DOCKER_INDEX
    assert docker.images[0].manifest.media_type == mediatypes.DOCKER_MANIFEST


def test_annotations_need_a_place() -> None:
    for text in ("index:a=b", "manifest[linux/s390x]:a=b"):
        with pytest.raises(Invalid):
            assemble([part(AMD)], ImageForm(annotations=parse_flag(text)))


WORDS = 'type= local oci image tar dest= x , " = - annotation -manifest [linux/amd64] [ ] . k push'
MORE = "true compression= zstd compression-level= 9 ٣ name= mode= sbom type=sbom : index tar= \0"


@settings(max_examples=300)
@given(st.lists(st.sampled_from(f"{WORDS} {MORE}".split(" ")), max_size=9).map("".join))
def test_no_text_makes_the_flags_crash(text: str) -> None:
    for read in (parse, parse_flag, lambda text: attestations([text], text, text)):
        try:
            read(text)
        except KobakoError as fault:
            assert str(fault)
