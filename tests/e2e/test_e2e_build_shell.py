"""--on-error=shell and --stop-at, typed at a terminal."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest
from e2e_command import Kobako

DOCKERFILE = """\
FROM python AS builder
ARG VERSION=7
ENV MODE=fast
WORKDIR /work
RUN echo made > made
RUN --mount=type=secret,id=key --mount=type=cache,id=shell,target=/cache \\
    echo half > half; \\
    exit $VERSION
FROM python AS last
COPY --from=builder /work/half /
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "key").write_text("top secret")
    return tmp_path


def words(context: Path, *flags: str) -> tuple[str, ...]:
    secret = f"id=key,src={context}/key"
    return ("build", "--progress", "plain", "--secret", secret, *flags, str(context))


def ask(shell: pexpect.spawn[str], command: str, answer: str) -> None:
    shell.sendline(command)
    shell.expect(f"<{answer}>")


def scratches(kobako: Kobako) -> list[str]:
    return [p.name for p in (kobako.root / "scratch").iterdir()]


def test_a_shell_where_a_step_failed(kobako: Kobako, context: Path) -> None:
    shell = kobako.spawn(*words(context, "--on-error", "shell"))
    shell.expect("exit code: 7")
    shell.expect("leave it to end the build")
    ask(shell, "echo '<'$(cat made half)'>'", "made half")
    ask(shell, "echo '<'$PWD $MODE $VERSION'>'", "/work fast 7")
    ask(shell, "echo '<'$(cat /run/secrets/key)'>'", "top secret")
    ask(shell, "touch /cache/x && echo '<'ok'>'", "ok")
    ask(shell, "test -t 0 && stty size && echo '<'tty'>'", "tty")
    shell.sendline("exit 0")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 1
    assert scratches(kobako) == []


def test_the_step_failed_beside_another(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM python AS bad\nUSER 1234\n"
        "RUN mkdir -p /tmp/d; echo left > /tmp/d/f; sleep 1; exit 3\n"
        "FROM python AS slow\nRUN sleep 100\nFROM bad\nCOPY --from=slow /etc/hostname /x\n"
    )
    shell = kobako.spawn("build", "--on-error=shell", str(tmp_path))
    shell.expect("leave it to end the build")
    ask(shell, "echo '<'$(cat /tmp/d/f) $(id -u)'>'", "left 1234")
    shell.sendeof()
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 1
    assert scratches(kobako) == []


def test_a_failed_copy_shows_what_is_below_it(kobako: Kobako, tmp_path: Path) -> None:
    text = "FROM python\nRUN echo 1 > /one\nCOPY --from=python /missing /\n"
    (tmp_path / "Dockerfile").write_text(text)
    shell = kobako.spawn("build", "--on-error=shell", str(tmp_path))
    shell.expect("leave it to end the build")
    ask(shell, "echo '<'$(cat /one)'>'", "1")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)


def test_without_a_terminal_it_fails_as_ever(kobako: Kobako, context: Path) -> None:
    failed = kobako.fails(*words(context, "--on-error=shell"), says="exit code: 7")
    assert "there is no terminal" in failed.err
    assert "   6 | >>> RUN --mount=type=secret" in failed.err
    kobako.fails(*words(context, "--stop-at", "5"), says="there is no terminal")
    assert scratches(kobako) == []


@pytest.mark.parametrize(
    ("at", "command", "answer"),
    [
        ("5", "cat made; echo $VERSION; ls", "made 7 made"),
        ("4", "pwd; ls | wc -l", "/work 0"),
        ("2", "echo $VERSION; ls /work 2>/dev/null | wc -l", "7 0"),
        ("last", "true", ""),
    ],
)
def test_stopping_at(kobako: Kobako, tmp_path: Path, at: str, command: str, answer: str) -> None:
    text = DOCKERFILE.replace("exit $VERSION", "true") if at == "last" else DOCKERFILE
    (tmp_path / "Dockerfile").write_text(text)
    (tmp_path / "key").write_text("k")
    shell = kobako.spawn(*words(tmp_path, "--stop-at", at))
    shell.expect("A shell after (line|stage) " + at)
    ask(shell, f"echo '<'$({command})'>'", answer)
    shell.sendline("exit 9")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 9
    assert scratches(kobako) == []


def test_places_that_are_none(kobako: Kobako, context: Path) -> None:
    for place, says in (
        ("100", "line 100 is after the last instruction"),
        ("nowhere", 'target stage "nowhere" could not be found'),
        ("0", "line 0 is before the first stage"),
    ):
        shell = kobako.spawn(*words(context, "--stop-at", place))
        shell.expect_exact(says)
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 1


def test_an_image_without_a_shell(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /\nRUN ["/nothing"]\n')
    shell = kobako.spawn("build", "--on-error=shell", str(tmp_path))
    shell.expect("cannot open a shell there")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus not in (0, None)
