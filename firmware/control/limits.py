"""What a wanted level is allowed to be: the class guard (EN 13201), the driver's minimum, the thermal cap.

A limit changes how much light there is, never whether there is any: 0 is the decision of a program and stays 0, and
what is to be lit stays lit, but for a cap of 0 (`derating`, above the absolute limit). All levels are permille of the
class's full light, 0 … 1000; constant light output and virtual power output come after, in `flux`.
"""

from .compat import const

# The limit that changed the level last, for "why am I lit"; NONE: the level is the wanted one.
NONE = const(0)
GUARD = const(1)
DRIVER_MINIMUM = const(2)
THERMAL = const(3)
PROTECTION = const(4)


class Limits:
    """The limits of one lamp output.

    ``guard_permille`` (0 … 1000): the lowest level that is still a class of EN 13201 for this road (two class steps
    down keep 400 to 500 permille; 0: the road has no class). ``is_derogated``: the town has declared that this road may
    go lower. ``driver_minimum_permille`` (1 … 1000): below it the driver gives no steady light.

    After ``allowed()``: ``which`` limit changed the level last, and ``is_below_guard``: the lamp gives less than its
    class asks for, by derogation or by protection. Each report shows it.
    """

    def __init__(self, guard_permille: int, is_derogated: bool, driver_minimum_permille: int):
        self.guard_permille = guard_permille
        self.is_derogated = is_derogated
        self.driver_minimum_permille = driver_minimum_permille
        self.which = NONE
        self.is_below_guard = False

    def guard(self, level_permille: int, must_be_lit: bool) -> int:
        """Return the level (0 … 1000 permille) raised to the class guard and to the driver's minimum; sets ``which``.

        0 stays 0 unless the lamp must be lit: then it is the guard, derogated or not, for a derogation lets somebody
        ask for less, and here nobody did.
        """
        level = level_permille
        self.which = NONE
        if level == 0 and not must_be_lit:
            return 0
        if level < self.guard_permille and (level == 0 or not self.is_derogated):
            level = self.guard_permille
            self.which = GUARD
        if level < self.driver_minimum_permille:
            level = self.driver_minimum_permille
            self.which = DRIVER_MINIMUM
        return level

    def allowed(self, wanted_permille: int, must_be_lit: bool, cap_permille: int, is_protection: bool) -> int:
        """Return the level in permille that the lamp may have. See the class for what it sets.

        ``cap_permille`` and ``is_protection``: those of `ThermalDerating`. A cap that is not protection stays above the
        guard: heat costs life there, not safety (reliability.md, fault 17). Only a cap of 0 switches off.
        """
        level = self.guard(wanted_permille, must_be_lit)
        is_lit = level > 0
        cap = cap_permille
        if not is_protection and not self.is_derogated and cap < self.guard_permille:
            cap = self.guard_permille
        if 0 < cap < self.driver_minimum_permille:
            cap = self.driver_minimum_permille
        if level > cap:
            self.which = PROTECTION if is_protection else THERMAL
            level = cap
        self.is_below_guard = is_lit and level < self.guard_permille
        return level
