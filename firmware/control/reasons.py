"""Why a lamp has the level it has. 0 … 15 carry TALQ's words (TALQ 2.7.1, Command.reason), from 16 on our own."""

from .compat import const

DEFAULT = const(0)
OVERRIDE = const(1)
SENSOR = const(2)
PROGRAM = const(3)

# Outside every active period of the program: TALQ has the actuator off there.
INACTIVE = const(16)
# The clock is not to be trusted: the default light state, until the clock is set.
FAILSAFE = const(17)
