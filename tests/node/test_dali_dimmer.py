"""A lamp on DALI through everything a bus can do to it, at pulse level and in simulated time."""

from __future__ import annotations

import itertools

import pytest

from firmware.control.dimming_curve import CURVE_LOGARITHMIC, arc_power_level
from firmware.drivers import dali_procedures as ask
from firmware.drivers.contract import BadAnswer, DriverError, NoAnswer, OutOfRange
from firmware.drivers.dali_dimmer import DaliDimmer, linear_arc
from firmware.drivers.dali_memory import D4iMeter
from sim.board.chips.dali_gear import Gear, number
from tests.node.dali_main import bench, lines_of, live_through
from tests.runtimes import ROOT, Runtime


def lamp(gear: Gear | None = None, safe: int = 1000, **options):
    """Return (gear, world, master, dimmer) with the dimmer's task running."""
    gear = gear or Gear(5, 3)
    world, master = bench([gear])
    dimmer = DaliDimmer(master, safe, options.pop("address", 5), **options)
    dimmer.task = world.start(dimmer.run())
    return gear, world, master, dimmer


def test_a_level_reaches_the_lamp_in_a_tenth_of_a_second():
    """Why: presence asks for light before the walker has made a step. Curve: control's; 100 permille is arc 170."""
    gear, world, _, dimmer = lamp(arc_of=lambda permille: arc_power_level(permille, CURVE_LOGARITHMIC))
    world.run(5000)
    assert (dimmer.fault, dimmer.is_protected, gear.history) == (0, 1, [(0, 254)])
    for permille, arc in ((100, 170), (200, 195), (500, 229), (0, 0), (1000, 254)):
        at_ms = world.now_ms
        dimmer.write(permille)
        assert dimmer.level_permille == permille
        world.run(3000)
        assert gear.history[-1][1] == arc
        assert gear.history[-1][0] - at_ms <= 100
    assert dimmer.fault == 0


def test_light_at_once_when_it_is_made():
    """Why: the node restarts in the night; the lamp has its safe level before anything else runs."""
    gear = Gear(5, 1)
    world, master = bench([gear])
    gear.received(ask.arc_frame(5, 40), 0)
    DaliDimmer(master, 1000, 5)
    world.run(20)
    assert gear.level_at(world.now_ms) == 254


def test_the_newest_wish_wins():
    """Why: ten levels in a second must not be ten levels on the street: one slot, no queue."""
    gear, world, _, dimmer = lamp()
    world.run(5000)
    before = len(gear.history)
    for permille in range(100, 1000, 10):
        dimmer.write(permille)
    world.run(2000)
    assert gear.history[before:][-1][1] == linear_arc(990)
    assert len(gear.history) == before + 1


def test_dead_gear_is_a_fault_and_is_told_again():
    """Why: a lamp that is dead and reported well stays dark; one that comes back at midnight must obey at midnight."""
    gear, world, master, dimmer = lamp(verify_s=10)
    world.run(5000)
    gear.fault = "deaf"
    dimmer.write(300)
    world.run(4000)
    assert dimmer.fault == 1
    frames = master.frames
    world.run(120000)
    assert dimmer.fault == 1
    # At least every 30 s, and never a storm: 3 tries of a few frames a round.
    assert 4 * 3 <= master.frames - frames <= 10 * 20
    gear.fault = "none"
    gear.restart(world.now_ms)
    world.run(40000)
    assert (dimmer.fault, gear.level_at(world.now_ms), dimmer.is_protected) == (0, linear_arc(300), 1)


def test_gear_that_answers_and_does_nothing_is_a_fault():
    """Why: a driver stage that is stuck answers every query; only the level asked back shows it."""
    gear, world, _, dimmer = lamp()
    world.run(5000)
    gear.fault = "stuck"
    dimmer.write(100)
    world.run(6000)
    assert dimmer.fault == 1


