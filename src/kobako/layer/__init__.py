"""Layers: tar archives and trees of files, one into the other.

Doors: `apply.apply`, `pack.pack` and `export.everything`, `change.Change`, `codec.open_reader` and
`open_writer`, `tar.read_entries` and `TarWriter`, `format.OwnershipFormat`.
"""
