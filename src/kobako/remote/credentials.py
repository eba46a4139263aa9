"""Docker's config.json: credentials in the file itself or kept by `docker-credential-*` programs.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

from __future__ import annotations

import os

from kobako import fastjson
from kobako.errors import Invalid, Unavailable
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DOCKER_IO_KEY = "https://index.docker.io/v1/"
"""The key of docker.io's credentials, in the file and in the helpers."""
_IDENTITY_USER = "<token>"
_HELPER_SECONDS = 60
_MEND = "mend the file, or remove it and log in again"


class Credentials(Record):
    """A user name and a password, or an identity token. Never printed."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token or self.registry_token)

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"


class CredentialFile(Record):
    """`path` of a config.json, which need not exist, and the `search_path` of helper programs."""

    path: str
    search_path: str = os.defpath

    def get(self, domain: str) -> Credentials:
        """The credentials for a registry domain, empty if there are none.

        Raises `Invalid` for a file that is malformed, `Unavailable` for a helper that fails.
        """
        document = self._load()
        helper = _helper(document, domain)
        if helper:
            return self._ask(helper, domain)
        return _entry(self.path, document, domain)

    def set(self, domain: str, credentials: Credentials) -> str:
        """Store credentials; the path of the file if they lie in it unencrypted, else ""."""
        document = self._load()
        helper = _helper(document, domain)
        if helper:
            token = credentials.identity_token
            request = {
                "ServerURL": _key(domain),
                "Username": _IDENTITY_USER if token else credentials.username,
                "Secret": token or credentials.password,
            }
            self._run(helper, "store", fastjson.dumps(request))
            return ""
        with self._locked():
            document = self._load()
            auths = document["auths"] = document.get("auths") or {}
            for key in _keys(auths, domain):
                del auths[key]
            auths[_key(domain)] = _encoded(credentials)
            self._save(document)
        return self.path

    def erase(self, domain: str) -> bool:
        """Forget the credentials of a domain; whether there were any."""
        document = self._load()
        helper = _helper(document, domain)
        found = False
        if helper:
            found = bool(self._ask(helper, domain))
            self._run(helper, "erase", _key(domain).encode())
        if _keys(document.get("auths") or {}, domain):
            with self._locked():
                document = self._load()
                for key in _keys(document.get("auths") or {}, domain):
                    del document["auths"][key]
                    found = True
                self._save(document)
        return found

    def list(self) -> dict[str, str]:
        """Domains (as keys of the file or helper) and user names."""
        document = self._load()
        found = {}
        for key, entry in (document.get("auths") or {}).items():
            if isinstance(entry, dict):
                found[key] = _entry(self.path, document, key).username
        helper = document.get("credsStore")
        if helper:
            answer = self._run(helper, "list", b"")
            if isinstance(answer, dict):
                found.update({str(key): str(user) for key, user in answer.items()})
        return found

    def _ask(self, helper: str, domain: str) -> Credentials:
        answer = self._run(helper, "get", _key(domain).encode())
        if answer is None:
            return Credentials()
        user, secret = answer.get("Username"), answer.get("Secret")
        if not isinstance(user, str) or not isinstance(secret, str):
            raise Unavailable(f"credential helper docker-credential-{helper}: malformed answer")
        if user == _IDENTITY_USER:
            return Credentials(identity_token=secret)
        return Credentials(user, secret)

    def _run(self, helper: str, verb: str, data: bytes) -> dict[str, Any] | None:
        """A helper's answer; None if it knows no such credentials."""
        import shutil
        import subprocess

        program = f"docker-credential-{helper}"
        if not helper or "/" in helper:
            raise Invalid(f"{self.path}: invalid credential helper {helper!r}")
        found = shutil.which(program, path=self.search_path)
        if found is None:
            raise Unavailable(
                f"credential helper {program} not found in the search path",
                hint=f"install it, or remove it from {self.path}",
            )
        try:
            done = subprocess.run(
                [found, verb], input=data, capture_output=True, timeout=_HELPER_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"credential helper {program} {verb}: no answer within {_HELPER_SECONDS} s"
            ) from None
        except OSError as fault:
            raise Unavailable(f"credential helper {program}: {fault.strerror}") from None
        if done.returncode:
            said = (done.stdout.strip() or done.stderr.strip()).decode(errors="replace")
            if "credentials not found" in said:
                return None
            raise Unavailable(f"credential helper {program} {verb}: {said[:300] or 'failed'}")
        if verb in ("store", "erase"):
            return None
        try:
            answer = fastjson.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable(f"credential helper {program} {verb}: malformed answer")
        return answer

    def _load(self) -> dict[str, Any]:
        try:
            with open(self.path, "rb") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as fault:
            raise Invalid(f"{self.path}: {fault.strerror}") from None
        try:
            document = fastjson.loads(text) if text.strip() else {}
        except ValueError as fault:
            raise Invalid(f"{self.path}: not JSON: {fault}", hint=_MEND) from None
        if not isinstance(document, dict):
            raise Invalid(f"{self.path}: not a JSON object", hint=_MEND)
        for key in ("auths", "credHelpers"):
            if not isinstance(document.get(key) or {}, dict):
                raise Invalid(f"{self.path}: {key} must be an object", hint=_MEND)
        if not isinstance(document.get("credsStore") or "", str):
            raise Invalid(f"{self.path}: credsStore must be a string", hint=_MEND)
        return document

    def _save(self, document: dict[str, Any]) -> None:
        """Replace the file at once, readable by its owner alone; a symbolic link stays one."""
        import json

        target = os.path.realpath(self.path)
        text = json.dumps(document, indent="\t", ensure_ascii=False).encode() + b"\n"
        temporary = f"{target}.{os.getpid()}.tmp"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb") as file:
                    os.fchmod(fd, 0o600)
                    file.write(text)
                    file.flush()
                    os.fsync(fd)
                os.rename(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as fault:
            raise Unavailable(f"cannot write {self.path}: {fault.strerror}") from None

    def _locked(self) -> _Lock:
        return _Lock(os.path.dirname(os.path.realpath(self.path)))


class _Lock:
    """The directory of the file, locked: two logins at once lose neither."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.fd = -1

    def __enter__(self) -> None:
        import fcntl

        try:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            self.fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self.fd, fcntl.LOCK_EX)
        except OSError as fault:
            raise Unavailable(f"cannot write in {self.directory}: {fault.strerror}") from None

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def registry_domain(server: str) -> str:
    """What a user may call a registry (`docker.io`, `https://host/v1/`, "") as a domain."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if host in ("", "index.docker.io", "registry-1.docker.io", "docker.io"):
        return "docker.io"
    return host


def _key(domain: str) -> str:
    return DOCKER_IO_KEY if domain == "docker.io" else domain


def _keys(entries: dict[str, Any], domain: str) -> list[str]:
    """The keys that mean `domain`, the exact one first; old clients wrote whole URLs."""
    exact = _key(domain)
    found = [exact] if exact in entries else []
    return found + [k for k in entries if k != exact and k and registry_domain(k) == domain]


def _helper(document: dict[str, Any], domain: str) -> str:
    helpers = document.get("credHelpers") or {}
    for key in _keys(helpers, domain):
        if isinstance(helpers[key], str):
            return str(helpers[key])
    return document.get("credsStore") or ""


def _entry(path: str, document: dict[str, Any], domain: str) -> Credentials:
    auths = document.get("auths") or {}
    for key in _keys(auths, registry_domain(domain)):
        entry = auths[key]
        if not isinstance(entry, dict):
            raise Invalid(f"{path}: auths.{key} must be an object")
        values = {k: v for k, v in entry.items() if isinstance(v, str)}
        user, password = values.get("username", ""), values.get("password", "")
        if values.get("auth"):
            user, password = _decoded(path, key, values["auth"])
        found = Credentials(
            user, password, values.get("identitytoken", ""), values.get("registrytoken", "")
        )
        if found:
            return found
    return Credentials()


def _decoded(path: str, key: str, auth: str) -> tuple[str, str]:
    from binascii import Error, a2b_base64

    try:
        user, colon, password = a2b_base64(auth).decode().partition(":")
    except (Error, ValueError):
        colon = ""
    if not colon:
        raise Invalid(f"{path}: auths.{key}.auth is not base64 of user:password") from None
    return user, password.rstrip("\0")


def _encoded(credentials: Credentials) -> dict[str, str]:
    from binascii import b2a_base64

    text = f"{credentials.username}:{credentials.password}".encode()
    entry = {"auth": b2a_base64(text, newline=False).decode("ascii")}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    return entry
