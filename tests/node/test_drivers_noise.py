"""Noise on the wire: a driver raises nothing but its own errors, and a refused reading changes nothing."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.contract import DriverError
from tests.node import drivers_main
from tests.runtimes import ROOT

MAKERS: dict[str, tuple[Any, int]] = {
    "bh1750": (drivers_main.make_bh1750, 200),
    "veml7700": (drivers_main.make_veml7700, 1700),
    "photocell": (drivers_main.make_photocell, 1000),
    "ntc": (drivers_main.make_ntc, 1000),
    "bl0937": (drivers_main.make_bl0937, 7000),
    "ade7953": (drivers_main.make_ade7953, 10_000),
    "ds3231": (drivers_main.make_ds3231, 1000),
    "ds18b20": (drivers_main.make_ds18b20, 800),
    "lis3dh": (drivers_main.make_lis3dh, 100),
    "ld2410": (drivers_main.make_ld2410, 300),
    "nmea_gnss": (drivers_main.make_nmea, 1000),
}
# What counts mishaps, and what `Ds3231.read_temperature` of the same step has already taken rightly.
MAY_CHANGE = ("resets", "errors", "temperature_dc=")
FAULTS = ("none", "no_answer", "noise", "noise", "noise", "brown_out", "late", "stuck", "wrong_id")


def readings(driver: object) -> list[str]:
    return [one for one in drivers_main.attributes(driver).split() if not one.startswith(MAY_CHANGE)]


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=40)
@given(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=12), seed=st.integers(1, 65_535))
def test_refused_readings_change_nothing(name: str, faults: list[str], seed: int) -> None:
    """A half-taken reading is worse than none: voltage of now with power of yesterday is a fault that nobody finds."""
    make, step_ms = MAKERS[name]
    clock = drivers_main.Clock()
    model, driver, read = make(clock)
    model._noise = seed
    for fault in faults:
        model.fault = fault
        clock.ms += step_ms
        model.tick(clock.ms)
        before = readings(driver)
        try:
            read()
        except DriverError as error:
            assert error.device and error.what
            # A meter whose voltage has vanished says so: that is no reading of its own.
            after = [one for one in readings(driver) if not one.endswith("=-1")]
            assert set(after) <= set(before)


@pytest.mark.parametrize("path", sorted((ROOT / "firmware" / "drivers").glob("*.py")), ids=lambda path: path.stem)
def test_no_float(path: Any) -> None:
    """The ESP32's floats are single: 16,777,217 counts of energy are 16,777,216 there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
