"""Clock chip and satellites: BCD, century, the stop flag, week roll-over; what is not the time is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control import civil
from firmware.control.clock import RTC, SET, ClockTrust
from firmware.drivers.civil_date import date_of_day, day_of_date
from firmware.drivers.contract import UNKNOWN, BadAnswer, NoAnswer, OutOfRange
from firmware.drivers.ds3231 import Ds3231, decode, encode
from firmware.drivers.nmea_gnss import UNKNOWN_UDEG, NmeaGnss, fuzz_nmea
from sim.board.chips.buses import I2CBus, UartLine
from sim.board.chips.ds3231 import Ds3231Model
from sim.board.chips.nmea_gnss import NmeaGnssModel, sentence

BUILD_DAY = civil.day_number(2026, 1, 1)


def test_dates_are_controls_dates() -> None:
    """Two date sums in one firmware must never differ: every day of 1970 to 2199 against control's."""
    date = [0, 0, 0]
    for day in range(-10957, 73049):
        date_of_day(day, date)
        assert civil.day_number(*date) == day == day_of_date(*date)


@pytest.mark.parametrize(
    "date", [(2100, 2, 29), (2023, 2, 29), (2024, 13, 1), (2024, 0, 1), (2024, 4, 31), (1969, 1, 1)]
)
def test_dates_that_do_not_exist(date: tuple[int, int, int]) -> None:
    """A bit error makes such dates; a neighbour of them would be a wrong night."""
    assert day_of_date(*date) is None


def test_ds3231_register_values() -> None:
    """Datasheet, figure 1: BCD, century in bit 7 of the month; 2127-12-31 23:59:58 is a Wednesday."""
    registers = bytearray(7)
    encode(civil.day_number(2127, 12, 31), 86398, registers, [0, 0, 0])
    assert registers[:3] + registers[4:] == bytes((0x58, 0x59, 0x23, 0x31, 0x92, 0x27))
    assert decode(registers) == (civil.day_number(2127, 12, 31), 86398)


@pytest.mark.parametrize(
    ("hour", "seconds"),
    # Bit 6: 12 h mode; bit 5: afternoon. 12 in the morning is midnight.
    [(0x23, 82800), (0x52, 0), (0x72, 43200), (0x41, 3600), (0x61, 46800), (0x71, 82800), (0x40, None), (0x53, None)],
)
def test_ds3231_twelve_hour_mode(hour: int, seconds: int | None) -> None:
    """Whoever set the chip before us may have chosen 12 h mode: read as 24 h it is half a day wrong."""
    day = civil.day_number(2026, 3, 1)
    expected = (None, None) if seconds is None else (day, seconds)
    assert decode(bytes((0, 0, hour, 1, 1, 3, 0x26))) == expected


@given(st.binary(min_size=7, max_size=7))
def test_ds3231_any_bytes(registers: bytes) -> None:
    """What decodes is a time that exists, and encodes to the same bytes."""
    day, second = decode(registers)
    if day is None:
        return
    assert 0 <= day <= 73048 and 0 <= second < 86400
    again = bytearray(7)
    encode(day, second, again, [0, 0, 0])
    assert decode(again) == (day, second)


def clock_chip() -> tuple[Ds3231Model, Ds3231]:
    model = Ds3231Model()
    return model, Ds3231(I2CBus([model]))


@given(st.integers(0, 73048), st.integers(0, 86399), st.integers(0, 999))
def test_ds3231_set_and_read(day: int, second: int, ms: int) -> None:
    """The next night without a network stands on what was written here."""
    model, chip = clock_chip()
    assert chip.read() == 0
    assert not chip.is_trusted
    chip.set(day, second, ms)
    assert model.registers[0x0F] & 0x80 == 0
    assert chip.read() == 1
    expected = second + (1 if ms >= 500 and second < 86399 else 0)
    assert (chip.day, chip.second, chip.ms) == (day, expected, 500)


def test_ds3231_runs_on_and_over_midnight() -> None:
    """29 February, new year and the century are where clock chips have failed."""
    for year, month, date in ((2024, 2, 28), (2026, 2, 28), (2099, 12, 31)):
        model, chip = clock_chip()
        day = civil.day_number(year, month, date)
        chip.set(day, 86399)
        model.tick(2500)
        assert chip.read() == 1
        assert (chip.day, chip.second) == (day + 1, 1)


def test_ds3231_stopped_is_not_trusted() -> None:
    """An empty battery leaves a date that looks well; only the flag tells."""
    model, chip = clock_chip()
    chip.set(BUILD_DAY, 100)
    model.stop()
    assert chip.read() == 0
    assert not chip.is_trusted
    model.fault = "brown_out"
    assert chip.read() == 0
    assert chip.day == 0


