"""Another user than root is refused what is not its own: the same by the real kernel (modes A and
B) and where users are emulated (mode C)."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_sources import Builder

SITE = """\
FROM python
RUN useradd -m -u 1000 -G staff app && mkdir -m 700 /srv/closed && echo x > /srv/closed/x \\
 && mkdir -m 711 /srv/blind && echo x > /srv/blind/x && mkdir -m 1777 /srv/sticky \\
 && touch /srv/sticky/roots && mkdir -m 2775 /srv/team && chgrp staff /srv/team \\
 && echo secret > /srv/secret && chmod 640 /srv/secret && cp /srv/secret /srv/teams \\
 && chgrp staff /srv/teams && install -d -o app /srv/mine && mkdir /srv/mine/roots \\
 && touch /srv/mine/roots/x /srv/mine/file && chmod 666 /srv/mine/roots/x \\
 && install -o app -m 044 /srv/secret /srv/mine/locked && ln -s /srv/closed/x /srv/link \\
 && install -m 744 /bin/true /srv/roots-program && printf '#!/bin/sh\\n' > /srv/no-program
"""

SCRIPT = """\
t() { if "$@" > /dev/null 2>&1; then echo "yes: $*"; else echo "no: $*"; fi; }
w() { if (: >> "$1") 2> /dev/null; then echo "yes: >> $1"; else echo "no: >> $1"; fi; }
t cat /etc/shadow; t cat /srv/secret; t cat /srv/teams; t cat /srv/mine/locked; t cat /etc/passwd
t cat /srv/closed/x; t cat /srv/link; t cat /srv/blind/x; t ls /srv/blind; t ls /root; t cd /root
t test -r /srv/secret; t test -w /etc/passwd; t test -w /srv/teams; t test -w /srv/team
t test -e /srv/closed/x; t test -w /tmp; t test -x /srv/roots-program; t test -w /
t touch /x; t mkdir /x; t ln -s a /x; t mkfifo /x; t touch /root/x; t touch /etc/passwd
w /etc/passwd; w /x; w /srv/mine/x; w /srv/mine/file; w /srv/mine/roots/x; w /tmp/x; w /dev/null
w /dev/x; w /dev/shm/x; w /srv/team/x; w /etc/hosts; w /proc/self/comm; w /proc/self/fd/1
t rm -f /srv/sticky/roots; t mv /srv/sticky/roots /srv/sticky/x; t rm -f /srv/mine/file
t rmdir /srv/mine/roots; t mv /etc/motd /tmp; t rm -f /etc/motd; t truncate -s 0 /etc/motd
t chmod 777 /srv/secret; t chmod 600 /srv/mine/x; t chown app /srv/secret; t chgrp staff /srv/mine/x
t touch -d @1 /srv/mine/roots/x; t touch /srv/teams; t touch -d @1 /srv/mine/x
t /srv/roots-program; t /srv/no-program; t setpriv --nnp true; t chroot / true
t sh -c 'cd /srv/mine && rm -f x && mkdir -p d/e && cp /etc/passwd d/e && mv d/e e && rm -r d e'
umask 002; w /srv/team/y; t mkdir /srv/team/d; stat -c '%n %U:%G %a' /srv/team/*
python3 -c 'import os; print(os.access("/etc/shadow", 4), os.access("/", 2), os.access("/tmp", 7))'
"""

SAID = """\
no: cat /etc/shadow
no: cat /srv/secret
yes: cat /srv/teams
no: cat /srv/mine/locked
yes: cat /etc/passwd
no: cat /srv/closed/x
no: cat /srv/link
yes: cat /srv/blind/x
no: ls /srv/blind
no: ls /root
no: cd /root
no: test -r /srv/secret
no: test -w /etc/passwd
no: test -w /srv/teams
yes: test -w /srv/team
no: test -e /srv/closed/x
yes: test -w /tmp
no: test -x /srv/roots-program
no: test -w /
no: touch /x
no: mkdir /x
no: ln -s a /x
no: mkfifo /x
no: touch /root/x
no: touch /etc/passwd
no: >> /etc/passwd
no: >> /x
yes: >> /srv/mine/x
no: >> /srv/mine/file
yes: >> /srv/mine/roots/x
yes: >> /tmp/x
yes: >> /dev/null
no: >> /dev/x
yes: >> /dev/shm/x
yes: >> /srv/team/x
no: >> /etc/hosts
yes: >> /proc/self/comm
yes: >> /proc/self/fd/1
no: rm -f /srv/sticky/roots
no: mv /srv/sticky/roots /srv/sticky/x
yes: rm -f /srv/mine/file
no: rmdir /srv/mine/roots
no: mv /etc/motd /tmp
no: rm -f /etc/motd
no: truncate -s 0 /etc/motd
no: chmod 777 /srv/secret
yes: chmod 600 /srv/mine/x
no: chown app /srv/secret
yes: chgrp staff /srv/mine/x
no: touch -d @1 /srv/mine/roots/x
no: touch /srv/teams
yes: touch -d @1 /srv/mine/x
no: /srv/roots-program
no: /srv/no-program
yes: setpriv --nnp true
no: chroot / true
yes: sh -c cd /srv/mine && rm -f x && mkdir -p d/e && cp /etc/passwd d/e && mv d/e e && rm -r d e
yes: >> /srv/team/y
yes: mkdir /srv/team/d
/srv/team/d app:staff 2775
/srv/team/x app:staff 644
/srv/team/y app:staff 664
False False True
"""


@pytest.fixture(scope="module")
def site(kobako: Kobako, tmp_path_factory: pytest.TempPathFactory) -> str:
    builder = Builder(kobako, tmp_path_factory.mktemp("rights") / "context")
    builder(SITE, "-t", "rights")
    return "rights"


def test_run(kobako: Kobako, site: str) -> None:
    said = kobako("run", "--rm", "-u", "app", "--network", "none", site, "sh", "-c", SCRIPT)
    assert said.lines == SAID.splitlines()


def test_start(kobako: Kobako, site: str, name: str) -> None:
    """A created container is told of its user another way."""
    kobako("create", "--name", name, "-u", "app", "--network", "none", site, "sh", "-c", SCRIPT)
    assert kobako("start", "-a", name).lines == SAID.splitlines()


def test_exec(kobako: Kobako, site: str, name: str) -> None:
    kobako("run", "-d", "--name", name, "--network", "none", site, "sleep", "100")
    assert kobako("exec", "-u", "app", name, "sh", "-c", SCRIPT).lines == SAID.splitlines()
    assert kobako("exec", name, "sh", "-c", "touch /x; cat /srv/mine/locked").out == "secret"


def test_build(kobako: Kobako, site: str, build: Builder) -> None:
    build(f"FROM {site}\nUSER app\nRUN sh <<'END' > /tmp/said\n{SCRIPT}END\n", "-t", "rights-run")
    said = kobako("run", "--rm", "--network", "none", "rights-run", "cat", "/tmp/said")
    assert said.lines == SAID.splitlines()


def test_mounts_of_a_build(build: Builder) -> None:
    """Their owners are what the mount says, root where it says nothing."""
    (build.context / "key").write_text("k")
    mounts = (
        ("cache,target=/c", "touch /c/x"), ("cache,id=d,target=/c,uid=1000", "touch /c/x"),
        ("secret,id=k,target=/k", "cat /k"), ("secret,id=k,target=/k,uid=1000", "cat /k"),
        ("secret,id=k,target=/k,mode=0444", "cat /k"), ("tmpfs,target=/t", "touch /t/x"),
        ("bind,target=/b", "cat /b/key"), ("bind,target=/b,rw", "touch /b/x"),
        ("bind,from=python,target=/b", "cat /b/etc/shadow"),
    )  # fmt: skip
    steps = [
        f"RUN --mount=type={mount} if {command} >/dev/null 2>&1; then echo yes; else echo no; fi"
        for mount, command in mounts
    ]
    text = "\n".join(f"{step} >> /tmp/said" for step in steps)
    build.context.joinpath("Dockerfile").write_text(f"FROM python\nUSER 1000:1000\n{text}\n")
    kobako = build.kobako
    secret = f"--secret=id=k,src={build.context}/key"
    kobako("build", secret, "-t", "rights-mounts", str(build.context))
    said = kobako("run", "--rm", "--network", "none", "rights-mounts", "cat", "/tmp/said")
    assert said.lines == ["no", "yes", "no", "yes", "yes", "yes", "yes", "no", "no"]


@pytest.mark.only("emulated")
def test_directories_of_the_host_are_left_to_the_kernel(kobako: Kobako, tmp_path: Path) -> None:
    """Whoever a container's user is said to be, there it may do what who started it may do."""
    (tmp_path / "mine").write_text("")
    script = "touch /here/x && echo y >> /here/mine && test -w /here && chmod 600 /here/x"
    kobako.sh(script, "-u", "1000", "-v", f"{tmp_path}:/here")
    kobako.sh("! touch /here/x && ! test -w /here", "-u", "1000", "-v", "rights:/here")
    kobako.sh("chown 1000 /here", "-v", "rights:/here")
    kobako.sh("touch /here/x && test -O /here/x", "-u", "1000", "-v", "rights:/here")
    kobako("volume", "rm", "rights")
