"""The 22 build checks: for each what breaks it, where it points, and what does not."""

from __future__ import annotations

import pytest
from linting import image, lint

from kobako.build.lint.rules import RULES

# rule, a file that breaks it, lines, the detail, and what the caret is under ("": no caret)
BAD = [
    (
        "StageNameCasing",
        "FROM scratch AS Tools\n",
        (1, 1), "Stage name 'Tools' should be lowercase", "Tools",
    ),
    (
        "FromAsCasing",
        "FROM scratch as tools\n",
        (1, 1), "'as' and 'FROM' keywords' casing do not match", "as",
    ),
    (
        "FromAsCasing",
        "from scratch AS tools\n",
        (1, 1), "'AS' and 'from' keywords' casing do not match", "AS",
    ),
    (
        "NoEmptyContinuation",
        "FROM base\nRUN true && \\\n\n    true\nUSER me\n",
        (4, 4), "Empty continuation line", "",
    ),
    (
        "NoEmptyContinuation",
        "FROM base\nRUN <<DONE \\\n\n cat\nwords\nDONE\n",
        (4, 4), "Empty continuation line", "",
    ),
    (
        "ConsistentInstructionCasing",
        "FROM base\nuser me\nUSER you\n",
        (2, 2), "Command 'user' should match the case of the command majority (uppercase)", "user",
    ),
    (
        "ConsistentInstructionCasing",
        "from base\nuser me\nUser you\n",
        (3, 3), "Command 'User' should match the case of the command majority (lowercase)", "User",
    ),
    (
        "DuplicateStageName",
        "FROM base AS one\nFROM base AS two\nFROM base AS one\n",
        (3, 3), 'Duplicate stage name "one", stage names should be unique', "one",
    ),
    (
        "ReservedStageName",
        "FROM base AS context\n",
        (1, 1), 'Stage name should not use the same name as reserved stage "context"', "context",
    ),
    (
        "JSONArgsRecommended",
        "FROM base\nENTRYPOINT serve --port 80\n",
        (2, 2),
        "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS"
        " signals",
        "serve --port 80",
    ),
    (
        "JSONArgsRecommended",
        "FROM base\nCMD serve \\\n  --port 80\n",
        (2, 3),
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        "",
    ),
    (
        "MaintainerDeprecated",
        "FROM base\nMAINTAINER me@example.org\n",
        (2, 2), "Maintainer instruction is deprecated in favor of using label", "MAINTAINER",
    ),
    (
        "UndefinedArgInFrom",
        "ARG TAG=latest\nFROM base${TGA}\n",
        (2, 2), "FROM argument 'TGA' is not declared (did you mean TAG?)", "TGA",
    ),
    (
        "WorkdirRelativePath",
        "FROM base\nWORKDIR source\nWORKDIR more\n",
        (2, 2),
        'Relative workdir "source" can have unexpected results if the base image changes',
        "source",
    ),
    (
        "WorkdirRelativePath",
        '# escape=`\nFROM base\nWORKDIR C:\\docs "here"\n',
        (3, 3),
        'Relative workdir "C:\\\\docs here" can have unexpected results if the base image changes',
        'C:\\docs "here"',
    ),
    (
        "UndefinedVar",
        "FROM base\nARG CACHE=/c\nCOPY file $CACH/\n",
        (3, 3), "Usage of undefined variable '$CACH' (did you mean $CACHE?)", "CACH",
    ),
    (
        "MultipleInstructionsDisallowed",
        'FROM base\nHEALTHCHECK CMD ["a"]\nUSER me\nHEALTHCHECK NONE\n',
        (2, 2),
        "Multiple HEALTHCHECK instructions should not be used in the same stage because only the"
        " last one will be used",
        "HEALTHCHECK",
    ),
    (
        "LegacyKeyValueFormat",
        "FROM base\nLABEL vendor me and you\n",
        (2, 2), '"LABEL key=value" should be used instead of legacy "LABEL key value" format',
        "vendor",
    ),
    (
        "RedundantTargetPlatform",
        "FROM --platform=${TARGETPLATFORM} base\n",
        (1, 1),
        "Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the"
        " default behavior",
        "${TARGETPLATFORM}",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM base\nENV GREETING=hello GITHUB_TOKEN=1234\n",
        (2, 2),
        'Do not use ARG or ENV instructions for sensitive data (ENV "GITHUB_TOKEN")',
        "GITHUB_TOKEN",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM base\nARG password\n",
        (2, 2), 'Do not use ARG or ENV instructions for sensitive data (ARG "password")',
        "password",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 base AS tools\n",
        (1, 1), 'FROM --platform flag should not use constant value "linux/amd64"', "linux/amd64",
    ),
    (
        "ExposeProtoCasing",
        "FROM base\nEXPOSE 53/UDP\n",
        (2, 2), "Defined protocol '53/UDP' in EXPOSE instruction should be lowercase", "UDP",
    ),
    (
        "ExposeInvalidFormat",
        "FROM base\nEXPOSE 127.0.0.1:80:8080\n",
        (2, 2),
        "EXPOSE instruction should not define an IP address or host-port mapping, found"
        " '127.0.0.1:80:8080'",
        "127.0.0.1:80:8080",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "lines", "detail", "token"), BAD)