def test_a_loss_of_supply_is_noticed_and_mended():
    """Why: gear behind a brown-out burns at its power on level, full light, until somebody tells it again."""
    gear, world, _, dimmer = lamp(verify_s=10)
    dimmer.write(200)
    world.run(5000)
    gear.power_on_level = 254
    gear.restart(world.now_ms)
    assert gear.level_at(world.now_ms) == 254
    world.run(12000)
    assert (gear.level_at(world.now_ms), dimmer.fault) == (linear_arc(200), 0)


def test_replaced_gear_is_made_to_fail_lit():
    """Why: an electrician fits another gear whose failure level is 0; the next failure must not be a dark street."""
    gear, world, _, dimmer = lamp(verify_s=10)
    world.run(5000)
    gear.power_on_level, gear.failure_level = 254, 0
    gear.restart(world.now_ms)
    world.run(15000)
    assert (gear.power_on_level, gear.failure_level, dimmer.is_protected) == (254, 254, 1)


def test_a_shorted_bus_fails_lit():
    """Why: water in the connector holds the bus low: after 550 ms the gear goes to its failure level, 254, and the node
    says that the bus is down (IEC 62386-101)."""
    gear, world, master, dimmer = lamp(verify_s=5)
    dimmer.write(100)
    world.run(5000)
    world.bus.fault = "stuck"
    for _ in range(15):
        world.run(1000)
    assert (gear.level_at(world.now_ms), master.is_bus_down, dimmer.fault) == (254, 1, 1)
    world.bus.fault = "none"
    world.run(40000)
    assert (gear.level_at(world.now_ms), master.is_bus_down, dimmer.fault) == (linear_arc(100), 0, 0)


def test_an_open_bus_is_heard():
    """Why: own frames that do not come back mean a cut wire or a dead opto-coupler, at this end."""
    _, world, master, dimmer = lamp(verify_s=5)
    world.run(3000)
    world.bus.fault = "open"
    dimmer.write(10)
    world.run(5000)
    assert (master.is_bus_down, dimmer.fault) == (1, 1)
    with pytest.raises(NoAnswer, match="own frame not heard"):
        world.result(master.run(ask.query(5, ask.QUERY_STATUS)))


@pytest.mark.parametrize(("fault", "error"), [("late", BadAnswer), ("collision", BadAnswer), ("no_answer", NoAnswer)])
def test_each_fault_has_its_name(fault: str, error: type[DriverError]):
    """Why: the installer looks for another master, a second gear or a cut wire by what the error says."""
    world, master = bench([Gear(5, 1)])
    world.bus.fault = fault
    with pytest.raises(error):
        # A stranger's byte may by chance overlay the right one: asked until it is seen.
        for _ in range(20):
            world.result(master.run(ask.query(5, ask.QUERY_CONTENT_DTR0)))


def test_fades_are_the_gears_own():
    """Why: dimming down in steps is seen as flicker; the gear glides without. 5 s down, at half time half way."""
    gear, world, _, dimmer = lamp()
    world.run(5000)
    dimmer.fade(200, 5000)
    world.run(2900)
    half_way = gear.level_at(world.now_ms)
    assert linear_arc(200) < half_way < 254
    assert dimmer.fault == 0
    world.run(4000)
    assert (gear.extended, gear.level_at(world.now_ms), dimmer.fault) == (0x24, linear_arc(200), 0)
    # Up again at once: the light must not wait for the fade time to be stored.
    at_ms = world.now_ms
    dimmer.write(1000)
    world.run(400)
    assert gear.level_at(world.now_ms) == 254
    assert gear.history[-1][0] - at_ms <= 100


def test_a_wish_that_is_overtaken_is_never_seen():
    """Why: a glide down is being prepared (its time is stored first) when somebody comes: the lamp must not dip."""
    gear, world, _, dimmer = lamp()
    for wait_ms in range(20, 400, 20):
        dimmer.write(1000)
        world.run(6000)
        before = len(gear.history)
        dimmer.fade(200, 5000 + wait_ms * 100)
        world.run(wait_ms)
        dimmer.write(900)
        world.run(6000)
        seen = [arc for _, arc in gear.history[before:]]
        assert seen in ([linear_arc(900)], [linear_arc(200), linear_arc(900)])
        if wait_ms <= 150:
            assert seen == [linear_arc(900)]


