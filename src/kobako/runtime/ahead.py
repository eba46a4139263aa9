"""A monitor forked before it is known what it will start.

While the caller still makes the container (finds the image, writes the bundle), the monitor leaves
the caller's session and clones the container's first process into its namespaces, which gets ready,
on the other core: nearly half of the time a start takes.
"""

from __future__ import annotations

import marshal
import os

from kobako import groups
from kobako.errors import Invalid
from kobako.linux import process
from kobako.linux.channel import Channel, enclosure
from kobako.runtime import outcome, surroundings
from kobako.runtime.bundle import Prospect
from kobako.runtime.container import Container
from kobako.runtime.first import First

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from kobako.runtime.bundle import Bundle, Interception, Stdio
    from kobako.runtime.surroundings import Surroundings


class Ahead:
    """A waiting monitor: `foresee` tells it what to start, `launch` to start it.

    `launch`, and then `started`, or `abandon`, which sends it away, must be called. If this process
    dies first, the monitor ends by itself.

    One that was made to be used `again` stays when its container has ended (`Container.wait` is not
    to reap it) and gets ready for another one when it is told to `renew`, as often as wanted;
    `abandon` or `end` must be called then. A process that was forked from a large one costs both of
    them a copy of every page that either writes to: of a start, a third.
    """

    def __init__(
        self,
        io: Stdio,
        *,
        terminal: bool,
        around: Surroundings,
        stage: str,
        detach: bool,
        prepare: Callable[[], None],
        intercept_of: Callable[[dict[str, Any], Any], Interception | None],
        tied: bool = False,
        again: bool = False,
    ) -> None:
        """`io`, `detach`, `tied` as in `launch.start`; `terminal` and `around` are those of the
        bundle to come; `stage` as in `stage.Stage`.

        `prepare` runs in the monitor while the first process gets ready, and `intercept_of` later,
        with the runtime-spec document of the bundle and what is `given` to `foresee`. They must not
        use what belongs to this process (databases, locks)."""
        process.require_single_thread("start a container")
        ours, theirs = Channel.pair()
        self._word, word = Channel.pair()
        self._told = -1
        self._terms: tuple[Any, ...] = ()
        self._around = around
        self._terminal = terminal
        self._control = ours
        self._detach = detach
        self._tied = tied
        self._again = again
        self._io = io
        first = None
        self._container = Container("", terminal, io, ours.duplicate() if again else ours)
        try:
            processors = self._processors = os.sched_getaffinity(0)
            prospect = Prospect(
                self._container.monitors_io(detach), terminal, surroundings.document(around), stage,
                detach, tied, again, processors, prepare, intercept_of,
            )  # fmt: skip
            if not again and process.has_standard_streams():
                first = First(prospect.io, terminal=terminal, detach=detach)
            self._child = process.clone(0)
            if self._child == 0:
                outcome.tend(theirs, detach, lambda: self._stand_by(prospect, theirs, word, first))
            process.begin_elsewhere(self._child, processors)
        finally:
            if first is not None:
                first.forget()
            theirs.close()
            word.close()
            self._container.forget_pump_end()

    def _stand_by(
        self, prospect: Prospect, control: Channel, word: Channel, first: First | None
    ) -> NoReturn:
        """The monitor: clones the first process, and then loads what it needs itself. Each of the
        three loads its own, as what one writes to has to be copied for those forked before."""
        self._control.close()
        self._word.close()

        def live(channel: Channel, stdio: tuple[int, int, int]) -> None:
            groups.load("first")
            from kobako.runtime import init

            init.stand_by(channel, stdio, word, prospect)

        if first is not None:
            first.clone(prospect.namespaces, live)
            os.sched_yield()
        else:
            groups.load("first")  # once, for as many as there will be
        groups.load("monitor")
        from kobako.runtime import standby

        standby.obey(prospect, control, {word.fileno()}, first, live)

    def renew(self, io: Stdio) -> bool:
        """Has everything begin once more, now that the container has ended; without a terminal.
        False where the monitor is gone."""
        self._io = io
        self._container.close()
        self._container = Container("", False, io, self._control.duplicate())
        return self._control.send(b"N", (io.stdout, io.stderr))

    def foresee(
        self,
        bundle: Bundle,
        state_dir: str,
        *,
        filter_program: bytes = b"",
        on_exit: tuple[str, ...] = (),
        given: Any = None,
        ephemeral: bool = False,
    ) -> None:
        """Say what is to be started, see `launch.start`; returns at once.

        Everything is made ready but the program. `filter_program` is that of the `Interception`
        that will be made of what is `given`, which marshal takes (strings, numbers, None, tuples,
        lists, dicts); b"" where there will be none.
        """
        bundle.check()
        foreseen = surroundings.namespaces(self._around)
        if bundle.namespaces != foreseen or bundle.terminal != self._terminal:
            raise Invalid(f"the bundle {bundle.path} is not the one that was foreseen")
        bundle = bundle.filtered()
        if not self._detach:
            bundle = bundle.joined_to(self._io)
        # The first process hears it from us, so that the monitor, of which more is wanted, does not
        # get in its way.
        self._told = enclosure(marshal.dumps((bundle.packed(), filter_program)))
        self._word.send(b"B", (self._told,))
        self._terms = (state_dir, on_exit, given, ephemeral)
        self._container.state_dir = state_dir

    def launch(self, journal: bytes = b"") -> None:
        """Have the program started; returns at once. `journal` as in `launch.start`."""
        terms = enclosure(marshal.dumps((*self._terms, journal)))
        if not self._detach:
            process.run_anywhere(self._processors, self._child)
        self._control.send(b"L", (self._told, terms))
        os.close(terms)
        self._forget()
        if not self._again:
            self._word.close()

    def _forget(self) -> None:
        if self._told >= 0:
            os.close(self._told)
            self._told = -1

    def started(self) -> Container:
        """The container, once its program runs. Raises `StartFailed` as `launch.start` does."""
        try:
            self._container.await_start(self._child, self._detach)
        except BaseException:
            if self._tied:
                self.end()
            raise
        return self._container

    def end(self) -> None:
        """Kills what was started, if that was `tied`, and waits until nothing is left of it and of
        the monitor."""
        self._control.close()
        self._forget()
        self._word.close()
        self._container.end()
        self._child = 0

    def abandon(self) -> None:
        """Nothing is to be started after all; nothing is left when this returns. Idempotent."""
        if self._child:
            self._forget()
            self._word.close()
            self._control.wait_for_end()  # detached, it is not our child
            self._container.close()
            self._control.close()
            os.waitpid(self._child, 0)
            self._child = 0
