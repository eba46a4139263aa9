"""The files docker puts over an image's /etc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kobako.engine import etc_files
from kobako.errors import Invalid


def test_files_over_etc_are_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        etc_files.write(
            str(tmp_path),
            hostname="box",
            host_network=False,
            extra_hosts=("db:10.0.0.1", "six=[::2]", "me:host-gateway"),
            dns=("9.9.9.9",),
            dns_search=("a.test",),
            dns_options=("ndots:1",),
        )
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o644"}
    hosts = (tmp_path / "hosts").read_text().splitlines()
    assert hosts[0] == "127.0.0.1\tlocalhost"
    assert hosts[-4:] == ["127.0.1.1\tbox", "10.0.0.1\tdb", "::2\tsix", "127.0.0.1\tme"]
    assert (tmp_path / "hostname").read_text() == "box\n"
    assert (tmp_path / "resolv.conf").read_text() == (
        "search a.test\nnameserver 9.9.9.9\noptions ndots:1\n"
    )


@pytest.mark.parametrize("entry", ["", "db", "db:", ":1.2.3.4", "db:nonsense", "db=1.2.3"])
def test_hosts_that_are_none(entry: str) -> None:
    with pytest.raises(Invalid, match="add-host"):
        etc_files.extra_host(entry)
