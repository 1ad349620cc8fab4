"""Three years without anybody: no server, a drifting clock or none, a feeder that is cut at the wrong minute.

A lightweight model: the world's sun is astral's, in float; the node is the product's parts with the glue an application
would have. What it does not run: presence, links, files; the program is "lit from sunset to sunrise", or, for the
switch-off rule, the same with an extinction.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from astral import Observer
from astral.sun import sunrise, sunset

from firmware.control.civil import day_number
from firmware.control.clock import CLOCK_UNKNOWN, FEEDER, NETWORK, RTC, ClockTrust
from firmware.control.failsafe import FailSafe
from firmware.control.feeder import FeederTeacher
from firmware.control.ticks import TICKS_MAX, ticks_diff

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
PLACES = {"Brest": (48.39, -4.486), "Strasbourg": (48.573, 7.752), "Cayenne": (4.922, -52.313)}
FIRST_DAY = day_number(2026, 9, 1)
YEARS_NIGHTS = 1095
DRIFT = 100e-6
# As the node saves its lit time (firmware/system/clock_keeper.py).
SAVE_PERIOD_S = 300
MINUTE = 60
# A feeder switches up to this much before or after the sun, each night anew.
JITTER_S = 20 * MINUTE
# What a lamp may burn into the day: as long as the feeder gives power, and a sun library's half minute.
FEEDER_TOLERANCE_S = JITTER_S + 60
# Always powered: the clock's limit, 30 min, and what a day of drift adds before it is noticed.
HELD_TOLERANCE_S = 31 * MINUTE
EXTINCTION_UTC = (22 * 3600, 4 * 3600)


class World:
    """Sunrise and sunset in seconds since 2000, from astral."""

    def __init__(self, place: str, nights: int):
        latitude, longitude = PLACES[place]
        self.udeg = (round(latitude * 1e6), round(longitude * 1e6))
        observer = Observer(latitude, longitude)
        self.dusk = []
        self.dawn = []
        for n in range(nights + 1):
            day = date(2000, 1, 1) + timedelta(days=FIRST_DAY + n)
            self.dusk.append((sunset(observer, day) - EPOCH).total_seconds())
            self.dawn.append((sunrise(observer, day + timedelta(days=1)) - EPOCH).total_seconds())


@dataclass
class Result:
    """What three years looked like, in minutes."""

    burnt: float = 0.0
    dark: float = 0.0
    dark_nights: int = 0
    early_offs: int = 0
    outside_bound: int = 0
    days_off: int = 0
    # Nights after the first seven, and in how many of them the node knew the time.
    nights: int = 0
    timed: int = 0
    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def worst(self) -> float:
        return max((max(errors) for errors in self.errors.values()), default=0.0)


class Node:
    """The parts and the glue between them; `full_ms` is the tick before it is folded into the ring."""

    def __init__(self, world, drift, feeder=True, rtc=False, cell=None, extinction=False):
        self.udeg = world.udeg
        self.drift = drift
        self.is_feeder = feeder
        self.rtc_set_at = FIRST_DAY * 86400.0 if rtc else None
        self.cell = cell
        self.extinction = extinction
        self.clock_state = bytearray(8)
        self.teacher_state = bytearray(17)
        self.saved_s = None
        self.lit = []  # (from, to) of true time
        self.is_lit = False
        self.has_state = False

    def power_on(self, now: float) -> None:
        self.boot_at = now
        self.lit_since = now
        self.is_lit = True
        self.clock = ClockTrust(FIRST_DAY - 30)
        self.teacher = FeederTeacher(*self.udeg, SAVE_PERIOD_S)
        self.safe = FailSafe(*self.udeg, self.is_feeder, self.cell is not None)
        self.program = FailSafe(*self.udeg, False, False)
        if self.has_state:
            assert self.clock.load(self.clock_state, 0)
            assert self.teacher.load(self.teacher_state, 0)
        else:
            # Commissioned: the date was known once.
            self.teacher.known(int(now // 86400), int(now % 86400))
        if self.is_feeder and self.has_state:
            if self.saved_s is not None:
                self.teacher.night(self.saved_s)
            self.teacher.boot()
        self.has_state = True
        self.saved_s = None
        self.read_rtc(now)
        if self.clock.quality == CLOCK_UNKNOWN and self.is_feeder and self.teacher.is_ready:
            self.teacher.estimate(0)
            teacher = self.teacher
            self.clock.report(self.tick(now), FEEDER, teacher.day, teacher.second, 0, teacher.error_s)
        self.decide(now)

    def full_ms(self, now: float) -> int:
        return round((now - self.boot_at) * 1000 * (1 + self.drift)) + TICKS_MAX - 5000

    def tick(self, now: float) -> int:
        return self.full_ms(now) & TICKS_MAX

    def read_rtc(self, now: float) -> None:
        if self.rtc_set_at is None:
            return
        shown = now + (now - self.rtc_set_at) * self.drift
        day, second = int(shown // 86400), int(shown % 86400)
        self.clock.report(self.tick(now), RTC, day, second, int(shown % 1 * 1000))
        if self.clock.error_ms < 6 * 3600_000:
            # Too stale to act on, good enough for the date.
            self.teacher.known(day, second)

    def network(self, now: float) -> None:
        self.clock.report(self.tick(now), NETWORK, int(now // 86400), int(now % 86400), int(now % 1 * 1000))
        self.teacher.known(int(now // 86400), int(now % 86400))
        self.rtc_set_at = now if self.rtc_set_at is not None else None
        self.decide(now)

    def decide(self, now: float) -> None:
        """Hand the clock to whoever decides, and switch."""
        tick = self.tick(now)
        clock = self.clock
        clock.at(tick)
        is_doubted = clock.is_doubted
        if not is_doubted:
            self.program.take_clock(tick, clock.day, clock.second, 0)
            level = self.program.level_permille
        else:
            if self.cell is not None:
                self.safe.see_lux(tick, self.cell(now))
            if clock.is_set and clock.source != FEEDER:
                self.safe.take_clock(tick, clock.day, clock.second, clock.error_ms // 1000 + 1)
            level = self.safe.level_permille
            if self.extinction and clock.quality != CLOCK_UNKNOWN and level:
                wants_off = clock.second >= EXTINCTION_UTC[0] or clock.second < EXTINCTION_UTC[1]
                if wants_off and self.teacher.may_switch_off(int(now - self.boot_at)):
                    level = 0
        self.switch(now, level > 0)

    def switch(self, now: float, is_lit: bool) -> None:
        if is_lit and not self.is_lit:
            self.lit_since = now
        elif self.is_lit and not is_lit:
            self.lit.append((self.lit_since, now))
        self.is_lit = is_lit

    def run_until(self, now: float, end: float, poll_s: float = 6 * 3600) -> None:
        """Pass every deadline up to ``end``; look again at least every ``poll_s``."""
        while now < end:
            full = self.full_ms(now)
            parts = [self.clock]
            if self.clock.is_doubted:
                parts.append(self.safe)
            else:
                parts.append(self.program)
            due = full + int(poll_s * 1000)
            for part in parts:
                if part.is_due:
                    due = min(due, full + max(0, ticks_diff(part.due_ms, full & TICKS_MAX)))
            then = self.boot_at + (due - TICKS_MAX + 5000) / 1000 / (1 + self.drift)
            if then >= end:
                break
            tick = due & TICKS_MAX
            for part in parts:
                if part.is_due and ticks_diff(part.due_ms, tick) <= 0:
                    part.pass_due(part.due_ms)
            now = max(then, now + 0.001)
            if not self.is_feeder:
                self.read_rtc(now)
            self.decide(now)

    def power_off(self, now: float) -> None:
        self.switch(now, False)
        counted = int((now - self.boot_at) * (1 + self.drift)) // SAVE_PERIOD_S * SAVE_PERIOD_S
        self.saved_s = counted or None
        self.clock.save(self.clock_state, 0)
        self.teacher.save(self.teacher_state, 0)


def overlap(intervals, start: float, end: float) -> float:
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in intervals if b > start and a < end)


def season(n: int) -> str:
    month = (date(2000, 1, 1) + timedelta(days=FIRST_DAY + n)).month
    return ("winter", "spring", "summer", "autumn")[month % 12 // 3]


def feeder_years(place, nights, case, jitter_s=JITTER_S, seed=1, cuts=0.0, extinction=False, sign=1) -> Result:
    """Nights on a feeder. Case A: a drifting clock chip; B: none; C: none, and a network for the first month."""
    rng = random.Random(f"{place}{case}{seed}")
    world = World(place, nights)
    node = Node(world, sign * DRIFT, rtc=case == "A", extinction=extinction)
    result = Result()
    for n in range(nights):
        on = world.dusk[n] + rng.uniform(-jitter_s, jitter_s)
        off = world.dawn[n] + rng.uniform(-jitter_s, jitter_s)
        powered = [(on, off)]
        if rng.random() < cuts:
            # An outage of 1 s … 1 h somewhere in the night.
            cut = rng.uniform(on + 60, off - 3700)
            powered = [(on, cut), (cut + rng.choice((1, 60, 3600)), off)]
        node.lit = []
        for start, end in powered:
            node.power_on(start)
            if case == "C" and n < 30 and end - start > 300:
                node.run_until(start, start + 150)
                node.network(start + 150)
                start += 150
            result.nights += n >= 7
            if n >= 7 and node.clock.quality != CLOCK_UNKNOWN:
                result.timed += 1
                node.clock.at(node.tick(start))
                # The time of day; a date that is off is counted by itself.
                error = abs((node.clock.day * 86400 + node.clock.second - start + 43200) % 86400 - 43200)
                result.errors[season(n)].append(error / MINUTE)
                bound = node.teacher.error_s if node.clock.source == FEEDER else node.clock.error_ms / 1000 + 90
                result.outside_bound += error > bound
            node.run_until(start, end, 900 if extinction else 6 * 3600)
            node.power_off(end)
            doubted = node.clock.is_doubted
            result.days_off = max(result.days_off, abs(node.teacher.evening_day - FIRST_DAY - n))
            first_off = min((b for a, b in node.lit if a >= node.boot_at), default=end)
            result.early_offs += doubted and first_off < min(end, node.boot_at + 4 * 3600) - 1
        tolerance = FEEDER_TOLERANCE_S
        burnt = overlap(node.lit, world.dawn[n] + tolerance, world.dusk[n + 1] - tolerance)
        result.burnt += (burnt + overlap(node.lit, world.dusk[n] - 43200, world.dusk[n] - tolerance)) / MINUTE
        lit_night = 0.0
        for start, end in powered:
            start, end = max(start, world.dusk[n] + HELD_TOLERANCE_S), min(end, world.dawn[n] - HELD_TOLERANCE_S)
            lit = overlap(node.lit, start, end)
            lit_night += lit
            result.dark += max(0.0, end - start - lit) / MINUTE
        result.dark_nights += lit_night < 3600
    return result


def always_years(
    place, nights, cell=None, tolerance_s=HELD_TOLERANCE_S, sign=1, stale_days=0
) -> tuple[Result, list[float]]:
    """Nights on a network that is always powered, with a drifting clock chip; also minutes burnt by day, each year."""
    world = World(place, nights)
    node = Node(world, sign * DRIFT, feeder=False, rtc=True, cell=cell)
    if stale_days:
        # Somebody was sure of the chip so long ago, and nobody since.
        sure = ClockTrust(FIRST_DAY - stale_days)
        sure.report(0, NETWORK, FIRST_DAY - stale_days, 0, 0)
        sure.save(node.clock_state, 0)
        node.rtc_set_at -= stale_days * 86400
        node.has_state = True
    node.power_on(world.dusk[0])
    result = Result()
    yearly = [0.0] * (nights // 365 + 1)
    for n in range(nights):
        node.run_until(world.dusk[n], world.dusk[n + 1])
        node.switch(world.dusk[n + 1], False)
        node.decide(world.dusk[n + 1])
        result.burnt += overlap(node.lit, world.dawn[n] + tolerance_s, world.dusk[n + 1] - tolerance_s) / MINUTE
        yearly[n // 365] += overlap(node.lit, world.dawn[n], world.dusk[n + 1]) / MINUTE
        dark = world.dawn[n] - world.dusk[n] - 2 * tolerance_s
        dark -= overlap(node.lit, world.dusk[n] + tolerance_s, world.dawn[n] - tolerance_s)
        result.dark += max(0.0, dark) / MINUTE
        result.dark_nights += overlap(node.lit, world.dusk[n], world.dawn[n]) < 3600
        node.lit = []
    return result, yearly


def say(name: str, result: Result) -> None:
    worst = ", ".join(f"{key} {max(values):.1f}" for key, values in sorted(result.errors.items()))
    print(
        f"figure: {name}: {result.burnt:.0f} min burnt by day, {result.dark:.0f} min dark, {result.dark_nights} dark"
        f" nights, {result.early_offs} early switch-offs, {result.outside_bound} outside"
        f" the bound, date at most {result.days_off} off;"
        f" clock known at {result.timed} of {result.nights} switch-ons, error max min: {worst or 'none'}"
    )


def check(name: str, result: Result) -> None:
    say(name, result)
    assert result.burnt == 0
    assert result.dark == 0
    assert result.dark_nights == 0
    assert result.early_offs == 0
    assert result.outside_bound == 0


@pytest.mark.parametrize(("place", "case"), [("Brest", "B"), ("Strasbourg", "C"), ("Cayenne", "A")])
def test_orphans_for_a_season(place, case):
    """Half of a London borough burned by day when its vendor failed (lighting.md, E 1). So a node that hears nobody, on
    a feeder 20 min off each night, burns no minute beyond the feeder's own error and leaves no night dark."""
    check(f"100 nights, case {case}, {place}", feeder_years(place, 100, case))


