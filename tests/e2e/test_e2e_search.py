"""`search`: what a registry has, in docker's columns."""

from __future__ import annotations

from e2e_command import Kobako
from e2e_registry import HubServer


def test_a_hub_is_searched(kobako: Kobako, small: str, open_hub: HubServer) -> None:
    name = f"{open_hub.address}/searched/for"
    kobako("tag", small, name)
    kobako("push", "-q", name)
    heads, row = kobako("search", f"{open_hub.address}/search").lines
    assert heads.split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert row.split() == [name, "0"]
    form = "{{.Name}} {{.StarCount}} {{json .IsOfficial}}"
    assert kobako("search", "--format", form, name).out == f'{name} 0 "false"'
    assert kobako("search", "-f", "stars=1", "--format", form, name).out == ""
    for words, says in (
        (["--limit", "101"], "Limit 101 is outside the range of [1, 100]"),
        (["-f", "stars=many"], "invalid filter 'stars=many'"),
        (["-f", "color=red"], "invalid filter 'color'"),
    ):
        kobako.fails("search", *words, name, code=1, says=says)
