"""Commits of git repositories, for ADD and contexts, by the `git` program."""

from __future__ import annotations

import os

from kobako.build.sources import GitSource, Remote
from kobako.errors import Corrupt, Invalid, NotFound, Unavailable, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine

# git's last words whenever a transport fails, whatever its reason was.
_ADVICE = ("Please make sure you have the correct access rights", "and the repository exists.")
_COMMIT = (40, 64)
_TOKEN = "GIT_AUTH_TOKEN"
_HEADER = "GIT_AUTH_HEADER"
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
"""A host nobody has spoken to is believed, as with BuildKit; one whose key has changed is not."""


class Git:
    """The program, told to ask nobody anything.

    `secrets` may hold GIT_AUTH_TOKEN or GIT_AUTH_HEADER, or the like for one host
    (GIT_AUTH_TOKEN.example.org); `ssh` is the socket of an agent, or files with keys.
    """

    def __init__(
        self, engine: Engine, secrets: dict[str, bytes], ssh: tuple[str, ...] = ()
    ) -> None:
        import shutil

        program = shutil.which("git", path=engine.settings.path)
        if program is None:
            raise Unsupported(
                "fetching from a git repository needs the program git", hint="Install git."
            )
        self._program = program
        self._env = {
            "PATH": engine.settings.path,
            "HOME": engine.settings.home,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_SSH_COMMAND": _SSH,
            "GIT_ALLOW_PROTOCOL": "http:https:ssh:git",
        }
        self._env.update((name, value) for name, value in _proxies(engine))
        self._secrets = secrets
        self._env.update(_identity(ssh))

    def look_up(self, source: GitSource) -> Remote:
        """The commit the source's reference stands for. `NotFound` when the repository has none."""
        if _is_commit(source.ref):
            return _checked(source, source.ref)
        ref = source.ref or "HEAD"
        self._show(source.remote)
        lines = self.run("", "ls-remote", "--", source.remote, ref, ref + "^{}").splitlines()
        found: dict[str, str] = {}
        for line in lines:
            commit, _, name = line.partition("\t")
            found[name] = commit
        plain = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        names = [ref] if ref.startswith("refs/") or ref == "HEAD" else []
        if not ref.startswith("refs/tags/"):
            names.append(f"refs/heads/{plain}")
        if not ref.startswith("refs/heads/"):
            names.append(f"refs/tags/{plain}")
        names.append("refs/" + ref.removeprefix("refs/"))
        for name in names:
            if name in found:
                tag = found[name]
                return _checked(source, found.get(name + "^{}", tag), tag)
        raise NotFound(f"{source.remote} does not contain ref {ref}")

    def check_out(self, remote: Remote, directory: str) -> int:
        """Puts the commit's files, or the subdirectory's, into the directory, which is made; when
        the commit was made, in seconds."""
        source = remote.source
        assert isinstance(source, GitSource)
        work = f"{directory}.git"
        self._show(source.remote)
        self.run("", "init", "-q", "-b", "master", work)
        self.run(work, "remote", "add", "origin", source.remote)
        self._fetch(work, source, remote.digest)
        self.run(work, "checkout", "-q", "--detach", remote.digest)
        made = int(self.run(work, "log", "-1", "--format=%ct"))
        if source.submodules is not False and os.path.exists(f"{work}/.gitmodules"):
            self._check_out_submodules(work)
        if source.commit_times:
            _set_times(work, made)
        if source.keep_git_dir:
            self._tidy(work, source)
        else:
            _remove_git_dirs(work)
        if not source.subdir:
            os.rename(work, directory)
            return made
        inner = os.path.join(work, source.subdir)
        if os.path.realpath(inner) != os.path.join(os.path.realpath(work), source.subdir):
            raise Invalid(f"{source.remote}: the subdirectory {source.subdir} is a link")
        if not os.path.isdir(inner):
            raise NotFound(f"{source.remote}: no directory {source.subdir} in {remote.digest[:12]}")
        os.rename(inner, directory)
        from kobako.snapshot.driver import remove_tree

        remove_tree(work)
        return made

    def _show(self, remote: str) -> None:
        """From here on the server of the repository, and no other, sees who is asking."""
        header = _authorization(self._secrets, remote)
        if header:
            self._env |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{_scope(remote)}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
            }

    def _fetch(self, work: str, source: GitSource, commit: str) -> None:
        """The commit alone where the server gives it, else everything it is reachable from."""
        wanted = commit if _is_commit(source.ref) else source.ref or "HEAD"
        for words in (
            ("fetch", "-q", "--depth=1", "--no-tags", "origin", commit),
            ("fetch", "-q", "--depth=1", "--no-tags", "origin", wanted),
            ("fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"),
        ):
            try:
                self.run(work, *words)
                self.run(work, "cat-file", "-e", f"{commit}^{{commit}}")
                return
            except Unavailable as fault:
                last = fault
        raise last

    def _check_out_submodules(self, work: str) -> None:
        """Their commits alone where the servers give them, else everything."""
        words = ("submodule", "update", "--init", "--recursive", "-q")
        try:
            self.run(work, *words, "--depth=1")
        except Unavailable:
            self.run(work, *words)

    def _tidy(self, work: str, source: GitSource) -> None:
        """A repository that is kept has the tag it was asked for, and says nothing of how and when
        it was fetched."""
        tag = source.ref.removeprefix("refs/tags/")
        if tag and not _is_commit(tag) and not tag.startswith("refs/"):
            name = f"refs/tags/{tag}"
            try:
                self.run(work, "fetch", "-q", "--no-tags", "--depth=1", "origin", f"+{name}:{name}")
            except Unavailable:
                pass  # a branch
        self.run(work, "reflog", "expire", "--all", "--expire=now")
        for name in ("FETCH_HEAD", "ORIG_HEAD", "index"):
            if os.path.exists(f"{work}/.git/{name}"):
                os.unlink(f"{work}/.git/{name}")
        self.run(work, "read-tree", "HEAD")  # an index without times and inodes

    def run(self, directory: str, *words: str) -> str:
        """What the program says; `Unavailable` with its last words when it fails."""
        import subprocess

        done = subprocess.run(
            [self._program, *(("-C", directory) if directory else ()), *words],
            stdin=subprocess.DEVNULL, capture_output=True, env=self._env, umask=0o022, check=False,
        )  # fmt: skip
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines()
            said = [line for line in lines if line.strip() and line not in _ADVICE]
            why = " / ".join(said[-3:]) or "no reason given"
            raise Unavailable(f"git {words[0]}: {_without_password(why)}")
        return done.stdout.decode("utf-8", "replace")