@pytest.mark.parametrize("place", PLACES)
def test_seven_nights_teach_the_time(place):
    """A driver that takes a fixed "virtual midnight" errs by up to 83 min. With place and date, a feeder that follows
    the sun within 8 min must give the time within 15 min after a week (lighting.md F6)."""
    result = feeder_years(place, 110, "B", jitter_s=8 * MINUTE)
    check(f"110 nights of a feeder within 8 min, {place}", result)
    assert len(result.errors) >= 2
    assert result.worst < 15
    assert result.timed > result.nights * 0.9


def test_a_cut_in_the_night_moves_nothing():
    """Reclosers cut a street for a second, storms for an hour. A night in two parts must not be two nights, and the
    second part must not be taken for dusk: the date stays within a day and no lamp is switched off early."""
    result = feeder_years("Strasbourg", 100, "B", cuts=0.3)
    say("100 nights, three in ten cut in two, Strasbourg", result)
    assert (result.burnt, result.dark, result.dark_nights, result.early_offs) == (0, 0, 0, 0)
    assert result.days_off <= 1
    # A cut shortly before dawn passes for a dusk until the feeder is switched off; nothing hangs on it by then.
    assert result.outside_bound <= 3
    result = feeder_years("Strasbourg", 60, "B", cuts=0.3, extinction=True)
    assert (result.burnt, result.dark_nights, result.early_offs) == (0, 0, 0)
    assert result.dark > 60


