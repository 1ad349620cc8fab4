"""The plan of a node that has none: no program, and full light as default light state.

tests/node/test_app.py makes it anew and compares.
"""

BUILT_IN = (
    b"\x52\x56\x50\x02\x1c\x00\x0c\xff\xe8\x03\x14\x00\x00\x00\x18\x00\x18\x00\xe8\x03\x00\x00\x00\x00\x5f\xf1\xad\x24"
)