def test_old_gear_has_the_fifteen_fade_times():
    """Why: gear of edition 1 has no extended fade time, and ignores the command without a word."""
    gear, world, _, dimmer = lamp(Gear(5, 3, version=1))
    world.run(5000)
    dimmer.fade(200, 4000)
    world.run(6000)
    assert (gear.fade_code, gear.level_at(world.now_ms), dimmer.fault) == (6, linear_arc(200), 0)


def test_a_fade_time_left_by_somebody_is_taken_away_once():
    """Why: gear that was set to glide for 90 s lights the street after the walker has gone; and with ``has_fades``
    False its memory is written once and never again."""
    gear = Gear(5, 3)
    gear.fade_code = 15
    gear, world, _, dimmer = lamp(gear, has_fades=False)
    world.run(5000)
    for permille in range(100, 1000, 50):
        dimmer.fade(permille, 5000)
        world.run(1000)
        assert gear.level_at(world.now_ms) == linear_arc(permille)
    assert (gear.fade_code, gear.stored, dimmer.fault) == (0, 1, 0)


def test_limits_of_the_gear_are_no_fault():
    """Why: a gear that cannot go below 3 % does what it can; calling that a fault hides real ones."""
    gear, world, _, dimmer = lamp(Gear(5, 3, physical_minimum=60))
    dimmer.write(100)
    world.run(3000)
    assert (gear.level_at(world.now_ms), dimmer.fault) == (60, 0)
    gear.maximum = 200
    dimmer.write(1000)
    world.run(3000)
    assert (gear.level_at(world.now_ms), dimmer.fault) == (200, 0)


def test_a_dead_lamp_is_named():
    """Why: the gear lives and its LEDs are dead: another spare part on the van."""
    gear, world, _, dimmer = lamp(verify_s=5)
    world.run(3000)
    gear.lamp_has_failed = True
    world.run(15000)
    assert (dimmer.lamp_failure, dimmer.fault) == (1, 1)


def test_all_lamps_of_a_node_by_broadcast():
    """Why: one node may drive two gears as one lamp; their answers collide, and that is no fault."""
    gears = [Gear(-1, 1), Gear(-1, 2)]
    world, master = bench(gears)
    dimmer = DaliDimmer(master, 500, ask.BROADCAST, verify_s=5)
    world.start(dimmer.run())
    gears[0].failure_level = 1
    world.run(60000)
    assert dimmer.fault == 0
    assert [gear.level_at(world.now_ms) for gear in gears] == [127, 127]
    assert [gear.failure_level for gear in gears] == [254, 254]
    # Stored once, not at each verification.
    assert max(gear.stored for gear in gears) <= 8
    gears[0].fault = gears[1].fault = "deaf"
    world.run(15000)
    assert dimmer.fault == 1


def test_levels_go_before_readings():
    """Why: a bank takes a second to read; somebody who walks under the lamp does not wait for it."""
    gear, world, master, dimmer = lamp()
    world.run(5000)
    meter = D4iMeter(master, 5)
    reading = world.start(meter.fetch())
    world.run(500)
    at_ms = world.now_ms
    dimmer.write(100)
    world.run(200)
    assert gear.history[-1][1] == linear_arc(100)
    assert gear.history[-1][0] - at_ms <= 150
    world.run(10000)
    assert (meter.energy_wh, meter.power_mw, meter.temperature_dc) == (123456, 38500, 410)
    del reading


