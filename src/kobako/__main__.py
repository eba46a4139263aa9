"""`kobako` (scripts/kobako) and `python -m kobako`: hand the words to the command line."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from sys import UnraisableHookArgs
else:
    import _signal  # built in: nothing is looked for


def main() -> None:
    sys.unraisablehook = _dropped
    try:
        from kobako.cli import dispatch

        dispatch.main(sys.argv)
    except KeyboardInterrupt:  # before the command line minds it, or when it was all but done
        import os

        os._exit(130)
    except (MemoryError, SystemError):  # nor is there room for who would tell it
        from kobako import groups

        groups.give_up()


def _dropped(fault: "UnraisableHookArgs") -> None:
    """An interrupt while a destructor runs is no exception that anybody gets: it comes once more, a
    moment later."""
    if fault.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(fault)
        return
    _signal.signal(_signal.SIGALRM, lambda *_: _signal.raise_signal(_signal.SIGINT))
    _signal.setitimer(_signal.ITIMER_REAL, 0.001)


if __name__ == "__main__":
    from kobako import groups

    groups.begin()
    main()
