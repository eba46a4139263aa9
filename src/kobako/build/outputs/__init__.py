"""What is to become of a build's result: pure decisions, which the engine carries out.

`spec` reads `--output`, `annotation` reads `--annotation`, `choice` puts the flags of one command
together, `document` makes the manifests and the index.
"""
