"""The content of a file, as a layer's tar has it."""

from __future__ import annotations

import os

from kobako.layer import holes
from kobako.layer.blocks import BLOCK
from kobako.layer.tar_writer import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.layer.entry import Entry


def write_large(
    member: Entry,
    file: int,
    write: Callable[[bytes], object],
    missing: Callable[[int], bytes],
    *,
    whole: bool = False,
) -> None:
    """Writes the header of a file and its `member.size` bytes, block by block.

    Huge holes are left out (`layer.holes`) unless it is to be written as a `whole`. `missing`
    gives what stands for so many bytes that the file no longer has, or raises.
    """
    member.sparse = None if whole else holes.find(file, member.size)
    write(encode(member))
    for offset, length in member.sparse or [(0, member.size)]:
        os.lseek(file, offset, os.SEEK_SET)
        left = length
        while left:
            data = os.read(file, min(left, BLOCK)) or missing(min(left, BLOCK))
            write(data)
            left -= len(data)
        write(bytes(-length % 512))