def test_a_stuck_photocell_loses_against_the_sun():
    """A dirty photocell burns a lamp all day, a lit one leaves a street dark (reliability.md, row 13). With a clock
    that is 300 days stale the sun still wins, beyond 45 min, the clock's error (here 45 min) and its bound."""
    tolerance_s = 45 * MINUTE + 2 * 46 * MINUTE
    for lux in (0, 100_000):
        result, _ = always_years(
            "Strasbourg", 12, cell=lambda now, lux=lux: lux, tolerance_s=tolerance_s, stale_days=300
        )
        assert (result.burnt, result.dark, result.dark_nights) == (0, 0, 0)
        tight, _ = always_years("Strasbourg", 12, cell=lambda now, lux=lux: lux, tolerance_s=30 * 60, stale_days=300)
        assert (tight.burnt if lux == 0 else tight.dark) > 0


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", "ABC")
@pytest.mark.parametrize("sign", [1, -1])
def test_orphans_for_three_years(place, case, sign):
    """The figure of the issue: 1,095 nights without a server, a drift of 100 ppm, daily cuts at the wrong minute."""
    check(
        f"1095 nights, case {case}, drift {sign * 100} ppm, {place}", feeder_years(place, YEARS_NIGHTS, case, sign=sign)
    )


@pytest.mark.soak
@pytest.mark.parametrize(
    ("jitter_min", "worst_min", "least_timed"), [(0, 2, 1), (8, 15, 0.9), (10, 16, 0.6), (20, 30, 0)]
)
@pytest.mark.parametrize("place", PLACES)
def test_what_the_feeder_teaches_all_year(place, jitter_min, worst_min, least_timed):
    """F6 says all year: equinoxes, solstices and the equation of time. Its 15 min hold for a feeder within 8 min. What
    tonight's switch-on errs by cannot be learned, so 20 min of it cannot be 15 of the clock: most such nights the node
    knows that it does not know, and is lit by the power."""
    result = feeder_years(place, YEARS_NIGHTS, "B", jitter_s=jitter_min * MINUTE, seed=2)
    check(f"1095 nights of a feeder within {jitter_min} min, {place}", result)
    assert result.worst < worst_min
    # A feeder that is right must give a clock: a node that never dares passes every bound.
    assert result.timed >= result.nights * least_timed


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_cuts_and_an_extinction_for_three_years(place):
    """The hardest orphan: cuts in the night, and a program that would switch off."""
    result = feeder_years(place, YEARS_NIGHTS, "B", cuts=0.1, extinction=True)
    say(f"1095 nights, one in ten cut in two, extinction, {place}", result)
    assert result.early_offs == 0 and result.burnt == 0 and result.dark_nights == 0
    # The gap of a cut has no length without a clock: a few nights lie outside, and the count of nights may slip.
    assert result.outside_bound <= 12 and result.days_off <= 3


@pytest.mark.soak
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", PLACES)
def test_always_powered_for_three_years(place, sign):
    """Where nothing cuts the lamp, only its own decision keeps it from burning by day. With a stale clock it burns at
    most twice the drift on either side."""
    bound_s = 2 * (YEARS_NIGHTS * 864 // 100 + 120)
    result, yearly = always_years(place, YEARS_NIGHTS, tolerance_s=bound_s, sign=sign)
    print(
        f"figure: always powered, clock chip {sign * 100} ppm, {place}: min by day"
        f" per year {[round(y) for y in yearly]}"
    )
    assert result.burnt == 0 and result.dark_nights == 0
    result, yearly = always_years(place, 205, sign=sign)
    check(f"always powered, 205 nights to the limit, clock chip {sign * 100} ppm, {place}", result)