def test_ds3231_write_is_read_back() -> None:
    """A chip that does not take the time must keep its flag, or the wrong time is trusted after the next power cut."""
    model, chip = clock_chip()
    model.fault = "stuck"
    with pytest.raises(BadAnswer):
        chip.set(BUILD_DAY, 100)
    assert model.registers[0x0F] & 0x80
    model.fault = "no_answer"
    with pytest.raises(NoAnswer):
        chip.set(BUILD_DAY, 100)
    for day, second in ((-1, 0), (73049, 0), (0, 86400)):
        with pytest.raises(OutOfRange):
            chip.set(day, second)


def test_ds3231_starts_a_clock_that_stands_on_battery() -> None:
    """EOSC set means that the chip stops in each power cut, which is every day here."""
    model, chip = clock_chip()
    model.registers[0x0E] |= 0x80
    chip.set(BUILD_DAY, 0)
    assert model.registers[0x0E] & 0x80 == 0


@pytest.mark.parametrize(("quarters", "dc"), [(101, 253), (-41, -102), (0, 0), (-1, -2), (340, 850), (-160, -400)])
def test_ds3231_temperature(quarters: int, dc: int) -> None:
    """Datasheet, temperature registers: 0x19, 0x40 is 25.25 °C."""
    model, chip = clock_chip()
    model.set_temperature_quarters(quarters)
    if quarters == 101:
        assert bytes(model.registers[0x11:0x13]) == b"\x19\x40"
    assert chip.read_temperature() == dc


def test_ds3231_ageing() -> None:
    """A trim that is not read back may be half a minute a month."""
    model, chip = clock_chip()
    chip.set_ageing(-7)
    assert model.registers[0x10] == 0xF9
    assert chip.read_ageing() == -7
    with pytest.raises(OutOfRange):
        chip.set_ageing(128)


def test_ds3231_fits_controls_clock() -> None:
    """Driver and clock were written apart: what one gives the other must take."""
    model, chip = clock_chip()
    chip.set(BUILD_DAY + 100, 80_000)
    model.tick(1000)
    chip.read()
    trust = ClockTrust(BUILD_DAY)
    assert trust.report(1000, RTC, chip.day, chip.second, chip.ms) == SET
    assert (trust.day, trust.second) == (BUILD_DAY + 100, 80_001)


# ----- NMEA -----------------------------------------------------------------------------------------------------------

RMC = "GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W"
GGA = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"


def listen(*bodies: str, build_day: int = BUILD_DAY) -> NmeaGnss:
    gnss = NmeaGnss(None, build_day)
    for body in bodies:
        for byte in sentence(body):
            gnss.feed(byte)
    return gnss


@pytest.mark.parametrize(("body", "check"), [(RMC, "6A"), (GGA, "47"), ("GPRMC,,V,,,,,,,,,,N", "53")])
def test_published_check_sums(body: str, check: str) -> None:
    """The check sums of the sentences that every NMEA description prints; our model must make the same."""
    assert sentence(body).decode().strip()[-2:] == check


def test_published_sentences() -> None:
    """48°07.038' N, 11°31.000' E, 12:35:19; the date of 1994 is 2 x 1,024 weeks before one that is possible."""
    gnss = listen(RMC, GGA)
    assert (gnss.latitude_udeg, gnss.longitude_udeg) == (48_117_300, 11_516_667)
    assert (gnss.second, gnss.ms) == (45_319, 0)
    assert (gnss.quality, gnss.satellites, gnss.hdop_e2) == (1, 8, 90)
    assert gnss.day == civil.day_number(1994, 3, 23) + 2 * 7168
    assert gnss.rollovers == 2
    assert (gnss.fixes, gnss.errors) == (1, 0)


def rmc(date: str = "241126", time: str = "180000.00", status: str = "A", place: str = "", mode: str = "A") -> str:
    return f"GNRMC,{time},{status},{place or '4336.2500,N,00126.5000,E'},0.0,,{date},,,{mode}"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("241126", (2026, 11, 24)),
        ("010126", (2026, 1, 1)),
        ("290228", (2028, 2, 29)),
        ("311275", (2075, 12, 31)),
    ],
)
def test_dates_of_this_life(date: str, expected: tuple[int, int, int]) -> None:
    """A node lives 25 years and its firmware is built in each of them: dates after the build day are taken as said."""
    assert listen(rmc(date)).day == civil.day_number(*expected)


