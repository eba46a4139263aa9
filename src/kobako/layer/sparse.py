"""Maps of sparse files: GNU's old header form, and pax forms 0.0, 0.1 and 1.0 (GNU tar manual)."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.layer.blocks import Blocks

    Pieces = list[tuple[int, int]]

_LIMIT = 4 << 20  # bytes of map


def old_gnu(header: bytes, blocks: Blocks, number: Callable[[bytes], int]) -> tuple[Pieces, int]:
    """The pieces and the real size of a member of type `S`; its extension headers are consumed."""
    pieces = _old_pairs(header[386:482], number)
    real_size = number(header[483:495])
    more = header[482]
    while more:
        if len(pieces) * 24 > _LIMIT:
            raise Invalid("sparse map too long")
        block = blocks.take(512)
        pieces += _old_pairs(block[:504], number)
        more = block[504]
    return pieces, real_size


def _old_pairs(area: bytes, number: Callable[[bytes], int]) -> Pieces:
    pairs = []
    for at in range(0, len(area), 24):
        if not area[at]:
            break
        pairs.append((number(area[at : at + 12]), number(area[at + 12 : at + 24])))
    return pairs


def pax_0(value: bytes) -> Pieces:
    """The pieces of `GNU.sparse.map`: offset,length,offset,length..."""
    numbers = value.split(b",") if value else []
    if len(numbers) % 2 or not all(n.isdigit() and len(n) < 20 for n in numbers):
        raise Invalid("malformed sparse map")
    values = [int(n) for n in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def pax_1(blocks: Blocks, available: int) -> tuple[Pieces, int]:
    """The map before the content in form 1.0: pieces, and how many bytes of `available` it took."""
    text = b""
    taken = 0
    needed = 1
    lines: list[bytes] = []
    while len(lines) <= needed:
        if taken >= available or taken > _LIMIT:
            raise Invalid("malformed sparse map")
        text += blocks.take(512)
        taken += 512
        *complete, text = text.split(b"\n")
        lines += complete
        if any(not line.isdigit() or len(line) > 19 for line in complete):
            raise Invalid("malformed sparse map")
        if lines:
            needed = 2 * int(lines[0])
    values = [int(n) for n in lines[1 : needed + 1]]
    return list(zip(values[::2], values[1::2], strict=True)), taken


def written(pieces: Sequence[tuple[int, int]]) -> bytes:
    """The map of form 1.0, in whole blocks."""
    numbers = [len(pieces), *(number for piece in pieces for number in piece)]
    text = b"".join(b"%d\n" % number for number in numbers)
    return text + bytes(-len(text) % 512)


def check(pieces: Pieces, real_size: int, stored: int) -> None:
    """`Invalid` unless pieces lie in order within the file and add up to what is stored."""
    end = 0
    total = 0
    for offset, length in pieces:
        if offset < end or length < 0 or offset + length > real_size:
            raise Invalid("sparse map leaves the file")
        end = offset + length
        total += length
    if total != stored or real_size < 0:
        raise Invalid("sparse map disagrees with the entry's size")
