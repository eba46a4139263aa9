"""kobako logout"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command("logout", "logout [SERVER]", "Log out from a registry", (), 0, 1)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import transfers

    server = words[0] if words else ""
    shown = server or "https://index.docker.io/v1/"
    context.out(f"Removing login credentials for {shown}")
    transfers.logout(context.engine, server)
    return 0
