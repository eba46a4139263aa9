"""What `--call` prints, and the checks of a normal build."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from building import Site
from linting import HOST, image, lint

from kobako.build.dockerfile import parse
from kobako.build.dockerfile.source import DockerfileError
from kobako.build.lint.outline import Outline, outline
from kobako.build.lint.subject import Subject
from kobako.build.lint.targets import Targets
from kobako.build.lint.verdict import ChecksFailed
from kobako.build.lint.written import written
from kobako.build.progress import CheckWarning
from kobako.errors import KobakoError


def test_the_checks_as_json() -> None:
    text = "FROM base\nCMD serve \\\n  now\n"
    document = lint(text).document()
    assert document == {
        "warnings": [
            {
                "ruleName": "JSONArgsRecommended",
                "description": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended"
                " behavior related to OS signals",
                "url": "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
                "detail": "JSON arguments recommended for CMD to prevent unintended behavior"
                " related to OS signals",
                "location": {
                    "ranges": [
                        {"start": {"line": 2}, "end": {"line": 2}},
                        {"start": {"line": 3}, "end": {"line": 3}},
                    ]
                },
            }
        ],
        "sources": [
            {
                "filename": "Dockerfile",
                "data": base64.b64encode(text.encode()).decode(),
                "language": "Dockerfile",
            }
        ],
    }


def test_a_fault_as_json() -> None:
    document = lint("FROM base\nFETCH x\n").document()
    assert document["warnings"] is None
    assert document["buildError"] == {
        "message": "dockerfile parse error on line 2: unknown instruction: FETCH",
        "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
    }


def test_a_fault_of_a_file_that_could_be_read_as_json() -> None:
    document = lint("FROM base\nUSER ${who:?is needed} \\\n  x\n").document()
    assert document["buildError"]["message"].startswith("failed to process")
    lines = [r["start"]["line"] for r in document["buildError"]["location"]["ranges"]]
    assert lines == [2, 3]


STAGES = """\
# tools has the compilers
FROM base AS tools
FROM --platform=$BUILDPLATFORM tools
"""


def test_targets() -> None:
    found = Targets(parse(STAGES))
    assert found.text() == ("TARGET    DESCRIPTION\ntools     has the compilers\n(default) \n")
    assert found.document() == {
        "targets": [
            {
                "name": "tools",
                "description": "has the compilers",
                "base": "base",
                "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
            },
            {
                "default": True,
                "base": "tools",
                "platform": "$BUILDPLATFORM",
                "location": {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]},
            },
        ],
        "sources": [base64.b64encode(STAGES.encode()).decode()],
    }


PARAMETERS = """\
ARG release=9
ARG unused=1
# name of the base
ARG name="deb${release}"
FROM ${name} AS tools
# LEVEL of optimisation
ARG LEVEL=2
RUN --mount=type=secret,id=key,required=true --mount=type=ssh make
FROM base AS other
ARG NOT_NEEDED
RUN --mount=type=secret,id=other true
# final has it all
FROM base AS final
ARG release
COPY --from=tools / /
RUN --mount=type=secret,target=/etc/token --mount=type=ssh,id=git,required true
"""


def outlined(text: str, target: str = "", **given: str) -> Outline:
    dockerfile = parse(text)
    return outline(
        Subject(
            dockerfile,
            list(written(dockerfile.source)),
            lambda *_: image(),
            given=tuple(given.items()),
            host=HOST,
            platform=HOST,
            target=target,
        )
    )


def test_outline() -> None:
    assert outlined(PARAMETERS, LEVEL="3").text() == (
        "TARGET:      final\n"
        "DESCRIPTION: has it all\n"
        "\n"
        "BUILD ARG   VALUE   DESCRIPTION\n"
        "release     9       \n"
        "name        deb9    of the base\n"
        "LEVEL       3       of optimisation\n"
        "\n"
        "SECRET   REQUIRED\n"
        "key      true\n"
        "token    \n"
        "\n"
        "SSH       REQUIRED\n"
        "default   \n"
        "git       true\n"
        "\n"
    )


def test_outline_as_json() -> None:
    document: dict[str, Any] = outlined(PARAMETERS, "other").document()
    line = {"ranges": [{"start": {"line": 10}, "end": {"line": 10}}]}
    assert document["name"] == "other"
    assert document["args"] == [{"name": "NOT_NEEDED", "location": line}]
    assert [s["name"] for s in document["secrets"]] == ["other"]
    assert "ssh" not in document
    assert "description" not in document


SHARED = """\
ARG KEPT=1
FROM base AS tools
ARG VERSION=1.5
ARG KEPT=2
RUN --mount=type=secret,id=key true
FROM base AS below
ARG LEVEL=1
FROM below
ARG VERSION
ARG LEVEL=2
ARG KEPT
ARG TARGETARCH
COPY --from=tools / /
RUN --mount=type=secret,id=key,required true
"""


def test_outline_shows_what_a_name_is_in_the_target() -> None:
    """Elsewhere it may be declared too. Predefined arguments are none of the file's."""
    found = outlined(SHARED)
    assert [(a.name, a.value, a.where.start) for a in found.arguments] == [
        ("KEPT", "1", 1),
        ("VERSION", "", 9),
        ("LEVEL", "2", 10),
    ]
    assert [(n.name, n.required, n.where.start) for n in found.secrets] == [("key", True, 14)]
    assert [(a.name, a.value) for a in outlined(SHARED, KEPT="3").arguments][-1] == ("KEPT", "3")


