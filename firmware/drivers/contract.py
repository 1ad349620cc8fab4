"""What every driver promises to firmware/app.py: five families, one kind of error. Nothing here does anything.

A driver talks to one device through a bus or pins that are passed in. It decides nothing: levels, curves, flicker and
derating are control's. Families are duck-typed (MicroPython has no abstract classes); this text is their definition.

**Dimmer**. The constructor takes its bus or pins and ``safe_permille`` and puts the output there at once, without a
pulse of another level before. It raises `OutOfRange` for options outside their ranges, and nothing later does.

- ``write(permille)``: 0 … 1000, the driver's own command, after all curves and limits; values outside are clipped.
  Never blocks, never raises, allocates nothing. The newest call wins.
- ``level_permille``: what was last sent on its way to the lamp.
- ``fault``: 1 while the gear does not answer or does not do what it is told, else 0. Gear that cannot answer (PWM,
  0-10 V) says 0 always: a power meter is the only witness there.
- ``can_go_dark``: False where level 0 still gives light (1-10 V): then only the mains relay makes it dark.
- ``has_fades``: False, or True with ``fade(permille, ms)``: the gear itself glides to a level in about ms.
- ``async run()``: only where the gear needs a task (DALI). Never returns, never raises but for cancellation.

**Relay**. ``write(on)``: never blocks, never raises. ``fault``: 1 while its read-back contact disagrees, else 0.

**Presence**. ``Driver(pin, notify)``: calls ``notify(value)`` (1 somebody, 0 nobody; a callable made beforehand: the
call comes from the pin's soft interrupt) on every edge that outlives the driver's own debounce. ``value()`` reads now.

**Slow sensor, meter, clock chip**. ``read()`` returns an int, or fills attributes made in the constructor (each
`UNKNOWN` where the device does not give it). It raises a `DriverError` and then keeps the attributes of the last good
reading. Its docstring says how long it blocks at most.
"""

from ..control.compat import const

# A value that the device does not give, or does not give now. No reading of ours can be -1 but temperatures, which say
# so and use control's UNKNOWN_DC instead.
UNKNOWN = const(-1)

FULL_PERMILLE = const(1000)


class DriverError(Exception):
    """A device did not do what its driver asked. ``device``: its name in the configuration; ``what``: a few words."""

    def __init__(self, device, what):
        super().__init__(device + ": " + what)
        self.device = device
        self.what = what


class NoAnswer(DriverError):
    """Nobody spoke in the time the device has: it is absent, without supply, or its wire is cut."""


class BadAnswer(DriverError):
    """Somebody spoke, but it fails its checksum, its framing or its plausibility: noise, or two devices at once."""


class WrongDevice(DriverError):
    """The device answers well and is not what the configuration says: wrong address or wrong part fitted."""


class OutOfRange(DriverError):
    """An option or a value that the device cannot take, refused before anything was sent."""


def clip_permille(permille):
    """Return a level clipped to 0 … 1000."""
    if permille < 0:
        return 0
    return FULL_PERMILLE if permille > FULL_PERMILLE else permille
