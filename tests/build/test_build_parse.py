"""The language: lines, words, instructions, errors that show their place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobako.build.dockerfile import DockerfileError, parse
from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.duration import parse_duration
from kobako.build.dockerfile.mounts import MountFlag, parse_mount, parse_size
from kobako.build.dockerfile.parse import parse_trigger
from kobako.build.dockerfile.source import Problem, Range, Source


def body(text: str) -> tuple[i.Instruction, ...]:
    return parse("FROM x\n" + text).stages[0].instructions


def one(text: str) -> i.Instruction:
    found = body(text)
    assert len(found) == 1
    return found[0]


def run(text: str) -> i.CommandLine:
    found = one(text)
    assert isinstance(found, i.Run)
    return found.command


def test_lines_carry_their_range() -> None:
    found = parse("\n# c\nFROM x\n\nRUN a \\\n  # inside\n\n  b\nENV A=1").stages[0]
    assert found.start.where == Range(3, 3)
    assert [x.where for x in found.instructions] == [Range(5, 8), Range(9, 9)]
    assert found.instructions[0].text == "RUN a   b"


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("RUN a\\\nb", "ab"),
        ("RUN a \\  \nb", "a b"),
        ("RUN a \\\n# comment\n  # more\nb", "a b"),
        ("RUN a \\\n\n\nb", "a b"),
        ("RUN a \\", "a"),
        ("RUN a \\\r\nb\r\n", "a b"),
        ("RUN a \\\\\n", "a \\\\"),
        ("  RUN\ta", "a"),
        ("run a # not a comment", "a # not a comment"),
    ],
)
def test_continuations_and_comments(text: str, joined: str) -> None:
    assert run(text).args == (joined,)


def test_empty_continuation_lines_warn() -> None:
    assert [line for line, _ in parse("FROM x\nRUN a \\\n\nb\n").warnings] == [4]


def test_escape_directive() -> None:
    found = parse("# escape=`\nFROM x\nRUN a `\n  b\\\nENV A=`$B\n")
    assert found.directives.escape == "`"
    assert [x.text for x in found.stages[0].instructions] == ["RUN a   b\\", "ENV A=`$B"]


@pytest.mark.parametrize(
    ("text", "syntax", "escape", "check"),
    [
        ("# syntax=docker/dockerfile:1\n# escape=`\n", "docker/dockerfile:1", "`", ""),
        ("#Syntax = a\n#CHECK=skip=all;error=true\n", "a", "\\", "skip=all;error=true"),
        ("# a comment ends them\n# escape=`\n", "", "\\", ""),
        ("\n# escape=`\n", "", "\\", ""),
        ("# unknown=1\n# escape=`\n", "", "\\", ""),
        ("\ufeff# escape=`\n", "", "`", ""),
    ],
)
def test_directives(text: str, syntax: str, escape: str, check: str) -> None:
    found = parse(text + "FROM x\n").directives
    assert (found.syntax, found.escape, found.check) == (syntax, escape, check)


def test_heredocs() -> None:
    found = run('RUN <<EOF cat <<-"TWO" 3<<T\\3\na\n\tb\nEOF\n\tc\n\tTWO\nd $x\nT3\n')
    assert [(h.name, h.content, h.text, h.expand, h.chomp) for h in found.heredocs] == [
        ("EOF", "a\n\tb\n", "a\n\tb\n", True, False),
        ("TWO", "\tc\n", "c\n", False, True),
        ("T3", "d $x\n", "d $x\n", True, False),
    ]
    copy = one("COPY --chmod=600 <<a <<b c /d/\n1\na\n2\nb\n")
    assert isinstance(copy, i.Copy)
    assert (copy.sources, copy.destination) == (("c",), "/d/")
    assert [h.content for h in copy.contents] == ["1\n", "2\n"]
    assert run("RUN cat <<<word").heredocs == ()
    assert run("RUN echo $((1<<2))").heredocs == ()
    assert run("RUN echo '<<EOF'").heredocs == ()
    assert run('RUN ["cat", "<<EOF"]').heredocs == ()
    assert one("ENV A=<<EOF").where == Range(2, 2)
    trigger = one("ONBUILD RUN <<EOF\nx\nEOF")
    assert isinstance(trigger, i.Onbuild)
    assert trigger.expression == "RUN <<EOF\nx\nEOF"


def test_json_and_shell_forms() -> None:
    assert run('RUN ["a", "b c"]') == i.CommandLine(("a", "b c"), False)
    assert run("RUN ['a']") == i.CommandLine(("['a']",), True)
    assert run('RUN ["a", ]') == i.CommandLine(('["a", ]',), True)
    assert run('RUN [ "a\\u00e9" ]').args == ("aé",)
    copy = one('COPY ["a b", "c", "/d e/"]')
    assert isinstance(copy, i.Copy)
    assert (copy.sources, copy.destination) == (("a b", "c"), "/d e/")


def test_flags() -> None:
    copy = one(
        "COPY --from=b --chown=a:b --chmod=u+x --link --parents=false"
        " --exclude=x --exclude=y -- a /b"
    )
    assert isinstance(copy, i.Copy)
    assert (copy.from_, copy.chown, copy.chmod, copy.link, copy.parents) == (
        "b", "a:b", "u+x", True, False,
    )  # fmt: skip
    assert (copy.exclude, copy.sources) == (("x", "y"), ("a",))
    add = one("ADD --keep-git-dir --checksum=sha256:0 --unpack=false a /b")
    assert isinstance(add, i.Add)
    assert (add.keep_git_dir, add.checksum, add.unpack) == (True, "sha256:0", False)
    found = one('RUN --mount=type=bind,source="a b" --network=none --security=insecure x')
    assert isinstance(found, i.Run)
    assert (found.mounts, found.network, found.security) == (
        ("type=bind,source=a b",), "none", "insecure",
    )  # fmt: skip
    stage = parse("FROM --platform=$BUILDPLATFORM x AS Y\n").stages[0]
    assert (stage.start.platform, stage.name) == ("$BUILDPLATFORM", "y")


def test_pairs() -> None:
    env = one("ENV A=1 B='x y' C=\"p q\" D=e\\ f")
    assert isinstance(env, i.Env)
    assert [(p.name, p.value, p.legacy) for p in env.pairs] == [
        ("A", "1", False), ("B", "'x y'", False), ("C", '"p q"', False), ("D", "e\\ f", False),
    ]  # fmt: skip
    legacy = one("ENV A  b = c")
    assert isinstance(legacy, i.Env)
    assert legacy.pairs == (i.Pair("A", "b = c", True),)
    arg = one("ARG A B=1 C=")
    assert isinstance(arg, i.Arg)
    assert arg.pairs == (("A", None), ("B", "1"), ("C", ""))


def test_healthcheck() -> None:
    found = one("HEALTHCHECK --interval=1m30s --start-interval=1.5s --retries=2 CMD curl x")
    assert isinstance(found, i.Healthcheck)
    assert (found.interval, found.start_interval, found.retries) == (90 * 10**9, 1500 * 10**6, 2)
    assert found.command == i.CommandLine(("curl x",), True)
    none = one("HEALTHCHECK none")
    assert isinstance(none, i.Healthcheck) and none.command is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "file with no instructions"),
        ("# x\n", 1, "file with no instructions"),
        ("FROM x\n\nRUUN a\n", 3, "unknown instruction: RUUN (did you mean RUN?)"),
        ("RUN a\nFROM x\n", 1, "no build stage in current context"),
        ("ARG A\n", 1, "dockerfile contains no stages to build"),
        ("FROM\n", 1, "FROM requires either one or three arguments"),
        ("FROM a b\n", 1, "FROM requires either one or three arguments"),
        ("FROM a AS 1b\n", 1, 'invalid name for build stage: "1b"'),
        ("FROM x\nCOPY a\n", 2, "COPY requires at least two arguments, but only 1 was provided"),
        ("FROM x\nCOPY --user=me a b\n", 2, "unknown flag: --user"),
        ("FROM x\nCOPY --form=a b c\n", 2, "unknown flag: --form (did you mean from?)"),
        ("FROM x\nCOPY --from a b\n", 2, "missing a value on flag: --from"),
        ("FROM x\nCOPY --chmod=1 --chmod=2 a b\n", 2, "duplicate flag specified: --chmod"),
        ("FROM x\nCOPY --link=maybe a b\n", 2, "expecting boolean value for flag --link"),
        ("FROM x\nCOPY --from=$a b c\n", 2, "variable expansion is not supported for --from"),
        ("FROM x\nENV A\n", 2, "ENV must have two arguments"),
        ("FROM x\nENV A=1 B\n", 2, "can't find = in \"B\""),
        ("FROM x\nLABEL\n", 2, "LABEL requires at least one argument"),
        ("FROM x\nARG =1\n", 2, "ARG names can not be blank"),
        ('FROM x\nCMD [1]\n', 2, "arrays must be comprised of strings only"),
        ("FROM x\nSHELL sh -c\n", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM x\nSHELL []\n", 2, "SHELL requires at least one argument"),
        ("FROM x\nRUN a <<EOF\nb\n", 2, "unterminated heredoc"),
        ("FROM x\nONBUILD FROM y\n", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM x\nONBUILD ONBUILD RUN y\n", 2, "Chaining ONBUILD"),
        ("FROM x\nHEALTHCHECK CMD\n", 2, "Missing command after HEALTHCHECK CMD"),
        ("FROM x\nHEALTHCHECK --interval=5 CMD x\n", 2, "missing unit in duration"),
        ("FROM x\nHEALTHCHECK --retries=-1 CMD x\n", 2, "--retries cannot be negative"),
        ("FROM x\nHEALTHCHECK what\n", 2, 'Unknown type "WHAT" in HEALTHCHECK'),
        ("FROM x\nRUN --network=bad x\n", 2, 'network mode "bad" is not supported'),
        ("FROM x\nUSER\n", 2, "USER requires exactly one argument"),
        ("FROM x\nVOLUME [\"\"]\n", 2, "VOLUME specified can not be an empty string"),
        ("# escape=x\nFROM x\n", 1, "invalid escape token 'x'"),
        ("# escape=`\n# escape=`\nFROM x\n", 2, "only one escape parser directive"),
    ],
)  # fmt: skip
def test_errors_name_line_and_fault(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert caught.value.line == line
    assert message in str(caught.value)
    assert f"Dockerfile:{line}" in caught.value.excerpt


def test_a_line_that_is_no_instruction_is_told_as_the_reference_does() -> None:
    for text, message in (
        ("FROM x\nRUUN a\n", "dockerfile parse error on line 2: unknown instruction: RUUN (did"),
        ("FROM x\nCOPY a\n", "dockerfile parse error on line 2: COPY requires at least two"),
        ("FROM x\nENV A\n", "ENV must have two arguments"),
        ("RUN a\nFROM x\n", "no build stage in current context"),
    ):
        with pytest.raises(DockerfileError) as caught:
            parse(text)
        assert str(caught.value).startswith(message)


def test_the_excerpt_points_at_the_word() -> None:
    with pytest.raises(DockerfileError) as caught:
        parse("FROM x\n\nCOPY --form=a b c\nRUN x\n", "sub/Dockerfile")
    assert caught.value.excerpt.split("\n") == [
        "sub/Dockerfile:3",
        "--------------------",
        "   1 |     FROM x",
        "   2 |",
        "   3 | >>> COPY --form=a b c",
        "     |          ^^^^^^",
        "   4 |     RUN x",
        "--------------------",
    ]


def test_durations() -> None:
    assert parse_duration("1h2m3.5s") == 3723_500_000_000
    assert parse_duration("100ms") == 100_000_000
    assert parse_duration("-1.5h") == -5400 * 10**9
    assert parse_duration("0") == 0
    for wrong in ("", "1", "s", "1x", "1.2.3s", ".s", "1h-2m", "99999999999h"):
        with pytest.raises(Problem):
            parse_duration(wrong)


def test_mounts() -> None:
    def same(text: str) -> str:
        return text

    assert parse_mount("target=/x", same) == MountFlag(target="/x", readonly=True)
    assert parse_mount("type=cache,dst=/x,sharing=locked,uid=5,mode=0700", same) == MountFlag(
        type="cache", target="/x", sharing="locked", uid=5, mode=0o700
    )
    assert parse_mount("type=bind,from=a,src=/s,target=/x,rw", same).readonly is False
    assert parse_mount("type=tmpfs,target=/x,size=10M", same).size == 10 << 20
    assert parse_mount('type=secret,id=a,required,env=B,"target=/x,y"', same) == MountFlag(
        type="secret", id="a", required=True, env="B", target="/x,y", readonly=True
    )
    for wrong, message in (
        ("type=nope,target=/x", "unsupported mount type"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,mode=1", 'mode not allowed for "bind" type mounts'),
        ("type=secret", "one of source, target required"),
        ("type=bind,targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
        ("type=cache,target=/x,sharing=some", "unsupported sharing value"),
        ('type=cache,"target=/x', 'missing "'),
    ):
        with pytest.raises(Problem) as caught:
            parse_mount(wrong, same)
        assert message in caught.value.message
    assert parse_size("1.5KiB") == 1536


_WORDS = st.sampled_from(
    "FROM RUN COPY ADD ENV ARG LABEL ONBUILD HEALTHCHECK SHELL CMD x a=b --from=a --mount=type=bind"
    " <<EOF <<-'E' EOF \\ \\\n \n # $a ${a:-b} [\"a\"] [ ' \" ` AS /./ \t \r -- = \x00 é".split(" ")
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_WORDS, max_size=30), st.sampled_from(["", "FROM x\n", "# escape=`\nFROM x\n"]))
def test_no_text_makes_the_parser_crash(words: list[str], start: str) -> None:
    text = start + " ".join(words)
    try:
        found = parse(text)
    except DockerfileError as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.excerpt
    else:
        last = 0
        for stage in found.stages:
            for instruction in (stage.start, *stage.instructions):
                assert last < instruction.where.start <= instruction.where.end
                last = instruction.where.end


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_garbage_makes_the_parser_crash(text: str) -> None:
    try:
        parse("FROM x\n" + text)
    except DockerfileError as error:
        assert error.line >= 1


def test_a_trigger_of_an_image_is_one_instruction_of_a_stage() -> None:
    source = Source("Dockerfile", "FROM base\n")
    for text, says in (("FROM x", "FROM isn't allowed"), ("ENV a=b\nENV c=d", "single expression")):
        with pytest.raises(DockerfileError, match=says):
            parse_trigger(text, Range(1, 1), source)
