"""Several large files hashed at once: hashlib lets other threads run meanwhile."""

from __future__ import annotations

import threading

from kobako.build.context import hash_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.files import Entry


def hash_all(files: list[Entry], open_file: Callable[[Entry], int]) -> list[str]:
    """sha256 (hex) of each file. Every thread has ended on return; the first error is raised."""
    import os

    digests = [""] * len(files)
    errors: list[BaseException] = []
    waiting = iter(sorted(range(len(files)), key=lambda n: -files[n].stat.st_size))
    lock = threading.Lock()

    def work() -> None:
        while not errors:
            with lock:
                number = next(waiting, -1)
            if number < 0:
                return
            try:
                digests[number] = hash_file(open_file(files[number]), files[number].stat.st_size)
            except BaseException as error:
                errors.append(error)

    count = min(len(files), os.cpu_count() or 1)
    threads = [threading.Thread(target=work) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    try:
        work()
    except BaseException as error:  # an interrupt: the others stop at their next file
        errors.append(error)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return digests
