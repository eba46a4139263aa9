"""Slows down password guessing: failures are counted by client and account."""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW = 60.0
_PER_PAIR = 5
_PER_PEER = 30
_MOST_KEYS = 10_000


class Throttle:
    """Remembers failed logins for a minute: at most 5 for one account from one address, and 30
    from one address for whatever accounts. Thread-safe; bounded memory.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], list[float]] = {}
        self._lock = threading.Lock()

    def wait_time(self, peer: str, account: str) -> int:
        """Whole seconds until this client may try again; 0 for now."""
        now = self._clock()
        with self._lock:
            waits = [
                self._wait((peer, account), _PER_PAIR, now),
                self._wait((peer, ""), _PER_PEER, now),
            ]
        longest = max(waits)
        return int(longest) + 1 if longest > 0 else 0

    def failed(self, peer: str, account: str) -> None:
        """Count a failure."""
        now = self._clock()
        with self._lock:
            if len(self._failures) > _MOST_KEYS:
                self._forget(now)
            self._failures.setdefault((peer, account), []).append(now)
            self._failures.setdefault((peer, ""), []).append(now)

    def succeeded(self, peer: str, account: str) -> None:
        """Forget the failures of this account from this client."""
        with self._lock:
            self._failures.pop((peer, account), None)

    def _wait(self, key: tuple[str, str], most: int, now: float) -> float:
        recent = [t for t in self._failures.get(key, ()) if t > now - _WINDOW]
        return recent[-most] + _WINDOW - now if len(recent) >= most else 0.0

    def _forget(self, now: float) -> None:
        old = [key for key, times in self._failures.items() if times[-1] <= now - _WINDOW]
        for key in old or list(self._failures)[: _MOST_KEYS // 10]:
            del self._failures[key]
