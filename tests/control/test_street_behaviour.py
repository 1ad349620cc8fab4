"""What a lamp makes of its street and of its own limits: wave, volume class, rises, trust, guard, heat, relay, quiet.

The parts have tests of their own; here each is lived through the whole controller, where one can hide another.
"""

from datetime import timedelta

import pytest

from firmware.control import plan_format as layout
from firmware.control.counters import DRIVER_S, ESTIMATED_WH, LAMP_S, MEASURED_WH
from firmware.control.faults import SENSOR_CHATTER
from firmware.control.inputs import COMMAND_OVERRIDE, COMMAND_SERVICE
from firmware.control.limits import GUARD, NONE
from firmware.control.reasons import (
    BY_SERVICE,
    BY_TEMPERATURE,
    FAILSAFE,
    INACTIVE,
    ONE_CLASS_DOWN,
    OVERRIDE,
    PROGRAM,
    PROTECTION,
    RISES_USED_UP,
    SENSOR,
    TWO_CLASSES_DOWN,
)
from firmware.control.why import Answer
from host_tools.plan.encode import ActivePeriod, DynamicControl, FixedTimeControl, LampPlan, Program, Rule
from tests.control.driver import DAY_MS, NOON, Driver, Made, every_day, fixed, seconds

H_MS = 3_600_000
MIN_MS = 60_000
UP = DynamicControl(layout.EFFECT_MAX, 1000, 100, 8, 50)
UP_BY_NEIGHBOURS = DynamicControl(layout.EFFECT_MAX, 700, channel=layout.CHANNEL_NEIGHBOURS)
STREET = every_day(fixed(("00:00", 400, 0)), dynamic=[UP, UP_BY_NEIGHBOURS], default_ramp_ds=0)
POLES = ((21, -1), (22, 1), (23, -2))
# 60 °C … 80 °C down to 300 permille, shutdown at 85 °C, hysteresis 5 °C, 100 permille then, off from 95 °C on.
HEAT = (600, 800, 300, 850, 50, 100, 950)
BULB = ([100, 1000], [6_000, 60_000], 600)
# 50 % from 23:00 to 05:00, and dark then.
TOWN = (82_800, 18_000, 500, 82_800, 18_000)
CELL = [ActivePeriod(layout.PERIOD_SENSOR, on_level=20, off_level=40)]


def hear(driver: Driver, t_ms: int, sender: int, origin: int, sequence: int, hops: int = 1, travelled: int = 0):
    """Let a message of the wave arrive."""
    message = driver._seen.message
    driver.run(t_ms - 1)
    message.sender, message.origin, message.sequence = sender, origin, sequence
    message.hops, message.travelled = hops, travelled
    return driver.change(t_ms, messages=driver._seen.messages + 1)


