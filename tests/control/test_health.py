"""A node that reports its own command as light told a town that a dark street was lit: the meter must have the word."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import faults as codes
from firmware.control import health
from firmware.control.faults import Faults
from firmware.control.health import LEARNED_STATE_SIZE, LampHealth, LearnedCurve
from firmware.control.power import PowerCurve
from firmware.control.ticks import TICKS_MAX, ticks_add, ticks_diff
from tests.runtimes import ROOT

# lighting.md A.3: 64 W; limits low 4.48 W at 10 % to 48 W at 100 %, high 12.6 to 83 W; power factor threshold 0.5.
FLEET = (100, 1000, 4_480, 48_000, 12_600, 83_000, 500, 500, 1_500, 2_070, 2_530, 500, 20, 600)
NAMEPLATE = ((100, 1000), (6_400, 64_000), 500)
DAY_MS = 86_400_000


def mask(*names: str) -> int:
    return sum(1 << getattr(codes, name) for name in names)


class Lamp:
    """A lamp with its meter; ``run`` gives one sample every 10 s, and lets deadlines pass at their ticks."""

    def __init__(self, limits=FLEET, nominal=NAMEPLATE, start: int = 0):
        self.faults = Faults()
        self.learned = LearnedCurve(PowerCurve(*nominal))
        self.health = LampHealth(self.faults, self.learned, limits)
        self.start = start
        self.now = 0

    @property
    def tick(self) -> int:
        return ticks_add(self.start, self.now % 2**29) if self.now < 2**29 else (self.start + self.now) & TICKS_MAX

    def advance(self, ms: int) -> None:
        """Go on by ``ms``; deadlines before the end happen, those at the end are left for after its inputs."""
        self.now += ms
        while True:
            due = [part for part in (self.health, self.faults) if part.is_due]
            due = [part for part in due if ticks_diff(self.tick, part.due_ms) > 0]
            if not due:
                return
            first = min(due, key=lambda part: ticks_diff(part.due_ms, self.tick))
            first.pass_due(first.due_ms)

    def sample(self, level, power, voltage=2_300, current=300, factor=900, settled=True) -> None:
        self.health.sample(self.tick, level, settled, power, voltage, current, factor)

    def run(self, seconds, level, power, voltage=2_300, current=300, factor=900, settled=True) -> int:
        for _ in range(seconds // 10):
            self.sample(level, power, voltage, current, factor, settled)
            self.advance(10_000)
        return self.faults.active

    def rest(self, seconds: int) -> int:
        self.advance(seconds * 1000)
        return self.faults.active


def test_private_codes_are_those_of_faults():
    """The copies save bytes on the chip; one that drifted would report a failed lamp as a warm one."""
    pairs = [(name, value) for name, value in vars(codes).items() if hasattr(health, f"_{name}")]
    assert len(pairs) == 13
    for name, value in pairs:
        assert getattr(health, f"_{name}") == value
    assert mask(*(name for name, _ in pairs if name not in ("CYCLING_FAILURE", "SUPPLY_LOSS"))) == health._JUDGED
    assert mask("METER_MISSING") | health._JUDGED_BY_VALUES == health._JUDGED
    no_power_needed = mask("SUPPLY_VOLTAGE_TOO_HIGH", "SUPPLY_VOLTAGE_TOO_LOW", "CURRENT_TOO_HIGH")
    assert health._JUDGED_BY_POWER | no_power_needed == health._JUDGED_BY_VALUES
    # A sample that stays alone must never raise: the silence after it comes first.
    assert all(codes.RAISE_S[c] * 1000 > health.SILENCE_MS for c in range(25) if health._JUDGED_BY_VALUES >> c & 1)


@pytest.mark.parametrize("start", [0, TICKS_MAX - 45_000])
def test_nothing_measured_at_a_lit_command_is_a_missing_meter_and_no_power_factor_alarm(start):
    """The fleet's node at 75 % with 0 W and 0 V raised only powerFactorTooLow: nobody looked (lighting.md F13)."""
    lamp = Lamp(start=start)
    assert lamp.run(3600, 750, 0, 0, 0, 0) == mask("METER_MISSING")
    assert lamp.faults.raised == mask("METER_MISSING")
    # The meter comes back and says that all is well.
    assert lamp.run(300, 750, 44_930) == 0