def test_bad(rule: str, text: str, lines: tuple[int, int], detail: str, token: str) -> None:
    checked = lint(text)
    (finding,) = checked.findings
    assert checked.fault is None
    assert (finding.rule, finding.detail) == (rule, detail)
    assert (finding.start, finding.end) == lines
    printed = checked.text().split("\n")
    assert printed[0] == "Check complete, 1 warning has been found!"
    assert f"Dockerfile:{lines[0]}" in printed
    source = text.split("\n")
    for number in range(lines[0], lines[1] + 1):
        assert f"{number:4d} | >>> {source[number - 1]}" in printed
    carets = [(n, line) for n, line in enumerate(printed) if "^" in line]
    if not token:
        assert carets == []
        return
    ((place, caret),) = carets
    start = caret.index("^")
    assert caret[start:] == "^" * len(token)
    assert printed[place - 1][start : start + len(token)] == token


GOOD = [
    ("StageNameCasing", "FROM scratch AS tools\n"),
    ("FromAsCasing", "from scratch as a\nfrom scratch\n"),
    ("FromAsCasing", "FROM scratch AS a\n"),
    ("NoEmptyContinuation", "FROM base\nRUN true && \\\n# a comment is not empty\n  true\n"),
    ("ConsistentInstructionCasing", "arg x\nFROM base\nUSER me\n"),  # a global ARG does not count
    ("ConsistentInstructionCasing", "from base\nuser me\n"),
    ("DuplicateStageName", "FROM scratch AS one\nFROM scratch AS two\nFROM scratch\nFROM base\n"),
    ("ReservedStageName", "FROM scratch\n"),
    ("JSONArgsRecommended", 'FROM base\nCMD ["serve"]\nHEALTHCHECK CMD probe\n'),
    ("JSONArgsRecommended", 'FROM base AS a\nSHELL ["/bin/bash", "-c"]\nFROM a\nCMD serve\n'),
    ("MaintainerDeprecated", "FROM base\nLABEL maintainer=me\n"),
    ("UndefinedArgInFrom", "ARG NAME\nFROM ba${NAME:-se}\nFROM --platform=$BUILDPLATFORM base\n"),
    ("WorkdirRelativePath", "FROM base AS a\nWORKDIR /source\nFROM a\nWORKDIR more\n"),
    ("UndefinedVar", "FROM base AS a\nARG here\nFROM a\nCOPY $here $HOME/$PATH\nRUN echo $x\n"),
    ("UndefinedVar", "FROM base\nEXPOSE ${PORT:-80}\nCOPY <<'E' /x\n$literal\nE\n"),
    ("MultipleInstructionsDisallowed", 'FROM base AS a\nCMD ["x"]\nFROM a\nCMD ["y"]\n'),
    ("LegacyKeyValueFormat", 'FROM base\nENV a=b c="d e"\nLABEL x=y\n'),
    ("RedundantTargetPlatform", "FROM --platform=$BUILDPLATFORM base\n"),
    ("SecretsUsedInArgOrEnv", "ARG token\nFROM base\nENV PUBLIC_KEY=1 token_file=2 monkey=3\n"),
    ("InvalidDefaultArgInFrom", "ARG SUFFIX\nFROM base$SUFFIX\n"),
    ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 base AS for_amd64\n"),
    ("ExposeProtoCasing", "FROM base\nEXPOSE 53/udp 80 90-95/tcp\n"),
    ("ExposeInvalidFormat", "FROM base\nEXPOSE 8080\n"),
]


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_good(rule: str, text: str) -> None:
    checked = lint(text)
    assert checked.findings == ()
    assert checked.text() == "Check complete, no warnings found.\n"
    assert rule in RULES


