"""The tools that are compared: how each is told to do the same thing.

Tool
├── Engine       one command line, docker's: Docker, Podman, Kobako
├── Runtime      runc, crun and bwrap: bare processes in a root filesystem
└── Skopeo, Umoci, Buildah, GnuTar
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from scratch import Failed, Identity, Scratch, free_port, listens

DOCKERFILE = """\
FROM bench

WORKDIR ./app

RUN echo 'print("Hello World!")' > hello.py

CMD python hello.py
"""
"""The tutorial's, on the image at hand."""
SMALL = "echo hello > /hello.txt"
MANY = "mkdir /many; i=0; while [ $i -lt 3000 ]; do echo $i > /many/$i; i=$((i+1)); done"


THIRTY = "FROM bench\n" + "".join(f"RUN true {n}\n" for n in range(30))
FILES = "FROM bench\nCOPY . /files\n"
STAGES = (
    "".join(f"FROM bench AS s{n}\nRUN sleep 2 && echo {n} > /{n}\n" for n in range(4))
    + "FROM bench\n"
    + "".join(f"COPY --from=s{n} /{n} /\n" for n in range(4))
)


class Work:
    """What one measurement of a case is: `prepare` untimed, then `copies` of `argv` at once."""

    def __init__(
        self,
        argv: list[str],
        prepare: Callable[[], object] | None = None,
        *,
        copies: int = 1,
        env: dict[str, str] | None = None,
    ) -> None:
        self.argv = argv
        self.prepare = prepare
        self.copies = copies
        self.env = env


class Inputs:
    """What every tool works on: a tar, two archives made from it, a build context, registries."""

    def __init__(self, scratch: Scratch, tar: Path) -> None:
        self.scratch = scratch
        self.tar = tar
        self.base = scratch.archive("bench", tar)
        self.extra = scratch.archive("benchload", tar)
        self.context = self._context("context", DOCKERFILE)
        self.thirty = self._context("thirty", THIRTY)
        self.stages = self._context("stages", STAGES)
        self.many = self._context("many", FILES, 20000)
        self.ignored = self._context("ignored", FILES, 20000)
        kept = "".join(f"!d{n}/f{n}\n" for n in range(3))
        (self.ignored / ".dockerignore").write_text(f"*\n{kept}")
        self.filled: dict[str, str] = {}  # registry kind -> host:port with `benchload` in it
        self.rootfs: Path | None = None

    def _context(self, name: str, dockerfile: str, files: int = 0) -> Path:
        """A directory to build from: its Dockerfile, and `files` small files in 100 directories."""
        path = self.scratch.fresh(name)
        (path / "Dockerfile").write_text(dockerfile)
        for n in range(min(files, 100)):
            (path / f"d{n}").mkdir()
        for n in range(files):
            (path / f"d{n % 100}" / f"f{n}").write_text(f"file {n}\n")
        return path

    def salted(self) -> Path:
        """The archive `extra` with a layer that nobody has seen: no registry finds its blobs."""
        return self.scratch.archive("benchload", self.tar, os.urandom(8).hex())

    def tree(self) -> Path:
        """The tar's content as a directory (root only)."""
        if self.rootfs is None:
            self.rootfs = self.scratch.fresh("rootfs")
            subprocess.run(["tar", "-C", self.rootfs, "-xpf", self.tar], check=True)
        return self.rootfs


class Tool:
    """One of the compared. `setup` may raise `Failed`: then it takes no part."""

    name = ""

    def __init__(self, inputs: Inputs, program: str, who: Identity) -> None:
        self.inputs = inputs
        self.scratch = inputs.scratch
        self.program = program
        self.who = who
        self.env = who.environment()

    def setup(self) -> None:
        """Make ready, untimed."""

    def works(self) -> dict[str, Work]:
        """The cases this tool can do, by name."""
        return {}

    def stop(self) -> None:
        """End what `setup` started."""

    def do(self, *argv: str) -> None:
        self.scratch.run(list(argv), self.env, self.who)


