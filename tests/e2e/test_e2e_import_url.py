"""`import` of what a web server has."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

from e2e_command import Kobako
from e2e_sources import Site


def root_tar(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def test_a_root_file_system_comes_from_a_server(elsewhere: Kobako, site: Site) -> None:
    site.files["/root.tar.gz"] = gzip.compress(root_tar("hello", os.urandom(3 << 20)))
    site.moved = "/root.tar.gz"
    url = f"{site.url}/moved"
    said = elsewhere("import", "-c", "CMD /x", url, "web:1")
    assert said.lines[0] == f"Downloading from {url}" and len(said.lines) == 2
    image = said.lines[1]
    assert elsewhere("images", "-q", "--no-trunc", "web:1").out == image
    assert elsewhere.show("{{.Comment}} {{.Config.Cmd}}", "web:1") == (
        f"Imported from {url} [/bin/sh -c /x]"
    )
    with tarfile.open(fileobj=io.BytesIO(elsewhere("save", image).raw)) as archive:
        assert any(member.size > 3 << 20 for member in archive)


def test_what_a_server_does_not_give_is_named_and_leaves_nothing(
    elsewhere: Kobako, site: Site
) -> None:
    site.files["/page"] = b"<html>" * 1000
    site.files["/torn"] = gzip.compress(root_tar("x", os.urandom(3 << 20)))[: 1 << 20]
    site.wants["/mine"] = "Bearer x"
    for path, says in (
        ("/none", f"{site.url}/none: not found (404)"),
        ("/mine", f"{site.url}/mine: invalid response status 401"),
        ("/page", "not a tar archive"),
        ("/torn", "gzip"),
    ):
        elsewhere.fails("import", site.url + path, "x", code=1, says=says)
    site.server.shutdown()
    site.server.server_close()
    elsewhere.fails("import", f"{site.url}/root", "x", code=1, says=f"cannot fetch {site.url}/root")
    elsewhere.fails("import", "http:///root", "x", code=1, says="give a host")
    assert elsewhere("images", "-aq").out == ""
