"""What PWM, voltage and relay drivers do to their doubles, as lines: the same on CPython and both MicroPythons.

micropython tests/node/dimmers_main.py [--lock]
"""

import sys

from firmware.drivers.dimmer_0_10v import VoltageDimmer
from firmware.drivers.dimmer_pwm import PwmDimmer
from firmware.drivers.relay import ReadBack, Relay
from sim.board.chips import lamp_outputs as outputs

LEVELS = (0, 1, 2, 10, 99, 100, 101, 333, 500, 999, 1000, -5, 2000)


def lines():
    """Return what each driver does with each level."""
    found = []
    for is_inverted in (False, True):
        for points in ((0, 0, 1000, 65535), (0, 0, 100, 3000, 1000, 60000), (0, 9, 1, 700, 1000, 65535)):
            wires = outputs.Wires()
            dimmer = PwmDimmer(
                outputs.Pin(wires), 1000, is_inverted=is_inverted, minimum_permille=20, points=points, pwm=outputs.Pwm
            )
            for level in LEVELS:
                dimmer.write(level)
            found.append("pwm " + str(wires.history("duty")) + " " + str(dimmer.level_permille))
    for is_dac in (False, True):
        wires = outputs.Wires()
        dimmer = VoltageDimmer(
            outputs.Pin(wires), 1000, is_dac=is_dac, output=outputs.Dac if is_dac else outputs.Pwm, full_scale_mv=11000
        )
        codes = []
        for level in LEVELS:
            dimmer.write(level)
            codes.append(dimmer._output.code if is_dac else dimmer._output.duty)
        found.append("volt " + str(codes))
    return found


def write_locked():
    """Write under the heap lock; a MemoryError is a failure."""
    from micropython import heap_lock, heap_unlock

    wires = outputs.Wires()

    class Still:
        """PWM that notes nothing, for notes allocate."""

        def __init__(self, pin, freq=0, duty_u16=0):
            self.duty = duty_u16

        def duty_u16(self, duty):
            self.duty = duty

        def write(self, code):
            self.duty = code

    class StillPin:
        """A pin that notes nothing."""

        OUT = 3

        def __init__(self):
            self.level = 0

        def init(self, mode, value=0):
            self.level = value

        def value(self, level=-1):
            if level >= 0:
                self.level = level
            return self.level

    now = [0]
    pin = StillPin()
    read_back = ReadBack(pin, True, lambda: now[0], lambda a, b: a - b)
    drivers = (
        PwmDimmer(outputs.Pin(wires), 1000, pwm=Still),
        VoltageDimmer(outputs.Pin(wires), 1000, output=Still),
        Relay(pin, read_back=read_back),
    )
    heap_lock()
    try:
        for i in range(1000):
            for driver in drivers:
                driver.write(i & 1 if driver is drivers[2] else i)
                if driver.fault:
                    break
    finally:
        heap_unlock()
    return "locked"


if __name__ == "__main__":
    if "--lock" in sys.argv:
        print(write_locked())
    else:
        for line in lines():
            print(line)