def test_the_fleet_as_it_was_measured_is_healthy():
    """A limit that alarms on 27 good lamps of 27 is switched off by the operator on the first night."""
    for power in (44_930 - 490, 44_930, 44_930 + 490):
        assert Lamp().run(3600, 750, power, factor=900) == 0


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [(100, 4_480, 12_600), (550, 26_240, 47_800), (750, 35_911, 63_444), (1000, 48_000, 83_000)],
)
def test_power_limits_are_linear_between_the_two_levels(level, low, high):
    """One limit for all levels is blind at one end and cries at the other (lighting.md A.3, B.1)."""
    for power, expected in (
        (low, 0),
        (low - 1, mask("LAMP_POWER_TOO_LOW")),
        (high, 0),
        (high + 1, mask("LAMP_POWER_TOO_HIGH")),
    ):
        # Nominal far away from the limits' middle, so that only the limits judge.
        active = Lamp().run(200, level, power)
        assert active & mask("LAMP_POWER_TOO_LOW", "LAMP_POWER_TOO_HIGH") == expected, power


def test_below_the_drivers_least_level_no_lamp_is_judged():
    """What a driver does below its own minimum is nobody's promise."""
    assert Lamp().run(600, 99, 100) == 0
    assert Lamp().run(600, 100, 100) == mask("LAMP_FAILURE")


def test_a_dark_lamp_under_voltage_is_one_fault():
    """The crew needs the cause: a dead lamp also has a low power and a poor power factor."""
    lamp = Lamp()
    assert lamp.run(60, 750, 800, current=15, factor=100) == 0
    assert lamp.run(10, 750, 800, current=15, factor=100) == mask("LAMP_FAILURE")
    assert lamp.run(600, 750, 0, current=0, factor=0) == mask("LAMP_FAILURE")
    # By day nobody can tell: it stays. Relamped, it clears.
    assert lamp.run(36_000, 0, 300) == mask("LAMP_FAILURE")
    assert lamp.run(60, 750, 44_930) == 0