def test_a_level_in_the_middle_of_a_latch():
    """Why: any command between ENABLE WRITE MEMORY and the write forbids the write (IEC 62386-102): a level that comes
    just then must wait its turn, or the energy counter is read torn."""
    gear = Gear(5, 3)

    def run_on(data: bytearray) -> None:
        number(data, 5, 6, int.from_bytes(data[5:11], "big") + 1)

    gear.banks[202].mover = run_on
    _, world, master, dimmer = lamp(gear)
    world.run(5000)
    meter = D4iMeter(master, 5, has_diagnostics=False)
    for offset in range(60, 500, 11):
        reading = world.start(meter.fetch())
        world.run(offset)
        at_ms = world.now_ms
        dimmer.write(offset)
        world.run(4000)
        assert gear.history[-1][1] == linear_arc(offset)
        assert gear.history[-1][0] - at_ms <= 220
        assert meter.energy_wh > 123456
    del reading


def test_a_meter_that_reads_for_ever_holds_no_lamp_and_comes_back():
    """Why: the node reads its gear all night long. At whatever moment of that a walker comes, her light is there in a
    quarter of a second; dead gear is told as silent and not as its last value; and the type plate is told once."""
    gear, world, master, dimmer = lamp()
    meter = D4iMeter(master, 5)
    told: list[D4iMeter] = []
    meter.listener = told.append
    assert meter.read() == -1
    world.start(meter.run())
    latest = 0
    for step in range(150):
        at_ms = world.now_ms
        dimmer.write(100 + step)
        world.run(700 + 13 * (step % 40))
        assert gear.history[-1][1] == linear_arc(100 + step) or linear_arc(100 + step) == linear_arc(99 + step)
        if gear.history[-1][0] >= at_ms:
            latest = max(latest, gear.history[-1][0] - at_ms)
    assert latest <= 250
    assert (meter.read(), meter.voltage_dv, meter.current_ma, meter.temperature_dc) == (38500, 2301, -1, 410)
    assert told == [meter] and (meter.gtin, meter.light_s) == (3760123456789, 3600 * 4000)
    gear.fault = "deaf"
    world.run(60000)
    with pytest.raises(NoAnswer):
        meter.read()
    gear.fault = "none"
    world.run(60000)
    assert meter.read() == 38500 and told == [meter]


def test_nothing_of_the_dimmers_waits_for_a_reading():
    """Why: at boot the failure levels are verified while the meter reads; a level wished for just then once waited for
    the meter's whole bank, a second and a half in the dark."""
    for offset in range(100, 1200, 90):
        gear = Gear(5, 3)
        gear.power_on_level = gear.failure_level = 200
        gear, world, master, dimmer = lamp(gear)
        meter = D4iMeter(master, 5)
        world.start(meter.fetch())
        world.run(offset)
        at_ms = world.now_ms
        dimmer.write(300)
        world.run(800)
        assert gear.history[-1][1] == linear_arc(300)
        assert gear.history[-1][0] - at_ms <= 500, offset
        dimmer.fade(600, 1000)
        world.run(20000)
        assert gear.level_at(world.now_ms) == linear_arc(600)
        assert meter.energy_wh == 123456
        dimmer.write(300)
        world.run(62000)
        assert (gear.power_on_level, gear.failure_level, dimmer.is_protected) == (254, 254, 1)


def test_a_reading_that_is_cut_off_leaves_the_bus_free():
    """Why: a supervisor stops a hung task in the middle of a frame; the lamp's task goes on."""
    gear, world, master, dimmer = lamp()
    world.run(5000)
    for i in range(40):
        task = world.start(D4iMeter(master, 5).fetch())
        world.run(7 * i + 1)
        world.stop(task)
        dimmer.write(100 + i)
        world.run(400)
        assert gear.level_at(world.now_ms) == linear_arc(100 + i)
    assert dimmer.fault == 0


def test_rests_across_the_ring_of_ticks():
    """Why: ticks_us goes round every 18 minutes; a night of no change must not end in a frame that never leaves."""
    gear, world, _, dimmer = lamp(verify_s=3600)
    world.run(3000)
    for minutes in (9, 17, 18, 19, 40):
        dimmer.write(minutes)
        world.run(minutes * 60000)
        at_ms = world.now_ms
        dimmer.write(1000 - minutes)
        world.run(300)
        assert gear.history[-1][1] == linear_arc(1000 - minutes)
        assert gear.history[-1][0] - at_ms <= 120
    assert dimmer.fault == 0


