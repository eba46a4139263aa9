"""The packages of a root file system: what dpkg, apk and Python's installers wrote down, as SPDX.

Files of the tree are hostile: they are opened with the tree as root, and only if they are regular.
"""
