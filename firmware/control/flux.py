"""Constant light output and virtual power output: from a level of light to what the driver is told (uCIFI 3416/30, 41).

A new LED gives more than it was planned for and an old one less: constant light output (CLO) starts lower and ends at
full. Virtual power output (VPO) makes a luminaire of any power out of a larger one. Both only scale what full light is.
"""

from .compat import const

# Bounds a search that runs at every change of level; makers publish CLO in 4 to 8 points.
KNOTS_MAX = const(8)
# A century and more of nights; 1000 permille times a span of so many hours fits 30 bits.
HOURS_MAX = const(1000000)


class FluxKeeper:
    """What the driver of one luminaire is told for a level of light.

    ``hours`` (ascending from 0, at most ``HOURS_MAX``) and ``needs_permille`` (1 … 1000): as many CLO knots, 1 …
    ``KNOTS_MAX``: at that burning time the driver level that gives full light; linear between, the last holds on. One
    knot (0 h, 1000) is no CLO. ``maximum_permille`` (100 … 1000): VPO. ``driver_minimum_permille``: lit is never less.
    """

    def __init__(self, hours, needs_permille, maximum_permille: int = 1000, driver_minimum_permille: int = 1):
        self._hours = hours
        self._needs = needs_permille
        self._maximum = maximum_permille
        self._driver_minimum = driver_minimum_permille

    def output(self, level_permille: int, burning_h: int) -> int:
        """Return the driver level (0 … 1000 permille) for a level of light at a burning time in h, to the nearest.

        0 gives 0 and nothing else does; more light is never less driver.
        """
        if level_permille == 0:
            return 0
        # At most 1000 · 1000 · 1000 + 500,000: within 30 bits.
        output = (level_permille * self._need(burning_h) * self._maximum + 500000) // 1000000
        return output if output > self._driver_minimum else self._driver_minimum

    def _need(self, burning_h: int) -> int:
        hours = self._hours
        needs = self._needs
        last = len(hours) - 1
        if burning_h >= hours[last]:
            return needs[last]
        i = 1
        while hours[i] <= burning_h:
            i += 1
        low = hours[i - 1]
        return needs[i - 1] + (needs[i] - needs[i - 1]) * (burning_h - low) // (hours[i] - low)
