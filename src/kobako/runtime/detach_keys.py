"""The keys that end a caller's stay with a process without ending the process."""

from __future__ import annotations


class DetachKeys:
    """Looks for `keys` in what is typed, in pieces as it comes."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._typed = 0  # how many of them have just been typed

    @property
    def typed(self) -> bool:
        """Whether all of them have been, one after the other."""
        return self._typed == len(self._keys)

    def before(self, data: bytes) -> bytes:
        """What to pass on of `data`: all but the keys and what comes after them. Their
        beginning is held back until something else is typed."""
        passed = bytearray()
        for byte in data:
            while self._typed and byte != self._keys[self._typed]:
                # The longest end of what is held back that may begin the keys again stays.
                held = self._keys[: self._typed]
                self._typed = next(
                    n for n in range(self._typed - 1, -1, -1) if held.endswith(self._keys[:n])
                )
                passed += held[: len(held) - self._typed]
            if byte != self._keys[self._typed]:
                passed.append(byte)
                continue
            self._typed += 1
            if self.typed:
                break
        return bytes(passed)
