"""What the luminaire draws at a level, and what it has used: integers that do not depend on when they are read."""

from .compat import const

# The largest luminaire: (power + power) · 1000 permille must fit 30 bits.
POWER_MAX_MW = const(500000)
KNOTS_MAX = const(16)

_MJ_PER_WH = const(3600000)


class PowerCurve:
    """Power over level, linear between measured knots.

    ``levels_permille`` ascend and end at 1000; ``powers_mw`` are as many, 0 … ``POWER_MAX_MW``; below the first knot
    the driver stays at its power there, and at level 0 it draws ``standby_mw``. Power is not proportional to level.
    """

    def __init__(self, levels_permille, powers_mw, standby_mw: int):
        self._levels = levels_permille
        self._powers = powers_mw
        self.standby_mw = standby_mw
        # The area under the curve from level 0 up to each knot, in mW·permille.
        self._areas = [levels_permille[0] * powers_mw[0]]
        for i in range(1, len(levels_permille)):
            step = levels_permille[i] - levels_permille[i - 1]
            self._areas.append(self._areas[i - 1] + (powers_mw[i - 1] + powers_mw[i]) * step // 2)

    def at(self, level: int) -> int:
        """Return the power in mW at ``level`` (0 … 1000 permille)."""
        if level == 0:
            return self.standby_mw
        if level <= self._levels[0]:
            return self._powers[0]
        i = self._knot_above(level)
        low = self._levels[i - 1]
        rise = self._powers[i] - self._powers[i - 1]
        return self._powers[i - 1] + rise * (level - low) // (self._levels[i] - low)

    def mean(self, level_a: int, level_b: int) -> int:
        """Return the mean power in mW along a steady ramp between two different levels."""
        return (self._area(level_b) - self._area(level_a)) // (level_b - level_a)

    def _knot_above(self, level: int) -> int:
        i = 1
        while self._levels[i] < level:
            i += 1
        return i

    def _area(self, level: int) -> int:
        if level <= self._levels[0]:
            return level * self._powers[0]
        i = self._knot_above(level)
        low = self._levels[i - 1]
        return self._areas[i - 1] + (level - low) * (self._powers[i - 1] + self.at(level)) // 2


class EnergyCounter:
    """Energy and burning time since the counter was made. They only go up, and do not depend on how often they are fed.

    ``energy_wh`` with ``energy_mj`` below it, ``burning_s`` with ``burning_ms`` below it.
    """

    def __init__(self):
        self.energy_wh = 0
        self.energy_mj = 0
        self._energy_uj = 0
        self.burning_s = 0
        self.burning_ms = 0

    def add(self, power_mw: int, duration_ms: int, is_lit: bool) -> None:
        """Count ``power_mw`` for ``duration_ms`` (0 … 2^29 - 1). In steps of 1,000 s, so that products fit 30 bits."""
        if is_lit:
            self.burning_ms += duration_ms % 1000
            self.burning_s += duration_ms // 1000 + self.burning_ms // 1000
            self.burning_ms %= 1000
        self._energy_uj += power_mw * (duration_ms % 1000)
        self._carry(self._energy_uj // 1000)
        self._energy_uj %= 1000
        seconds = duration_ms // 1000
        while seconds > 0:
            step = 1000 if seconds > 1000 else seconds
            self._carry(power_mw * step)
            seconds -= step

    def _carry(self, energy_mj: int) -> None:
        self.energy_mj += energy_mj
        self.energy_wh += self.energy_mj // _MJ_PER_WH
        self.energy_mj %= _MJ_PER_WH
