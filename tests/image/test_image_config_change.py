"""`--change` instructions, against what docker's reference says they do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.errors import Invalid, KobakoError
from kobako.image import shell_words
from kobako.image.config_change import apply_changes, duration, merge


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({}, 'CMD ["a", "b"]', {"Cmd": ["a", "b"]}),
        ({}, "CMD echo $HOME", {"Cmd": ["/bin/sh", "-c", "echo $HOME"]}),
        ({"Shell": ["bash", "-c"]}, "cmd x", {"Shell": ["bash", "-c"], "Cmd": ["bash", "-c", "x"]}),
        ({"Cmd": ["old"]}, 'ENTRYPOINT ["e"]', {"Entrypoint": ["e"]}),
        ({}, 'CMD ["c"]\nENTRYPOINT ["e"]', {"Entrypoint": ["e"], "Cmd": ["c"]}),
        ({"Env": ["A=1", "B=2"]}, "ENV A=3", {"Env": ["A=3", "B=2"]}),
        ({"Env": ["A=1"]}, "ENV B=$A-${A:+x} C='$A' D=\"a b\"", {
            "Env": ["A=1", "B=1-x", "C=$A", "D=a b"]
        }),
        ({}, "ENV KEY several words", {"Env": ["KEY=several words"]}),
        ({}, "EXPOSE 80 53/udp 90-91", {
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}
        }),
        ({"Labels": {"a": "1"}}, 'LABEL b="2 3" c=4', {"Labels": {"a": "1", "b": "2 3", "c": "4"}}),
        ({}, "ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ({}, "USER 1000:1000", {"User": "1000:1000"}),
        ({}, 'VOLUME ["/a", "/b"]', {"Volumes": {"/a": {}, "/b": {}}}),
        ({}, "VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ({"WorkingDir": "/srv"}, "WORKDIR app", {"WorkingDir": "/srv/app"}),
        ({"WorkingDir": "/srv"}, "WORKDIR /", {"WorkingDir": "/"}),
        ({}, "STOPSIGNAL SIGQUIT", {"StopSignal": "SIGQUIT"}),
        ({}, "HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x", {
            "Healthcheck": {
                "Interval": 90 * 10**9, "Retries": 2, "Test": ["CMD-SHELL", "curl -f x"]
            }
        }),
        ({}, "HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        ({}, "ENV A=1 \\\n B=2", {"Env": ["A=1", "B=2"]}),
    ],
)  # fmt: skip
def test_change(before: dict[str, object], change: str, after: dict[str, object]) -> None:
    kept = dict(before)
    assert apply_changes(before, [change]) == after
    assert before == kept


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN make", "RUN is not a valid change instruction"),
        ("EXPOSE 70000", "invalid port"),
        ("EXPOSE 80/icmp", "invalid protocol"),
        ("ENV", "ENV requires an argument"),
        ("ENV A=1 B", "must be of the form"),
        ("ENV A=$" + "{B", "unclosed"),
        ("LABEL a='x", "unclosed"),
        ("ONBUILD FROM x", "not allowed as an ONBUILD trigger"),
        ("HEALTHCHECK --interval=soon CMD x", "not a duration"),
        ("HEALTHCHECK CMD", "must be NONE or CMD"),
    ],
)
def test_a_bad_change_is_named(change: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        apply_changes({}, [change])


def test_container_overrides_are_merged_as_commit_does() -> None:
    image = {"Env": ["PATH=/bin", "A=1"], "Cmd": ["x"], "Labels": {"a": "1"}, "User": "root"}
    started = {"Env": ["A=2", "B=3"], "Entrypoint": ["e"], "Labels": {"b": "2"}, "User": None}
    assert merge(image, started) == {
        "Env": ["PATH=/bin", "A=2", "B=3"],
        "Entrypoint": ["e"],
        "Labels": {"a": "1", "b": "2"},
    }
    assert image["Env"] == ["PATH=/bin", "A=1"]


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("1s", 10**9), ("1.5h", 5400 * 10**9), ("2m3ms", 120003 * 10**6)]
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@given(
    st.text("aB$\\{}:-+?'\" =1_,[]\n", max_size=40),
    st.sampled_from(["ENV ", "LABEL ", "VOLUME ", ""]),
)
def test_no_text_crashes(text: str, word: str) -> None:
    try:
        apply_changes({"Env": ["a=1"]}, [word + text])
    except KobakoError:
        pass


@given(st.lists(st.text("ab '$\\\"", min_size=1, max_size=6), max_size=5))
def test_quoted_words_come_back(words: list[str]) -> None:
    quoted = " ".join("'" + w.replace("'", "'\\''") + "'" for w in words)
    assert [shell_words.expand(w, {}) for w in shell_words.split(quoted)] == words