def test_dark_means_half_the_low_limit_or_a_third_of_what_was_learned():
    """An open LED string still feeds its driver: a bound near zero would call it light."""
    low = 35_911
    assert Lamp().run(200, 750, low // 2 - 1) == mask("LAMP_FAILURE")
    assert Lamp().run(200, 750, low // 2) == mask("LAMP_POWER_TOO_LOW")
    for power, name in ((44_930 // 3 - 1, "LAMP_FAILURE"), (44_930 // 3, "LAMP_POWER_TOO_LOW")):
        lamp = Lamp()
        lamp.run(160, 750, 44_930)
        assert lamp.run(200, 750, power) == mask(name)


def test_a_lamp_that_ignores_its_dimmer():
    """A cut control wire means full light all night, and a bill that nobody understands."""
    lamp = Lamp()
    lamp.run(300, 1000, 62_000)
    assert lamp.run(300, 200, 62_000) == mask("DIMMING_FAILURE")
    # At full light nothing can be told; dimmed again and following, it clears.
    assert lamp.run(300, 1000, 62_000) == mask("DIMMING_FAILURE")
    assert lamp.run(120, 200, 12_800) == 0
    # One sample at a low level, and then none that could judge: no fault.
    lamp.run(10, 200, 62_000)
    assert lamp.run(600, 1000, 62_000) == 0


def test_near_full_power_begins_at_85_percent():
    """A lamp that draws too much and still dims is another repair."""
    assert Lamp().run(300, 200, 54_399) == mask("LAMP_POWER_TOO_HIGH")
    assert Lamp().run(300, 200, 54_400 + 20) == mask("DIMMING_FAILURE")
    # From 70 % of full power on, near full and right are too close.
    assert Lamp().run(300, 700, 66_000) == mask("LAMP_POWER_TOO_HIGH")
    assert Lamp().run(300, 690, 66_000) == mask("DIMMING_FAILURE")


def test_day_burner():
    """Half of Bromley's lamps burned by day after the vendor died: the lamp itself must say it (lighting.md E1)."""
    lamp = Lamp()
    assert lamp.run(3600, 0, 1_500) == 0
    assert lamp.run(120, 0, 1_501) == 0
    assert lamp.run(10, 0, 1_501) == mask("LAMP_UNEXPECTED_ON")
    # Told to be lit it is no longer unexpected.
    assert lamp.run(70, 750, 44_930) == 0
    assert Lamp().run(3600, 0, 40_000, settled=False) == 0


def test_power_factor_follows_the_level_and_needs_light():
    """Every driver's power factor falls when dimmed: the threshold has to fall with it."""
    limits = (*FLEET[:6], 300, 840, *FLEET[8:])
    assert Lamp(limits).run(300, 550, 35_000, factor=570) == 0
    assert Lamp(limits).run(300, 550, 35_000, factor=569) == mask("POWER_FACTOR_TOO_LOW")
    assert Lamp(limits).run(300, 550, 35_000, factor=-1) == 0
    assert Lamp(limits).run(300, 0, 300, factor=10) == 0


def test_supply_voltage_and_current():
    """230 V ± 10 %; the limits are the operator's (TALQ supplyVoltageTooHigh … currentTooLow)."""
    assert Lamp().run(120, 0, 300, voltage=2_530) == 0
    assert Lamp().run(120, 0, 300, voltage=2_531) == mask("SUPPLY_VOLTAGE_TOO_HIGH")
    assert Lamp().run(120, 0, 300, voltage=2_070) == 0
    assert Lamp().run(120, 0, 300, voltage=2_069) == mask("SUPPLY_VOLTAGE_TOO_LOW")
    assert Lamp().run(120, 0, 300, current=600) == 0
    assert Lamp().run(120, 0, 300, current=601) == mask("CURRENT_TOO_HIGH")
    assert Lamp().run(300, 750, 44_930, current=20) == 0
    assert Lamp().run(300, 750, 44_930, current=19) == mask("CURRENT_TOO_LOW")
    assert Lamp().run(300, 0, 300, current=0) == 0
    assert Lamp().run(300, 750, 44_930, voltage=-1, current=-1, factor=-1) == 0


def test_a_meter_without_power_still_watches_the_voltage():
    """No watts means no proof of light, and the voltage is no less true for that."""
    assert Lamp().run(300, 750, -1, voltage=2_700) == mask("METER_MISSING", "SUPPLY_VOLTAGE_TOO_HIGH")
    assert Lamp().run(300, 0, -1) == 0


def test_supply_loss_explains_a_dark_lamp_and_a_dead_meter():
    """Feeders are cut every day: 30 lamps and 30 meters must not fail each morning (lighting.md A.3)."""
    lamp = Lamp()
    lamp.run(300, 750, 44_930)
    assert lamp.run(50, 750, 100, voltage=499) == mask("SUPPLY_LOSS")
    assert lamp.run(300, 750, 44_930) == 0
    lamp.health.supply(lamp.tick, True)
    lamp.health.supply(lamp.tick, True)
    assert lamp.run(3600, 750, 0, 0, 0, 0) == mask("SUPPLY_LOSS")
    lamp.health.supply(lamp.tick, False)
    assert lamp.run(300, 750, 44_930) == 0
    assert Lamp().run(60, 750, 44_930, voltage=500) == 0


@pytest.mark.parametrize("start", [0, TICKS_MAX - 29_999, TICKS_MAX - 30_000, TICKS_MAX - 59_999])
def test_a_silent_meter_is_missing_30_s_and_its_debounce_later(start):
    """A meter that stops talking leaves its last good value behind: that value must not stay true all night."""
    lamp = Lamp(start=start)
    lamp.health.command(lamp.tick, 500)
    lamp.advance(60_000)
    assert lamp.faults.active == 0
    lamp.advance(1)
    assert lamp.faults.active == mask("METER_MISSING")
    assert Lamp(start=start).rest(3600) == 0
    # A look before its time, as at the end of a re-lighting's day, is no silence.
    lamp = Lamp(start=start)
    lamp.sample(750, 44_930)
    lamp.health.pass_due(ticks_add(lamp.tick, 29_999))
    assert not lamp.faults.is_due and lamp.health.is_due


def test_one_odd_sample_and_then_silence_raises_only_the_missing_meter():
    """A glitch is no proof; nobody repeated it."""
    for odd in ({"power": 500}, {"power": 99_000}, {"power": 44_930, "factor": 1}, {"power": 44_930, "voltage": 3_000}):
        lamp = Lamp()
        lamp.sample(750, **odd)
        assert lamp.rest(3600) == mask("METER_MISSING")
    lamp = Lamp()
    lamp.sample(0, 40_000)
    assert lamp.rest(3600) == 0


def test_a_fade_neither_judges_nor_forgets():
    """On a busy street the lamp fades every minute: a dead one must still be found."""
    lamp = Lamp()
    for _ in range(3):
        lamp.run(20, 750, 0)
        lamp.run(10, 400, 0, settled=False)
    assert lamp.faults.active == mask("LAMP_FAILURE")
    assert Lamp().run(600, 750, 0, settled=False) == 0


def test_off_and_on_again_starts_every_debounce_anew():
    """Two half minutes on two evenings are not a minute."""
    lamp = Lamp()
    lamp.run(50, 750, 0)
    lamp.run(20, 0, 0)
    assert lamp.run(50, 750, 0) == 0


def cycle(lamp: Lamp, times: int, wait_s: int = 60) -> None:
    for _ in range(times):
        lamp.run(wait_s, 1000, 62_000)
        lamp.run(20, 1000, 0)
        lamp.run(10, 1000, 62_000)


def test_cycling_is_five_times_out_and_lit_again_within_a_day():
    """An old sodium lamp goes out when hot and relights when cool: lamp failure alone never lasts long enough."""
    lamp = Lamp()
    cycle(lamp, 4)
    assert lamp.faults.active == 0
    cycle(lamp, 1)
    assert lamp.faults.active == mask("CYCLING_FAILURE")
    # The day goes by; the alarm stays until somebody has looked.
    lamp.run(90_000, 1000, 62_000)
    assert lamp.faults.active == mask("CYCLING_FAILURE") and lamp.faults.present == 0
    assert lamp.faults.acknowledge(codes.CYCLING_FAILURE)


def test_cycles_older_than_a_day_do_not_count_to_the_tick():
    """Once a day for five days is another story than five times in an evening."""
    for day_ms, expected in ((DAY_MS - 1, True), (DAY_MS, False)):
        lamp = Lamp(start=TICKS_MAX - 1000)
        for i in range(5):
            lamp.sample(1000, 62_000)
            lamp.sample(1000, 0)
            lamp.sample(1000, 62_000)
            lamp.advance(day_ms - 3 if i == 3 else 1)
        assert bool(lamp.faults.active & mask("CYCLING_FAILURE")) == expected
    lamp = Lamp()
    for _ in range(12):
        cycle(lamp, 1)
        lamp.advance(6 * 3_600_000)
    assert lamp.faults.counts[codes.CYCLING_FAILURE] == 0


def test_a_sixth_cycle_keeps_the_window_at_the_newest_five():
    """The condition lasts for a day from the fifth-last, not from the first."""
    lamp = Lamp()
    for _ in range(6):
        lamp.sample(1000, 62_000)
        lamp.sample(1000, 0)
        lamp.sample(1000, 62_000)
        lamp.advance(1_000)
    lamp.advance(DAY_MS - 5_000)
    assert lamp.faults.present & mask("CYCLING_FAILURE")
    lamp.advance(1)
    assert not lamp.faults.present & mask("CYCLING_FAILURE")


def test_switching_by_command_or_a_lost_meter_is_no_cycle():
    """The lamp did what it was told, or nobody saw what it did."""
    lamp = Lamp()
    for _ in range(8):
        lamp.sample(1000, 62_000)
        lamp.sample(0, 0)
        lamp.sample(1000, 62_000)
        lamp.sample(1000, 0, 0)
        lamp.sample(1000, 62_000)
        lamp.sample(1000, 0)
        lamp.sample(1000, 0, 0)
    assert lamp.faults.active == 0


def test_the_learned_curve_knows_what_the_nameplate_overstates():
    """Nameplate times level is 7 % too much at 75 % in the fleet: energy from it is not honest."""
    curve = LearnedCurve(PowerCurve(*NAMEPLATE))
    assert curve.power_mw(750) == 48_000 and not curve.is_learned(750)
    for i in range(16):
        assert not curve.is_learned(750)
        assert curve.learn(750, 44_930 + (490 if i % 2 else -490))
    assert curve.is_learned(750) and curve.is_learned(849) and not curve.is_learned(850)
    assert curve.power_mw(750) == 44_930
    # Its offset speaks up to the neighbouring buckets, and no further.
    assert curve.power_mw(800) == 51_200 - 3_070 and curve.power_mw(700) == 44_800
    assert curve.power_mw(701) == curve._nominal.at(701) - 3_070
    # An unlit lamp is not on the curve.
    for _ in range(16):
        curve.learn(40, 6_000)
    assert curve.is_learned(40) and not curve.is_learned(0)
    assert curve.power_mw(0) == 500


def test_between_two_learned_levels_the_curve_is_linear():
    """The wave of presence sets any level: energy must be right between the taught ones."""
    curve = LearnedCurve(PowerCurve(*NAMEPLATE))
    for _ in range(16):
        curve.learn(500, 33_000)
        curve.learn(600, 38_000)
    assert curve.power_mw(500) == 33_000 and curve.power_mw(600) == 38_000
    assert curve.power_mw(550) == 35_500
    assert curve.power_mw(525) == 34_250


def test_a_lamp_that_loses_a_string_is_reported_and_not_learned():
    """-40 % at once is a failure; a curve that learned it would call the dark street normal."""
    for level, power in ((100, 8_000), (750, 44_930), (1000, 80_000)):
        lamp = Lamp()
        assert lamp.run(1800, level, power) == 0
        before = lamp.learned.power_mw(level)
        assert lamp.run(1800, level, power * 6 // 10) == mask("LAMP_POWER_TOO_LOW")
        assert lamp.learned.power_mw(level) == before
        lamp.learned.learn(level, power * 6 // 10)
        assert lamp.learned.power_mw(level) == before


def test_learned_limits_are_30_percent():
    """Where the lamp is known, the band is its own and not the type's."""
    for power, name in ((10_400, ""), (10_401, "LAMP_POWER_TOO_HIGH"), (5_600, ""), (5_599, "LAMP_POWER_TOO_LOW")):
        lamp = Lamp()
        lamp.run(600, 100, 8_000)
        assert lamp.run(180, 100, power) == (mask(name) if name else 0)


def test_learning_believes_30_percent_of_nominal_and_20_of_the_learned():
    """A wrong lamp type must show as a fault, and not vanish into a curve."""
    for power, expected in ((44_799, False), (44_800, True), (83_200, True), (83_201, False)):
        assert LearnedCurve(PowerCurve(*NAMEPLATE)).learn(1000, power) == expected
    curve = LearnedCurve(PowerCurve(*NAMEPLATE))
    for _ in range(16):
        curve.learn(1000, 60_000)
    assert not curve.learn(1000, 47_999) and not curve.learn(1000, 72_001)
    assert curve.learn(1000, 48_000)


def test_the_curve_follows_slowly_and_never_beyond_30_percent():
    """LEDs age by a few percent in years: the curve follows days, not minutes."""
    curve = LearnedCurve(PowerCurve(*NAMEPLATE))
    for _ in range(300):
        curve.learn(1000, 60_000)
    curve.learn(1000, 54_000)
    assert 59_970 <= curve.power_mw(1000) < 60_000
    for power in range(60_000, 40_000, -1):
        curve.learn(1000, power)
    assert curve.power_mw(1000) >= 44_800


def test_learning_goes_on_only_with_a_healthy_settled_lamp():
    """A fade, a fault or a dead meter has nothing to teach."""
    lamp = Lamp()
    lamp.run(600, 750, 44_930, settled=False)
    lamp.run(600, 750, 0, 0)
    lamp.run(600, 200, 62_000)
    lamp.run(600, 50, 3_200)
    assert not any(lamp.learned._count)


def test_save_and_load_of_the_curve():
    """A node that starts every dusk would otherwise never know its lamp."""
    curve = LearnedCurve(PowerCurve(*NAMEPLATE))
    for level in range(60, 1001, 47):
        for _ in range(20):
            curve.learn(level, curve._nominal.at(level) * 9 // 10)
    buffer = bytearray(LEARNED_STATE_SIZE + 4)
    assert curve.save(buffer, 2) == LEARNED_STATE_SIZE + 2
    fresh = LearnedCurve(PowerCurve(*NAMEPLATE))
    assert fresh.load(buffer, 2)
    assert [fresh.power_mw(p) for p in range(1001)] == [curve.power_mw(p) for p in range(1001)]
    assert not fresh.load(buffer, 5) and not fresh.load(buffer, -1)
    assert not fresh.load(bytearray(LEARNED_STATE_SIZE), 1)
    # A bucket reaches half a step further than its own level: 30 % of 35.2 W at 55 %.
    for offset, expected in ((10_561 * 256, True), (10_561 * 256 + 1, False)):
        middle = bytearray(LEARNED_STATE_SIZE)
        middle[25:29] = offset.to_bytes(4, "little")
        middle[29] = 1
        assert LearnedCurve(PowerCurve(*NAMEPLATE)).load(middle, 0) == expected
    bound = 64_000 * 3 // 10 * 256 + 256
    for offset, count, expected in (
        (bound, 1, True), (bound + 1, 1, False), (-bound, 9, True), (-bound - 1, 9, False), (1, 0, False), (0, 0, True)
    ):  # fmt: skip
        bad = bytearray(LEARNED_STATE_SIZE)
        bad[50:54] = offset.to_bytes(4, "little", signed=True)
        bad[54] = count
        assert LearnedCurve(PowerCurve(*NAMEPLATE)).load(bad, 0) == expected


steep = ((100, 200, 1000), (0, 400_000, 500_000), 0)
value = st.one_of(st.integers(-1, 5), st.integers(-1, 100_000), st.integers(-(2**30), 2**30 - 1))
level = st.one_of(st.integers(0, 1000), st.integers(-(2**30), 2**30 - 1))


@given(
    st.lists(
        st.tuples(st.integers(0, 100_000), level, st.booleans(), value, value, value, value, st.booleans()), max_size=60
    ),
    st.sampled_from([NAMEPLATE, steep]),
    st.integers(0, TICKS_MAX),
)
def test_no_sample_ever_raises_an_exception(samples, nominal, start):
    """A meter that goes mad must not take the lamp with it."""
    lamp = Lamp(nominal=nominal, start=start)
    buffer = bytearray(LEARNED_STATE_SIZE)
    for wait, *sample, is_lost in samples:
        lamp.health.sample(lamp.tick, *sample)
        if is_lost:
            lamp.health.supply(lamp.tick, sample[1])
        lamp.advance(wait)
        lamp.learned.save(buffer, 0)
        assert LearnedCurve(PowerCurve(*nominal)).load(buffer, 0)
    for permille in range(0, 1001, 10):
        power = lamp.learned.power_mw(permille)
        assert 0 <= power <= 650_000


@given(st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from([0, 100, 750, 1000]), st.booleans()), max_size=80))
def test_from_a_meter_that_shows_nothing_no_lamp_fault_is_ever_raised(samples):
    """The rule of F13 for every history: zeros and silence accuse the meter alone."""
    lamp = Lamp()
    for wait, permille, is_zero in samples:
        if is_zero:
            lamp.sample(permille, 0, 0, 0, 0)
        else:
            lamp.sample(permille, -1, -1, -1, -1)
        lamp.advance(wait)
    lamp.advance(400_000)
    assert lamp.faults.active & ~mask("METER_MISSING") == 0
    assert lamp.faults.raised & ~mask("METER_MISSING") == 0


SCRIPT = """
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.faults import Faults
from firmware.control.health import LEARNED_STATE_SIZE, LampHealth, LearnedCurve
from firmware.control.power import PowerCurve
from firmware.control.ticks import ticks_add, ticks_diff

LIMITS = (100, 1000, 4480, 48000, 12600, 83000, 500, 500, 1500, 2070, 2530, 500, 20, 600)
table = Faults()
curve = LearnedCurve(PowerCurve((100, 1000), (6400, 64000), 500))
health = LampHealth(table, curve, LIMITS)
buffer = bytearray(LEARNED_STATE_SIZE)
parts = (health, table)
tick = 0x3FFFFFFF - 6000000
seed = 3
for step in range(6000):
    seed = (seed * 1103 + 12345) % 65536
    mode = step // 200 % 10
    level = (750, 1000, 100, 0, 200, 750, 500, 1000, 0, 300)[mode]
    power = (level * 60 + seed % 500, 62000, 6500, 300, 61000, 0, 16000, 500000, 40000, 10000)[mode]
    if seed % 4 == 0 and mode == 1:
        power = 0
    voltage = (2300, 2300, 2600, 2000, 2300, 0, 2300, 2300, 2300, 2300)[mode] + (seed % 9 if mode != 5 else 0)
    factor = (900, 800, 700, 0, 900, 0, 100, 900, 0, 900)[mode] + seed % 50
    heap_lock()
    for part in parts:
        while part.is_due and ticks_diff(tick, part.due_ms) > 0:
            part.pass_due(part.due_ms)
    if step % 200 == 150:
        health.supply(tick, mode == 9)
    if seed % 31 == 0:
        health.command(tick, level)
    else:
        health.sample(tick, level, seed % 7 > 0, power, voltage, 250 + step // 1000 * 80, factor)
    curve.save(buffer, 0)
    learned = curve.power_mw(level)
    heap_unlock()
    if step % 20 == 0:
        print(step, table.active, table.raised, table.cleared, table.due_ms, health.due_ms, learned)
    tick = ticks_add(tick, 4000 + seed % 3000)
print(list(table.counts), list(buffer), curve.load(buffer, 0))
"""


def test_same_on_micropython_and_without_allocation(micropython_runtime, tmp_path):
    """The judge on the pole and the judge in the simulator must be one, and must not need a free heap."""
    program = tmp_path / "history.py"
    program.write_text(SCRIPT, encoding="utf-8")
    host = subprocess.run(
        [sys.executable, program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60
    )
    chip = micropython_runtime.run([program])
    assert chip.returncode == 0, chip.stderr
    assert chip.stdout == host.stdout
    assert len({line.split()[1] for line in host.stdout.splitlines()[:-1]}) > 10