def pulses(driver: Driver, start_ms: int, count: int, period_ms: int = 1_000) -> None:
    """Let the sensor report ``count`` passers."""
    for i in range(count):
        driver.see(start_ms + i * period_ms, 1)
        driver.see(start_ms + i * period_ms + period_ms // 2, 0)


# The wave.


def test_a_neighbours_presence_lights_the_lamp_for_the_hold_after_its_last_message():
    """A walker must see the next lamp lit before he is there, and nobody tells the lamp that he is gone. So a message
    lights it until 20 s after the last one."""
    driver = Driver(STREET, own_id=20, neighbours=POLES)
    assert hear(driver, 1_000, 21, 21, 1) == [Made("12:00:01", 700, 0, SENSOR)]
    assert hear(driver, 11_000, 21, 21, 2) == []
    assert driver.run(MIN_MS) == [Made("12:00:31", 400, 0, PROGRAM)]


def test_the_reach_is_in_poles_and_the_sender_must_be_known():
    """A whole quarter that lights up for one cat is what residents complain of. So presence two poles away lights only
    where the reach is two, and a pole that is no neighbour says nothing."""
    for reach, level in ((1, 400), (2, 700)):
        driver = Driver(STREET, own_id=20, neighbours=POLES, reach=reach)
        hear(driver, 1_000, 21, 23, 1, hops=0, travelled=1)
        assert driver.controller.level_permille == level
        hear(driver, 2_000, 99, 21, 1)
        assert driver.controller.level_permille == level


@pytest.mark.parametrize(("limit", "hops", "travelled", "passed_on"), [(1, 1, 0, None), (2, 1, 0, 0), (3, 2, 1, 0)])
def test_a_message_goes_as_far_as_the_hop_limit(limit, hops, travelled, passed_on):
    """A wave without an end would run round the block. So each pole takes one hop away, and none passes on the last."""
    driver = Driver(STREET, own_id=20, neighbours=POLES, hop_limit=limit)
    hear(driver, 1_000, 21, 21, 7, hops, travelled)
    bubble = driver.controller.street.bubble
    assert driver.controller.street.has_to_send == (passed_on is not None)
    if passed_on is not None:
        assert (bubble.send_origin, bubble.send_sequence) == (21, 7)
        assert (bubble.send_hops, bubble.send_travelled) == (passed_on, travelled + 1)


def test_a_sensor_that_chatters_loses_its_vote_while_neighbours_still_light():
    """A branch before the sensor must not make the lamp flash all night, nor leave a walker in the dark. So the
    chattering sensor is quarantined and named, the wave lights as before, and after ten good minutes it votes again."""
    driver = Driver(STREET, own_id=20, neighbours=POLES)
    pulses(driver, 1_000, 31)
    driver.run(MIN_MS)
    assert driver.controller.level_permille == 400
    assert driver.see(2 * MIN_MS, 1) == []
    driver.see(2 * MIN_MS + 500, 0)
    assert driver.controller.monitor.faults.active >> SENSOR_CHATTER & 1
    assert hear(driver, 3 * MIN_MS, 22, 22, 1)[-1].level == 700
    driver.run(20 * MIN_MS)
    assert driver.see(20 * MIN_MS + 1_000, 1)[-1].level == 1000
    assert not driver.controller.monitor.faults.active >> SENSOR_CHATTER & 1


# Traffic.

QUIET_STREET = every_day(fixed(("00:00", 1000, 0)), default_ramp_ds=0)
VOLUME = {"volume_one_per_h": 60, "volume_two_per_h": 20}


def test_little_traffic_takes_classes_down_and_traffic_brings_them_back():
    """UNI 11248 lets an empty road go two classes down, one at a time, after two windows each; the traffic that forbids
    it brings the light back without waiting for the window's end."""
    driver = Driver(QUIET_STREET, **VOLUME)
    driver.run(90 * MIN_MS)
    assert [(made.clock, made.level) for made in driver.decisions] == [
        ("12:00:00", 1000), ("12:20:00", 700), ("12:40:00", 500),
    ]  # fmt: skip
    pulses(driver, 91 * MIN_MS, 10, 5_000)
    assert [made.level for made in driver.decisions[3:]] == [700, 1000]


def test_a_sensor_without_a_vote_cannot_say_that_the_road_is_empty():
    """Zero passers, counted by a sensor in quarantine, is no flow. So the lamp goes back to its full class at once, and
    not at the schedule's next look."""
    driver = Driver(QUIET_STREET, **VOLUME)
    driver.run(45 * MIN_MS)
    assert driver.controller.level_permille == 500
    # Stuck on for two hours from here: by then it is two classes down again.
    driver.see(46 * MIN_MS, 1)
    driver.run(46 * MIN_MS + 2 * H_MS - 1)
    assert driver.controller.level_permille == 500
    driver.run(46 * MIN_MS + 2 * H_MS + 1)
    assert driver.controller.level_permille == 1000
    driver.run(6 * H_MS)
    assert driver.controller.level_permille == 1000


def test_the_least_light_has_no_class_below_it():
    """Half of one permille is nothing, and nothing is dark. So a lamp that is to be lit stays lit, however quiet."""
    driver = Driver(every_day(fixed(("00:00", 1, 0)), default_ramp_ds=0), **VOLUME)
    driver.run(2 * H_MS)
    assert driver.controller.level_permille == 1


# The day's rises.


def exhausted(plan: LampPlan = STREET, **config) -> Driver:
    """Return a lamp whose two rises are used up, half past midnight, with nobody there."""
    driver = Driver(plan, NOON + timedelta(hours=12), rises_per_day=2, **config)
    for i in range(2):
        driver.see((i + 1) * 5 * MIN_MS, 1)
        driver.see((i + 1) * 5 * MIN_MS + 1_000, 0)
    driver.run(30 * MIN_MS)
    assert driver.controller.level_permille == 1000
    return driver


def test_when_the_rises_are_used_up_the_lamp_stays_up_until_noon():
    """Who lives opposite has seen it go up and down enough; who walks there must not be in the dark. So it stays up,
    and at noon the budget is new."""
    driver = exhausted()
    assert [made.level for made in driver.decisions] == [400, 1000, 400, 1000]
    assert driver.run(11 * H_MS + H_MS) == [Made("12:00:00", 400, 5_000, PROGRAM)]


def test_staying_up_hides_neither_heat_nor_a_program_that_wants_more():
    """Staying up is a courtesy; heat, a lost clock, a dawn and a brighter program are not to wait for noon."""
    driver = exhausted(derating=HEAT)
    heated = driver.change(31 * MIN_MS, temperature_dc=700) + driver.change(32 * MIN_MS, temperature_dc=860)
    assert [(made.level, made.reason) for made in heated] == [(650, SENSOR), (100, PROTECTION)]
    driver = exhausted()
    assert driver.set_clock(31 * MIN_MS, None)[-1].reason == FAILSAFE
    half = DynamicControl(layout.EFFECT_MAX, 600)
    plan = every_day(fixed(("00:00", 400, 0), ("01:00", 900, 0)), dynamic=[half], default_ramp_ds=0)
    driver = Driver(plan, NOON + timedelta(hours=12), rises_per_day=1)
    driver.see(MIN_MS, 1)
    driver.see(2 * MIN_MS, 0)
    assert driver.run(30 * MIN_MS) == []
    assert driver.run(2 * H_MS) == [Made("01:00:00", 900, 0, PROGRAM)]


def test_staying_up_ends_with_the_active_period():
    """Burning by day is what lamps are reported for. So dawn puts it out, budget or not."""
    dawn = [ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("18:00"), seconds("06:00"))]
    driver = exhausted(every_day(fixed(("00:00", 400, 0)), dawn, dynamic=[UP], default_ramp_ds=0))
    assert driver.run(7 * H_MS) == [Made("06:00:00", 0, 5_000, INACTIVE)]


