"""Parsers against millions of inputs, and what must not allocate."""

from __future__ import annotations

import random

import pytest

from firmware.drivers.ld2410 import fuzz_ld2410
from firmware.drivers.nmea_gnss import fuzz_nmea
from sim.board.chips.ld2410 import Ld2410Model
from sim.board.chips.nmea_gnss import NmeaGnssModel
from tests.runtimes import Runtime

MAIN = "tests/node/drivers_heap_main.py"


def test_interrupts_and_parsers_allocate_nothing(micropython_runtime: Runtime) -> None:
    """An interrupt that allocates meets the garbage collector; a parser at 256,000 baud would call it every second."""
    done = micropython_runtime.run([MAIN])
    assert done.returncode == 0, done.stderr
    names = ("presence_input", "presence_input.poll", "pulse_pin", "ld2410", "nmea_gnss")
    lines = done.stdout.splitlines()
    assert [line for line in lines if "clean" in line or "ALLOC" in line] == [f"{name} clean" for name in names]
    assert "4 1" in lines and "3 9824" in lines


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Cut, repeat, swap or change some bytes of a good message."""
    changed = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(changed))
        what = rng.randrange(4)
        if what == 0:
            changed[at] = rng.randrange(256)
        elif what == 1:
            del changed[at : at + rng.randrange(1, 9)]
        elif what == 2:
            changed[at:at] = changed[at : at + rng.randrange(1, 20)]
        else:
            changed[at:at] = rng.randbytes(rng.randrange(1, 9))
        if not changed:
            changed = bytearray(b"$")
    return bytes(changed)


def run_fuzz(seed: int, count: int) -> tuple[int, int, int]:
    """Feed ``count`` inputs to each parser; return how many reports and fixes came of them, and wrong fixes."""
    rng = random.Random(seed)
    radar, receiver = Ld2410Model(), NmeaGnssModel()
    reports = fixes = lies = 0
    for _ in range(count):
        radar.state = rng.randrange(4)
        radar.distance_cm = rng.randrange(1001)
        radar.is_engineering = rng.random() < 0.3
        found, _, presence, distance_cm, waiting = fuzz_ld2410(mutate(rng, radar.report()))
        assert presence in (0, 1) and -1 <= distance_cm <= 1000 and waiting < 58
        reports += found
        receiver.second = rng.randrange(86400)
        found, _, day, second, latitude, longitude, quality = fuzz_nmea(mutate(rng, receiver.sentences()))
        if found:
            assert 9497 <= day < 9497 + 50 * 366 and 0 <= second < 86400
            assert abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000
            lies += (day, second, latitude, longitude) != (9824, receiver.second, 43_604_167, 1_441_667)
        assert quality in (0, 1, 2, 4, 5)
        fixes += found
    return reports, fixes, lies


def test_fuzz_a_little() -> None:
    """A thousand torn messages each in every run of the tests."""
    reports, fixes, lies = run_fuzz(1, 500)
    assert reports > 100 and fixes > 100 and lies <= 5


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(10))
def test_fuzz_a_million(seed: int) -> None:
    """10^6 torn messages to each parser: none raises; an exclusive-or of 8 bits lets one in some 250 torn ones pass."""
    _, fixes, lies = run_fuzz(1000 + seed, 100_000)
    assert lies * 100 < fixes
