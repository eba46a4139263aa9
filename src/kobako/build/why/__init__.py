"""Why steps ran: what their keys are made of, kept from build to build and compared.

`record` keeps the named parts of every step's key after a build in which something ran; `reasons`
compares them with a later build's. Nothing of it is imported by a build that finds all in the cache
and is not asked.
"""
