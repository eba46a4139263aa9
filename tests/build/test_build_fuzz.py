"""Whatever a Dockerfile says, a build ends with an image or with an error that names a line."""

from __future__ import annotations

from pathlib import Path

from building import Site
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobako.build.dockerfile import DockerfileError, NotYet, StepFailed

_ARGUMENTS = st.sampled_from(
    [
        "a", "/", ".", "..", "d/*", "[", "a b /x/", "a /x", "d /y/", "--chown=1:2 a /z",
        "--chown=x a /z", "--chmod=9 a /z", "--chmod=u+x a /z", "--from=0 /a /b", "--from=7 a /",
        "--from=base / /all/", "--parents **/f /p/", "--exclude=[ d /e", "$A ${B:-x}", "${", "A=1",
        "A=$A", '["a", "/q"]', "[1]", "x=${y:?z}", "--mount=type=cache,target=/c true",
        "--mount=target=/ true", "--mount=type=bind,source=gone,target=/g true", "80 90-85", "80/x",
        "SIGTERM", "nobody", "\\", "'", '"', "RUN true", "COPY a /o", "NONE", "CMD true",
        "--interval=1h CMD x", "\udc80", "/\x00", "a /\x00", "a* /l/", "d /m",
        "<<E\nbody\nE", "<<E /h/\n$A\nE", '["a\\u0000", "/q"]', "a /" + "n" * 300,
    ]
)  # fmt: skip
_KEYWORDS = st.sampled_from(
    "RUN COPY COPY COPY ADD ENV ARG LABEL WORKDIR USER EXPOSE VOLUME CMD ENTRYPOINT SHELL"
    " STOPSIGNAL HEALTHCHECK ONBUILD MAINTAINER FROM".split()
)
_LINES = st.lists(st.tuples(_KEYWORDS, _ARGUMENTS), min_size=1, max_size=5)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["FROM base", "FROM scratch AS a"]), _LINES)
def test_a_build_ends_well_or_with_a_line(
    site: Site, start: str, lines: list[tuple[str, str]]
) -> None:
    if not (site.context / "a").exists():
        site.base("base", {"etc/passwd": "root:x:0:0::/:/bin/sh\n", "d/": ""})
        site.put({"a": "A", "d/f": "F", "d/g/h": "H", "d/l": "-> ../../../etc"})
    before = set(Path(site.context).parent.iterdir())
    text = start + "\n" + "\n".join(f"{keyword} {rest}" for keyword, rest in lines) + "\n"
    try:
        site.build(text)
    except (DockerfileError, NotYet, StepFailed) as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.excerpt
    assert set(Path(site.context).parent.iterdir()) == before
