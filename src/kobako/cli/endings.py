"""Signals that end a verb which has much to clear up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
else:
    import _signal  # `signal` itself imports enum: 2 ms


class Ending:
    """Inside the block SIGTERM and SIGHUP interrupt as Ctrl-C does: what is under way is ended and
    cleared up on the way out. Then `code` is what the process is to end with: 128 + the signal.
    """

    def __init__(self) -> None:
        self.code = 128 + _signal.SIGINT

    def __enter__(self) -> Ending:
        self._before = {
            number: _signal.signal(number, self._interrupt)
            for number in (_signal.SIGTERM, _signal.SIGHUP)
            if _signal.getsignal(number) == _signal.SIG_DFL  # nohup: a hangup is ignored
        }
        return self

    def __exit__(self, *fault: object) -> None:
        for number, handler in self._before.items():
            _signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.code = 128 + number
        raise KeyboardInterrupt
