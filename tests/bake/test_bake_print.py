"""What bake files say, target by target: `--print` against recorded documents, and `--list`."""

from __future__ import annotations

from pathlib import Path

import pytest
from bake_case import Case, read

from kobako.cli import bake, flags
from kobako.cli.context import Context

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))


def run(case: Case, *more: str) -> int:
    values, words = flags.parse(bake.COMMAND, [*more, *case.words])
    return bake.main(Context({"HOME": "/home/someone", **case.environ}), values, words)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_targets_are_those_recorded(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = read(path)
    case.lay(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert case.expected and run(case, "--print") == 0
    assert capsys.readouterr().out == case.expected


LISTED = """
variable "TAG" {
  default     = "latest"
  description = "which one"
}
variable "PORTS" {
  type    = list(number)
  default = [80, 443]
}
variable "NOTHING" { default = null }
group "all" {
  description = "everything"
  targets     = ["b", "a"]
}
target "a" { description = "the first" }
target "b" {}
target "_private" {}
"""


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (
            "targets",
            "TARGET\tDESCRIPTION\na\tthe first\nall\teverything (a, b)\nb\t\n",
        ),
        (
            "variables",
            "VARIABLE\tTYPE\t\tVALUE\t\tDESCRIPTION\n"
            "NOTHING\t\t\t\t<null>\t\t\n"
            "PORTS\t\tlist of number\t[80,443]\t\n"
            "TAG\t\t\t\tlatest\t\twhich one\n",
        ),
        (
            "type=targets,format=json",
            '[\n  {\n    "name": "a",\n    "description": "the first"\n  },\n'
            '  {\n    "name": "all",\n    "description": "everything (a, b)",\n'
            '    "group": true\n  },\n  {\n    "name": "b"\n  }\n]\n',
        ),
    ],
)
def test_lists(
    asked: str,
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "docker-bake.hcl").write_text(LISTED)
    monkeypatch.chdir(tmp_path)
    assert run(Case("", ""), f"--list={asked}") == 0
    assert capsys.readouterr().out == shown


def test_what_has_no_meaning_is_told_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "default" {\n  contxt = "x"\n}\n')
    monkeypatch.chdir(tmp_path)
    assert run(Case("", ""), "--print") == 0
    shown = capsys.readouterr()
    assert 'docker-bake.hcl:2: target "default" knows no contxt; ignored' in shown.err
    assert 'Did you mean "context"?' in shown.err and '"context": "."' in shown.out