def checks(site: Site) -> list[CheckWarning]:
    return [event for event in site.events if isinstance(event, CheckWarning)]


def test_a_build_that_cannot_begin_tells_the_warnings_before_that(site: Site) -> None:
    site.base()
    wrong = "RUN --mount=type=cache,target=/c,uid=$Z true"
    text = f"FROM base as x\nENV a b\nARG Y=$Z\n{wrong}\nCMD x\n"
    with pytest.raises(DockerfileError):
        site.build(text)
    assert [(w.rule, w.start) for w in checks(site)] == [
        ("FromAsCasing", 1),
        ("LegacyKeyValueFormat", 2),
        ("UndefinedVar", 3),
        ("UndefinedVar", 4),
    ]
    site.events.clear()
    with pytest.raises(KobakoError):
        site.build("FROM not-there as x\nENV a b\n")
    assert [(w.rule, w.start) for w in checks(site)] == [("FromAsCasing", 1)]


def test_a_build_tells_its_warnings_each_time_and_looks_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.base()
    text = "FROM base\nENV a b\nCMD serve\n"
    site.build(text)
    found = checks(site)
    assert [(w.rule, w.start, w.token) for w in found] == [
        ("LegacyKeyValueFormat", 2, "a"),
        ("JSONArgsRecommended", 3, "serve"),
    ]
    assert found[0].url.endswith("/legacy-key-value-format/")
    monkeypatch.setattr("kobako.build.lint.verdict._judge", None)  # no second look
    site.build(text)
    assert checks(site) == found


@pytest.mark.parametrize("change", ["text", "argument", "target", "ignore", "base"])
def test_a_changed_build_is_looked_at_again(site: Site, change: str) -> None:
    site.base(Env=["HOME=/root"])
    site.put({"file": "x"})
    text = (
        "FROM base AS a\nUSER ${who:-me}\nFROM base AS b\nENV X=$HOME\nARG who=$who\nCOPY *ile /\n"
    )
    site.build(text)
    assert [w.start for w in checks(site)] == [5]
    if change == "text":
        site.build(text.replace("USER ${who:-me}", "USER you").replace("X=$HOME", "X $HOME"))
        assert [w.start for w in checks(site)] == [4, 5]
    elif change == "argument":
        site.build(text, build_args=(("who", "1"),))
        assert checks(site) == []
    elif change == "target":
        site.build(text, target="a")
        assert [w.start for w in checks(site)] == [2]
    elif change == "ignore":
        site.put({".dockerignore": "*ile\n", "file2": ""})
        site.build(text)
        assert [w.start for w in checks(site)] == [5, 6]
    else:
        site.base(Env=["OTHER=1"])
        site.build(text)
        assert [w.start for w in checks(site)] == [4, 5]


def test_warnings_are_errors_where_the_file_says_so(site: Site) -> None:
    site.base()
    text = "# check=error=true\nFROM base\nMAINTAINER me\nCMD serve\nRUN touch /made\n"
    with pytest.raises(ChecksFailed) as failure:
        site.build(text)
    assert str(failure.value) == (
        "lint violation found for rules: JSONArgsRecommended, MaintainerDeprecated"
    )
    assert len(checks(site)) == 2
    assert site.worker.requests == []  # nothing was executed
    with pytest.raises(ChecksFailed):
        site.build(text)
    site.build(text.replace("RUN", "# RUN"), build_args=(("BUILDKIT_DOCKERFILE_CHECK", ""),))
    assert len(checks(site)) == 2
