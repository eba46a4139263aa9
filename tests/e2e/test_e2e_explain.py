"""build --explain, with a real store and real steps."""

from __future__ import annotations

from pathlib import Path

from e2e_command import Kobako

DOCKERFILE = """\
FROM python AS builder
ARG VERSION=1
COPY src /src
RUN cat /src/app.py > /built && echo $VERSION >> /built
FROM python
COPY --from=builder /built /built
"""


def test_why_steps_ran(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("one")

    def explained(*flags: str) -> list[str]:
        said = kobako("build", "-q", "--explain", *flags, str(tmp_path)).err
        return [line for line in said.splitlines() if line]

    first = explained()
    assert first[0] == "[builder 2/3] COPY src /src: ran because no earlier build is known"
    assert explained() == ["Every step was in the cache."]
    (tmp_path / "src" / "app.py").write_text("two")
    changed = explained()
    assert changed[0] == "[builder 2/3] COPY src /src: ran because src/app.py changed"
    assert changed[1].endswith(": ran because the step before it ran")
    assert changed[2].startswith("[stage-1 2/2] COPY --from=builder /built /built: ran because")
    argument = explained("--build-arg", "VERSION=2")
    assert argument[0].endswith("ran because ARG VERSION changed: 1 -> 2")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("cat /src", "cat < /src"))
    assert "the instruction changed, it was: RUN cat /src/app.py" in explained()[0]
