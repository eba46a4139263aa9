"""The door to tar: entries in (`read_entries`) and out (`TarWriter`)."""

from __future__ import annotations

from kobako.layer.entry import Entry
from kobako.layer.tar_reader import TarReader, read_entries
from kobako.layer.tar_writer import TarWriter, encode

__all__ = ["Entry", "TarReader", "TarWriter", "encode", "read_entries"]