def _checked(source: GitSource, commit: str, tag: str = "") -> Remote:
    wanted = source.checksum
    if wanted and not (commit.startswith(wanted) or tag.startswith(wanted)):
        raise Corrupt(f"expected checksum to match {wanted}, got {commit}")
    return Remote(source, commit)


def _is_commit(ref: str) -> bool:
    return len(ref) in _COMMIT and not ref.strip("0123456789abcdef")


def _authorization(secrets: dict[str, bytes], remote: str) -> str:
    """The header that shows who is asking, as BuildKit makes it: a host's own secrets come first,
    and a header before a token."""
    from urllib.parse import urlsplit

    if not remote.startswith(("http://", "https://")):
        return ""
    host = urlsplit(remote).netloc.rpartition("@")[2]
    for name in (f"{_HEADER}.{host}", f"{_TOKEN}.{host}", _HEADER, _TOKEN):
        value = secrets.get(name)
        if value is None:
            continue
        if name.startswith(_HEADER):
            return value.decode("utf-8", "replace").strip()
        from base64 import b64encode

        return "basic " + b64encode(b"x-access-token:" + value.strip()).decode()
    return ""


def _scope(remote: str) -> str:
    """The URLs that are shown the header: those of the repository; of a forge whose submodules are
    others of its repositories, all."""
    for forge in ("https://github.com/", "https://www.github.com/"):
        if remote.startswith(forge):
            return forge
    return remote


def _identity(sources: tuple[str, ...]) -> dict[str, str]:
    """What lets ssh sign in: an agent's socket, or keys, and then none but those."""
    import shlex
    import stat

    if not sources:
        return {}
    if stat.S_ISSOCK(os.stat(sources[0]).st_mode):
        return {"SSH_AUTH_SOCK": sources[0]}
    keys = " ".join(f"-i {shlex.quote(path)}" for path in sources)
    return {"GIT_SSH_COMMAND": f"{_SSH} -o IdentitiesOnly=yes {keys}"}


def _proxies(engine: Engine) -> Sequence[tuple[str, str]]:
    return [(name, value) for name, value in engine.settings.proxies if value]


def _set_times(work: str, seconds: int) -> None:
    for base, directories, files in os.walk(work):
        if ".git" in directories:
            directories.remove(".git")
        for name in (*directories, *files):
            os.utime(os.path.join(base, name), (seconds, seconds), follow_symlinks=False)


def _remove_git_dirs(work: str) -> None:
    """The repository's own and, in submodules, the files that point to it."""
    from kobako.snapshot.driver import remove_tree

    remove_tree(f"{work}/.git")
    for base, _, files in os.walk(work):
        if ".git" in files:
            os.unlink(os.path.join(base, ".git"))


def _without_password(text: str) -> str:
    import re

    return re.sub(r"://[^/@\s]*@", "://", text)
