"""Which modules the short verbs need, in an order in which each comes after those it imports.

Start-up is a feature: what is sure to be needed is loaded by `groups` in one go, a third cheaper
than by the imports that ask for it. Nothing depends on these lists: a module that is missing here
is imported where it is asked for. tests/e2e/test_e2e_startup.py keeps them exact. This module
itself is loaded only where a group has no file yet, or one that holds no more.
"""

from __future__ import annotations

import marshal
import os
from _frozen_importlib_external import MAGIC_NUMBER

from kobako.straight import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from kobako.straight import Entry

_HERE = os.path.dirname(__file__)
_BLOCK = 65536

_RECORDS = " store store.records store.database store.store"

_EXEC = (
    " engine engine.execute runtime fastjson linux"
    " linux.libc runtime.bundle engine.engine engine.containers linux.process"
    " linux.channel linux.caps linux.seccomp runtime.ourselves"
    " runtime.outcome runtime.program runtime.state runtime.join"
    + _RECORDS
    + " store.event_log store.containers engine.program engine.users runtime.process_spec"
    " runtime.seccomp runtime.seccomp.default runtime.seccomp.profile"
)

GROUPS = {
    # What every verb begins with.
    "every": "straight __main__ cli cli.verbs cli.dispatch errors record cli.flags cli.context",
    # Then by the verb's module; of `run`, what it takes until the monitor is forked.
    "run": (
        "cli.container_flags cli.run cli.terminal engine engine.run engine.requests runtime"
        " runtime.surroundings engine.surroundings fastjson linux linux.libc linux.mount"
        " runtime.bundle engine.engine linux.process linux.channel runtime.outcome"
        " runtime.container linux.caps engine.privilege linux.seccomp runtime.first runtime.ahead"
    ),
    # Then each loads its own: the container's first process, its monitor (`runtime.ahead`) and,
    # with `run-create`, who has forked that.
    "first": (
        "runtime.ourselves runtime.program linux.inroot runtime.rootfs runtime.stage runtime.init"
    ),
    "monitor": "runtime.monitor runtime.launcher runtime.launch runtime.standby",
    "exec": "cli.exec cli.terminal cli.environment" + _EXEC,
    "probe": "cli.probe" + _EXEC,
    "build": (
        "cli.progress cli.progress.style cli.build_flags cli.build build events"
        " build.progress cli.build_display cli.endings cli.build_context cli.build_sources"
        " engine engine.build engine.build.access engine.build.building oci oci.platform"
        " cli.progress.base cli.progress.classic engine.engine linux linux.claim engine.scratch"
        " engine.sweep build.worker engine.build.worker store oci.digest store.ingest store.leases"
        " store.content store.records store.sqlite store.database store.store store.rows"
        " store.images store.named engine.images engine.image_naming oci.reference fastjson"
        " build.dockerfile.source build.dockerfile.words build.dockerfile.lines"
        " build.dockerfile.instructions build.dockerfile.duration build.dockerfile.flags"
        " build.dockerfile.shape build.dockerfile.parse build.dockerfile.scan"
        " build.dockerfile.expand build.dockerfile"
        " build.ignore build.cache build.survey"
        " build.files build.memory build.context build.options engine.store_cache oci.moment"
        " build.epoch build.arguments build.lint build.lint.verdict build.graph"
        " build.loading build.beginnings build.ops oci.descriptor build.ops.result"
        " build.ops.metadata build.plan build.gotext build.ports build.stage_log build.stage"
        " build.lower_stage build.named build.needs oci.document oci.execution oci.config"
        " build.lower build.ops.run build.reporting oci.mediatypes oci.manifest"
        " build.result_image build.solver build.assemble cli.units image image.mutate"
        " build.lower_run store.cache engine.moments store.event_log"
    ),
    "commit": (
        "cli.commit engine engine.commit engine.engine engine.containers engine.image_naming"
        " engine.images engine.layers image oci oci.mediatypes fastjson oci.digest oci.document"
        " oci.execution oci.platform oci.config oci.descriptor oci.manifest image.mutate"
        " store store.ingest store.leases oci.reference store.records store.sqlite store.database"
        " store.store"
        " store.containers runtime runtime.state store.rows store.images store.named store.content"
        " engine.filesystem"
        " layer layer.entry layer.format linux linux.libc linux.inroot linux.fs linux.ownership"
        " layer.attributes layer.blocks layer.change layer.codec oci.hasher layer.pump layer.pax"
        " layer.tar_writer layer.pack snapshot engine.privilege linux.mount linux.process"
        " snapshot.driver snapshot.overlay snapshot.overlay_diff store.failures store.writer"
        " oci.moment engine.moments store.closure store.event_log"
    ),
    "ps": (
        "cli.listing cli.ps engine engine.containers engine.engine"
        + _RECORDS
        + " store.containers fastjson runtime runtime.state cli.units cli.table"
    ),
    "images": (
        "cli.listing cli.images engine engine.image_listing engine.engine"
        " store store.records store.sqlite store.database store.store"
        + " oci oci.digest store.rows store.images oci.reference cli.units cli.table"
    ),
    # Of `exec`, while its process gets ready.
    "exec-end": "runtime.attach",
    "run-create": (
        "engine.program engine.container_document engine.etc_files engine.create"
        " runtime.process_spec runtime.spec"
        " engine.names engine.lowers linux.claim engine.images"
        + _RECORDS
        + " store.event_log oci oci.digest store.rows store.named store.containers"
        " oci.reference snapshot"
        " snapshot.trees engine.users snapshot.driver snapshot.overlay"
        " linux.seccomp runtime.seccomp runtime.seccomp.default runtime.seccomp.profile"
    ),
    # Of `run`, where somebody has to stand in for root: of who starts the container, of its
    # monitor, and of that when it is asked something; of whoever does it if more than a look is
    # needed, and of `build`.
    "run-emulated": "linux.ownership engine.bundles emulate emulate.ownership",
    "lookout": (
        "engine.bundles emulate emulate.ownership emulate.control emulate.lookout"
        " runtime.supervision"
    ),
    "looks": (
        "emulate.memory linux.inroot linux.notify linux.ownership linux.syscalls emulate.world"
        " emulate.looks"
    ),
    "emulated": (
        "emulate emulate.ownership linux.notify emulate.memory emulate.caller linux.syscalls"
        " emulate.credentials linux.ownership emulate.inodes emulate.world emulate.chown"
        " emulate.control emulate.create emulate.execute emulate.ids emulate.journal"
        " emulate.sockets emulate.xattrs emulate.stat emulate.supervisor runtime.supervision"
    ),
    # Of `run`, while the monitor starts the container.
    "run-end": "engine.container_removal linux.inroot linux.fs runtime.attach runtime.state",
    # Of `build`, when a step is not found in the cache.
    "build-layer": (
        "linux.libc linux.inroot linux.fs linux.placement linux.process linux.mount"
        " engine.privilege snapshot snapshot.trees engine.lowers engine.names snapshot.driver"
        " snapshot.overlay"
        " build.ops.rootpath layer layer.entry layer.change layer.settle layer.pax"
        " layer.tar_writer engine.filesystem engine.layers layer.format linux.ownership"
        " snapshot.overlay_diff layer.attributes layer.blocks layer.codec oci.hasher layer.pump"
        " layer.pack snapshot.unpacking build.why build.wildcards build.ops.choosing"
        " build.ops.chosen_digest build.why.record linux.fork store.failures store.writer"
    ),
    # Of such a step, when it copies files; after that.
    "build-copy": (
        "build.ops.transferring engine.build.worker_tree build.ops.accounts linux.pouring"
        " build.ops.copying build.ops.modes build.ops.scribe build.ops.fresh"
    ),
    # Of such a step, when it runs a command; after that.
    "build-step": (
        "engine.bundles runtime runtime.surroundings engine.surroundings linux.channel"
        " runtime.bundle runtime.outcome runtime.container"
        " engine.build.plain_tree linux.caps runtime.process_spec runtime.spec"
        " engine.build.mounts linux.seccomp engine.etc_files engine.program engine.users"
        " runtime.first runtime.ahead engine.build.monitor engine.build.run"
        " runtime.seccomp runtime.seccomp.default runtime.seccomp.profile runtime.attach"
    ),
}


