"""Several targets in one build: one graph, what they share is done once."""

from __future__ import annotations

import pytest
from building import Site

from kobako.build import progress
from kobako.build.dockerfile.source import StepFailed
from kobako.build.options import BuildOptions, Job
from kobako.oci import Platform

TWO = """\
FROM base AS common
RUN setup
FROM common AS a
RUN make-a
FROM common AS b
RUN make-b
COPY x /x
"""


def test_targets_of_one_file_share_their_steps_and_come_in_order(site: Site) -> None:
    site.base()
    site.write(x="x")
    jobs = [BuildOptions(dockerfile=TWO, target=t, labels=(("for", t),)) for t in ("b", "a")]
    b, a = site.build_all(*(Job(options) for options in jobs))
    assert sorted(line for line in site.worker.log if line.startswith("run")) == [
        "run make-a", "run make-b", "run setup",
    ]  # fmt: skip
    assert site.worker.log.count("resolve docker.io/library/base:latest") == 1
    assert "x" in site.tree(b) and "x" not in site.tree(a)
    assert a.config.config["Labels"] == {"for": "a"} and b.config.config["Labels"] == {"for": "b"}
    assert [step.text for step in a.steps] == [
        "FROM base AS common", "RUN setup", "FROM common AS a", "RUN make-a",
    ]  # fmt: skip
    starts = [e for e in site.events if isinstance(e, progress.StepStarted)]
    assert [s.number for s in starts] == list(range(1, 8)) and starts[0].total == 7


def test_two_platforms_do_a_step_that_is_the_same_for_both_once(site: Site) -> None:
    site.base()
    site.write(x="x")
    file = "FROM base\nARG TARGETARCH\nCOPY x /x\nRUN same\nRUN for-$TARGETARCH\n"
    platforms = [Platform.parse(name) for name in ("linux/amd64", "linux/arm64")]
    site.build_all(
        *(
            Job(BuildOptions(dockerfile=file, platform=platform), name=str(platform))
            for platform in platforms
        )
    )
    assert site.worker.log.count("change") == 1
    names = [e.name for e in site.events if isinstance(e, progress.VertexDone)]
    assert {f"[{platform} 2/4] COPY x /x" for platform in platforms} <= set(names)


def test_no_cache_is_a_matter_of_each_target(site: Site) -> None:
    site.base()
    jobs = [Job(BuildOptions(dockerfile=f"FROM base\nRUN {name}\n")) for name in ("one", "two")]
    site.build_all(*jobs)
    jobs[1] = Job(jobs[1].options.replace(no_cache=True))
    site.build_all(*jobs)
    assert [line for line in site.worker.log if line.startswith("run")] == ["run two"]


def test_a_failure_in_one_target_shows_its_own_file(site: Site) -> None:
    site.base()
    site.command("broken", lambda request, tree, out: 3)
    good = BuildOptions(dockerfile="FROM base\n", dockerfile_name="good")
    bad = BuildOptions(dockerfile="FROM base\n\nRUN broken\n", dockerfile_name="bad")
    with pytest.raises(StepFailed) as caught:
        site.build_all(Job(good), Job(bad))
    assert caught.value.line == 3 and "bad:3" in caught.value.excerpt


@pytest.mark.parametrize(
    ("place", "ran"), [("2", ["run setup"]), ("4", ["run make-a", "run setup"]), ("a", 2), ("3", 1)]
)
def test_a_build_that_stops_at_a_line_or_stage(
    site: Site, place: str, ran: list[str] | int
) -> None:
    site.base()
    site.write(x="x")
    site.build(TWO, stop_at=place)
    done = sorted(line for line in site.worker.log if line.startswith("run"))
    assert done == ran if isinstance(ran, list) else len(done) == ran
