"""A registry server: distribution-spec, accounts, tokens, on an embedded store.

    with Hub.open(directory) as hub:
        hub.accounts.add("alice", "correct horse")
        hub.serve_forever("127.0.0.1", 5000)

It knows nothing of containers and runs alone on a machine of its own.
"""

from __future__ import annotations

from kobako.hub.accounts import ADMIN, USER, Account
from kobako.hub.collect import Collected
from kobako.hub.hub import Hub
from kobako.hub.options import Options
from kobako.hub.repositories import Repository

__all__ = ["ADMIN", "USER", "Account", "Collected", "Hub", "Options", "Repository"]
