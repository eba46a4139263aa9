"""Unpacked layers and the writable trees stacked on them.

Doors: `trees.LayerTrees`, `driver.Driver` and `driver.select`, `overlay.OverlayDriver`,
`copy.CopyDriver`. Nothing here is heavy to import; what unpacks or compares is loaded when called.
"""
