"""Outputs that are files: the merged trees of a result, and archives of it."""

from __future__ import annotations

import os

from kobako.errors import Conflict, Invalid
from kobako.layer.copy_out import explain
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from kobako.build.attest.statement import Attestation
    from kobako.build.outputs.spec import TreeOutput
    from kobako.build.worker import LayerRef
    from kobako.engine.build.exporting import ExportVertex
    from kobako.engine.engine import Engine
    from kobako.engine.scratch import Scratch

_FEW = 3  # devices named in a warning


class PlatformTree(Record):
    """What one platform's result holds, and what is attested of it."""

    platform: str
    layers: tuple[LayerRef, ...]
    attestations: tuple[Attestation, ...] = ()

    @property
    def directory(self) -> str:
        """What its directory is called where there are several."""
        return self.platform.replace("/", "_")


def write_trees(
    engine: Engine,
    trees: Sequence[PlatformTree],
    output: TreeOutput,
    vertex: ExportVertex,
    stdout: BinaryIO | None,
) -> None:
    """Write the files of a result as `output` says. With several platforms each has a directory
    of its own, unless `platform-split=false`."""
    from contextlib import ExitStack

    split = len(trees) > 1 if output.split is None else output.split
    with ExitStack() as stack:
        scratches = [stack.enter_context(merged(engine, tree.layers)) for tree in trees]
        roots = []
        for scratch in scratches:
            fd = os.open(scratch.mount(readonly=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            roots.append(fd)
        files = [
            _statements(tree, root, output.attestation_prefix, not split and len(trees) > 1)
            for tree, root in zip(trees, roots, strict=True)
        ]
        if not split and len(trees) > 1:
            _refuse_overlaps(engine, trees, roots)
        if output.tar:
            with vertex.part("sending tarball"):
                _write_tar(engine, trees, scratches, roots, files, output, split, stdout)
        else:
            with vertex.part("copying files"):
                _write_directory(engine, trees, roots, files, output, split, vertex)


def _statements(
    tree: PlatformTree, root: int, prefix: str, with_platform: bool
) -> list[tuple[bytes, bytes]]:
    """What is attested as files: statements about each regular file of the tree."""
    wanted = [each for each in tree.attestations if each.filename]
    if not wanted:
        return []
    import json

    from kobako.build.attest.statement import statement
    from kobako.layer.digests import file_digests

    subjects = [(path.decode("utf-8", "replace"), d) for path, d in file_digests(root)]
    found = []
    for each in wanted:
        name, dot, extension = each.filename.rpartition(".")
        if with_platform and dot:
            name = f"{name}.{tree.directory}"
        text = json.dumps(statement(each, subjects), indent=2, ensure_ascii=False)
        full = prefix + (f"{name}.{extension}" if dot else each.filename)
        found.append((os.fsencode(full), text.encode()))
    return found


def merged(engine: Engine, layers: Sequence[LayerRef]) -> Scratch:
    """The tree of these layers (bottom first) and nothing else, ready to be mounted."""
    from kobako.engine import unpack
    from kobako.engine.scratch import Scratch

    for layer in layers:
        if not engine.trees.has(layer.diff_id):
            unpack.unpack_one(engine, layer.diff_id, layer.descriptor)
    return Scratch(engine, [engine.trees.path(layer.diff_id) for layer in reversed(layers)])


def _refuse_overlaps(engine: Engine, trees: Sequence[PlatformTree], roots: list[int]) -> None:
    import stat

    from kobako.layer.export import everything

    seen: dict[str, str] = {}
    for tree, root in zip(trees, roots, strict=True):
        for change in everything(root, engine.mode.format)[1:]:
            path = change.path.lstrip("/")
            if stat.S_ISDIR(os.stat(path, dir_fd=root, follow_symlinks=False).st_mode):
                continue
            if path in seen:
                raise Conflict(
                    f"cannot overwrite {path} from {seen[path]} with {tree.platform} when split "
                    "option is disabled",
                    hint="Leave out platform-split=false, or give the files different names.",
                )
            seen[path] = tree.platform


def _write_directory(
    engine: Engine,
    trees: Sequence[PlatformTree],
    roots: list[int],
    files: list[list[tuple[bytes, bytes]]],
    output: TreeOutput,
    split: bool,
    vertex: ExportVertex,
) -> None:
    from kobako.layer import copy_out

    kept: set[bytes] = set()
    devices: list[str] = []
    top = open_directory(output.dest)
    try:
        for tree, root, beside in zip(trees, roots, files, strict=True):
            place = os.path.join(output.dest, tree.directory) if split else output.dest
            into = _open_below(top, tree.directory, output.dest) if split else os.dup(top)
            try:
                done = copy_out.copy_out(
                    root, into, engine.mode.format, name=place, epoch=output.epoch
                )
                for name, data in beside:
                    copy_out.write_file(into, name, data, place=place, epoch=output.epoch)
                    kept.add(os.fsencode(tree.directory) + b"/" + name if split else name)
            finally:
                os.close(into)
            prefix = os.fsencode(tree.directory) + b"/" if split else b""
            kept |= {prefix + path for path in done.paths} | ({prefix[:-1]} if split else set())
            devices += done.devices
        if output.delete:
            copy_out.remove_others(top, frozenset(kept), name=output.dest)
    finally:
        os.close(top)
    if devices:
        more = "" if len(devices) <= _FEW else f" and {len(devices) - _FEW} more"
        vertex.warn(
            f"{output.dest}: device nodes are left out, only root can make them: "
            f"{', '.join(devices[:_FEW])}{more}; type=tar has them"
        )


def open_directory(path: str) -> int:
    """The directory `path`, made with those above it when it is not there; a descriptor."""
    try:
        os.makedirs(path, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileExistsError:
        raise Invalid(f"destination directory {path} is a file") from None
    except NotADirectoryError:
        raise Invalid(f"destination {path}: something above it is not a directory") from None
    except OSError as fault:
        raise explain(fault, path) from fault


def _open_below(top: int, name: str, place: str) -> int:
    """A platform's directory in `top`; a link in its way is replaced."""
    from kobako.linux import fs

    try:
        try:
            os.mkdir(name, 0o755, dir_fd=top)
        except FileExistsError:
            if os.path.islink(f"/proc/self/fd/{top}/{name}"):
                os.unlink(name, dir_fd=top)
                os.mkdir(name, 0o755, dir_fd=top)
        return os.open(name, fs.DIRECTORY, dir_fd=top)
    except OSError as fault:
        raise explain(fault, f"{place}/{name}") from fault


def _write_tar(
    engine: Engine,
    trees: Sequence[PlatformTree],
    scratches: list[Scratch],
    roots: list[int],
    files: list[list[tuple[bytes, bytes]]],
    output: TreeOutput,
    split: bool,
    stdout: BinaryIO | None,
) -> None:
    from kobako.layer.export import Exported, export_all

    exported, statements = [], []
    for tree, scratch, root, beside in zip(trees, scratches, roots, files, strict=True):
        prefix = os.fsencode(tree.directory) if split else b""
        owners = engine.driver.owners(scratch.directory, scratch.lowers)
        exported.append(Exported(root, owners, prefix))
        statements += [(prefix + b"/" + n if prefix else n, data) for n, data in beside]
    form, epoch = engine.mode.format, output.epoch
    write_to(
        output.dest,
        stdout,
        lambda sink: export_all(exported, sink, form, files=statements, epoch=epoch),
    )


def write_to(dest: str, stdout: BinaryIO | None, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill the file `dest`, which appears when it is whole, or `stdout` for "-"."""
    if dest == "-":
        if stdout is None:
            raise Invalid("there is no standard output to write to", hint="Give a dest=FILE.")
        try:
            write(stdout)
            stdout.flush()
        except OSError as fault:
            raise explain(fault, "standard output") from fault
        return
    if os.path.isdir(dest):
        raise Invalid(f"destination file {dest} is a directory")
    try:
        if os.path.exists(dest) and not os.path.isfile(dest):  # a FIFO, /dev/null
            with open(dest, "wb") as sink:
                write(sink)
            return
        part = f"{os.path.realpath(dest)}.{os.urandom(6).hex()}.part"
        try:
            with open(part, "xb") as sink:
                write(sink)
            os.rename(part, os.path.realpath(dest))
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
    except OSError as fault:
        raise explain(fault, dest) from fault
