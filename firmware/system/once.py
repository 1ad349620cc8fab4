"""Code that is needed once, or rarely, does not stay in the heap: it is imported where it is used, and dropped after.

On the node a function costs 30 to 50 bytes of heap as long as it is loaded, wherever its code lies. A module that says
so in its docstring (``FLEETING`` of host_tools/mpy/parts.py) becomes a file of its own in ``firmware/once``. `forget`
drops all of these; what still runs, or is held by an object, lives on until that ends. Unjoined, as on the host, the
modules lie elsewhere and stay.

To load one takes some milliseconds, in which nothing else runs: none is loaded in the way of presence.
"""

import sys

_FOLDER = "firmware.once."
# How many modules there were when nothing was left to be dropped: names are compared only where there are more.
_settled = [0]


def forget(*done):
    """Let the collector have what was loaded for one use.

    ``done``: the last names of modules of which nothing runs and nothing is held. They are emptied: the collector takes
    stale words on the stack for pointers, and one of them would keep all of a module.
    """
    if len(sys.modules) == _settled[0]:
        return
    names = [name for name in sys.modules if name.startswith(_FOLDER)]
    for name in names:
        if name[len(_FOLDER) :] in done:
            getattr(sys.modules[name], "__dict__").clear()  # noqa: B009 - as an attribute the bundler refuses it
        del sys.modules[name]
    if names:
        package = sys.modules["firmware"]
        if hasattr(package, "once"):
            del package.once
            sys.modules.pop("firmware.once", None)
    _settled[0] = len(sys.modules)
