"""`build --check` and `--call`, as buildx has them."""

from __future__ import annotations

import json
from pathlib import Path

from e2e_command import Kobako
from e2e_registry import HubServer

BROKEN = "FROM python\nMAINTAINER me\nCMD echo hello\n"


def test_check(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(BROKEN)
    done = kobako.attempt("build", "--check", str(tmp_path))
    assert done.code == 1
    assert done.lines[0] == "Check complete, 2 warnings have been found!"
    assert (
        "WARNING: JSONArgsRecommended - "
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/" in done.lines
    )
    at = done.lines.index("   3 | >>> CMD echo hello")
    assert done.lines[at + 1] == "     |         ^^^^^^^^^^"
    found = kobako.attempt("build", "--call=check,format=json", str(tmp_path))
    assert found.code == 1
    assert [w["ruleName"] for w in json.loads(found.raw)["warnings"]] == [
        "MaintainerDeprecated", "JSONArgsRecommended",
    ]  # fmt: skip
    assert kobako("build", "--call=check,ignorestatus=true", str(tmp_path)).code == 0
    (tmp_path / "Dockerfile").write_text("FROM python\nUSER nobody\n")
    assert kobako("build", "--check", str(tmp_path)).out == "Check complete, no warnings found."
    (tmp_path / "Dockerfile").write_text("FROM python as a\nFETCH x\n")
    done = kobako.attempt("build", "--check", str(tmp_path))
    assert done.code == 1
    assert "FromAsCasing" in done.out
    assert "Error: dockerfile parse error on line 2: unknown instruction: FETCH" in done.err


def test_a_build_ends_with_its_warnings(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(BROKEN)
    told = [
        "",
        " 2 warnings found (use --check to expand):",
        " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"
        " (line 2)",
        " - JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior"
        " related to OS signals (line 3)",
    ]
    for _ in range(2):  # a cached build tells them too
        shown = kobako("build", "--progress=plain", str(tmp_path)).err.splitlines()
        assert shown[-len(told) :] == told
    assert kobako("build", "--progress=classic", str(tmp_path)).err == ""
    assert kobako("build", "-q", str(tmp_path)).err == ""
    (tmp_path / "Dockerfile").write_text("# check=error=true\n" + BROKEN)
    done = kobako.attempt("build", str(tmp_path))
    assert done.code == 1
    assert "violation found for rules: JSONArgsRecommended, MaintainerDeprecated" in done.err
    assert kobako.attempt("build", "--call=outline", str(tmp_path)).code == 1
    words = ("build", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all", str(tmp_path))
    assert kobako(*words).err == ""
    (tmp_path / "Dockerfile").write_text("FROM python\nMAINTAINER me\nFROM $NOPE\n")
    done = kobako.attempt("build", "--progress=plain", str(tmp_path))
    assert done.code == 1
    assert "Error: base name ($NOPE) should not be blank" in done.err
    assert " - MaintainerDeprecated: " in done.err
    (tmp_path / "Dockerfile").write_text(BROKEN + "RUN exit 3\n")
    done = kobako.attempt("build", "--progress=plain", str(tmp_path))  # and one that fails
    assert done.err.index(told[1]) < done.err.index("Error: ")


def test_outline_and_targets(kobako: Kobako, tmp_path: Path) -> None:
    text = "# tools to build with\nFROM python AS tools\nARG LEVEL=2\nFROM tools\n"
    (tmp_path / "Dockerfile").write_text(text)
    assert kobako("build", "--call=targets", str(tmp_path)).lines == [
        "TARGET    DESCRIPTION", "tools     to build with", "(default) ",
    ]  # fmt: skip
    assert "LEVEL       2" in kobako("build", "--call", "outline", str(tmp_path)).out
    names = json.loads(kobako("build", "--call=targets,format=json", str(tmp_path)).raw)
    assert names["targets"][0]["name"] == "tools"
    kobako.fails("build", "--call=dance", str(tmp_path), code=1, says="no such method")


def test_of_a_base_only_the_config_is_fetched(
    kobako: Kobako, elsewhere: Kobako, open_hub: HubServer, tmp_path: Path
) -> None:
    name = f"{open_hub.address}/checks/base"
    (tmp_path / "Dockerfile").write_text('FROM python\nSHELL ["/bin/bash", "-c"]\n')
    kobako("build", "-t", name, str(tmp_path))
    kobako("push", name)
    (tmp_path / "Dockerfile").write_text(f"FROM {name}\nCMD echo hello\nENV A=$GONE\n")
    done = elsewhere.attempt("build", "--check", str(tmp_path))
    assert "1 warning has been found" in done.out  # the base's SHELL was heeded
    assert "UndefinedVar" in done.out
    assert elsewhere("images", "-q").out == ""
    layers = list((elsewhere.root / "layers").glob("*/*")) if elsewhere.root.exists() else []
    assert layers == []


def test_named_contexts_stand_in_for_bases(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM thing\nENV A=$PATH B=$HOME_OF_IT\n")
    for context in ("docker-image://python", str(tmp_path)):
        words = ("build", "--check", "--build-context", f"thing={context}", str(tmp_path))
        done = kobako.attempt(*words)
        assert "1 warning has been found" in done.out
        assert "'$HOME_OF_IT'" in done.out
