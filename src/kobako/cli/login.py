"""kobako login"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.transfers import LoginResult

COMMAND = Command(
    "login",
    "login [OPTIONS] [SERVER]",
    "Authenticate to a registry",
    (
        Flag("password", "p", TEXT, "Password"),
        Flag("password-stdin", "", BOOL, "Take the password from stdin"),
        Flag("username", "u", TEXT, "Username"),
    ),
    most=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import sys

    from kobako.engine import transfers
    from kobako.errors import Invalid

    server = words[0] if words else ""
    user, password = values.text("username"), values.text("password")
    if values.on("password-stdin"):
        if values.given("password"):
            raise Invalid("--password and --password-stdin are mutually exclusive")
        if not user:
            raise Invalid("Must provide --username with --password-stdin")
        password = sys.stdin.buffer.read().decode().rstrip("\r\n")
    elif values.given("password"):
        context.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    result = None
    if not user and not password:
        result = _again(context, server)
    if result is None:
        if not user or not password:
            user, password = _ask(context, server, user, password)
        result = transfers.login(context.engine, server, user, password)
    if result.unencrypted_path:
        context.err(
            "WARNING! Your credentials are stored unencrypted in "
            f"'{result.unencrypted_path}'.\nConfigure a credential helper to remove this warning."
        )
    context.out("Login Succeeded")
    return 0


def _again(context: Context, server: str) -> LoginResult | None:
    """Log in with what is stored already; None if there is nothing, or it does not do any more."""
    from kobako.engine import transfers
    from kobako.errors import KobakoError

    kept = transfers.stored_login(context.engine, server)
    if not kept.username or not kept.password:
        return None
    context.out("Authenticating with existing credentials...")
    try:
        return transfers.login(context.engine, server, kept.username, kept.password)
    except KobakoError as fault:
        context.err(f"Login did not succeed, error: {fault.message}")
        return None


def _ask(context: Context, server: str, user: str, password: str) -> tuple[str, str]:
    import sys

    from kobako.engine import transfers
    from kobako.errors import Invalid

    if not sys.stdin.isatty():
        raise Invalid(
            "Cannot perform an interactive login from a non TTY device",
            hint="Use --username and --password-stdin.",
        )
    import getpass

    if not user:
        known = transfers.stored_login(context.engine, server).username
        shown = f"Username ({known}): " if known else "Username: "
        user = input(shown).strip() or known
        if not user:
            raise Invalid("username is empty")
    if not password:
        password = getpass.getpass("Password: ")
        if not password:
            raise Invalid("password is empty")
    return user, password