# Limits.


def test_the_guard_holds_commands_and_programs_and_yields_to_a_derogation():
    """A road of class M5 must not fall below two classes for a typing mistake. So what is lit is raised to the guard,
    off stays off, and only a declared derogation goes below, and is reported."""
    for is_derogated, level in ((False, 450), (True, 200)):
        driver = Driver(STREET, guard_permille=450, is_derogated=is_derogated)
        assert driver.controller.level_permille == (400 if is_derogated else 450)
        driver.order(1_000, COMMAND_OVERRIDE, 200)
        assert driver.controller.level_permille == level
        assert driver.controller.output.limits.is_below_guard == is_derogated
        driver.order(2_000, COMMAND_OVERRIDE, 0)
        assert driver.controller.level_permille == 0


def test_heat_takes_light_before_it_takes_the_lamp():
    """A lamp in an August afternoon test loses half its light and not its driver. So derating follows the temperature
    and stays above the guard, shutdown leaves 100 permille, only the absolute limit puts it out, and it comes back."""
    driver = Driver(QUIET_STREET, derating=HEAT, guard_permille=450)
    found = []
    for i, dc in enumerate((599, 700, 800, 860, 955, 910, 890, 790, 500)):
        driver.change((i + 1) * 5 * MIN_MS, temperature_dc=dc)
        driver.run((i + 1) * 5 * MIN_MS + 2 * MIN_MS)
        found.append((driver.controller.level_permille, driver.controller.reason))
    assert found[:5] == [(1000, PROGRAM), (650, PROGRAM), (450, PROGRAM), (100, PROTECTION), (0, PROTECTION)]
    assert found[5:7] == [(0, PROTECTION), (100, PROTECTION)]
    assert found[7][1] == PROGRAM
    assert found[8] == (1000, PROGRAM)


