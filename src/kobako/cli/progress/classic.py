"""docker's first builder: Step 1/4, Running in, Removing intermediate container."""

from __future__ import annotations

import sys

from kobako.build import progress as events
from kobako.cli.progress.base import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import Event


class Classic(Progress):
    """docker's first builder: Step 1/4, Running in, Removing intermediate container."""

    def show(self, event: Event) -> None:
        out = sys.stdout
        if isinstance(event, events.ContextScanned):
            from kobako.cli import units

            size = units.size(event.size)
            out.write(f"Sending build context to kobako  {size}\n")
        elif isinstance(event, events.StepStarted):
            out.write(f"Step {event.number}/{event.total} : {event.text}\n")
        elif isinstance(event, events.StepRunning):
            out.write(f" ---> Running in {event.container[:12]}\n")
        elif isinstance(event, events.StepOutput):
            out.flush()
            stream = sys.stderr if event.stream == 2 else sys.stdout
            stream.buffer.write(event.data)
            stream.buffer.flush()
        elif isinstance(event, events.StepDone):
            if event.cached:
                out.write(" ---> Using cache\n")
            elif event.container:
                out.write(f"Removing intermediate container {event.container[:12]}\n")
            out.write(f" ---> {event.image.partition(':')[2][:12]}\n")
        else:
            super().show(event)
            return
        out.flush()
