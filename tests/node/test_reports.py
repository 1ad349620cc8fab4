"""Reports: control's knowledge of a lamp, in the payload's words."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.counters import RECORDS, NightCounters
from firmware.control.faults import HIGH_TEMPERATURE, Faults
from firmware.control.inputs import CLOCK_GOOD, CLOCK_UNKNOWN, UNKNOWN, Seen
from firmware.control.why import Answer
from firmware.links import reports
from host_tools import payload
from tests.control.driver import Driver, every_day, fixed
from tests.node import links_main

QUARTER_MS = 900_000
BASELINES = (82_800, 18_000, 500, 82_800, 18_000)
HASH = bytes.fromhex("a5b6c7d8")


def street(**config) -> Driver:
    controls = fixed(("06:00", 0, 0), ("18:00", 1000, 0), ("22:00", 300, 0))
    return Driver(every_day(controls), baselines=BASELINES, **config)


def status_of(driver: Driver, **seen_fields: int) -> dict:
    seen = driver._seen
    for name, value in seen_fields.items():
        setattr(seen, name, value)
    tick = driver.tick(driver.t_ms)
    return payload.to_json(reports.status(1, driver.controller, seen, CLOCK_GOOD, 35, HASH, tick))


def test_a_status_of_a_real_controller():
    """The operator reads what the lamp does. So the report of a controller in its evening says that, in its words."""
    driver = street()
    driver.run("22:30")
    assert status_of(driver, temperature_dc=412, power_mw=19_260) == {
        "message": "status", "lamp": 1, "level_permille": 300, "reason": "program", "by": "fixed", "faults": [],
        "clock": "good", "temperature_dc": 410, "power_mw": 19_300, "presence": "below_5", "boots": 3, "plan_tag": 5,
    }  # fmt: skip
    assert status_of(driver, temperature_dc=-32768, power_mw=UNKNOWN)["temperature_dc"] is None
    assert status_of(driver)["power_mw"] is None
    clipped = status_of(driver, temperature_dc=9999, power_mw=2_000_000)
    assert (clipped["temperature_dc"], clipped["power_mw"]) == (1900, 819_000)
    assert status_of(driver, temperature_dc=-900)["temperature_dc"] == -600


def test_a_lamp_that_has_not_decided_yet():
    """The first report may come before the first decision. So it is one all the same."""
    fresh = street().controller
    fresh.reason = fresh.by = 255
    twin = payload.to_json(reports.status(0, fresh, Seen(), CLOCK_UNKNOWN, 0, HASH, 0))
    assert (twin["reason"], twin["by"], twin["clock"]) == ("default", "default", "unknown")


def test_the_energy_of_a_real_night():
    """The proof of savings is the sum of these reports. So the reports of a night add up to its totals, beside the
    three baselines, and each quarter is told once."""
    driver = street()
    counters = driver.controller.monitor.counters
    sums = dict.fromkeys(("measured_wh", "estimated_wh", "full_night_wh", "fixed_dimming_wh", "extinction_wh"), 0)
    closed = quarters = 0
    last: dict = {}
    for hour in range(1, 22):
        driver.run(hour * 3_600_000)
        data, closed = reports.energy(0, counters, closed)
        if data is None:
            continue
        assert len(data) == 35
        last = payload.to_json(data)
        quarters += last["quarters"]
        for name in sums:
            sums[name] += last[name]
    assert reports.energy(0, counters, closed) == (None, closed)
    assert quarters == closed == 21 * 4
    assert (last["total_measured_wh"], last["total_estimated_wh"]) == (sums["measured_wh"], sums["estimated_wh"])
    # 4 h at 64 W and 8 h at 19.7 W (300 permille of the curve), standby before: 414 Wh and a little. A January night at
    # the equator has 12 h, of which extinction leaves 6.
    assert 414 <= sums["estimated_wh"] <= 422
    assert 380 <= sums["extinction_wh"] <= 390
    assert sums["estimated_wh"] < sums["fixed_dimming_wh"] < sums["full_night_wh"]
    # By refraction the night is 7 min short of 12 h.
    assert 760 <= sums["full_night_wh"] <= 770
    assert last["lamp_h"] in (11, 12) and last["starts"] == 1
    assert last["occupied_s"] is None and last["detections"] is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=24), st.integers(0, 24))
def test_presence_leaves_in_batches_only(passers, since):
    """Fewer than five could be one person's way home (lighting.md F15). So no report, of however few quarters, tells of
    one to four detections."""
    counters = NightCounters()
    tick = 0
    counters.count_to(0)
    for quarter, count in enumerate(passers):
        for _ in range(count):
            counters.state(tick + 1000, 1000, True, True, True, True)
            counters.state(tick + 11_000, 1000, True, True, True, False)
            tick += 20_000
        tick = (quarter + 1) * QUARTER_MS
        assert counters.quarter(tick, 900_000 + quarter)
    data, closed = reports.energy(2, counters, since)
    if since >= len(passers):
        assert data is None and closed == since
        return
    twin = payload.to_json(data)
    assert closed == len(passers)
    assert twin["quarters"] == min(closed - since, RECORDS)
    assert twin["end_quarter"] == 900_000 + len(passers) - 1
    assert twin["detections"] is None or twin["detections"] >= 5
    assert (twin["detections"] is None) == (twin["occupied_s"] is None)


@pytest.mark.parametrize(
    ("count", "word"), [(4, "below_5"), (5, "5_to_9"), (10, "10_to_19"), (199, "100_to_199"), (400, "200_or_more")]
)
def test_presence_classes(count, word):
    """A status tells how busy the last quarter was, in classes, and nothing of now."""
    driver = street()
    counters = driver.controller.monitor.counters
    assert status_of(driver)["presence"] is None
    counters.closed = 1
    struct.pack_into("<H", counters.records, 16, 65535 if count < 5 else count)
    assert status_of(driver)["presence"] == word
    driver.controller.monitor.counters = None
    assert status_of(driver)["presence"] is None


def test_why():
    """The one answer reaches the operator's screen as it is."""
    driver = street()
    driver.run("21:30")
    answer = Answer()
    driver.controller.why(answer, driver.tick(driver.t_ms))
    twin = payload.to_json(reports.why(0, answer))
    assert (twin["level_permille"], twin["reason"], twin["by"]) == (1000, "program", "fixed")
    assert (twin["until_s"], twin["next_level_permille"], twin["next_by"]) == (1800, 300, "fixed")
    assert (twin["program"], twin["since_s"]) == (0, 12_600)
    empty = Answer()
    empty.reason = empty.by = empty.program = 255
    empty.index = -1
    twin = payload.to_json(reports.why(3, empty))
    assert [twin[name] for name in ("until_s", "next_level_permille", "index", "program")] == [None] * 4


def test_a_fault():
    """An alarm says which, how often, and when, if the node knows when."""
    faults = Faults()
    faults.counts[HIGH_TEMPERATURE] = 255
    twin = payload.to_json(reports.fault(0, 300, faults, HIGH_TEMPERATURE, True, CLOCK_GOOD, 9800, 5))
    assert twin == {
        "message": "fault", "lamp": 0, "sequence": 44, "fault": "highTemperature", "is_active": "raised",
        "count": 254, "day": 9800, "second": 5,
    }  # fmt: skip
    twin = payload.to_json(reports.fault(0, 1, faults, HIGH_TEMPERATURE, False, CLOCK_UNKNOWN, 9800, 5))
    assert (twin["is_active"], twin["day"], twin["second"]) == ("cleared", None, None)


def test_the_same_on_the_chips_interpreter(micropython_runtime, capsys):
    """The node builds them with 31-bit integers: byte for byte the same."""
    links_main.main(["reports"])
    here = capsys.readouterr().out
    done = micropython_runtime.run(["tests/node/links_main.py", "reports"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == here
