"""A saving is believed when it is counted, and a sensor is accepted when it cannot tell who came home when."""

import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.counters import (
    DETECTIONS,
    DETECTIONS_MIN,
    DRIVER_S,
    ESTIMATED_WH,
    EXTINCTION_WH,
    FIXED_DIMMING_WH,
    FULL_NIGHT_WH,
    LAMP_S,
    MEASURED_WH,
    OCCUPIED_S,
    RECORD_SIZE,
    RECORDS,
    STARTS,
    STATE_SIZE,
    SUPPRESSED,
    NightCounters,
)
from firmware.control.ticks import TICKS_MAX, ticks_add
from tests.runtimes import ROOT

QUARTER = 900_000
HOUR = 3_600_000
OFF = (0, False, False, True, False)
MINUTE = 60_000


def last_record(counters: NightCounters) -> tuple:
    """Return the last record: stamp, five energies in Wh, occupied s, detections."""
    at = (counters.closed - 1) % RECORDS * RECORD_SIZE
    return struct.unpack_from("<i7H", counters.records, at)


def report(counters: NightCounters) -> tuple:
    """Return all that may leave the node."""
    return tuple(counters.totals), bytes(counters.records), counters.closed


def test_a_night_as_an_operator_reads_it():
    """Ten hours at 64 W against extinction and fixed dimming: figures anyone can check by hand."""
    night = NightCounters()
    night.state(0, 500, True, False, True, False)
    night.baselines(0, 500, 500, 500)
    night.state(HOUR, 64_000, True, True, True, False)
    night.baselines(HOUR, 64_000, 64_000, 64_000)
    night.state(5 * HOUR, 8_500, False, True, True, False)
    night.baselines(5 * HOUR, 64_000, 33_000, 0)
    night.state(11 * HOUR, 0, True, False, False, False)
    night.baselines(11 * HOUR, 0, 0, 0)
    night.count_to(14 * HOUR)
    live = night.live
    assert live[MEASURED_WH] == 256 and live[ESTIMATED_WH] == 51
    assert live[FULL_NIGHT_WH] == 640 and live[FIXED_DIMMING_WH] == 256 + 198 and live[EXTINCTION_WH] == 256
    assert live[LAMP_S] == 10 * 3600 and live[DRIVER_S] == 11 * 3600
    assert live[STARTS] == 1


def test_a_start_is_counted_at_each_lighting_and_at_a_boot_into_light():
    """Starts age a lamp; the feeder that comes back at dusk is one too."""
    counters = NightCounters()
    for tick, is_lit in enumerate((True, True, False, False, True, False)):
        counters.state(tick * 1000, 0, True, is_lit, True, False)
    assert counters.live[STARTS] == 2
    assert counters.live[LAMP_S] == 3


def occupied_quarter(counters: NightCounters, start: int, visits: int, seconds: int) -> int:
    """Let the sensor see somebody so often, so long each; return the end of the quarter."""
    for i in range(visits):
        counters.state(start + i * MINUTE, 64_000, True, True, True, True)
        counters.state(start + i * MINUTE + seconds * 1000, 8_500, True, True, True, False)
    return start + QUARTER


def test_fewer_than_five_detections_wait_for_company():
    """A quarter with one detection is a person; with five it is a street (lighting.md F15, R19)."""
    counters = NightCounters()
    counters.state(0, 8_500, True, True, True, False)
    end = occupied_quarter(counters, 0, 4, 30)
    assert counters.quarter(end, 1)
    assert last_record(counters)[6:] == (SUPPRESSED, SUPPRESSED)
    assert counters.totals[OCCUPIED_S] == counters.totals[DETECTIONS] == 0
    end = occupied_quarter(counters, end, 0, 0)
    assert counters.quarter(end, 2)
    # An empty quarter looks like one with four.
    assert last_record(counters)[6:] == (SUPPRESSED, SUPPRESSED)
    end = occupied_quarter(counters, end, 1, 20)
    assert counters.quarter(end, 3)
    assert last_record(counters)[6:] == (140, 5)
    end = occupied_quarter(counters, end, 7, 10)
    assert counters.quarter(end, 4)
    assert last_record(counters)[6:] == (70, 7)
    assert counters.totals[OCCUPIED_S] == 210 and counters.totals[DETECTIONS] == 12


