"""Images in files: docker's archives and OCI image layouts, read and written; root filesystems.

Layers without compression stay so: such an archive's layer becomes a blob of the plain tar, whose
digest is its DiffID. Nothing is compressed while a user waits for `load`; `image.compress` makes
the compressed form when a push wants it.
"""
