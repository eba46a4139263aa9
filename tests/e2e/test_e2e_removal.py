"""What is removed, kept and refused: rmi, the prunes and their filters."""

from __future__ import annotations

import io
import tarfile

import pytest
from e2e_command import Kobako


@pytest.fixture
def store(elsewhere: Kobako) -> Kobako:
    """The command on a store with the images `one` and `two`, of a file each; `two` has a label."""
    for name, words in (("one", ()), ("two", ("--change", "LABEL team=blue"))):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        elsewhere("import", *words, "-", name, data=file.getvalue())
    return elsewhere


def names(store: Kobako) -> list[str]:
    return sorted(store("ps", "-a", "--format", "{{.Names}}").lines)


def images(store: Kobako, *words: str) -> list[str]:
    return sorted(store("images", "--format", "{{.Repository}}:{{.Tag}}", *words).lines)


def test_filters_choose_containers(store: Kobako) -> None:
    store("create", "--name", "c1", "--label", "team=red", "one", "/x")
    store("create", "--name", "c2", "--label", "team=blue", "one", "/x")
    store("create", "--name", "c3", "two", "/x")

    def shown(*filters: str) -> list[str]:
        words = [word for text in filters for word in ("-f", text)]
        return sorted(store("ps", "-a", "--format", "{{.Names}}", *words).lines)

    assert shown("label=team") == ["c1", "c2", "c3"]  # an image's labels are its containers'
    assert shown("label=team=blue") == ["c2", "c3"]
    assert shown("label=team=blue", "ancestor=one") == ["c2"]
    assert shown("before=c2") == ["c1"] and shown("since=c2") == ["c3"]
    assert shown("name=c[12]") == ["c1", "c2"] and shown("status=running") == []
    store("container", "prune", "-f", "--filter", "until=2001-01-01T00:00:00Z")
    assert names(store) == ["c1", "c2", "c3"]
    store("container", "prune", "-f", "--filter", "label=team=red")
    assert names(store) == ["c2", "c3"]
    store("container", "prune", "-f", "--filter", "label!=other")
    assert names(store) == []


def test_several_that_run_as_other_users_go_at_once(kobako: Kobako, name: str) -> None:
    names = [f"{name}-{n}" for n in range(3)]
    for one in names:
        kobako("run", "-d", "--name", one, "--user", "1234", "python", "sleep", "1000")
    assert kobako("rm", "-f", *names).lines == names
    assert kobako("ps", "-aq", "--filter", f"name={name}").out == ""


def test_filters_choose_images(store: Kobako) -> None:
    assert images(store, "-f", "label=team=blue") == ["two:latest"]
    assert images(store, "-f", "label=team=red") == []
    assert images(store, "-f", "reference=o*") == images(store, "one") == ["one:latest"]
    assert images(store, "-f", "before=two") == ["one:latest"]
    assert images(store, "-f", "dangling=true") == []
    store("create", "--name", "user", "one", "/x")
    store("image", "prune", "-af", "--filter", "until=2001-01-01T00:00:00Z")
    store("image", "prune", "-af", "--filter", "label!=team")
    assert images(store) == ["one:latest", "two:latest"]  # that one is in use
    store("image", "prune", "-f")
    assert images(store) == ["one:latest", "two:latest"]  # these have names
    assert "deleted: sha256:" in store("image", "prune", "-af").out
    assert images(store) == ["one:latest"]
    store("rm", "user")
    store("image", "prune", "-af", "--filter", "until=2100-01-01T00:00:00Z")
    assert images(store) == []


def test_images_are_removed_by_name_and_by_id(store: Kobako) -> None:
    image = store.show("{{.Id}}", "one")
    store("tag", "one", "one:second")
    store("tag", "one", "other")
    store.fails("rmi", image, says="image is referenced in multiple repositories")
    assert store("rmi", "other").lines == ["Untagged: other:latest"]
    store("create", "--name", "user", "one", "/x")
    assert store("rmi", "one").lines == ["Untagged: one:latest"]  # it has another name
    store.fails("rmi", "one:second", says="(must force)")
    store.fails("rmi", image, says="(must be forced)")
    store("rmi", "-f", "one:second")
    assert images(store) == ["<none>:<none>", "two:latest"]
    store("rm", "user")
    store("rmi", image)
    assert images(store) == ["two:latest"]
    assert store("fsck").code == 0
