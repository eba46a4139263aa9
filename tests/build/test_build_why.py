"""--explain: what every step that runs is said to have run for."""

from __future__ import annotations

import pytest
from building import Site

from kobako.build import progress
from kobako.build.dockerfile.source import StepFailed

FILE = """\
FROM base AS builder
ARG VERSION=1
COPY src /src
RUN make $VERSION
FROM base
COPY --from=builder /src/app.py /app/
WORKDIR /work
RUN finish
"""


def reasons(site: Site, text: str = FILE, **options: object) -> dict[str, str]:
    """Reasons by the beginning of the instruction."""
    site.build(text, explain=True, **options)
    return found(site)


def found(site: Site) -> dict[str, str]:
    events = [e for e in site.events if isinstance(e, progress.Explained)]
    return {" ".join(e.name.partition("] ")[2].split()[:2]): e.reason for e in events}


@pytest.fixture
def built(site: Site) -> Site:
    site.base("base")
    site.put({"src/app.py": "1", "src/a": "a", "src/b": "b"})
    assert set(reasons(site).values()) == {"no earlier build is known"}
    assert reasons(site) == {}
    return site


def test_a_file_that_changed_is_named(built: Site) -> None:
    built.put({"src/app.py": "2"})
    assert reasons(built) == {
        "COPY src": "src/app.py changed",
        "RUN make": "the step before it ran",
        "COPY --from=builder": "what it takes files from changed: [builder 3/3] RUN make 1",
        "WORKDIR /work": "the step before it ran",
        "RUN finish": "the step before it ran",
    }


def test_several_files(built: Site) -> None:
    (built.context / "src/a").unlink()
    (built.context / "src/b").chmod(0o755)
    built.put({"src/new": "x"})
    assert reasons(built)["COPY src"] == "src/a is gone (and 2 more)"
    built.put({"src/new": "y"})
    assert reasons(built)["COPY src"] == "src/new changed"


def test_one_of_many_files(site: Site) -> None:
    site.put({f"d/f{n}": f"{n}" for n in range(200)})
    text = "FROM scratch\nCOPY . /\n"
    reasons(site, text)
    site.put({"d/f77": "changed"})
    assert reasons(site, text) == {"COPY .": "d/f77 changed"}


def test_arguments_and_environment(built: Site) -> None:
    ran = reasons(built, build_args=(("VERSION", "2"),))
    assert ran == {"RUN make": "ARG VERSION changed: 1 -> 2"}
    with_env = FILE.replace("WORKDIR", "ENV MODE=fast TOKEN=abc\nWORKDIR")
    changed = {"RUN finish": "ENV MODE is new (and 1 more)"}
    assert reasons(built, with_env, build_args=(("VERSION", "2"),)) == changed
    hidden = with_env.replace("abc", "def")
    assert reasons(built, hidden, build_args=(("VERSION", "2"),)) == {
        "RUN finish": "ENV TOKEN changed"
    }


def test_instructions(built: Site) -> None:
    assert reasons(built, FILE.replace("RUN finish", "RUN finish --well")) == {
        "RUN finish": "the instruction changed, it was: RUN finish"
    }
    assert reasons(built, FILE.replace("WORKDIR", "RUN new\nWORKDIR")) == {
        "RUN new": "the instruction is new"
    }
    user = reasons(built, FILE.replace("RUN finish", "USER 7\nRUN finish"))
    assert user == {"RUN finish": "USER changed: none -> 7"}


def test_bases_caches_and_failures(built: Site) -> None:
    built.base("other", {"etc/hostname": "other"})
    ran = reasons(built, FILE.replace("FROM base\n", "FROM other\n"))
    assert ran["COPY --from=builder"].startswith("the base image changed: docker.io/library/base")
    assert reasons(built, no_cache_filter=("builder",))["RUN make"] == (
        "the cache is not to be used for it"
    )
    reasons(built)
    built.cache.rows = {k: v for k, v in built.cache.rows.items() if len(k) != 64 or "stages" in v}
    assert reasons(built)["COPY src"] == "its result is no longer in the cache"
    broken = FILE.replace("RUN finish", "RUN broken")
    built.command("broken", lambda *_: 1)
    for reason in ("the instruction changed, it was: RUN finish", "it failed the last time"):
        with pytest.raises(StepFailed):
            built.build(broken, explain=True)
        assert found(built) == {"RUN broken": reason}


def test_files_bound_into_a_run(site: Site) -> None:
    site.base()
    site.put({"d/x": "1", "d/y": "1"})
    text = "FROM base\nRUN --mount=type=bind,source=d,target=/d look\n"
    reasons(site, text)
    site.put({"d/y": "2"})
    assert list(reasons(site, text).values()) == ["d/y changed"]


def test_another_target_and_another_file_have_a_past_of_their_own(built: Site) -> None:
    built.put({"src/app.py": "2"})
    assert reasons(built, target="builder")["COPY src"] == "no earlier build is known"
    assert reasons(built, dockerfile_name="Other") != {}


def test_nothing_is_kept_or_looked_up_by_a_cached_build(built: Site) -> None:
    before = dict(built.cache.rows)
    built.build(FILE)
    assert built.cache.rows == before
