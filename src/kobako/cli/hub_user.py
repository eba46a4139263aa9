"""kobako hub user add|ls|passwd|rm"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag
from kobako.cli.hub_flags import DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "user",
    "hub user add|ls|passwd|rm [OPTIONS] [NAME]",
    "Manage the accounts of a registry",
    (
        DATA,
        Flag("admin", "", BOOL, "The account may write every repository, library/ too"),
        Flag("password-stdin", "", BOOL, "Take the password from stdin"),
    ),
    least=1,
    most=2,
    completes="add ls passwd rm",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli.hub_flags import data_dir
    from kobako.errors import Invalid
    from kobako.hub.hub import Hub

    action, name = words[0], words[1] if len(words) > 1 else ""
    if action not in ("add", "ls", "passwd", "rm"):
        raise Invalid(f"unknown action {action!r}: add, ls, passwd or rm")
    if action != "ls" and not name:
        raise Invalid(f"hub user {action} needs the name of the account")
    hub = Hub.open(data_dir(context, values))
    try:
        if action == "ls":
            from kobako.cli import listing

            rows = [{"Name": a.name, "Role": a.role} for a in hub.accounts.list()]
            context.write(listing.render(rows, (("Name", "NAME"), ("Role", "ROLE"))))
            return 0
        if action == "rm":
            hub.accounts.remove(name)
        elif action == "passwd":
            hub.accounts.passwd(name, _password(values))
        else:
            role = "admin" if values.on("admin") else "user"
            hub.accounts.add(name, _password(values), role=role)
    finally:
        hub.close()
    context.out(name)
    return 0


def _password(values: Values) -> str:
    import sys

    from kobako.errors import Invalid

    if values.on("password-stdin"):
        return sys.stdin.buffer.read().decode().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Invalid("no terminal to ask for the password", hint="Use --password-stdin.")
    import getpass

    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Invalid("the two passwords differ")
    return password
