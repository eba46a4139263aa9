"""What ADD and contexts may name that is not on this machine: URLs and git repositories."""

from __future__ import annotations

import posixpath

from kobako.build.dockerfile.source import Problem
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("http", "https", "ssh", "git")
_FLAGS = ("keep-git-dir", "submodules", "fetch-by-commit")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class UrlSource(Record):
    """A file of an HTTP server; `name` is what it is called. `checksum` is "sha256:..." or ""."""

    url: str
    name: str
    checksum: str = ""
    unpack: bool = False


class GitSource(Record):
    """A commit of a git repository, or what `subdir` names of it.

    `remote` is what git is to be told, `ref` a branch, a tag or a commit ("": the default branch).
    `checksum` is (the beginning of) the commit `ref` has to be. None: not said.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    commit_times: bool = False


class Remote(Record):
    """What a source is at the moment: `digest` of the file or commit, `modified` (seconds)."""

    source: UrlSource | GitSource
    digest: str
    modified: int | None = None


def url_source(text: str, checksum: str = "", unpack: bool = False) -> UrlSource | None:
    """The source an `http(s)://` URL names, None for anything else."""
    if not text.startswith(("http://", "https://")):
        return None
    from urllib.parse import unquote, urlsplit

    if checksum:
        _check_digest(checksum)
    try:
        name = posixpath.basename(unquote(urlsplit(text).path).rstrip("/"))
    except ValueError as error:
        raise Problem(f"invalid URL {text}: {error}", text) from None
    return UrlSource(text, name if name not in ("", ".", "..") else "__unnamed__", checksum, unpack)


def _check_digest(checksum: str) -> None:
    from kobako.errors import KobakoError
    from kobako.oci import Digest

    try:
        Digest.parse(checksum)
    except KobakoError as error:
        raise Problem(f"invalid checksum {checksum}: {error.message}", checksum) from None
    if not checksum.startswith("sha256:"):
        raise Problem(f"invalid checksum {checksum}: only sha256 is supported", checksum)


def git_source(text: str, *, context: bool = False) -> GitSource | None:
    """The repository a text names, None when it names none.

    `https://host/repo.git`, `ssh://`, `git://` and `user@host:path`, each with `?key=value` and
    `#ref:subdirectory`; `github.com/...` for contexts alone. A `Problem` says what is wrong.
    """
    if context and text.startswith("github.com/"):
        text = "https://" + text
        if not text.partition("#")[0].partition("?")[0].endswith(".git"):
            head, mark, tail = text.partition("#")
            text = f"{head}.git{mark}{tail}"
    scheme, separator, _ = text.partition("://")
    if separator:
        if scheme.lower() not in _SCHEMES:
            return None
    elif not _is_scp(text):
        return None
    rest, _, fragment = text.partition("#")
    remote, _, query = rest.partition("?")
    if scheme.lower() in ("http", "https") and separator and not remote.endswith(".git"):
        return None
    ref, _, subdir = fragment.partition(":")
    from urllib.parse import parse_qs, unquote

    ref, subdir = unquote(ref), unquote(subdir)
    subdir = posixpath.normpath("/" + subdir).strip("/") if subdir else ""
    asked = parse_qs(query, keep_blank_values=True) if query else {}
    return _with_query(GitSource(remote, ref, subdir), asked)


def _is_scp(text: str) -> bool:
    """`user@host:path`"""
    user, at, rest = text.partition("@")
    host, colon, _ = rest.partition(":")
    return bool(
        at and colon and user and host
        and user.replace("-", "").replace("_", "").isalnum()
        and host.replace("-", "").replace(".", "").isalnum()
    )  # fmt: skip


def _with_query(source: GitSource, query: Mapping[str, list[str]]) -> GitSource:
    ref, tag, branch = source.ref, "", ""
    for key, values in query.items():
        if len(values) > 1:
            raise Problem(f'query "{key}" has multiple values')
        value = values[0]
        if not value and key not in _FLAGS:
            raise Problem(f'query "{key}" has no value')
        if key == "ref":
            ref = _agreed("ref", ref, value)
        elif key == "tag":
            tag = value if value.startswith("refs/tags/") else f"refs/tags/{value}"
        elif key == "branch":
            branch = value if value.startswith("refs/heads/") else f"refs/heads/{value}"
        elif key == "subdir":
            wanted = posixpath.normpath("/" + value).strip("/")
            source = source.replace(subdir=_agreed("subdir", source.subdir, wanted))
        elif key in ("checksum", "commit"):
            source = source.replace(checksum=value)
        elif key == "keep-git-dir":
            source = source.replace(keep_git_dir=_boolean(key, value))
        elif key == "submodules":
            source = source.replace(submodules=_boolean(key, value))
        elif key == "fetch-by-commit":
            _boolean(key, value)  # a commit is fetched by its name whenever it is known
        elif key == "mtime":
            if value not in ("checkout", "commit"):
                raise Problem(f'invalid mtime value: "{value}" (must be "checkout" or "commit")')
            source = source.replace(commit_times=value == "commit")
        else:
            raise Problem(f'unexpected query "{key}"')
    if tag and branch:
        raise Problem("branch conflicts with tag")
    if tag or branch:
        ref = _agreed("ref", ref, tag or branch)
    return source.replace(ref=ref)


def _agreed(what: str, had: str, value: str) -> str:
    if had and had != value:
        raise Problem(f'{what} conflicts: "{had}" vs "{value}"')
    return value


def _boolean(key: str, value: str) -> bool:
    if value and value not in _TRUE + _FALSE:
        raise Problem(f'invalid {key} value: "{value}"')
    return not value or value in _TRUE


def uri(source: UrlSource | GitSource) -> str:
    """Where a source is, without what a person signs in by."""
    if isinstance(source, GitSource):
        return _without_credentials(source.remote) + (f"#{source.ref}" if source.ref else "")
    return _without_credentials(source.url)


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url  # user@host:path names a user and hides nothing
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