class Engine(Tool):
    """docker's command line."""

    network_of_build = "host"

    def command(self, *words: str) -> list[str]:
        return [self.program, *words]

    def quietly(self, *words: str) -> None:
        try:
            self.do(*self.command(*words))
        except Failed:
            pass  # what was to be removed was not there

    def setup(self) -> None:
        self.do(*self.command("load", "-i", str(self.inputs.base)))
        run = ("run", "--network", "host")
        self.do(*self.command(*run, "-d", "--name", "bench-exec", "bench", "sleep", "1000000"))
        self.do(*self.command(*run, "--name", "bench-small", "bench", "sh", "-c", SMALL))
        self.do(*self.command(*run, "--name", "bench-many", "bench", "sh", "-c", MANY))

    def stop(self) -> None:
        self.quietly("rm", "-f", "bench-exec", "bench-small", "bench-many")

    def works(self) -> dict[str, Work]:
        run, command = ("run", "--rm", "--network"), self.command
        found = {
            "run none": Work(command(*run, "none", "bench", "true")),
            "run host": Work(command(*run, "host", "bench", "true")),
            "run 20 at once": Work(command(*run, "host", "bench", "true"), copies=20),
            "exec": Work(command("exec", "bench-exec", "true")),
            "commit 1 file": Work(command("commit", "bench-small", "bench-1"), self._forgotten),
            "commit 3000 files": Work(command("commit", "bench-many", "bench-1"), self._forgotten),
            **self.builds(),
            "images": Work(command("images")),
            "ps": Work(command("ps")),
            "load": Work(command("load", "-i", str(self.inputs.extra)), self.without_extra),
        }
        for kind in ("registry", "hub"):
            self._transfers(kind, found)
        return found

    def _forgotten(self) -> None:
        self.quietly("rmi", "-f", "bench-1")

    def build(self, context: Path, *options: str) -> list[str]:
        options = ("--network", self.network_of_build, "-t", "bench-built", *options)
        return self.command("build", *options, str(context))

    def builds(self) -> dict[str, Work]:
        inputs, anew = self.inputs, "--no-cache"
        return {
            "build cold": Work(self.build(inputs.context, anew)),
            "build cached": Work(self.build(inputs.context)),
            "build 30 RUN cold": Work(self.build(inputs.thirty, anew)),
            "build 30 RUN cached": Work(self.build(inputs.thirty)),
            "build COPY 20000 cold": Work(self.build(inputs.many, anew)),
            "build COPY 20000 unchanged": Work(self.build(inputs.many)),
            "build ignore 19997 of 20000": Work(self.build(inputs.ignored, anew)),
            "build 4 stages of sleep 2": Work(self.build(inputs.stages, anew)),
        }

    def _transfers(self, kind: str, found: dict[str, Work]) -> None:
        """Every push is of a layer the registry has never seen, to an empty repository."""
        if kind not in self.inputs.filled:
            return
        host = self.inputs.filled[kind]
        push = Work([], None)

        def to_push() -> None:
            name = f"{host}/push{os.urandom(4).hex()}"
            self.without_extra()
            self.loaded(self.inputs.salted())
            self.do(*self.command("tag", "benchload", name))
            push.argv[:] = self.command("push", *self.insecure, name)

        push.prepare = to_push
        found[f"push to {kind}"] = push
        pull = self.command("pull", *self.insecure, f"{host}/benchload")
        found[f"pull from {kind}"] = Work(pull, self.without_extra)

    insecure: tuple[str, ...] = ()

    def loaded(self, archive: Path) -> None:
        self.do(*self.command("load", "-i", str(archive)))

    def without_extra(self) -> None:
        """The image of the data cases, and all that was kept of it, is gone."""
        try:
            names = subprocess.run(
                self.command("images", "--format", "{{.Repository}}:{{.Tag}}"),
                env=self.env, capture_output=True, text=True, check=True,
            ).stdout.split()  # fmt: skip
        except subprocess.CalledProcessError as fault:
            raise Failed(fault.stderr) from fault
        ours = [n for n in names if "benchload" in n or "/push" in n]
        if ours:
            self.quietly("rmi", "-f", *ours)


class Kobako(Engine):
    """As this user, or as another. The data cases have a store of their own."""

    def __init__(self, inputs: Inputs, program: str, who: Identity, name: str) -> None:
        super().__init__(inputs, program, who)
        self.name = name
        self._slug = name.replace(" ", "-")
        self.env["KOBAKO_ROOT"] = str(self.scratch.fresh(f"{self._slug}/store", who))
        self.env["DOCKER_CONFIG"] = str(self.scratch.fresh(f"{self._slug}/docker", who))
        self.data = {**self.env, "KOBAKO_ROOT": str(self.scratch.path / f"{self._slug}-data/s")}

    def setup(self) -> None:
        # As pip leaves what it installs; an editable one is compiled by who may write to it alone.
        python = Path(self.program).with_name("python")
        script = "import compileall, kobako; compileall.compile_dir(kobako.__path__[0], quiet=2)"
        if python.exists() and not self.who.user:
            self.do(str(python), "-c", script)
        super().setup()

    def works(self) -> dict[str, Work]:
        found = super().works()
        for case, work in found.items():
            if case.split()[0] in ("load", "push", "pull"):
                work.env = self.data
        host = self.command("image", "from-host", "-t", "bench-host", "python3", "sh")
        found["from-host"] = Work(host)
        return found

    def without_extra(self) -> None:
        self.scratch.fresh(f"{self._slug}-data", self.who)

    def loaded(self, archive: Path) -> None:
        argv = self.command("load", "-i", str(archive))
        self.scratch.run(argv, self.data, self.who)

    def do(self, *argv: str) -> None:
        env = self.data if argv[1] == "tag" else self.env
        self.scratch.run(list(argv), env, self.who)