def test_protection_is_at_once_and_above_service():
    """A fade of a quarter of an hour into thermal shutdown is no shutdown. So protection takes the light in no time,
    from whatever cause with whatever ramp, and says that it was the heat, to a technician too."""
    slow = every_day(fixed(("00:00", 1000, 900_000)), default_ramp_ds=10_000)
    driver = Driver(slow, start_level=1000, derating=HEAT)
    driver.order(1_000, COMMAND_OVERRIDE, 900, ramp_from_ms=900_000)
    assert driver.change(2_000, temperature_dc=860) == [Made("12:00:02", 100, 0, PROTECTION)]
    driver.order(3_000, COMMAND_SERVICE, 800)
    assert (driver.controller.level_permille, driver.controller.by) == (100, BY_TEMPERATURE)
    driver.change(2 * MIN_MS, temperature_dc=500)
    driver.run(3 * MIN_MS)
    assert (driver.controller.level_permille, driver.controller.by) == (800, BY_SERVICE)
    assert driver.controller.reason == OVERRIDE


def test_the_relay_opens_after_the_fade_and_closes_for_the_light():
    """A relay that opens into a fade switches a burning lamp off, with a spark. So it opens when the light has been out
    for its delay, and closes for the first light, after its rest."""
    light = FixedTimeControl(seconds("13:00"), 500, ramp_from_ds=300)
    plan = every_day([light], [ActivePeriod(layout.PERIOD_ABSOLUTE, seconds("13:00"), seconds("14:00"))])
    driver = Driver(plan, start_level=1000, relay=(0, 5_000, 60_000))
    output = driver.controller.output
    states = []
    for t_ms in (30_000, 59_999, 60_000, H_MS - 1, H_MS, 2 * H_MS, 2 * H_MS + 89_999, 2 * H_MS + 90_000):
        driver.run(t_ms)
        states.append(output.is_closed)
    assert states == [True, True, False, False, True, True, True, False]


def test_the_quiet_releases_what_is_wanted_last():
    """Three wishes within ten seconds are one change and not three. So what waits is not a queue: when the quiet is
    over the lamp goes to what is wanted then, or nowhere."""
    cell = [DynamicControl(layout.EFFECT_MAX, 1000)]
    plan = every_day(
        fixed(("00:00", 400, 0), ("12:00:10", 900, 0), ("12:00:13", 200, 0), ("12:00:16", 600, 0), ("12:01", 300, 0),
              ("12:01:05", 600, 0), ("12:01:08", 300, 0)),
        dynamic=cell, default_ramp_ds=0,
    )  # fmt: skip
    driver = Driver(plan)
    driver.run(2 * MIN_MS)
    assert [(made.clock, made.level) for made in driver.decisions[1:]] == [
        ("12:00:10", 900), ("12:00:20", 600), ("12:01:00", 300),
    ]  # fmt: skip


# The sky, and whoever asks.


@pytest.mark.parametrize("is_late", [0, 1])
def test_a_cell_that_is_stuck_bright_leaves_no_night_dark(is_late):
    """A headlight of a parked car, a cell full of water: at 23:30 the clock knows better. So the program stays active,
    also where the feeder says that it is late and the fail-safe would dim."""
    plan = every_day(fixed(("00:00", 400, 0)), CELL, dynamic=[UP], default_ramp_ds=0)
    driver = Driver(plan, NOON + timedelta(hours=11), has_photocell=True, dim_permille=300)
    driver.change(1_000, lux=65_535, may_dim=is_late)
    driver.run(6 * MIN_MS)
    assert driver.controller.level_permille == 400
    driver.controller.why(Answer(), driver.tick(driver.t_ms))
    driver.see(7 * MIN_MS, 1)
    driver.see(8 * MIN_MS, 0)
    driver.run(30 * MIN_MS)
    assert driver.controller.level_permille == 400