def test_detection_probability_of_en_13201_5():
    """Occupied over burning time is what the standard asks; suppression by quarter must not bias it."""
    counters = NightCounters()
    counters.state(0, 8_500, True, True, True, False)
    end = 0
    for stamp in range(40):
        end = occupied_quarter(counters, end, stamp % 7, 45)
        assert counters.quarter(end, stamp)
    visits = sum(stamp % 7 for stamp in range(40))
    assert 0 <= visits - counters.totals[DETECTIONS] < DETECTIONS_MIN
    assert counters.totals[OCCUPIED_S] == 45 * counters.totals[DETECTIONS]
    assert counters.totals[LAMP_S] == 40 * 900


def test_a_quarter_is_a_quarter():
    """A clock that is set forward must not cut a record short: two half records tell a time finer than 15 min."""
    counters = NightCounters()
    counters.count_to(0)
    assert not counters.quarter(894_999, 1) and counters.closed == 0
    assert counters.quarter(895_000, 1) and counters.closed == 1
    assert not counters.quarter(895_000, 1)
    assert not counters.quarter(895_000 + 894_999, 2)
    assert counters.quarter(895_000 + 901_000, 2) and counters.closed == 2
    assert last_record(counters)[0] == 2
    assert counters.quarter(895_000 + 901_000 + 400_000_000, -1)
    assert last_record(counters)[0] == -1


def test_records_add_up_to_the_totals_and_the_ring_keeps_the_last():
    """A link that was away for hours must find the same energy as one that was there."""
    counters = NightCounters()
    counters.state(0, 33_333, False, True, True, False)
    counters.baselines(0, 64_000, 40_001, 7)
    sums = [0] * 5
    for stamp in range(1, 101):
        assert counters.quarter(stamp * QUARTER, stamp)
        sums = [a + b for a, b in zip(sums, last_record(counters)[1:6], strict=True)]
        assert sums == counters.totals[:5]
    stamps = [struct.unpack_from("<i", counters.records, i * RECORD_SIZE)[0] for i in range(RECORDS)]
    assert sorted(stamps) == list(range(101 - RECORDS, 101))
    assert sums == [0, 833, 1600, 1000, 0]


def test_values_too_large_for_a_record_do_not_look_suppressed():
    """A node without a clock for days closes one long record: it stays readable, and the totals are exact."""
    counters = NightCounters()
    counters.state(0, 500_000, True, True, True, False)
    for i in range(6):
        counters.state(i * 400_000_000 % 2**30, 500_000, True, True, True, i % 2 == 0)
        counters.count_to((i + 1) * 400_000_000 % 2**30)
    counters.live[11] = 70_000
    assert counters.quarter(6 * 400_000_000 % 2**30, -1)
    assert last_record(counters) == (-1, 65534, 0, 0, 0, 0, 65534, 65534)
    assert counters.totals[MEASURED_WH] == 333_333
    assert counters.totals[OCCUPIED_S] == 1_200_000 and counters.totals[DETECTIONS] == 70_000


def test_counters_survive_a_restart():
    """A bill that starts at zero every dusk is no bill."""
    counters = NightCounters()
    counters.state(0, 64_000, True, True, True, False)
    end = occupied_quarter(counters, 0, 6, 30)
    counters.quarter(end, 1)
    end = occupied_quarter(counters, end, 3, 30)
    counters.baselines(end, 64_000, 33_000, 0)
    counters.count_to(end + 12_345)
    buffer = bytearray(STATE_SIZE + 5)
    assert counters.save(buffer, 5) == STATE_SIZE + 5
    again = NightCounters()
    assert again.load(buffer, 5)
    assert again.live == counters.live
    assert again.totals == counters.live[:10]
    twin = bytearray(STATE_SIZE + 5)
    again.save(twin, 5)
    assert twin == buffer
    # The pool came along: two more visits complete it.
    occupied_quarter(again, 0, 2, 10)
    again.quarter(QUARTER, 2)
    assert last_record(again)[6:] == (110, 5)


