"""Which files of its sources a COPY or ADD takes: paths, wildcards, `--parents` and `--exclude`."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem
from kobako.build.files import DIRECTORY, LINK
from kobako.build.ops.rootpath import parts_by_letter
from kobako.build.wildcards import has_wildcards
from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kobako.build.files import Entry, Files
    from kobako.build.sources import GitSource, UrlSource


class TransferSpec(Record):
    """What to copy, everything expanded. `destination` is absolute and keeps its trailing slash.

    `epoch` (seconds) is the time of files from a context, and the latest of others.
    `remotes` says which of the sources, by position, are fetched. `contents` are (name, bytes) of
    here-documents. `literal`: there are no wildcards. `link`: the layer is made of nothing but what
    is copied, whatever is below it: its symlinks are not followed and the directories above are
    new. `upon_source`: what is copied upon is what is copied from. `origin` is what errors call the
    source.
    """

    sources: tuple[str, ...]
    destination: str
    contents: tuple[tuple[str, bytes], ...] = ()
    chown: str = ""
    chmod: str = ""
    exclude: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    upon_source: bool = False
    unpack: bool = False
    epoch: int = 0
    remotes: tuple[tuple[int, UrlSource | GitSource], ...] = ()
    literal: bool = False
    keyword: str = "COPY"
    origin: str = "the build context"


class Chosen(Record):
    """One file or directory a source pattern stands for. `base` is where its path is cut off
    with `--parents`; `name` what it is called in a destination directory; `further` is what the
    same walk through a source with `--parents` has found after another."""

    entry: Entry
    name: str
    base: Entry
    further: bool = False


def choose(files: Files, spec: TransferSpec) -> list[Chosen]:
    """What the sources stand for, in order. A path without wildcards has to exist."""
    try:
        return _choose(files, spec)
    except Problem as problem:
        raise Invalid(f"{spec.keyword} failed: {problem.message}") from None


def _choose(files: Files, spec: TransferSpec) -> list[Chosen]:
    chosen: list[Chosen] = []
    for source in spec.sources:
        if spec.parents:
            chosen += _with_parents(files, source, spec)
            continue
        parts = parts_by_letter(source)
        plain = 0
        while plain < len(parts) and (spec.literal or not has_wildcards(parts[plain])):
            plain += 1
        base = _find(files, "/".join(parts[:plain]), spec)
        if plain == len(parts):
            chosen.append(Chosen(base, parts[-1] if parts else "", base))
        elif base.kind == DIRECTORY:
            chosen += [
                Chosen(_find(files, m.path, spec), m.name, base)
                for m in _matching(files, base, parts[plain:])
            ]
    return chosen


def wanted_by(exclude: tuple[str, ...]) -> Callable[[str, bool], bool] | None:
    """`--exclude`: whether to take a path; asked with True, whether to look below it."""
    if not exclude:
        return None
    from kobako.build.ignore import Ignore

    ignore = Ignore([one for one in exclude if not _is_rooted(one)], "--exclude")

    def wanted(path: str, below: bool) -> bool:
        if below:
            return ignore.may_take_back_below(path)
        verdict = ignore.top
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            verdict = ignore.verdict("/".join(parts[:depth]), verdict)
        return not verdict.excluded

    return wanted


def _is_rooted(pattern: str) -> bool:
    """Whether an `--exclude` begins with "/" or "!./": as in BuildKit it matches nothing then,
    other than in `.dockerignore`."""
    pattern = pattern.strip()
    return pattern.startswith(("/", "!/", "!./"))


def _matching(files: Files, base: Entry, parts: list[str]) -> Iterator[Entry]:
    """The entries below a directory whose path matches part by part: `*` never spans a slash."""
    from kobako.build.match import Pattern

    pattern = Pattern(parts[0])
    for entry in files.children(base).values():
        if not pattern.matches(entry.name):
            continue
        if len(parts) == 1:
            yield entry
        elif entry.kind == DIRECTORY:
            yield from _matching(files, entry, parts[1:])


def _with_parents(files: Files, source: str, spec: TransferSpec) -> list[Chosen]:
    """`--parents`: `/./` separates what is cut off from what is kept; `**` is any depth."""
    head, pivot, tail = source.partition("/./")
    before = parts_by_letter(head) if pivot else []
    kept = "/".join(parts_by_letter(tail if pivot else source))
    if any(map(has_wildcards, before)):
        return _with_several_parents(files, before, kept, spec)
    base = _find(files, "/".join(before), spec)
    if not kept:
        raise NotFound(
            f'{spec.keyword} --parents failed: "{source}" names nothing below a directory',
            hint="Name what is to be copied, * for everything; or leave out --parents.",
        )
    if not has_wildcards(kept):
        found = _find(files, f"{base.path}/{kept}", spec, follow=False)
        here = files.lookup("/".join(before), follow=False)
        linked = here is not None and here.kind == LINK and not spec.upon_source
        if linked or found.path != f"{base.path}/{kept}".strip("/"):
            # As with BuildKit, which follows neither the last link before the pivot nor any behind.
            raise NotFound(
                f'{spec.keyword} --parents failed: "/{"/".join([*before, kept])}" leads through a'
                " symbolic link",
                hint="Name what the link leads to.",
            )
        _check_wanted(files, found, base, spec)
        return [Chosen(found, found.name, base)]
    return _below(files, base, kept)


def _with_several_parents(
    files: Files, before: list[str], kept: str, spec: TransferSpec
) -> list[Chosen]:
    """Wildcards before the pivot: what is kept is looked for in each of the directories."""
    plain = 0
    while not has_wildcards(before[plain]):
        plain += 1
    above = _find(files, "/".join(before[:plain]), spec)
    chosen: list[Chosen] = []
    for match in _matching(files, above, before[plain:]):
        base = _find(files, match.path, spec)
        if base.kind == DIRECTORY:
            chosen += _below(files, base, kept)
    return chosen


def _below(files: Files, base: Entry, kept: str) -> list[Chosen]:
    """What a pattern with `**` stands for below a directory; nothing is taken twice."""
    from kobako.build.match import Pattern

    pattern = Pattern(kept, double_star=True)
    cut = len(base.path) + 1 if base.path else 0
    chosen: list[Chosen] = []
    for entry in files.walk(base):
        inside = chosen and entry.path.startswith(chosen[-1].entry.path + "/")
        if not inside and pattern.matches(entry.path[cut:]):
            chosen.append(Chosen(entry, entry.name, base, further=bool(chosen)))
    return chosen


def _check_wanted(files: Files, found: Entry, base: Entry, spec: TransferSpec) -> None:
    """What is named with `--parents` has to be there after `--exclude`, in part at least."""
    wanted = wanted_by(spec.exclude)
    if wanted is None:
        return
    cut = len(base.path) + 1 if base.path else 0
    below = files.walk(found) if found.kind == DIRECTORY else ()
    if not any(wanted(one.path[cut:], False) for one in (found, *below)):
        raise NotFound(f'{spec.keyword} failed: "/{found.path}" is excluded by --exclude')


def _find(files: Files, path: str, spec: TransferSpec, *, follow: bool = True) -> Entry:
    entry = files.lookup(path, follow=follow)
    if entry is None:
        hidden = files.exists_but_excluded(path)
        raise NotFound(
            f'{spec.keyword} failed: "/{path.strip("/")}" not found in {spec.origin}'
            + (" (excluded by .dockerignore)" if hidden else ""),
            hint="Sources are relative to the build context, not to the Dockerfile."
            if spec.origin == "the build context" and not hidden
            else "",
        )
    return entry