def test_asking_why_makes_no_cell_forget():
    """An operator who asks all lamps at dusk must not light a street by it. So a look ahead, into another program's day
    too, leaves what a sensor said last, between its two levels."""
    programs = [Program(fixed(("00:00", level, 0)), CELL) for level in (400, 700)]
    sunday = Rule(1, layout.CONDITION_DAY, weekdays=0b1000000)
    driver = Driver(LampPlan(programs, [sunday], default_ramp_ds=0))
    driver.change(MIN_MS, lux=100)
    driver.change(2 * MIN_MS, lux=30)
    driver.run(3 * MIN_MS)
    assert driver.controller.reason == INACTIVE
    driver.controller.why(Answer(), driver.tick(driver.t_ms))
    driver.see(4 * MIN_MS, 1)
    driver.run(5 * MIN_MS)
    assert driver.controller.reason == INACTIVE


def test_a_cause_of_weeks_is_old_and_not_young():
    """ "Off since yesterday" is wrong where it is off since a month. So in the ring of the ticks a cause grows older to
    five days and stays there."""
    driver = Driver(every_day(fixed(("00:00", 400, 0)), default_ramp_ds=0))
    answer = Answer()
    for day in range(1, 30):
        driver.run(day * DAY_MS)
        driver.controller.why(answer, driver.tick(driver.t_ms))
        assert min(day, 5) * 86_400 <= answer.since_s <= min(day, 6) * 86_400


# What made the level another one than its cause asks for.


def answer_of(driver) -> Answer:
    answer = Answer()
    driver.controller.why(answer, driver.tick(driver.t_ms))
    return answer


def test_little_traffic_is_named_where_it_took_light():
    """A resident measures 70 % where the program says 100 %, and nobody has dimmed anything. So the answer names the
    traffic, how many classes it took, and no longer does when the lamp is back; presence is explained by itself."""
    plan = every_day(fixed(("00:00", 1000, 0)), dynamic=[DynamicControl(layout.EFFECT_MAX, 900)])
    driver = Driver(plan, NOON + timedelta(hours=11), volume_one_per_h=60, volume_two_per_h=30)
    found = []
    for minute in (10, 21, 31, 41, 61):
        driver.run(minute * MIN_MS)
        answer = answer_of(driver)
        found.append((answer.level, answer.reason, answer.limit))
    assert found == [
        (1000, PROGRAM, NONE), (700, PROGRAM, ONE_CLASS_DOWN), (700, PROGRAM, ONE_CLASS_DOWN),
        (500, PROGRAM, TWO_CLASSES_DOWN), (500, PROGRAM, TWO_CLASSES_DOWN),
    ]  # fmt: skip
    driver.see(62 * MIN_MS, 1)
    assert (answer_of(driver).level, answer_of(driver).reason, answer_of(driver).limit) == (900, SENSOR, NONE)


def test_a_lamp_that_stays_up_says_that_its_rises_are_used_up():
    """Nobody is in the street and the light stays: the answer is not "somebody is here" but the budget of the day."""
    plan = every_day(fixed(("00:00", 200, 0)), dynamic=[UP])
    driver = Driver(plan, NOON + timedelta(hours=11), rises_per_day=1)
    driver.see(MIN_MS, 1)
    assert answer_of(driver).limit == NONE
    driver.see(2 * MIN_MS, 0)
    driver.run(30 * MIN_MS)
    assert (answer_of(driver).reason, answer_of(driver).limit) == (SENSOR, RISES_USED_UP)


def test_what_limits_the_light_is_named_and_what_comes_next_is_limited_too():
    """An operator who asks at 22:30 plans by the answer. So 20 % lifted to 40 % says which limit did it, and a coming
    20 % is announced as the 40 % that it will be; asking leaves what the limits say of now."""
    plan = every_day(fixed(("12:00", 200, 0), ("22:00", 800, 0), ("23:00", 200, 0)))
    driver = Driver(plan, NOON, guard_permille=400)
    driver.run("12:30")
    assert (answer_of(driver).level, answer_of(driver).limit) == (400, GUARD)
    driver.run("22:30")
    answer = answer_of(driver)
    assert (answer.level, answer.limit, answer.next_level) == (800, NONE, 400)
    assert driver.controller.output.limits.which == NONE
    driver.run("23:30")
    assert (answer_of(driver).limit, driver.controller.output.limits.which) == (GUARD, GUARD)


