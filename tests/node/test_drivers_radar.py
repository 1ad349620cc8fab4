"""Radar: the maker's own frames, configuration, re-synchronisation on any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.contract import UNKNOWN, OutOfRange
from firmware.drivers.ld2410 import BUSY, DONE, FAILED, Ld2410
from sim.board.chips.buses import UartLine
from sim.board.chips.ld2410 import Ld2410Model

# Serial communication protocol V1.02, section 2.3.2: its two example reports.
BASIC = bytes.fromhex("F4F3F2F1 0D00 02AA 02 5100 00 0000 3B 0000 5500 F8F7F6F5")
ENGINEERING = bytes.fromhex(
    "F4F3F2F1 2300 01AA 03 1E00 3C 0000 39 0000 08 08 3C2205030304030605 000039101306060804 0305 5500 F8F7F6F5"
)


def radar_with(data: bytes) -> tuple[Ld2410, list[int]]:
    told: list[int] = []
    radar = Ld2410(None, told.append)
    for byte in data:
        radar.feed(byte)
    return radar, told


def test_ld2410_basic_report_of_the_protocol() -> None:
    """The maker's own example: somebody still, energy 59."""
    radar, told = radar_with(BASIC)
    assert (radar.presence, radar.is_moving, radar.is_still) == (1, 0, 1)
    assert (radar.moving_cm, radar.moving_energy, radar.still_cm, radar.still_energy) == (81, 0, 0, 59)
    assert (radar.distance_cm, told, radar.errors) == (0, [1], 0)


def test_ld2410_engineering_report_of_the_protocol() -> None:
    """The maker's own example: 30 cm, both, the energies of nine gates."""
    radar, _ = radar_with(ENGINEERING)
    assert (radar.presence, radar.is_moving, radar.is_still, radar.moving_cm) == (1, 1, 1, 30)
    assert radar.moving_gates == bytes.fromhex("3C2205030304030605")
    assert radar.still_gates == bytes.fromhex("000039101306060804")


def bench_radar() -> tuple[Ld2410Model, Ld2410, list[int]]:
    told: list[int] = []
    model = Ld2410Model()
    return model, Ld2410(UartLine(model, 1024), told.append), told


def run_radar(model: Ld2410Model, radar: Ld2410, from_ms: int, to_ms: int) -> None:
    for ms in range(from_ms, to_ms, 50):
        model.tick(ms)
        radar.poll(ms)


def test_ld2410_is_configured() -> None:
    """A range beyond the road lights the street for every window of the house behind."""
    model, radar, _ = bench_radar()
    sent: list[bytes] = []
    obey = model.received
    model.received = lambda data: (sent.append(data), obey(data))[1]  # type: ignore[method-assign]
    assert radar.configure(0, 6, 4, 300)
    assert not radar.configure(0, 6, 4, 300)
    run_radar(model, radar, 0, 1000)
    assert radar.setup_state == DONE
    assert (model.moving_gate_max, model.still_gate_max, model.no_one_s) == (6, 4, 300)
    assert not model.is_configuring
    assert radar.read_firmware(1000)
    run_radar(model, radar, 1000, 2000)
    assert (radar.setup_state, radar.firmware) == (DONE, "1.02.22062416")
    # Section 2.2: enable, set (three pairs of word and 32 bits), end.
    assert sent[0] == bytes.fromhex("FDFCFBFA 0400 FF00 0100 04030201")
    assert sent[1] == bytes.fromhex("FDFCFBFA 1400 6000 0000 06000000 0100 04000000 0200 2C010000 04030201")
    assert sent[2] == bytes.fromhex("FDFCFBFA 0200 FE00 04030201")
    for gates in ((1, 4, 5), (4, 9, 5), (4, 4, 65_536)):
        with pytest.raises(OutOfRange):
            radar.configure(2000, *gates)


def test_ld2410_without_answer_fails_and_ends() -> None:
    """A configuration that hangs would be a sensor that is deaf for ever."""
    model, radar, _ = bench_radar()
    model.fault = "no_answer"
    radar.configure(0, 6, 4, 5)
    run_radar(model, radar, 0, 2900)
    assert radar.setup_state == BUSY
    run_radar(model, radar, 2900, 6000)
    assert radar.setup_state == FAILED
    assert not radar.is_alive(6000)


def test_ld2410_left_in_configuration_is_rescued() -> None:
    """The node was reset while it configured: the radar waits in its mode and reports nothing."""
    model, radar, _ = bench_radar()
    model.is_configuring = True
    run_radar(model, radar, 0, 9000)
    assert radar.reports == 0
    run_radar(model, radar, 9000, 12_000)
    assert radar.is_alive(12_000)


@given(st.binary(max_size=200))
def test_ld2410_finds_its_way_after_anything(noise: bytes) -> None:
    """After any bytes, at most a frame's bound of them hides a report: six reports suffice, and the last counts."""
    radar, _ = radar_with(noise + BASIC * 6)
    assert radar.reports >= 3
    assert (radar.presence, radar.still_energy) == (1, 59)


@given(st.binary(max_size=100).map(lambda data: bytes(one for one in data if one not in (0xF4, 0xFD))))
def test_ld2410_noise_without_a_head_hides_nothing(noise: bytes) -> None:
    """Noise that begins no frame must not cost a single report."""
    radar, _ = radar_with(noise + BASIC)
    assert radar.reports == 1


@given(st.integers(0, len(BASIC) - 1), st.binary(max_size=5))
def test_ld2410_torn_report(cut: int, noise: bytes) -> None:
    """A UART that overflows loses bytes in the middle: the torn report is dropped, and not the next two."""
    radar, _ = radar_with(BASIC[:cut] + noise + BASIC[cut + 1 :] + ENGINEERING + ENGINEERING)
    assert radar.moving_cm == 30


@given(st.lists(st.sampled_from([*BASIC, *ENGINEERING, 0xFD, 0xFC, 0xFB, 0xFA, 4, 3, 2, 1])).map(bytes))
def test_ld2410_any_bytes(data: bytes) -> None:
    """Decoders get anything: bounded, and what is believed is plausible."""
    radar, _ = radar_with(data)
    assert radar._count < len(radar._frame)
    assert radar.distance_cm == UNKNOWN or 0 <= radar.distance_cm <= 1000
    assert radar.moving_energy <= 100 and radar.still_energy <= 100


def test_ld2410_implausible_reports_change_nothing() -> None:
    """Reports have no check sum: distance beyond ten metres or energy beyond 100 is a flipped bit."""
    for at, value in ((8, 4), (10, 0x40), (11, 101), (13, 0x10), (14, 200), (16, 9), (7, 0xAB), (17, 0x54), (6, 3)):
        bad = bytearray(BASIC)
        bad[at] = value
        radar, told = radar_with(bytes(bad))
        assert (radar.reports, radar.errors, told, radar.distance_cm) == (0, 1, [], UNKNOWN), at
