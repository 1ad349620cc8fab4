"""Why a lamp has the level it has.

``reason``: 0 … 15 carry TALQ's words (TALQ 2.7.1, Command.reason), from 16 on our own. ``by``: who of them it is.
"""

from .compat import const

DEFAULT = const(0)
OVERRIDE = const(1)
SENSOR = const(2)
PROGRAM = const(3)

# Outside every active period of the program: TALQ has the actuator off there.
INACTIVE = const(16)
# The clock is not to be trusted: the fail-safe plan, until the clock is set.
FAILSAFE = const(17)
# Thermal protection, or another limit that keeps the light from what was wanted.
PROTECTION = const(18)

BY_DEFAULT = const(0)
BY_FIXED = const(1)
BY_ASTRO = const(2)
BY_DYNAMIC = const(3)
BY_PERIOD = const(4)
BY_OVERRIDE = const(5)
BY_LOCAL = const(6)
BY_EMERGENCY = const(7)
BY_SERVICE = const(8)
BY_CLOCK = const(9)
BY_TEMPERATURE = const(10)

# What made the level another one than ``by`` asks for: a limit (`limits`, 0 … 4), or one of these.
ONE_CLASS_DOWN = const(5)
TWO_CLASSES_DOWN = const(6)
RISES_USED_UP = const(7)