@given(st.integers(civil.day_number(2026, 1, 1), civil.day_number(2045, 8, 1)), st.integers(0, 2))
def test_week_rollover_is_undone(day: int, turns: int) -> None:
    """Old receivers fell back to 1999 in 2019: 1,024 weeks at a time, undone for 19.6 years after the build date."""
    date = [0, 0, 0]
    date_of_day(day - turns * 7168, date)
    gnss = listen(rmc(f"{date[2]:02d}{date[1]:02d}{date[0] % 100:02d}"))
    assert gnss.day == day
    assert gnss.rollovers == turns


@pytest.mark.parametrize(
    "body",
    [
        rmc(status="V"),
        rmc(mode="E"),
        rmc(mode="S"),
        rmc(place="0000.0000,N,00000.0000,E"),
        rmc(place="9000.0001,N,00000.0000,E"),
        rmc(place="4360.0000,N,00126.5000,E"),
        rmc(place="4336.2500,X,00126.5000,E"),
        rmc(place="4336.2500,N,18000.0001,E"),
        rmc(place=",,,"),
        rmc(time="240000.00"),
        rmc(time="235960.00"),
        rmc(time="12000"),
        rmc(time=""),
        rmc(date="290227"),
        rmc(date="320126"),
        rmc(date="2411264"),
        rmc(date=""),
        rmc()[:30],
        "PUBX,00,123",
        "GPRMC",
        "G",
    ],
)
def test_what_is_no_fix(body: str) -> None:
    """reliability.md, fault row 9: a wrong place is a wrong dusk. Refused, and nothing changed."""
    gnss = listen(body)
    assert (gnss.fixes, gnss.day, gnss.latitude_udeg) == (0, UNKNOWN, UNKNOWN_UDEG)


def test_south_and_west_are_negative() -> None:
    """Réunion, Guadeloupe and Polynésie have street lights too."""
    gnss = listen(rmc(place="2052.5000,S,05527.0000,W"))
    assert (gnss.latitude_udeg, gnss.longitude_udeg) == (-20_875_000, -55_450_000)


def test_quality_of_a_fix() -> None:
    """A receiver that estimates, is told by hand or simulates has no fix."""
    for quality, expected in ((0, 0), (1, 1), (2, 2), (4, 4), (5, 5), (6, 0), (7, 0), (8, 0)):
        assert listen(GGA.replace(",E,1,", f",E,{quality},")).quality == expected


@given(st.data())
def test_nmea_one_wrong_byte_changes_nothing(data: st.DataObject) -> None:
    """A flipped bit on the wire between receiver and chip: the check sum finds every single wrong byte."""
    good = bytearray(sentence(rmc()))
    at = data.draw(st.integers(1, len(good) - 3))
    value = data.draw(st.integers(0, 255))
    if value == good[at] or bytes((value,)).lower() == bytes((good[at],)).lower():
        return
    good[at] = value
    gnss = NmeaGnss(None, BUILD_DAY)
    for byte in good:
        gnss.feed(byte)
    assert (gnss.fixes, gnss.day) == (0, UNKNOWN)


@given(st.binary(max_size=300))
def test_nmea_finds_its_way_after_anything(noise: bytes) -> None:
    """After a burst of noise the very next sentence must count: it may be the only second of sky tonight."""
    gnss = NmeaGnss(None, BUILD_DAY)
    for byte in noise + sentence(rmc()):
        gnss.feed(byte)
    assert gnss.day == civil.day_number(2026, 11, 24)
    assert gnss.second == 64_800


def test_nmea_poll_and_life() -> None:
    """Silence is told from 'no sky': one is a broken wire, the other a tunnel."""
    model = NmeaGnssModel()
    uart = UartLine(model, 512)
    gnss = NmeaGnss(uart, BUILD_DAY)
    now_ms = 2**30 - 2000
    for step in range(4):
        model.tick(1000 * step)
        assert gnss.poll((now_ms + 1000 * step) % 2**30) == 1
    model.has_fix = False
    model.tick(4000)
    assert gnss.poll((now_ms + 4000) % 2**30) == 0
    assert gnss.is_alive((now_ms + 4000) % 2**30)
    model.fault = "no_answer"
    model.tick(20_000)
    gnss.poll((now_ms + 20_000) % 2**30)
    assert not gnss.is_alive((now_ms + 20_000) % 2**30)


@given(st.lists(st.sampled_from([*b"$*,.GPRMC0123456789AVNSEW\r\n", 0, 255])).map(bytes))
def test_nmea_any_bytes(data: bytes) -> None:
    """Decoders get anything; what they then believe is at least a place on Earth."""
    fixes, _, day, second, latitude, longitude, _ = fuzz_nmea(data)
    if fixes:
        assert day >= 7305 and 0 <= second < 86400
        assert abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000