def test_every_rule_is_tested() -> None:
    elsewhere = {
        "InvalidDefaultArgInFrom", "InvalidBaseImagePlatform", "CopyIgnoredFile",
        "InvalidDefinitionDescription",
    }  # fmt: skip
    assert len(RULES) == 22
    assert {case[0] for case in BAD} | elsewhere == set(RULES)


def test_a_default_that_names_no_image() -> None:
    (finding,) = lint("ARG VERSION\nFROM base:$VERSION\n", VERSION="1", images={"base:1": image()}
                      ).findings  # fmt: skip
    assert finding.rule == "InvalidDefaultArgInFrom"
    assert finding.detail == (
        "Default value for ARG base:$VERSION results in empty or invalid base image name"
    )
    assert (finding.start, finding.token) == (2, "base:$VERSION")


def test_an_image_of_another_platform() -> None:
    arm = image(architecture="arm64")
    (finding,) = lint("FROM board\nFROM base\n", images={"board": arm}).findings
    assert finding.rule == "InvalidBaseImagePlatform"
    assert finding.detail == (
        'Base image board was pulled with platform "linux/arm64", expected "linux/amd64" for'
        " current build"
    )
    assert finding.start == 1
    assert (
        "WARNING: InvalidBaseImagePlatform\n" in lint("FROM board\n", images={"board": arm}).text()
    )


@pytest.mark.parametrize(
    ("ignore", "line", "path"),
    [
        ("notes.txt\n", "COPY notes.txt /", "notes.txt"),
        ("notes.txt\n", "ADD ./notes.txt /", "notes.txt"),
        ("docs\n", "COPY docs/api/index.md /", "docs/api/index.md"),
        ("*.md\n", "COPY a.txt b.md /", "b.md"),
        ("*\n", "COPY . /", "."),
        ("# all\n**\n", "COPY / /", "/"),
    ],
)
def test_a_source_that_is_ignored(ignore: str, line: str, path: str) -> None:
    (finding,) = lint(f"FROM base\n{line}\n", ignore=ignore).findings
    verb = "Add" if line.startswith("ADD") else "Copy"
    assert finding.rule == "CopyIgnoredFile"
    assert finding.detail == f'Attempting to {verb} file "{path}" that is excluded by .dockerignore'
    assert finding.start == 2
    assert finding.token in line


@pytest.mark.parametrize(
    ("ignore", "line"),
    [
        ("notes.txt\n!notes.txt\n", "COPY notes.txt /"),
        ("*\n!src\n", "COPY . /"),  # with a pattern that takes back nobody can tell
        (".*\n", "COPY . /"),
        ("notes.txt\n", "COPY --from=base notes.txt /"),
        ("*\n", "ADD http://example.org/notes.txt /"),
        ("*\n", "COPY <<notes.txt /\ntext\nnotes.txt"),
        ("", "COPY notes.txt /"),
    ],
)
def test_a_source_that_is_not_ignored(ignore: str, line: str) -> None:
    assert lint(f"FROM base\n{line}\n", ignore=ignore).findings == ()


def test_descriptions_are_looked_at_only_when_asked() -> None:
    text = "# Bar is it\nARG foo=1\n# the tools\nFROM base AS tools\n# x\nARG one=1 two=2\n"
    assert lint(text).findings == ()
    asked = lint("# check=experimental=InvalidDefinitionDescription\n" + text).findings
    assert [(f.start, f.detail) for f in asked] == [
        (3, "Comment for ARG should follow the format: `# foo <description>`"),
        (5, "Comment for FROM should follow the format: `# tools <description>`"),
        (7, "Comment for ARG should follow the format: `# <arg_key> <description>`"),
    ]
    good = "# two is it\nARG one=1 two=2\n# tools of ours\nFROM base AS tools\n# x\n#\nARG a\n"
    assert lint("# check=experimental=all\n" + good).findings == ()


def test_names_of_variables_come_from_images_and_arguments() -> None:
    text = (
        "FROM base\nARG A=1 B=$A C=$D\nENV X=$A Y=$HOME Z=$TARGETARCH\n"
        "RUN --mount=target=/$M true\n"
    )
    found = lint(text).findings
    assert [(f.start, f.token) for f in found] == [(2, "D"), (3, "TARGETARCH"), (4, "M")]
    assert lint("FROM base\nARG C=$D\n", C="given").findings == ()
    assert lint("FROM base\nARG TARGETARCH\nENV Z=$TARGETARCH\n").findings == ()


