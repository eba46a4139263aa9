"""Dockerfiles of thousands of instructions: the work grows with them, not with their square."""

from __future__ import annotations

import pytest
from building import Site

from kobako.build import progress
from kobako.build.result_image import Images
from kobako.build.stage_log import Settings
from kobako.errors import Invalid
from kobako.oci import ImageConfig

LINES = 3000


def test_the_work_grows_with_the_lines(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    applied, made = [], []
    apply, config = Settings.apply, Images._config

    def counted(self: Settings, change: tuple[str, str, object]) -> None:
        applied.append(change[0])
        apply(self, change)

    def seen(self: Images, step: object) -> ImageConfig:
        made.append(step)
        return config(self, step)  # type: ignore[arg-type]  # a step

    monkeypatch.setattr(Settings, "apply", counted)
    monkeypatch.setattr(Images, "_config", seen)
    site.base("base", Env=["PATH=/bin", "A0=base"])
    lines = [f"ENV A{n}=v{n}\nLABEL l{n}=v{n}\n" for n in range(LINES // 2)]
    result = site.build("FROM base\n" + "".join(lines))
    assert len(applied) < 5 * LINES
    assert len(made) < 5
    env = result.config.config["Env"]
    assert env[:2] == ["PATH=/bin", "A0=v0"] and env[-1] == f"A{LINES // 2 - 1}=v{LINES // 2 - 1}"
    assert len(env) == LINES // 2 + 1
    assert len(result.config.config["Labels"]) == LINES // 2
    assert len(result.config.history) == LINES + 1
    done = [e.image for e in site.events if isinstance(e, progress.StepDone)]
    assert len(set(done)) == LINES + 1
    assert done[-1] == result.config.digest


def test_every_step_keeps_its_own_config(site: Site) -> None:
    site.base("base")
    result = site.build(
        "FROM base AS a\nARG X=1\nENV A=1 B=$X\nEXPOSE 1\nONBUILD RUN true\nUSER u\n"
        "FROM a\nENV A=2\nEXPOSE 2\nUSER v\nENV A=3\nONBUILD RUN false\n"
    )
    assert result.plan is not None
    seen = [(s.config["Env"][1:], s.config.get("User"), s.config.get("ExposedPorts"))
            for s in result.plan.steps if not s.text.startswith("RUN")]  # fmt: skip
    assert seen == [
        ([], None, None),
        ([], None, None),
        (["A=1", "B=1"], None, None),
        (["A=1", "B=1"], None, {"1/tcp": {}}),
        (["A=1", "B=1"], None, {"1/tcp": {}}),
        (["A=1", "B=1"], "u", {"1/tcp": {}}),
        (["A=1", "B=1"], "u", {"1/tcp": {}}),
        (["A=2", "B=1"], "u", {"1/tcp": {}}),
        (["A=2", "B=1"], "u", {"1/tcp": {}, "2/tcp": {}}),
        (["A=2", "B=1"], "v", {"1/tcp": {}, "2/tcp": {}}),
        (["A=3", "B=1"], "v", {"1/tcp": {}, "2/tcp": {}}),
        (["A=3", "B=1"], "v", {"1/tcp": {}, "2/tcp": {}}),
    ]
    assert result.config.config["OnBuild"] == ["RUN false"]
    assert result.plan.steps[-1].environment[-3:] == ("X=1", "A=3", "B=1")


def test_stages_on_stages_on_stages(site: Site) -> None:
    site.base("base")
    stages = "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(1500))
    result = site.build("FROM base AS s0\nENV A=1\n" + stages)
    assert result.config.config["Env"][-1] == "A=1"
    assert len(result.config.history) == 2


def test_a_config_nobody_could_read_is_not_made(site: Site) -> None:
    site.base("base")
    with pytest.raises(Invalid, match=r"the config of the image has .* bytes: no image may have"):
        site.build("FROM base\n" + f"LABEL a={'x' * 60000}\n" * 80)