def load(group: str) -> None:
    """Import the modules of a group one by one."""
    install()
    for name in GROUPS[group].split():
        __import__("kobako." + name)


def write(group: str, files: list[str]) -> None:
    """Make the file of a group: the first of `files` that there is a place for.

    After the interpreter's magic number it has the length of its head in four bytes, the head (the
    names of all groups, the entries but for their code, and the lengths of blocks), and the codes
    in blocks: memory that one of them was read into serves for the next one.
    """
    any(_write(file, group) for file in files)


def _content(group: str) -> bytes:
    found = [_entry(name) for name in (*GROUPS[group].split(), "startup")]
    blocks = _blocks([entry[-1] for entry in found])
    heads = [entry[:-1] for entry in found]
    head = marshal.dumps((tuple(GROUPS), heads, tuple(map(len, blocks))))
    return b"".join((MAGIC_NUMBER, len(head).to_bytes(4, "little"), head, *blocks))


def _entry(name: str) -> Entry:
    """What the file of a group holds of a module: its name, its file below the package with its
    time and size, as compiled files have them, and its code; of this module no code, which is not
    to be run."""
    path = name.replace(".", "/")
    path += "/__init__.py" if os.path.isdir(f"{_HERE}/{path}") else ".py"
    info = os.stat(f"{_HERE}/{path}")
    code = _bare(f"{_HERE}/{path}") if name != "startup" else None
    return f"kobako.{name}", path, int(info.st_mtime), info.st_size, code


def _bare(path: str) -> CodeType:
    """The code of a source without what only readers need, a sixth of it: docstrings, and
    annotations of functions."""
    import ast

    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
            if not node.body and not isinstance(node, ast.Module):
                node.body = [ast.copy_location(ast.Pass(), node)]
    return compile(tree, path, "exec", dont_inherit=True)


def _blocks(codes: list[CodeType | None]) -> list[bytes]:
    """The codes in their order, as lists of about `_BLOCK` bytes when dumped."""
    blocks: list[bytes] = []
    together: list[CodeType | None] = []
    for code in codes:
        block = marshal.dumps([*together, code])
        if together and len(block) > _BLOCK:
            blocks.append(marshal.dumps(together))
            together = []
        together.append(code)
    return [*blocks, marshal.dumps(together)]


def _clear_away(file: str) -> None:
    """Removes what processes that were killed meanwhile have left beside a file."""
    directory, _, name = file.rpartition("/")
    for entry in os.listdir(directory):
        pid = entry.removeprefix(name + ".")
        if pid != entry and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            try:
                os.unlink(f"{directory}/{entry}")
            except OSError:
                pass  # another has, or it is another's


def _write(file: str, group: str) -> bool:
    """Whether there was a place for it."""
    new = f"{file}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        _clear_away(file)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError:
        return False
    whole = False
    try:
        try:
            data = _content(group)
            whole = os.write(fd, data) == len(data)
        finally:
            os.close(fd)
        if whole:
            os.rename(new, file)
    except (OSError, SyntaxError, ValueError):  # the disk is full, or a source is being replaced
        whole = False
    finally:
        if not whole:
            os.unlink(new)
    return True
