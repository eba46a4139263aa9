"""Whole builds on the fake worker: configs, histories, the cache, stages, events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from building import Site

from kobako.build import progress
from kobako.build.dockerfile import DockerfileError, NotYet, StepFailed
from kobako.errors import Invalid, KobakoError

TUTORIAL = """FROM python

WORKDIR ./app

RUN echo 'print("Hello World!")' > hello.py

CMD python hello.py
"""


def _hello(request: Any, tree: Path, output: Any) -> int:
    (tree / "app/hello.py").write_text('print("Hello World!")\n')
    return 0


def test_the_tutorial(site: Site) -> None:
    site.base("python", Env=["PATH=/bin", "LANG=C.UTF-8"], Cmd=["python3"])
    site.command("""echo 'print("Hello World!")' > hello.py""", _hello)
    result = site.build(TUTORIAL)
    config = result.config
    assert config.config["WorkingDir"] == "/app"
    assert config.config["Cmd"] == ["/bin/sh", "-c", "python hello.py"]
    assert config.config["Env"] == ["PATH=/bin", "LANG=C.UTF-8"]
    assert [h.created_by for h in config.history] == [
        "base",
        "WORKDIR /app",
        "RUN /bin/sh -c echo 'print(\"Hello World!\")' > hello.py # buildkit",
        'CMD ["/bin/sh" "-c" "python hello.py"]',
    ]
    assert [h.empty_layer for h in config.history] == [False, False, False, True]
    assert len(config.diff_ids) == len(result.layers) == len(result.manifest.layers) == 3
    assert result.manifest.config.digest == config.digest
    run = site.worker.requests[0]
    assert (run.args, run.cwd, len(run.id)) == (
        ("/bin/sh", "-c", "echo 'print(\"Hello World!\")' > hello.py"),
        "/app",
        64,
    )
    assert site.path(result).joinpath("app/hello.py").exists()


def test_an_unchanged_build_does_nothing_and_gives_the_same_image(site: Site) -> None:
    site.base("python")
    site.command("""echo 'print("Hello World!")' > hello.py""", _hello)
    first = site.build(TUTORIAL)
    second = site.build(TUTORIAL)
    assert site.worker.log == ["resolve docker.io/library/python:latest"]
    assert second.config.digest == first.config.digest
    assert [step.cached for step in second.steps] == [False, True, True, True]
    assert site.worker.crew.started == 0


def test_no_cache_executes_again(site: Site) -> None:
    site.base("python")
    site.build(TUTORIAL)
    site.build(TUTORIAL, no_cache=True)
    assert [line.split()[0] for line in site.worker.log] == ["resolve", "change", "run"]


def test_a_vanished_layer_is_built_again(site: Site) -> None:
    site.base("python")
    site.command("""echo 'print("Hello World!")' > hello.py""", _hello)
    first = site.build(TUTORIAL)
    del site.worker.trees[tuple(layer.diff_id for layer in first.layers)]
    site.build(TUTORIAL)
    assert [line.split()[0] for line in site.worker.log] == ["resolve", "run"]


def test_output_stands_at_its_own_step(site: Site) -> None:
    """A stage that goes on from another one shares its last vertex."""
    site.base("base")

    def hello(request: Any, tree: Path, output: Any) -> int:
        output(1, b"hello\n")
        return 0

    site.command("hello", hello)
    site.build("FROM base AS a\nRUN hello\nFROM a AS b\nENV x=1\nFROM a\nCOPY --from=b / /\n")
    assert [e.number for e in site.events if isinstance(e, progress.StepOutput)] == [2]


def test_classic_steps(site: Site) -> None:
    site.base("python")
    site.command("""echo 'print("Hello World!")' > hello.py""", _hello)
    result = site.build(TUTORIAL, context_size=True)
    kept = (
        progress.ContextScanned,
        progress.StepStarted,
        progress.StepRunning,
        progress.StepDone,
    )
    told = [e for e in site.events if isinstance(e, kept)]
    assert [type(e).__name__ for e in told] == [
        "ContextScanned",
        *("StepStarted", "StepDone"),
        *("StepStarted", "StepRunning", "StepDone") * 3,
    ]
    assert told[1] == progress.StepStarted(1, 4, "FROM python")
    last = told[-1]
    assert isinstance(last, progress.StepDone)
    assert last.image == result.config.digest
    assert len(last.container) == 64
    site.build(TUTORIAL)
    done = [e for e in site.events if isinstance(e, progress.StepDone)]
    assert [(e.cached, e.container) for e in done] == [(False, "")] + [(True, "")] * 3
    assert done[-1].image == result.config.digest


def test_plain_names_count_what_is_executed(site: Site) -> None:
    site.base("python", {"etc/hostname": "x"})
    site.put({"a": "1"})
    site.build("FROM python AS one\nENV V=1\nCOPY a /$V\nFROM python\nCOPY --from=one /1 /2\n")
    names = [e.name for e in site.events if isinstance(e, progress.VertexStarted)]
    assert names == [
        "[internal] load build definition from Dockerfile",
        "[internal] load metadata for docker.io/library/python:latest",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[one 1/2] FROM docker.io/library/python:latest",
        "[one 2/2] COPY a /1",
        "[stage-1 2/2] COPY --from=one /1 /2",
    ]


def test_a_foreign_syntax_is_noted(site: Site) -> None:
    site.build("# syntax=docker/dockerfile:1.7-labs\nFROM scratch\nENV A=1\n")
    assert not [e for e in site.events if isinstance(e, progress.Warning)]
    done = [e.image for e in site.events if isinstance(e, progress.StepDone)]
    assert done[0] == "" and done[1].startswith("sha256:")
    site.build("# syntax=example.org/other:1\nFROM scratch\n")
    note = "syntax=example.org/other:1 is ignored: read as a Dockerfile"
    assert progress.Warning(note, 1) in site.events


def test_a_stage_on_a_stage_counts_its_own_steps(site: Site) -> None:
    site.base("python")
    site.build("FROM python AS one\nRUN a\nFROM one\nENV A=b\nRUN echo $A '$A' $NO\n")
    names = [e.name for e in site.events if isinstance(e, progress.VertexStarted)]
    assert names[-2:] == ["[one 2/2] RUN a", "[stage-1 1/1] RUN echo b '$A' $NO"]


def test_context_size_is_that_of_dockers_tar(site: Site) -> None:
    site.put({"Dockerfile": TUTORIAL})
    site.base("python")
    site.build(TUTORIAL, context_size=True)
    assert progress.ContextScanned(2048, 1) in site.events


def test_every_metadata_instruction(site: Site) -> None:
    site.base("base", Entrypoint=["/old"], Cmd=["old"], Env=["A=0", "PATH=/bin"])
    result = site.build(
        "FROM base\n"
        'ENV A=1 B="two words" C=$A\n'
        "ARG X=5\n"
        "LABEL a=b c='d e'\n"
        "EXPOSE 80 53/udp 8000-8002\n"
        "VOLUME /data\n"
        "USER 1000:1000\n"
        'SHELL ["/bin/bash", "-c"]\n'
        "STOPSIGNAL SIGINT\n"
        "HEALTHCHECK --interval=5s --retries=3 CMD curl -f localhost\n"
        "ONBUILD RUN echo child\n"
        "MAINTAINER me\n"
        "ENTRYPOINT run $A\n"
        "RUN true\n"
    )
    config = result.config.config
    assert config == {
        "Env": ["A=1", "PATH=/bin", "B=two words", "C=0"],
        "Labels": {"a": "b", "c": "d e"},
        "ExposedPorts": {p: {} for p in ("53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp")},
        "Volumes": {"/data": {}},
        "User": "1000:1000",
        "Shell": ["/bin/bash", "-c"],
        "StopSignal": "SIGINT",
        "Healthcheck": {
            "Test": ["CMD-SHELL", "curl -f localhost"],
            "Interval": 5_000_000_000,
            "Retries": 3,
        },
        "OnBuild": ["RUN echo child"],
        "Entrypoint": ["/bin/bash", "-c", "run $A"],
    }
    assert "Cmd" not in config
    assert result.config.author == "me"
    assert [h.created_by for h in result.config.history][1:] == [
        "ENV A=1 B=two words C=0",
        "ARG X=5",
        "LABEL a=b c=d e",
        "EXPOSE [53/udp 80/tcp 8000/tcp 8001/tcp 8002/tcp]",
        "VOLUME [/data]",
        "USER 1000:1000",
        "SHELL [/bin/bash -c]",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK {Test:[CMD-SHELL curl -f localhost] Interval:5s Timeout:0s StartPeriod:0s"
        " StartInterval:0s Retries:3}",
        "MAINTAINER me",
        'ENTRYPOINT ["/bin/bash" "-c" "run $A"]',
        "RUN |1 X=5 /bin/bash -c true # buildkit",
    ]
    assert result.config.history[-1].empty_layer  # nothing changed: no layer
    assert site.worker.requests[0].env == ("A=1", "PATH=/bin", "B=two words", "C=0", "X=5")
    assert site.worker.requests[0].user == "1000:1000"


def test_cmd_survives_an_entrypoint_of_the_same_stage(site: Site) -> None:
    site.base()
    result = site.build('FROM base\nCMD ["x"]\nENTRYPOINT ["y"]\n')
    assert result.config.config["Cmd"] == ["x"]


def test_onbuild_triggers_fire_in_the_child_once(site: Site) -> None:
    site.base("base", OnBuild=["ENV FROM_BASE=1", "COPY a /a"])
    site.put({"a": "1"})
    result = site.build("FROM base\nRUN echo\n")
    assert "OnBuild" not in result.config.config
    assert "FROM_BASE=1" in result.config.config["Env"]
    assert site.tree(result)["a"][3] == b"1"


def test_unused_stages_are_never_looked_at(site: Site) -> None:
    site.base()
    result = site.build(
        "FROM nowhere/at/all AS unused\nRUN exit 1\nFROM base AS used\nRUN echo ok\n"
        "FROM alsonowhere\nRUN exit 1\n",
        target="used",
    )
    assert site.worker.log == ["resolve docker.io/library/base:latest", "run echo ok"]
    assert result.steps[0].line == 3


def test_stages_by_name_number_and_image(site: Site) -> None:
    site.base()
    site.base("other", {"tool": "T"})
    site.put({"a": "A", "b": "B"})
    result = site.build(
        "FROM base AS one\nCOPY a /a\n"
        "FROM scratch\nCOPY b /b\n"
        "FROM one AS three\nCOPY --from=0 /a /from0\nCOPY --from=1 /b /from1\n"
        "COPY --from=other /tool /tool\n"
    )
    tree = site.tree(result)
    assert {n: t[3] for n, t in tree.items() if t[0] == "file"} == {
        "etc/hostname": b"base",
        "a": b"A",
        "from0": b"A",
        "from1": b"B",
        "tool": b"T",
    }


def test_copy_from_a_rebuilt_but_equal_stage_stays_cached(site: Site) -> None:
    site.base()
    counter = iter(range(100))

    def make(request: Any, tree: Path, output: Any) -> int:
        (tree / "out").write_text("same")
        (tree / "noise").write_text(str(next(counter)))
        return 0

    site.command("make", make)
    text = "FROM base AS b\nARG N\nRUN make\nFROM scratch\nCOPY --from=b /out /out\n"
    site.build(text, build_args=(("N", "1"),))
    result = site.build(text, build_args=(("N", "2"),))
    assert [(s.text, s.cached) for s in result.steps][-2:] == [
        ("FROM scratch", False),
        ("COPY --from=b /out /out", True),
    ]


def test_build_arguments(site: Site) -> None:
    site.base("base-2")
    result = site.build(
        "ARG V=1\nARG NAME=base-${V}\nFROM ${NAME}\nARG V\nARG D=$V-d\nARG TARGETARCH\n"
        "ARG FREE\nLABEL v=$V d=$D free=${FREE:-none} hidden=${NAME:-unseen}\nRUN echo\n",
        build_args=(("V", "2"), ("HTTP_PROXY", "http://p"), ("odd", "1")),
    )
    labels = result.config.config["Labels"]
    assert labels == {"v": "2", "d": "2-d", "free": "none", "hidden": "unseen"}
    env = site.worker.requests[0].env
    assert "V=2" in env and "HTTP_PROXY=http://p" in env and "http_proxy=http://p" in env
    assert any(e.startswith("TARGETARCH=") and len(e) > 11 for e in env)
    assert progress.Warning("One or more build-args ['odd'] were not consumed") in site.events


def test_proxies_are_not_in_the_key_but_arguments_are(site: Site) -> None:
    site.base()
    text = "FROM base\nARG A\nRUN echo\n"
    site.build(text, build_args=(("A", "1"), ("http_proxy", "x")))
    site.build(text, build_args=(("A", "1"), ("http_proxy", "y")))
    assert not site.worker.requests
    site.build(text, build_args=(("A", "2"),))
    assert len(site.worker.requests) == 1


def test_a_secret_may_change_but_its_mount_not(site: Site) -> None:
    site.base()
    file = "FROM base\nRUN --mount=type=secret,id={id} echo\n"
    ran = []
    for name, data in (("a", b"1"), ("a", b"2"), ("b", b"2")):
        site.build(file.format(id=name), secrets=((name, data),))
        ran.append(len(site.worker.requests))
    assert ran == [1, 0, 1]
    env = "FROM base\nRUN --mount=type=secret,id=a,env=TOKEN echo\n"
    for data in (b"1", b"2"):
        site.build(env, secrets=(("a", data),))
        ran.append(len(site.worker.requests))
    assert ran[3:] == [1, 0]


def test_the_body_of_a_here_document_counts(site: Site) -> None:
    site.base()
    ran = []
    for word in ("one", "one", "two"):
        for head in ("RUN <<E", "RUN <<E cat", "RUN <<E\n#!/bin/cat", "COPY <<E /x"):
            site.build(f"FROM base\n{head}\n{word}\nE\n")
            ran.append(len(site.worker.requests) + site.worker.log.count("change"))
    assert ran == [1] * 4 + [0] * 4 + [1] * 4


def test_no_cache_for_some_stages_only(site: Site) -> None:
    site.base()
    file = (
        "FROM base AS One\nRUN a\nFROM base AS two\nRUN b\nFROM one\nCOPY --from=two / /t\nRUN c\n"
    )
    site.build(file)
    site.build(file, no_cache_filter=("one",))
    assert [line for line in site.worker.log if line.startswith("run")] == ["run a"]
    site.build(file, no_cache_filter=("TWO", "none"))
    assert [line for line in site.worker.log if line.startswith("run")] == ["run b"]


def test_source_date_epoch_makes_builds_equal(site: Site) -> None:
    site.base()
    text = "FROM base\nRUN echo\nCMD x\n"
    first = site.build(text, epoch=1_700_000_000)
    site.cache.rows.clear()
    second = site.build(text, epoch=1_700_000_000)
    assert first.config.raw == second.config.raw
    assert second.config.created == "2023-11-14T22:13:20Z"
    assert site.worker.requests[0].epoch == 1_700_000_000


def test_the_epoch_is_that_of_the_base_the_argument_or_1980(site: Site) -> None:
    site.base()  # made 2024-01-02T03:04:05Z
    first = site.build("FROM base\nRUN echo\n")
    assert first.config.created == "2024-01-02T03:04:05Z"
    assert site.worker.requests[0].epoch == 1_704_164_645
    asked = site.build("FROM base\nRUN echo\n", build_args=(("SOURCE_DATE_EPOCH", "86400"),))
    assert asked.config.created == "1970-01-02T00:00:00Z"
    site.put({"x": "x"})
    assert site.build("FROM scratch\nCOPY x /\n").config.created == "1980-01-01T00:00:00Z"
    stages = "FROM scratch AS s\nCOPY x /\nFROM base\nCOPY --from=s x /\n"
    assert site.build(stages).config.created == "2024-01-02T03:04:05Z"


@pytest.mark.parametrize("given", ["abc", "-1", "1e9", "1.5", "²", "253402300800", "9" * 5000])
def test_an_epoch_that_is_none(site: Site, given: str) -> None:
    with pytest.raises(Invalid, match="SOURCE_DATE_EPOCH"):
        site.build("FROM scratch\n", build_args=(("SOURCE_DATE_EPOCH", given),))


def test_an_epoch_far_away(site: Site) -> None:
    site.put({"x": "x"})
    given = (("SOURCE_DATE_EPOCH", "253402300799"),)
    built = site.build("FROM scratch\nCOPY x /\nCMD x\n", build_args=given)
    assert built.config.created == "9999-12-31T23:59:59Z"


def test_a_failed_command_tells_line_command_and_status(site: Site) -> None:
    site.base()
    site.command("exit 3", lambda *_: 3)
    with pytest.raises(StepFailed) as caught:
        site.build("FROM base\nRUN true\n\nRUN exit 3\n")
    error = caught.value
    assert str(error) == ('process "/bin/sh -c exit 3" did not complete successfully: exit code: 3')
    assert (error.line, error.status, error.command) == (4, 3, "/bin/sh -c exit 3")
    assert "   4 | >>> RUN exit 3" in error.excerpt
    site.build("FROM base\nRUN true\n")
    assert site.worker.requests == []  # what had finished before is in the cache


def test_missing_images_stages_and_features(site: Site) -> None:
    site.base()
    cases: list[tuple[str, type[KobakoError], str]] = [
        ("FROM nope\n", StepFailed, "not found"),
        ("FROM base\nCOPY gone /\n", StepFailed, '"/gone" not found in the build context'),
        ("FROM base AS a\nCOPY --from=b x /\nFROM base AS b\n", DockerfileError, "before"),
        (
            "FROM base\nRUN --device=a.org/b=x,required true\n",
            NotYet,
            'Dockerfile:2: RUN --device: required device "a.org/b=x"',
        ),
        ("FROM base\nRUN --device=a,b=1 x\n", DockerfileError, "unexpected key 'b' in 'b=1'"),
        ("FROM base\nRUN --device=a,b x\n", DockerfileError, "invalid field 'b' must be"),
        (
            "FROM base\nRUN --device=a,required=maybe x\n",
            DockerfileError,
            "invalid value for required: maybe",
        ),
        ("FROM base\nRUN --device=name=a,name=b x\n", DockerfileError, "already set to a"),
        ("FROM base\nADD git@host:x?a=b /\n", DockerfileError, 'unexpected query "a"'),
        ("FROM base\nADD --checksum=x https://host/x /\n", DockerfileError, "invalid checksum"),
        ("FROM base\nCOPY ssh://host/x /\n", DockerfileError, "git ref for COPY"),
        ("FROM base\nRUN --mount=type=ssh,required true\n", DockerfileError, "--ssh default"),
        ("FROM base\nCOPY https://example.org/x /\n", DockerfileError, "URL for COPY"),
        ('FROM base\nENV A="${B:?not here}"\n', DockerfileError, "B: not here"),
        ("FROM base\nSTOPSIGNAL NOPE\n", DockerfileError, "Invalid signal: NOPE"),
        ("FROM base\nRUN --mount=type=secret,id=s,required true\n", DockerfileError, "not found"),
    ]
    for text, kind, message in cases:
        target = "a" if "AS a" in text else ""
        with pytest.raises(kind) as caught:
            site.build(text, target=target)
        assert message in str(caught.value), text
        assert getattr(caught.value, "line", 0) >= 1


def test_run_mounts(site: Site) -> None:
    from kobako.build.worker import BindMount, CacheMount, FileMount, TmpfsMount

    site.base()
    site.base("tools", {"t": "1"})
    site.put({"src/x": "1"})
    text = (
        "FROM base\nWORKDIR /w\nRUN --mount=type=bind,source=src,target=/in"
        " --mount=type=cache,target=/c,id=k,sharing=locked --mount=type=tmpfs,target=t,size=1m"
        " --mount=type=secret,id=s --mount=type=bind,from=tools,target=/tools make\n"
    )
    site.build(text, secrets=(("s", b"hush"),))
    mounts = {mount.target: mount for mount in site.worker.requests[0].mounts}
    assert mounts["/in"] == BindMount("/in", str(site.context / "src"))
    assert mounts["/c"] == CacheMount("/c", "k", "locked")
    assert mounts["/w/t"] == TmpfsMount("/w/t", 1 << 20)
    assert mounts["/run/secrets/s"] == FileMount("/run/secrets/s", b"hush")
    tools = mounts["/tools"]
    assert isinstance(tools, BindMount) and len(tools.layers) == 1
    site.build(text, secrets=(("s", b"other"),))
    assert not site.worker.requests  # a secret's bytes are in no key
    site.put({"src/x": "2"})
    site.build(text, secrets=(("s", b"other"),))
    assert len(site.worker.requests) == 1


def test_heredocs(site: Site) -> None:
    site.base()
    result = site.build(
        "FROM base\nENV W=world\n"
        "RUN <<EOF\necho a\necho b\nEOF\n"
        "RUN <<-EOF\n\t#!/usr/bin/python3\n\tprint(1)\nEOF\n"
        "RUN cat <<A > /x; cat <<B\nfirst\nA\nsecond\nB\n"
        'COPY <<one <<"two" /files/\nhello $W\none\nhello $W\ntwo\n'
    )
    first, script, both = site.worker.requests
    assert first.args == ("/bin/sh", "-c", "echo a\necho b\n")
    assert script.args == ("/bin/sh", "-c", "/dev/pipes/EOF")
    assert script.mounts[0].data == b"#!/usr/bin/python3\nprint(1)\n"  # type: ignore[attr-defined]
    assert both.args[2] == "cat <<A > /x; cat <<B\nfirst\nA\nsecond\nB"
    tree = site.tree(result)
    assert tree["files/one"][1:] == ("0o644", (0, 0), b"hello world\n")
    assert tree["files/two"][3] == b"hello $W\n"


def test_from_alone_is_the_image_it_names(site: Site) -> None:
    site.base(Env=["PATH=/bin"])
    image = site.worker.images["docker.io/library/base:latest"]
    assert site.build("FROM base\n").config.digest == image.config.digest
    labelled = site.build("FROM base\n", labels=(("k", "v"),))
    assert labelled.config.config["Labels"] == {"k": "v"}


def test_independent_stages_run_at_once(site: Site) -> None:
    import threading

    site.base()
    barrier = threading.Barrier(4, timeout=30)

    def meet(request: Any, tree: Path, output: Any) -> int:
        barrier.wait()
        (tree / "done").write_text("1")
        output(1, b"met\n")
        return 0

    text = ""
    for n in range(4):
        site.command(f"meet {n}", meet)
        text += f"FROM base AS s{n}\nRUN meet {n}\n"
    text += "FROM scratch\n" + "".join(f"COPY --from=s{n} /done /{n}\n" for n in range(4))
    result = site.build(text)
    assert sorted(site.tree(result)) == ["0", "1", "2", "3"]
    assert site.worker.crew.started > 1
    steps = [e.number for e in site.events if isinstance(e, progress.StepDone)]
    assert steps == list(range(1, len(steps) + 1))
    outputs = [e.number for e in site.events if isinstance(e, progress.StepOutput)]
    assert outputs == sorted(outputs)


def test_a_context_directorys_own_mode_does_not_matter(site: Site) -> None:
    """Those of temporary directories are 700; what is sent lies in a new directory."""
    site.base()
    site.put({"file": "1"})
    text = "FROM base\nCOPY . /in\nRUN --mount=target=/m x\n"
    site.context.chmod(0o700)
    tree = site.tree(site.build(text))
    assert tree["in"][1] == "0o755"
    (mount,) = site.worker.requests[0].mounts
    assert mount.mode == 0o755  # type: ignore[attr-defined]  # a BindMount
    site.context.chmod(0o755)
    site.build(text)
    assert not site.worker.requests