def test_a_load_that_could_set_a_counter_back_is_refused():
    """Whoever audits the savings sees a counter go back once, and believes none of them again."""
    counters = NightCounters()
    counters.state(0, 64_000, True, True, True, False)
    counters.count_to(HOUR)
    buffer = bytearray(STATE_SIZE)
    counters.save(buffer, 0)
    counters.count_to(2 * HOUR)
    before = list(counters.live)
    assert not counters.load(buffer, 0)
    assert counters.live == before
    twice = NightCounters()
    assert twice.load(buffer, 0) and not twice.load(buffer, 0)
    assert not NightCounters().load(buffer, 1) and not NightCounters().load(buffer, -1)


@pytest.mark.parametrize("place", range(STATE_SIZE // 4))
def test_nonsense_is_refused(place):
    """Flash that rots must not become a bill: refused, and nothing changed."""
    largest = 3_600_000 - 1 if place < 5 else 2**30 - 1
    for value, expected in ((0, True), (largest, True), (largest + 1, False), (-1, False)):
        buffer = bytearray(STATE_SIZE)
        struct.pack_into("<i", buffer, 4 * place, value)
        fresh = NightCounters()
        assert fresh.load(buffer, 0) == expected
        if not expected:
            assert not any(fresh.live) and not any(fresh.totals)


power = st.integers(0, 500_000)
told = st.tuples(
    st.integers(0, 3_000_000), power, st.booleans(), st.booleans(), st.booleans(), st.booleans(), power, power, power
)
history = st.lists(told, max_size=25)


def play(history, start, splits=()):
    """Feed a history; ``splits``: other moments at which somebody looks."""
    counters = NightCounters()
    now = 0
    looks = sorted(splits)
    for wait, *state, a, b, c in history:
        end = now + wait
        for look in looks:
            if now < look < end:
                counters.count_to(ticks_add(start, look))
        now = end
        counters.state(ticks_add(start, now), *state)
        counters.baselines(ticks_add(start, now), a, b, c)
    counters.count_to(ticks_add(start, now + HOUR))
    return counters, now


def exact(history):
    """Restate the integrals: µJ and ms as whole numbers over the whole history."""
    spans = [following[0] for following in history[1:]] + [HOUR]
    energies = [0] * 5
    times = [0] * 3
    for (_, mw, is_measured, *flags, a, b, c), span in zip(history, spans, strict=True):
        for i, p in enumerate((mw * is_measured, mw * (not is_measured), a, b, c)):
            energies[i] += p * span
        for i, flag in enumerate(flags):
            times[i] += span * flag
    return energies, times


@given(history, st.sampled_from([0, TICKS_MAX - 1000, TICKS_MAX]), st.lists(st.integers(0, 80_000_000), max_size=20))
def test_exact_and_split_invariant(history, start, splits):
    """Energy that depends on how often it is read is not energy."""
    counters, _ = play(history, start, splits)
    plain, _ = play(history, start)
    one, two = bytearray(STATE_SIZE), bytearray(STATE_SIZE)
    counters.save(one, 0)
    plain.save(two, 0)
    assert one == two
    energies, times = exact(history) if history else ([0] * 5, [0] * 3)
    assert counters.live[:5] == [uj // 3_600_000_000 for uj in energies]
    saved = struct.unpack("<17i", one)
    assert list(saved[:5]) == [uj // 1000 % 3_600_000 for uj in energies]
    assert [counters.live[LAMP_S], counters.live[DRIVER_S], counters.live[10]] == [ms // 1000 for ms in times]


moment = st.tuples(st.integers(0, 1_200_000), st.booleans(), st.sampled_from(["state", "quarter", "look", "restart"]))


@given(st.lists(moment, max_size=60))
def test_counters_never_go_back(moments):
    """Through nights, quarters, cuts and restarts: what was reported stays reported."""
    counters = NightCounters()
    buffer = bytearray(STATE_SIZE)
    counters.save(buffer, 0)
    tick = 0
    reported = [0] * 10
    live = [0] * 10
    for wait, is_occupied, what in moments:
        tick = ticks_add(tick, wait)
        if what == "state":
            counters.state(tick, 64_000 if is_occupied else 8_500, is_occupied, True, True, is_occupied)
            counters.baselines(tick, 64_000, 33_000, 0)
        elif what == "look":
            counters.count_to(tick)
        elif what == "quarter":
            if counters.quarter(tick, 1):
                counters.save(buffer, 0)
        else:
            counters = NightCounters()
            assert counters.load(buffer, 0)
            live = [0] * 10
        assert all(new >= old for new, old in zip(counters.totals, reported, strict=True))
        assert all(new >= old for new, old in zip(counters.live[:10], live, strict=True))
        assert all(told <= now for told, now in zip(counters.totals, counters.live[:10], strict=True))
        reported = list(counters.totals)
        live = counters.live[:10]


@given(st.lists(st.tuples(st.integers(0, 600_000), st.booleans(), st.integers(-30_000, 30_000)), max_size=80))
def test_no_payload_holds_a_presence_time_finer_than_15_min(moments):
    """Whatever a sensor sees and a clock does: reports change at closed quarters only, and by five people at least."""
    counters = NightCounters()
    counters.count_to(0)
    now = 0
    closed_at = 0
    before = report(counters)
    for wait, is_occupied, clock_jump in moments:
        now += wait
        counters.state(now, 64_000 if is_occupied else 8_500, True, True, True, is_occupied)
        assert report(counters) == before
        if counters.quarter(now, (now + clock_jump) // QUARTER):
            assert now - closed_at >= QUARTER - 5_000
            closed_at = now
            more = counters.totals[DETECTIONS] - before[0][DETECTIONS]
            occupied, detections = last_record(counters)[6:]
            if more == 0:
                assert occupied == detections == SUPPRESSED
                assert counters.totals[OCCUPIED_S] == before[0][OCCUPIED_S]
            else:
                assert detections == more >= DETECTIONS_MIN
                assert occupied == counters.totals[OCCUPIED_S] - before[0][OCCUPIED_S]
        else:
            assert report(counters) == before
        before = report(counters)


@given(st.integers(0, DETECTIONS_MIN - 1), st.integers(0, DETECTIONS_MIN - 1))
def test_reports_of_one_and_of_nobody_show_the_same_presence(visits, others):
    """If nobody and one person looked different, suppression would be the announcement."""

    def told(count):
        counters = NightCounters()
        counters.count_to(0)
        end = occupied_quarter(counters, 0, count, 20)
        counters.quarter(end, 1)
        return counters.totals[OCCUPIED_S:], last_record(counters)[6:]

    assert told(visits) == told(others)


def test_a_tick_from_before_counts_nothing():
    """Two callers that disagree by a millisecond must not take energy back."""
    counters = NightCounters()
    counters.state(1000, 500_000, True, True, True, False)
    counters.count_to(101_000)
    before = list(counters.live)
    counters.count_to(50_000)
    counters.count_to(101_000)
    assert counters.live == before


SCRIPT = """
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
from firmware.control.counters import STATE_SIZE, NightCounters
from firmware.control.ticks import ticks_add

counters = NightCounters()
buffer = bytearray(STATE_SIZE)
tick = 0x3FFFFFFF - 40000000
seed = 11
for step in range(4000):
    seed = (seed * 1103 + 12345) % 65536
    tick = ticks_add(tick, seed * 3)
    power = seed * 7
    heap_lock()
    counters.state(tick, power, seed % 2 == 0, seed % 3 > 0, seed % 5 > 0, seed % 7 < 3)
    if seed % 4 == 0:
        counters.baselines(tick, 500000, power, 0)
    counters.count_to(ticks_add(tick, seed % 50))
    if step % 5 == 0:
        counters.quarter(ticks_add(tick, seed % 50), step)
    counters.save(buffer, 0)
    heap_unlock()
    if step % 50 == 0:
        print(step, counters.live, counters.totals, counters.closed)
print(list(buffer), list(counters.records))
again = NightCounters()
print(again.load(buffer, 0), again.live)
"""


def test_same_on_micropython_and_without_allocation(micropython_runtime, tmp_path):
    """The chip's figures are the simulator's, to the mJ, and counting needs no heap."""
    program = tmp_path / "history.py"
    program.write_text(SCRIPT, encoding="utf-8")
    host = subprocess.run(
        [sys.executable, program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60
    )
    chip = micropython_runtime.run([program])
    assert chip.returncode == 0, chip.stderr
    assert chip.stdout == host.stdout
    assert host.stdout.splitlines()[-1].startswith("True")
