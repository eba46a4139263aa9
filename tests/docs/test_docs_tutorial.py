"""The tutorial is typed into a terminal, command by command, and shows what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Terminal, blocks, check, commands, steps

PAGES = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (PAGES / name).read_text()


@pytest.mark.timeout(600)
def test_the_tutorial_as_typed(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.play(steps(page("tutorial.md")))
    left = [entry.name for entry in tmp_path.iterdir() if entry.name != "home"]
    assert left == []


def test_both_languages_have_the_same_blocks() -> None:
    english, japanese = page("tutorial.md"), page("tutorial.ja.md")
    assert commands(english) == commands(japanese)
    languages = ("console", "toml", "dockerfile", "bash", "sh", "")
    ours = [text for _, text in blocks(english, *languages)]
    assert ours == [text for _, text in blocks(japanese, *languages)]
    assert english.count("\n## ") == japanese.count("\n## ")


def test_every_block_is_a_console_block() -> None:
    for name in ("tutorial.md", "tutorial.ja.md"):
        assert len(list(blocks(page(name), "console"))) == page(name).count("\n```console\n")
        assert page(name).count("\n```") == 2 * page(name).count("\n```console\n")


def test_a_page_that_lies_is_noticed() -> None:
    [step] = steps("```console\n$ kobako ps\nCONTAINER ID\n```\n")
    check(step, "CONTAINER   ID\r\n")
    with pytest.raises(AssertionError, match="kobako ps"):
        check(step, "CONTAINER ID\r\ncf6ac8e06fd9\r\n")
