"""lint: the build checks of the Dockerfile reference (`kobako build --check`).

    check(subject, settings) -> list[Finding]

`rules` is the table of what is checked. Each rule is a generator over a `Subject` (the whole file)
or a `Visit` (one instruction and what is known before it); rules of a family share a file. `walk`
goes through the stages as lowering would, but changes nothing and asks only for the configs of base
images. `verdict` remembers what was found, so that an unchanged build does not import the rest.
"""
