"""The binary plan of a lamp: its calendar and control programs, verified once and then read in place, byte by byte."""

from .plan_format import (
    ASTRO_SIZE,
    CRC_SIZE,
    DYNAMIC_SIZE,
    FIXED_SIZE,
    PERIOD_SIZE,
    PROGRAM_SIZE,
    RULE_SIZE,
)


class PlanError(ValueError):
    """A plan that cannot be used. ``offset`` is the byte at fault; the plan in force stays in force."""

    def __init__(self, offset: int, reason: str):
        super().__init__("plan, byte %d: %s" % (offset, reason))
        self.offset = offset


class Plan:
    """A verified plan. ``data``: bytes as `plan_format` has them. Raises ``PlanError``, and is then unusable.

    ``select(program)`` chooses the program that the readers below speak of. Each reader takes the index of a record
    and returns one integer, in ms, s or permille as its name says.
    """

    def __init__(self, data):
        from .plan_verify import verify

        verify(data)
        self._data = data
        self.day_offset_s = data[6] * 3600
        self.default_program = data[7]
        self.default_level_permille = self._u16(8)
        self.default_ramp_ms = self._u16(10) * 100
        self.programs = data[12]
        self.rules = data[13]
        self.failsafe_level_permille = self._u16(18)
        self._programs_at = self._u16(14)
        self._rules_at = self._u16(16)
        self.selected = -1
        self.periods = 0
        self.fixed = 0
        self.astro = 0
        self.dynamic = 0
        self._periods_at = 0
        self._fixed_at = 0
        self._astro_at = 0
        self._dynamic_at = 0

    @property
    def crc(self) -> int:
        """Return the low 16 bits of the plan's check sum: enough to tell two plans apart in a log."""
        return self._u16(len(self._data) - CRC_SIZE)

    def select(self, program: int) -> None:
        """Let the readers speak of ``program`` (0 … programs - 1)."""
        if program == self.selected:
            return
        at = self._u16(self._programs_at + 2 * program)
        data = self._data
        self.selected = program
        self.periods = data[at]
        self.fixed = data[at + 1]
        self.astro = data[at + 2]
        self.dynamic = data[at + 3]
        self._periods_at = at + PROGRAM_SIZE
        self._fixed_at = self._periods_at + self.periods * PERIOD_SIZE
        self._astro_at = self._fixed_at + self.fixed * FIXED_SIZE
        self._dynamic_at = self._astro_at + self.astro * ASTRO_SIZE

    def period_kind(self, index: int) -> int:
        """Return one of the ``PERIOD_`` codes."""
        return self._data[self._periods_at + index * PERIOD_SIZE]

    def period_channel(self, index: int) -> int:
        """Return the sensor channel of a period."""
        return self._data[self._periods_at + index * PERIOD_SIZE + 1]

    def period_start_s(self, index: int) -> int:
        """Return the start, in s of the local day or from sunset."""
        return self._i24(self._periods_at + index * PERIOD_SIZE + 2)

    def period_end_s(self, index: int) -> int:
        """Return the end, in s of the local day or from sunrise."""
        return self._i24(self._periods_at + index * PERIOD_SIZE + 5)

    def period_on_level(self, index: int) -> int:
        """Return the level under which a sensor makes the period active, or the value that it is compared with."""
        return self._i24(self._periods_at + index * PERIOD_SIZE + 8)

    def period_off_level(self, index: int) -> int:
        """Return the level above which a sensor ends the period."""
        return self._i24(self._periods_at + index * PERIOD_SIZE + 11)

    def period_before_sunset_s(self, index: int) -> int:
        """Return how long before sunset the photocell may make the period active."""
        return self._u16(self._periods_at + index * PERIOD_SIZE + 14) * 60

    def period_before_sunrise_s(self, index: int) -> int:
        """Return how long before sunrise the photocell may end the period."""
        return self._u16(self._periods_at + index * PERIOD_SIZE + 16) * 60

    def period_operator(self, index: int) -> int:
        """Return one of the ``VALUE_`` codes."""
        return self._data[self._periods_at + index * PERIOD_SIZE + 18]

    def fixed_start_s(self, index: int) -> int:
        """Return the local time of day at which a fixed time control starts."""
        return self._i24(self._fixed_at + index * FIXED_SIZE)

    def fixed_level_permille(self, index: int) -> int:
        """Return its level."""
        return self._u16(self._fixed_at + index * FIXED_SIZE + 3)

    def fixed_ramp_to_ms(self, index: int) -> int:
        """Return the ramp to its level."""
        return self._u16(self._fixed_at + index * FIXED_SIZE + 5) * 100

    def fixed_ramp_from_ms(self, index: int) -> int:
        """Return the ramp from its level."""
        return self._u16(self._fixed_at + index * FIXED_SIZE + 7) * 100

    def astro_offset_s(self, index: int) -> int:
        """Return how long after its event of the sun an astro clock time control starts."""
        return self._i24(self._astro_at + index * ASTRO_SIZE)

    def astro_event(self, index: int) -> int:
        """Return ``EVENT_SUNSET`` or ``EVENT_SUNRISE``."""
        return self._data[self._astro_at + index * ASTRO_SIZE + 3]

    def astro_operation(self, index: int) -> int:
        """Return one of the ``EFFECT_`` codes."""
        return self._data[self._astro_at + index * ASTRO_SIZE + 4]

    def astro_level_permille(self, index: int) -> int:
        """Return its level, or the factor of a multiplication."""
        return self._u16(self._astro_at + index * ASTRO_SIZE + 5)

    def astro_ramp_to_ms(self, index: int) -> int:
        """Return the ramp to its level."""
        return self._u16(self._astro_at + index * ASTRO_SIZE + 7) * 100

    def astro_ramp_from_ms(self, index: int) -> int:
        """Return the ramp from its level."""
        return self._u16(self._astro_at + index * ASTRO_SIZE + 9) * 100

    def dynamic_kind(self, index: int) -> int:
        """Return ``DYNAMIC_FIXED`` or ``DYNAMIC_EXTERNAL``."""
        return self._data[self._dynamic_at + index * DYNAMIC_SIZE]

    def dynamic_channel(self, index: int) -> int:
        """Return the sensor channel of a dynamic control."""
        return self._data[self._dynamic_at + index * DYNAMIC_SIZE + 1]

    def dynamic_operation(self, index: int) -> int:
        """Return one of the ``EFFECT_`` codes."""
        return self._data[self._dynamic_at + index * DYNAMIC_SIZE + 2]

    def dynamic_has_period(self, index: int) -> int:
        """Return 1 where a dynamic control applies between two times only."""
        return self._data[self._dynamic_at + index * DYNAMIC_SIZE + 3]

    def dynamic_start_s(self, index: int) -> int:
        """Return the local time of day at which its period starts."""
        return self._i24(self._dynamic_at + index * DYNAMIC_SIZE + 4)

    def dynamic_end_s(self, index: int) -> int:
        """Return the local time of day at which its period ends."""
        return self._i24(self._dynamic_at + index * DYNAMIC_SIZE + 7)

    def dynamic_level_permille(self, index: int) -> int:
        """Return its level, or the factor of a multiplication."""
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 10)

    def dynamic_hold_ms(self, index: int) -> int:
        """Return how long the effect lasts after the sensor has dropped."""
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 12) * 100

    def dynamic_ramp_to_ms(self, index: int) -> int:
        """Return the ramp to its level."""
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 14) * 100

    def dynamic_ramp_from_ms(self, index: int) -> int:
        """Return the ramp from its level, after the hold time."""
        return self._u16(self._dynamic_at + index * DYNAMIC_SIZE + 16) * 100

    def rule_at(self, index: int) -> int:
        """Return where a calendar rule stands; ``byte()`` and ``word()`` read it from there."""
        return self._u16(self._rules_at + 2 * index)

    def rule_date_at(self, rule_at: int, index: int) -> int:
        """Return where a date of the rule at ``rule_at`` stands."""
        return rule_at + RULE_SIZE + 4 * index

    def byte(self, at: int) -> int:
        """Return the byte at ``at``."""
        return self._data[at]

    def word(self, at: int) -> int:
        """Return the 16 bits at ``at``."""
        return self._u16(at)

    def _u16(self, at: int) -> int:
        return self._data[at] | self._data[at + 1] << 8

    def _i24(self, at: int) -> int:
        value = self._data[at] | self._data[at + 1] << 8 | self._data[at + 2] << 16
        return value - 16777216 if value >= 8388608 else value
