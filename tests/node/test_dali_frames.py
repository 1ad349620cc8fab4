"""DALI's bits on the wire: known waveforms and times from public sources, then anything at all."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.dimming_curve import CURVE_LOGARITHMIC, arc_power_level
from firmware.drivers import dali_frames as frames
from firmware.drivers.dali_dimmer import linear_arc
from sim.board.chips import dali_bus
from tests.node.dali_fuzz import fuzz_decode
from tests.node.dali_main import lines_of
from tests.runtimes import ROOT, Runtime

# Beckhoff's DALI_TO_PERCENT table (lighting-facts.json, dali_log_curve), in permille.
PERMILLE_OF_ARC = {85: 9.91, 128: 32.06, 170: 100.9, 195: 199.7, 200: 228.92, 229: 505.3, 254: 1000.0}
# python-dali, SetFadeTime: 0.5 s * sqrt(2^n).
FADES_S = {1: 0.707, 2: 1.0, 3: 1.414, 4: 2.0, 7: 5.657, 10: 16.0, 12: 32.0, 15: 90.51}


def times_of(levels: list[int], half_us: int = 417) -> list[int]:
    """Times between edges of a frame given in half bits, which begins low and ends at an idle bus."""
    lows = dali_bus.merged(dali_bus.lows_of(levels, half_us, 0))
    edges = [edge for low in lows for edge in low]
    return [later - earlier for earlier, later in itertools.pairwise(edges)]


def test_waveform_by_hand():
    """Why: a sign error in Manchester code is a lamp that hears nothing, and both ends of a test bench may share it.
    OFF to short address 5 is 0x0B00: start 1, then 0000 1011 0000 0000; a 1 is low-high (IEC 62386-101)."""
    levels = [None] * frames.FRAME_HALVES
    frames.fill_levels(0x0B00, levels, idle=False)
    one, zero = "LH", "HL"
    expected = one + zero * 4 + one + zero + one + one + zero * 8 + "HH"
    # The output is high when it pulls the bus low: idle_tx 0.
    assert "".join("L" if level else "H" for level in levels) == expected
    frames.fill_levels(0x0B00, levels, idle=True)
    assert "".join("H" if level else "L" for level in levels) == expected


def test_frame_fits_the_senders_limits():
    """Why: a half bit outside 400 to 433 us is no DALI (Zephyr's header, IEC 62386-101:2022)."""
    assert 400 <= frames.HALF_BIT_US <= 433
    assert frames.FRAME_US == 34 * frames.HALF_BIT_US
    # RMT of the ESP32 has 64 items of two pulses in a channel's memory.
    assert frames.FRAME_HALVES <= 128


def test_answer_by_hand():
    """Why: yes is 0xFF and must not be taken for noise. Start and eight ones: nine lows and nine highs, the last high
    is the idle bus."""
    assert frames.decode([417] * 17, 17, 8) == 0xFF
    # 0x00: start low-high, then eight times high-low: the start's high and the first bit's high are one full bit.
    assert frames.decode([417, 833] + [417] * 15, 17, 8) == 0x00
    # 0xAA: every bit differs from the one before, the first (1) not from the start bit.
    assert frames.decode([417] * 3 + [833] * 7 + [417], 11, 8) == 0xAA


@pytest.mark.parametrize("value", range(256))
def test_every_answer(value: int):
    """Why: a byte that cannot be read is a parameter that cannot be verified."""
    times = times_of(dali_bus.half_bits(value, 8))
    assert frames.decode(times, len(times), 8) == value


@given(value=st.integers(0, 0xFFFF), seed=st.integers(0, 1 << 30), is_forward=st.booleans())
def test_any_timing_within_tolerance(value: int, seed: int, is_forward: bool):
    """Why: gear of another maker, at -30 degrees, behind a slow opto-coupler is still understood: 333 to 500 us for a
    half bit and 667 to 1000 us for a whole one, each time on its own."""
    bits = 16 if is_forward else 8
    value &= (1 << bits) - 1
    draw = random.Random(seed)
    times = [
        draw.randint(333, 500) if one < 600 else draw.randint(667, 1000)
        for one in times_of(dali_bus.half_bits(value, bits))
    ]
    assert frames.decode(times, len(times), bits) == value


@given(
    value=st.integers(0, 255),
    at=st.integers(0, 16),
    wrong=st.sampled_from([0, 1, 100, 332, 501, 583, 666, 1001, 1250, 2400, 65535]),
)
def test_one_time_out_of_tolerance_is_refused(value: int, at: int, wrong: int):
    """Why: noise that looks like an answer is worse than none: the node would report what no gear said."""
    times = times_of(dali_bus.half_bits(value, 8))
    times[at % len(times)] = wrong
    assert frames.decode(times, len(times), 8) == frames.CORRUPT


@given(value=st.integers(0, 255), cut=st.integers(1, 16))
def test_a_lost_or_added_edge_is_refused(value: int, cut: int):
    """Why: a pin interrupt that is lost (the queue holds eight) must never become another byte."""
    times = times_of(dali_bus.half_bits(value, 8))
    cut = min(cut, len(times) - 1)
    shorter = times[:cut]
    assert frames.decode(shorter, len(shorter), 8) == frames.CORRUPT
    longer = [*times, 417]
    assert frames.decode(longer, len(longer), 8) == frames.CORRUPT


@given(data=st.binary(max_size=300))
def test_any_times_never_crash(data: bytes):
    """Why: the wire carries what lightning and a drill put on it, and the task that reads it also holds the lamp."""
    fuzz_decode(data)


@given(data=st.lists(st.sampled_from([333, 400, 417, 433, 500, 667, 833, 1000]), max_size=40))
def test_plausible_times_never_crash(data: list[int]):
    """Why: random bytes hardly ever look like bits; these do."""
    fuzz_decode(b"".join(one.to_bytes(2, "little") for one in data))


def test_levels_known_from_tables():
    """Why: an arc power level that is off by one class leaves a street below its norm; the table is Beckhoff's."""
    for arc, permille in PERMILLE_OF_ARC.items():
        assert arc_power_level(round(permille), CURVE_LOGARITHMIC) == arc
    assert [arc_power_level(one, CURVE_LOGARITHMIC) for one in (10, 100, 200, 500, 1000)] == [85, 170, 195, 229, 254]
    assert [linear_arc(one) for one in (0, 1, 4, 500, 1000)] == [0, 1, 1, 127, 254]


def test_fade_times_known_from_tables():
    """Why: a fade of the wrong length is either a jump that wakes people or a street that lights up too late."""
    for code, seconds in FADES_S.items():
        assert abs(frames.fade_ms(code) - seconds * 1000) <= 1
        assert frames.fade_code(round(seconds * 1000)) == code
    assert frames.fade_ms(0) == 0
    assert frames.fade_code(0) == frames.fade_code(300) == 0
    # SET EXTENDED FADE TIME: base + 1 in bits 3-0, multiplier in bits 6-4 (python-dali; units: lighting-facts.json).
    assert [frames.extended_ms(code) for code in (0x00, 0x0F, 0x10, 0x1F, 0x24, 0x3F, 0x4F)] == [
        0, 0, 100, 1600, 5000, 160000, 960000,
    ]  # fmt: skip


@given(ms=st.integers(50, 2_000_000))
def test_fade_codes_are_the_nearest(ms: int):
    """Why: gear knows 15 and 64 fade times; any other code than the nearest is a visible mistake."""
    found = frames.extended_ms(frames.extended_code(ms))
    assert abs(found - ms) == min(abs(frames.extended_ms(code) - ms) for code in range(0x10, 0x50))
    if ms >= 707:
        found = frames.fade_ms(frames.fade_code(ms))
        assert abs(found - ms) == min(abs(frames.fade_ms(code) - ms) for code in range(1, 16))


def test_same_on_the_chips_interpreters(micropython_runtime: Runtime):
    """Why: 31-bit small ints and another parser run on the lamp post: 2000 waveforms give the same answers there."""
    done = micropython_runtime.run([ROOT / "tests/node/dali_main.py", "frames"])
    assert done.stdout.split() == lines_of(["frames"]), done.stderr


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_waveforms():
    """Why: a tunnel's bus hears a million damaged frames in its life."""
    draw = random.Random(1)
    for i in range(1_000_000):
        size = draw.randrange(44)
        times = [draw.choice((333, 417, 500, 667, 833, 1000, draw.randrange(65536))) for _ in range(size)]
        fuzz_decode(b"".join(one.to_bytes(2, "little") for one in times))
        if i % 1000 == 0:
            fuzz_decode(draw.randbytes(600))


def test_descriptions_are_whole():
    """Why: what is deployed to a node is what its description names; a file that is missing is an ImportError on the
    ladder."""
    for name in ("dimmer_pwm", "dimmer_0_10v", "dali", "dali_meter", "relay", "relay_latching"):
        description = json.loads((ROOT / f"host_tools/drivers/{name}.json").read_text(encoding="utf-8"))
        texts = []
        for file in description["files"]:
            texts.append((ROOT / file).read_text(encoding="utf-8"))
        assert any(f"class {description['class']}:" in text for text in texts), name
        for text in texts:
            for line in text.splitlines():
                if line.startswith("from .") and not line.startswith("from .."):
                    module = line.split()[1].lstrip(".")
                    assert f"firmware/drivers/{module}.py" in description["files"], (name, module)