def test_triggers_of_a_base_are_looked_at_where_they_are_executed() -> None:
    base = image(OnBuild=["CMD serve", "COPY $gone /"])
    found = lint('FROM scratch AS x\nFROM trigger\nCMD ["a"]\n', images={"trigger": base}).findings
    assert [(f.rule, f.start) for f in found] == [
        ("JSONArgsRecommended", 2), ("UndefinedVar", 2), ("MultipleInstructionsDisallowed", 2),
    ]  # fmt: skip
    own = lint("FROM scratch AS a\nONBUILD ENV k v\nFROM a\nUSER me\n").findings
    assert [(f.rule, f.start) for f in own] == [("LegacyKeyValueFormat", 3)]


def test_a_stage_nobody_needs_is_looked_at_unless_there_is_a_target() -> None:
    text = (
        "FROM base AS spare\nENV a b\nFROM base AS used\nENV c d\nFROM base\nCOPY --from=used / /\n"
    )
    assert [f.start for f in lint(text).findings] == [2, 4]
    assert [f.start for f in lint(text, target="").findings] == [4]
    assert [f.start for f in lint(text, target="spare").findings] == [2]


BROKEN = "FROM scratch as tools\nMAINTAINER me\nCMD serve\n"


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("# check=skip=all\n", []),
        ("# check=skip=FromAsCasing,MaintainerDeprecated\n", ["JSONArgsRecommended"]),
        ("#CHECK=skip=JSONArgsRecommended;error=true\n", ["FromAsCasing", "MaintainerDeprecated"]),
        ("", ["FromAsCasing", "MaintainerDeprecated", "JSONArgsRecommended"]),
    ],
)
def test_the_directive(directive: str, rules: list[str]) -> None:
    assert [finding.rule for finding in lint(directive + BROKEN).findings] == rules


def test_the_build_argument_stands_in_for_the_directive() -> None:
    text = "# check=skip=all\n" + BROKEN
    found = lint(text, BUILDKIT_DOCKERFILE_CHECK="skip=FromAsCasing").findings
    assert [finding.rule for finding in found] == ["MaintainerDeprecated", "JSONArgsRecommended"]


def test_a_comment_skips_for_one_instruction() -> None:
    text = "FROM base\n# check=skip=LegacyKeyValueFormat // we know\nENV a b\nENV c d\n"
    assert [finding.start for finding in lint(text).findings] == [4]
    text = "FROM base\n# check=nonsense\nENV a b\n# check=skip=all\nMAINTAINER me\n"
    assert [finding.start for finding in lint(text).findings] == [3]


@pytest.mark.parametrize("value", ["skip", "error=maybe", "drop=all", "skip=a;error"])
def test_a_directive_nobody_understands(value: str) -> None:
    fault = lint(f"# check={value}\nFROM base\n").fault
    assert "failed to parse check options" in str(fault)
    assert getattr(fault, "line", 0) == 1


def test_what_was_found_before_a_fault_is_told() -> None:
    checked = lint("FROM scratch AS Tools\nMAINTAINER me\nFETCH x\nMAINTAINER you\n")
    assert [f.rule for f in checked.findings] == ["StageNameCasing", "MaintainerDeprecated"]
    assert "unknown instruction: FETCH" in str(checked.fault)
    checked = lint("FROM base\nUSER ${name:?is needed}\nCMD serve\n")
    assert [f.rule for f in checked.findings] == ["UndefinedVar"]
    assert "name: is needed" in str(checked.fault)
    checked = lint("FROM base\nARG shell=${option:zsh}\n")
    assert [f.rule for f in checked.findings] == ["UndefinedVar"]
    for taking in ("COPY --from=gone / /", "RUN --mount=from=gone,target=/x true"):
        checked = lint(f"FROM scratch as a\nFROM base\nENV x y\n{taking}\n")
        assert [f.rule for f in checked.findings] == ["FromAsCasing"]
        assert "No such image: gone" in str(checked.fault)
    checked = lint("FROM scratch AS a\nFROM scratch\nCOPY --from=base / /\nCOPY --from=A / /\n")
    assert checked.clean
    checked = lint("FROM scratch as a\nFROM gone\n")
    assert [f.rule for f in checked.findings] == ["FromAsCasing"]
    assert "No such image: gone" in str(checked.fault)