def test_late_interrupts_cost_answers_not_light():
    """Why: pin interrupts are scheduled on ESP32: 60 us late they are within tolerance, 400 us late answers are lost,
    the fault is shown, and the lamp still obeys."""
    gear = Gear(5, 3)
    world, master = bench([gear], jitter_us=60)
    dimmer = DaliDimmer(master, 1000, 5, verify_s=5)
    world.start(dimmer.run())
    world.run(20000)
    assert (dimmer.fault, master.damaged) == (0, 0)
    world.bus.jitter_us = 400
    dimmer.write(300)
    world.run(20000)
    assert gear.level_at(world.now_ms) == linear_arc(300)
    assert master.damaged > 0


def test_settling_times_are_kept():
    """Why: a frame that comes less than 13.5 ms after another is not heard by slow gear (Beckhoff KL6821)."""
    _, world, master, dimmer = lamp(verify_s=5)
    starts: list[int] = []
    original = world.bus.pulses

    def noted(pulses, idle):
        starts.append(world.bus.now_us)
        original(pulses, idle)

    world.bus.pulses = noted
    world.start(D4iMeter(master, 5).fetch())
    dimmer.write(100)
    world.run(10000)
    gaps = [later - earlier - 14178 for earlier, later in itertools.pairwise(starts)]
    assert len(gaps) > 60
    assert min(gaps) >= 13500


def test_options_are_refused_with_their_range():
    """Why: address 80 is nobody's; better said at the bench than found on the pole."""
    _, master = bench([Gear(5, 1)])
    for wrong in ({"address": 80}, {"address": -1}, {"address": 128}, {"verify_s": 4}, {"verify_s": 3601}):
        with pytest.raises(OutOfRange):
            DaliDimmer(master, 1000, **wrong)


def test_ten_thousand_faults():
    """Why: a bus that is short, noisy, open, chattering, late or shared, and a gear that dies, sticks and restarts: the
    fault is honest, the lamp never shows a level that nobody asked for, and the task never ends (reliability E14,
    15)."""
    assert live_through(2, 10000).startswith("faults 10000")


def test_faults_on_the_chips_interpreters(micropython_runtime: Runtime):
    """Why: the same faults there end in the same figures, frame for frame."""
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "faults", "1", "400"])
    assert done.stdout.splitlines() == lines_of(["faults", "1", "400"]), done.stderr


def test_nothing_allocated_where_the_heap_may_be_full(micropython_runtime: Runtime):
    """Why: a level is wished for, and an edge comes, also while the heap is locked or full; then light must not
    fail."""
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "lock"])
    assert done.stdout.split() == ["lock", "990", "255"], done.stderr


CLOCK_PROGRAM = """
from firmware.drivers.dali_master import ChipClock
import asyncio
clock = ChipClock()
async def go():
    begin = clock.ticks_us()
    await clock.sleep_ms(5)
    print(clock.ticks_diff(clock.ticks_us(), begin) >= 4000, clock.ticks_diff(clock.ticks_ms(), clock.ticks_ms()))
asyncio.run(go())
"""


def test_real_clock_of_the_node(micropython_runtime: Runtime):
    """Why: the simulated clock is a double; the node's own must fit the same places."""
    done = micropython_runtime.run(["-c", CLOCK_PROGRAM])
    assert done.stdout.split() == ["True", "0"], done.stderr


def test_on_the_real_event_loop(micropython_runtime: Runtime):
    """Why: simulated time hides what asyncio does: tasks that wait for the bus, and one that is cancelled within."""
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "real"])
    assert done.stdout.strip() == "real [76, 0, 123456, 38500]", done.stderr


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_faults(seed: int):
    """Why: twenty years of thunderstorms on a thousand lamps."""
    live_through(100 + seed, 100_000)