class Docker(Engine):
    """A private dockerd and its client."""

    name = "docker"

    def setup(self) -> None:
        daemon = shutil.which("dockerd", path=self.env["PATH"])
        if daemon is None or os.getuid():
            raise Failed("there is no dockerd, or we are not root")
        place = self.scratch.fresh("docker")
        socket = place / "socket"
        self.env |= {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(place),
                     "DOCKER_BUILDKIT": "0"}  # fmt: skip
        argv = [daemon, "--data-root", place / "data", "--exec-root", place / "exec"]
        argv += ["--pidfile", place / "pid", "--host", f"unix://{socket}"]
        argv += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        self._daemon = self.scratch.serve([str(a) for a in argv], self.env, self._answers)
        super().setup()

    def _answers(self) -> bool:
        argv = self.command("version")
        return not subprocess.run(argv, env=self.env, capture_output=True, check=False).returncode

    def works(self) -> dict[str, Work]:
        found = super().works()
        buildkit = {**self.env, "DOCKER_BUILDKIT": "1"}
        for case, work in self.builds().items():
            found[f"{case}, BuildKit"] = Work(work.argv, env=buildkit)
        return found

    @staticmethod
    def client() -> str | None:
        """The client of the daemon's own version, where there are several."""
        daemon = shutil.which("dockerd", path=Identity().environment()["PATH"])
        if daemon is None:
            return None
        found = [f"{d}/docker" for d in Identity().environment()["PATH"].split(":")]
        found = [f for f in found if os.access(f, os.X_OK)]
        version = _version(daemon)
        return next((f for f in found if _version(f) == version), found[0] if found else None)


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("version ")[2].partition(",")[0]


class Podman(Engine):
    name = "podman"
    insecure = ("--tls-verify=false",)

    def command(self, *words: str) -> list[str]:
        store = self.scratch.path / "podman"
        places = ["--root", f"{store}/root", "--runroot", f"{store}/run"]
        options = ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        return [self.program, *places, *options, *words]


class Buildah(Tool):
    name = "buildah"

    def command(self, *words: str) -> list[str]:
        store = self.scratch.path / "buildah"
        return [self.program, "--root", f"{store}/root", "--runroot", f"{store}/run", *words]

    def setup(self) -> None:
        self.do(*self.command("pull", f"docker-archive:{self.inputs.base}"))
        for name, script in (("bench-small", SMALL), ("bench-many", MANY)):
            self.do(*self.command("from", "--pull-never", "--name", name, "bench"))
            run = ("run", "--isolation", "chroot", name, "sh", "-c", script)
            self.do(*self.command(*run))

    def works(self) -> dict[str, Work]:
        build = ("build", "--layers", "--pull-never", "--isolation", "chroot", "-t", "built")
        context = str(self.inputs.context)
        return {
            "commit 1 file": Work(self.command("commit", "-q", "bench-small", "bench-1")),
            "commit 3000 files": Work(self.command("commit", "-q", "bench-many", "bench-1")),
            "build cold": Work(self.command(*build, "--no-cache", context)),
            "build cached": Work(self.command(*build, context)),
        }


class Runtime(Tool):
    """runc or crun: `true` in a namespace set like a container's, no image, no record."""

    def setup(self) -> None:
        self.name = Path(self.program).name
        bundle = self.scratch.fresh(f"{self.name}-bundle")
        self.scratch.fresh(self.name)
        subprocess.run([self.program, "spec"], cwd=bundle, check=True, capture_output=True)
        document = json.loads((bundle / "config.json").read_text())
        document["process"] |= {"terminal": False, "args": ["true"]}
        document["root"] = {"path": str(self.inputs.tree()), "readonly": False}
        (bundle / "config.json").write_text(json.dumps(document))
        self.argv = [self.program, "--root", f"{self.scratch.path}/{self.name}", "run"]
        self.argv += ["--bundle", str(bundle), "bench"]
        self.do(*self.argv)

    def works(self) -> dict[str, Work]:
        return {"run none": Work(self.argv)}


