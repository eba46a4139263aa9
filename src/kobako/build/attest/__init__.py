"""What a build says of its result: provenance and the list of its packages, as in-toto statements.

`options` reads `--attest`, `provenance` makes the SLSA predicate, `statement` wraps predicates and
attaches them to an image's manifest.
"""
