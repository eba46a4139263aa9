"""kobako hub serve"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag
from kobako.cli.hub_flags import DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "serve",
    "hub serve [OPTIONS]",
    "Serve a registry until interrupted",
    (
        DATA,
        Flag("address-file", "", TEXT, "Write the address to this file once it is served"),
        Flag("listen", "l", TEXT, "Address to listen on", "host:port", "127.0.0.1:5000"),
        Flag("log", "", BOOL, "Write a line a request to standard error"),
        Flag("open", "", BOOL, "Let everybody push and delete, without accounts"),
        Flag("private", "", BOOL, "Let only accounts pull"),
        Flag("public-url", "", TEXT, "How clients reach it, when a proxy stands before it", "url"),
        Flag("quota", "", TEXT, "Bound of all content", "bytes"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import os
    import signal
    import sys

    from kobako.cli.flags import size_flag
    from kobako.cli.hub_flags import data_dir
    from kobako.errors import Invalid
    from kobako.hub.hub import Hub
    from kobako.hub.options import Options

    host, colon, port = values.text("listen").rpartition(":")
    if not colon or not port.isdigit():
        raise Invalid(f"invalid address {values.text('listen')!r}", hint="Use host:port.")
    host = host.strip("[]") or "0.0.0.0"
    options = Options(
        open=values.on("open"),
        anonymous_pull=not values.on("private"),
        public_url=values.text("public-url"),
        quota=size_flag(values, "quota", 0),
    )
    directory = data_dir(context, values)
    hub = Hub.open(directory, options)

    def ready(address: tuple[str, int]) -> None:
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        context.err(f"Serving {directory} at http://{name}:{address[1]}")
        path = values.text("address-file")
        if path:
            with open(path + ".part", "w") as file:
                file.write(f"{name}:{address[1]}\n")
            os.rename(path + ".part", path)

    def served(request: object) -> None:
        if values.on("log"):
            print(request, file=sys.stderr, flush=True)

    def fault(error: BaseException, where: str) -> None:
        print(f"error: {where}: {error!r}", file=sys.stderr, flush=True)

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        hub.serve_forever(host, int(port), on_ready=ready, on_served=served, on_fault=fault)
    except KeyboardInterrupt:
        pass
    finally:
        hub.close()
    return 0