class Bwrap(Tool):
    name = "bwrap"

    def works(self) -> dict[str, Work]:
        argv = [self.program, "--bind", str(self.inputs.tree()), "/", "--proc", "/proc"]
        argv += ["--dev", "/dev", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        return {
            "run none": Work([*argv, "--unshare-net", "true"]),
            "run host": Work([*argv, "true"]),
        }


class Skopeo(Tool):
    """Copies between an archive, a layout and registries; nothing is unpacked."""

    name = "skopeo"

    def setup(self) -> None:
        self.layout = self.scratch.path / "skopeo"
        self._copy = [self.program, "copy", "-q", "--insecure-policy"]
        self._load = [*self._copy, f"docker-archive:{self.inputs.extra}"]

    def works(self) -> dict[str, Work]:
        target = self.scratch.path / "skopeo-copy"

        def empty() -> None:
            shutil.rmtree(target, ignore_errors=True)

        found = {"load": Work([*self._load, f"oci:{target}:extra"], empty)}
        for kind, host in self.inputs.filled.items():
            push = Work([])

            def to_push(push: Work = push, host: str = host) -> None:
                name = f"docker://{host}/skopeo{os.urandom(4).hex()}"
                shutil.rmtree(self.layout, ignore_errors=True)
                salted = f"docker-archive:{self.inputs.salted()}"
                self.do(*self._copy, salted, f"oci:{self.layout}:extra")
                options = ["--dest-tls-verify=false", f"oci:{self.layout}:extra", name]
                push.argv[:] = [*self._copy, *options]

            push.prepare = to_push
            found[f"push to {kind}"] = push
            pull = ["--src-tls-verify=false", f"docker://{host}/benchload", f"oci:{target}:pulled"]
            found[f"pull from {kind}"] = Work([*self._copy, *pull], empty)
        return found


class Umoci(Tool):
    """Layers made from a bundle that umoci unpacked."""

    name = "umoci"

    def setup(self) -> None:
        skopeo = shutil.which("skopeo")
        if skopeo is None:
            raise Failed("it needs skopeo for its image")
        self.image = self.scratch.path / "umoci"
        archive = f"docker-archive:{self.inputs.base}"
        self.do(skopeo, "copy", "-q", "--insecure-policy", archive, f"oci:{self.image}:base")
        self.bundles = {}
        for name, script in (("small", SMALL), ("many", MANY)):
            bundle = f"{self.scratch.path}/umoci-{name}"
            self.do(self.program, "unpack", "--image", f"{self.image}:base", bundle)
            self.do("chroot", f"{bundle}/rootfs", "/bin/sh", "-c", script)
            self.bundles[name] = bundle

    def works(self) -> dict[str, Work]:
        repack = [self.program, "repack", "--image"]
        return {
            "commit 1 file": Work([*repack, f"{self.image}:1", self.bundles["small"]]),
            "commit 3000 files": Work([*repack, f"{self.image}:2", self.bundles["many"]]),
        }


class GnuTar(Tool):
    """Nothing but unpacking: what a load cannot easily beat."""

    name = "tar -x"

    def works(self) -> dict[str, Work]:
        target = self.scratch.path / "untarred"
        argv = [self.program, "-C", str(target), "-xpf", str(self.inputs.tar)]
        return {"load": Work(argv, lambda: self.scratch.fresh("untarred"))}


class Registries:
    """docker-registry and `kobako hub`, filled with the image the pulls are about."""

    def __init__(self, inputs: Inputs, kobako: Kobako) -> None:
        self.inputs = inputs
        self.kobako = kobako

    def start(self) -> None:
        self._hub()
        registry = shutil.which("docker-registry") or shutil.which("registry")
        if registry:
            self._docker_registry(registry)
        self.kobako.without_extra()
        self.kobako.loaded(self.inputs.extra)
        for host in self.inputs.filled.values():
            self.kobako.do(*self.kobako.command("tag", "benchload", f"{host}/benchload"))
            push = self.kobako.command("push", f"{host}/benchload")
            self.inputs.scratch.run(push, self.kobako.data, self.kobako.who)

    def _hub(self) -> None:
        scratch = self.inputs.scratch
        data, address = scratch.fresh("hub"), scratch.path / "hub.address"
        argv = ["hub", "serve", "--open", "--data", str(data), "--listen", "127.0.0.1:0"]
        argv = self.kobako.command(*argv, "--address-file", str(address))
        scratch.serve(argv, self.kobako.env, lambda: address.exists() and address.read_text())
        self.inputs.filled["hub"] = address.read_text().strip().removeprefix("http://")

    def _docker_registry(self, program: str) -> None:
        scratch, port = self.inputs.scratch, free_port()
        data = scratch.fresh("registry")
        document = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(data)}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        (scratch.path / "registry.yml").write_text(json.dumps(document))
        argv = [program, "serve", str(scratch.path / "registry.yml")]
        scratch.serve(argv, Identity().environment(), lambda: listens(port))
        self.inputs.filled["registry"] = f"127.0.0.1:{port}"
