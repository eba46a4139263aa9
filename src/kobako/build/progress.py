"""What a build reports, precise enough for buildx's plain and tree displays and docker's classic.

Two views of the same build. *Vertices* are what the solver carries out (buildx's `#5 [2/4] RUN`);
*steps* are the instructions of the stages, metadata included (classic's `Step 2/4`). A front end
listens to one of them. Steps come strictly in order, even when several stages are built at once.
"""

from __future__ import annotations

from kobako.events import Event


class BuildEvent(Event):
    """Base of everything this room reports."""


class Warning(BuildEvent):  # noqa: A001 - the word of the field; modules import it by room
    """Something the author of the Dockerfile should know. `line` is 1-based, 0 for the file."""

    message: str
    line: int = 0


class CheckWarning(BuildEvent):
    """A build check found something on lines `start` to `end` (1-based, inclusive).

    `rule` is its name, `description` and `url` what the reference says about it ("" for none);
    `token` is the text on those lines that is meant.
    """

    rule: str
    detail: str
    start: int
    end: int
    token: str
    description: str
    url: str


class ContextScanned(BuildEvent):
    """The build context was read. `size` is that of the tar archive docker would have sent."""

    size: int
    files: int


class Waiting(BuildEvent):
    """Vertices run at once and none has said anything for a moment: displays may catch up."""


class Planned(BuildEvent):
    """So many vertices of the graph are going to be told of, cached ones too."""

    vertices: int


class VertexStarted(BuildEvent):
    """`number` counts from 1 in order of start (buildx's `#5`). `stage` is "" in one-stage builds.

    `name` is complete: "[2/4] RUN make", "[builder 1/2] FROM docker.io/library/python:latest",
    "[internal] load metadata for docker.io/library/python:latest". `vertex` is unique in the build,
    `inputs` those of it that this one is made of.
    """

    number: int
    vertex: str
    name: str
    stage: str = ""
    inputs: tuple[str, ...] = ()


class VertexOutput(BuildEvent):
    """Bytes a vertex's command wrote: `stream` 1 or 2, `seconds` since the vertex started."""

    number: int
    vertex: str
    stream: int
    data: bytes
    seconds: float


class VertexStatus(BuildEvent):
    """A part of a vertex's work that is no output of a command: "transferring context:",
    "exporting layers". `id` is unique in the vertex, `name` the kind of work where it has one.

    `current` and `total` are bytes, 0 where there are none or they are not known; `seconds` is how
    long it has taken, in all when it is `done`.
    """

    number: int
    vertex: str
    id: str
    current: int = 0
    total: int = 0
    seconds: float = 0.0
    done: bool = True
    name: str = ""


class VertexDone(BuildEvent):
    """`cached`: nothing was executed. `error`: why it failed, "" when it did not."""

    number: int
    vertex: str
    name: str
    seconds: float
    cached: bool = False
    error: str = ""


class Explained(BuildEvent):
    """Why a vertex was carried out rather than found in the cache: "src/app.py changed"."""

    name: str
    reason: str


class StepStarted(BuildEvent):
    """`Step 2/4 : RUN make`: `number` and `total` count over all stages that are built.

    `text` is the instruction as written, continuations joined.
    """

    number: int
    total: int
    text: str


class StepRunning(BuildEvent):
    """` ---> Running in 990d17e86466`: `container` is a 64-digit id."""

    number: int
    container: str


class StepOutput(BuildEvent):
    """Bytes the command of a step wrote, to `stream` 1 or 2."""

    number: int
    stream: int
    data: bytes


class StepDone(BuildEvent):
    """` ---> 59a074a092cc`: `image` is the image as it is after this step (its config's digest),
    "" after `FROM scratch`. Between the steps of a very long Dockerfile it is another digest that
    stands for the same thing.

    `cached`: say ` ---> Using cache` first. `container`, when not empty, was said to be running
    and is removed: `Removing intermediate container 990d17e86466`.
    """

    number: int
    image: str
    cached: bool = False
    container: str = ""
