"""What a container publishes: nothing."""

from __future__ import annotations

from e2e_command import Kobako


def test_nothing_is_published(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "--expose", "80", "python", "true")
    assert kobako("port", name).said == "\n"
    kobako.fails("port", name, "80", says=f"No public port '80/tcp' published for {name}")
    kobako.fails("container", "port", name, "5/udp", says="No public port '5/udp' published")
    kobako.fails("port", name, "x", says='strconv.ParseUint: parsing "x": invalid syntax')
    kobako.fails("port", "nobody", says="No such container: nobody")