def test_a_change_that_waits_for_the_quiet_does_not_change_the_answer():
    """For ten seconds the former cause still explains the light. So a wanted level that the quiet holds back names no
    limit either, until it is there."""
    plan = every_day(fixed(("12:00", 800, 0), ("22:00", 600, 0), ("22:00:05", 100, 0)))
    driver = Driver(plan, NOON, guard_permille=400)
    driver.run("22:00:07")
    assert (answer_of(driver).level, answer_of(driver).limit) == (600, NONE)
    driver.run("22:00:10")
    assert (answer_of(driver).level, answer_of(driver).limit) == (400, GUARD)


# Behind an open relay.


def test_an_open_relay_draws_nothing_and_its_driver_has_no_hours():
    """A relay is there to save 0.5 W by day: a report that counts them all the same hides what it was bought for. So
    from its opening to its closing there is no energy and no hour of the driver, and before and after there is."""
    plan = every_day(fixed(("12:00", 0, 0), ("22:00", 1000, 0), ("23:00", 0, 0)), default_ramp_ds=0)
    found = []
    for relay in (None, (0, 0, 600_000)):
        driver = Driver(plan, start_level=1000, curve=BULB, baselines=TOWN, relay=relay)
        driver.run(13 * H_MS)
        tick = driver.tick(driver.t_ms)
        driver.controller.count_to(tick)
        counters = driver.controller.monitor.counters
        counters.count_to(tick)
        assert driver.controller.energy.burning_s == counters.live[LAMP_S] == H_MS // 1000
        assert driver.controller.energy.energy_wh == counters.live[ESTIMATED_WH]
        found.append((counters.live[ESTIMATED_WH], counters.live[DRIVER_S]))
    # An hour of 60 W; 0.6 W for 12 h, and for twice ten minutes.
    assert found == [(67, 13 * 3_600), (60, 3_600 + 2 * 600)]


def test_a_lamp_that_waits_for_its_relay_is_not_counted_as_lit():
    """A relay that must rest for half a minute keeps the lamp dark as long. So burning time begins with the closing and
    not with the wish, also where the fade ends before it."""
    plan = every_day(fixed(("00:00", 0, 0)), dynamic=[UP], default_ramp_ds=0)
    driver = Driver(plan, start_level=1000, curve=BULB, baselines=TOWN, relay=(0, 30_000, 0))
    driver.see(60_000, 1)
    # Held until 71 s, dark at 76 s: the relay opens, and may close at 106 s.
    driver.see(61_000, 0)
    driver.see(80_000, 1)
    assert not driver.controller.output.is_closed
    driver.run(180_000)
    driver.controller.count_to(driver.tick(180_000))
    counters = driver.controller.monitor.counters
    counters.count_to(driver.tick(180_000))
    assert driver.controller.energy.burning_s == counters.live[LAMP_S] == 16 + 74
    assert counters.live[DRIVER_S] == 16 + 74


def test_what_a_meter_before_the_relay_shows_stays_measured():
    """A meter upstream sees what the relay itself draws: that is measured energy, whatever the relay does."""
    plan = every_day(fixed(("00:00", 0, 0)), default_ramp_ds=0)
    limits = (100, 1000, 0, 0, 70_000, 70_000, 0, 0, 5_000, 2_000, 2_500, 500, 0, 900)
    driver = Driver(plan, start_level=1000, curve=BULB, meter_limits=limits, relay=(0, 0, 10_000))
    driver.change(60_000, power_mw=3_600, samples=1)
    driver.run(H_MS + 60_000)
    counters = driver.controller.monitor.counters
    counters.count_to(driver.tick(driver.t_ms))
    assert not driver.controller.output.is_closed
    assert (counters.live[MEASURED_WH], counters.live[ESTIMATED_WH]) == (3, 0)
    assert counters._energies[MEASURED_WH].energy_mj == 3_600_000 * 6 // 10
