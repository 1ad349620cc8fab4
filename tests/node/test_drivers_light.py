"""Light sensors and thermistor: datasheet values, automatic range, broken wires."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.derating import UNKNOWN_DC
from firmware.drivers import bh1750, veml7700
from firmware.drivers.adc_reading import interpolate
from firmware.drivers.bh1750 import Bh1750
from firmware.drivers.contract import UNKNOWN, BadAnswer, OutOfRange, WrongDevice
from firmware.drivers.ntc import Ntc, curve_of_beta, resistance_milliohm
from firmware.drivers.photocell import BRIGHT_LUX, DARK_LUX, Photocell
from firmware.drivers.veml7700 import Veml7700
from sim.board.chips.analogue import DividerModel, VoltageModel
from sim.board.chips.bh1750 import Bh1750Model
from sim.board.chips.buses import AdcInput, I2CBus
from sim.board.chips.veml7700 import Veml7700Model


@pytest.mark.parametrize(
    ("raw", "measure_time", "lux"),
    [
        # Technical note, p. 7: data 0x8390 is 33,680 / 1.2 = 28,067 lx; p. 11: resolution 0.54 lx at MTreg 254 / 2.
        (0x8390, 69, 28067),
        (12, 69, 10),
        (0, 69, 0),
        (65535, 69, 54613),
        (65535, 31, 65535),
        (1000, 138, 417),
    ],
)
def test_bh1750_known_lux(raw: int, measure_time: int, lux: int) -> None:
    """Dusk is switched by this number: the technical note's own example must come out."""
    assert bh1750.lux_of(raw, measure_time) == lux


def test_bh1750_starts_by_itself_and_again() -> None:
    """After a dip of the supply it sleeps and says dark; nobody resets a sensor on a pole."""
    model = Bh1750Model(0x5C)
    model.lux = 500
    sensor = Bh1750(I2CBus([model]), 0x5C, measure_time=138)
    assert sensor.read() == UNKNOWN
    assert model.measure_time == 138
    model.tick(sensor.wait_ms)
    assert sensor.read() == 500
    model.fault = "brown_out"
    assert sensor.read() == 0
    model.tick(2 * sensor.wait_ms)
    assert sensor.read() == 500


@pytest.mark.parametrize(("address", "measure_time"), [(0x24, 69), (0x23, 30), (0x23, 255)])
def test_bh1750_refuses_options(address: int, measure_time: int) -> None:
    """A wrong option must be refused on the bench and not on the pole."""
    with pytest.raises(OutOfRange):
        Bh1750(I2CBus([]), address, measure_time)


def test_veml7700_resolution_table() -> None:
    """Application note 84323, table 1: lux per count of each gain and time; a slip is a factor of two in dusk."""
    per_count_e4 = [factor * 42 for _, factor in veml7700._LADDER]
    assert per_count_e4 == [42, 84, 168, 336, 672, 2688, 5376, 10752, 21504]


@pytest.mark.parametrize("lux", [0, 1, 500, 1000, 1001, 2000, 5000, 10000, 19000])
def test_veml7700_correction(lux: int) -> None:
    """The part bends above 1,000 lx; the application note's polynomial straightens it (here in floats)."""
    expected = lux
    if lux > 1000:
        expected = round(6.0135e-13 * lux**4 - 9.3924e-9 * lux**3 + 8.1488e-5 * lux**2 + 1.0023 * lux)
    assert abs(veml7700.lux_of(lux, 10000) - min(expected, 65535)) <= 1


def test_veml7700_finds_its_range() -> None:
    """From moonlight to noon and back with one part: a counter that stays full says 'day' for ever."""
    model = Veml7700Model()
    sensor = Veml7700(I2CBus([model]))
    now_ms = 0
    for lux in (0, 3, 20, 900, 100_000, 900, 20, 3):
        model.lux_e4 = lux * 10000
        for _ in range(10):
            now_ms += sensor.wait_ms
            model.tick(now_ms)
            seen = sensor.read()
        assert seen == (65535 if lux == 100_000 else pytest.approx(lux, abs=1, rel=0.02))
        assert sensor.is_saturated == (lux == 1_000_000)


def test_veml7700_refuses_another_part() -> None:
    """Another sensor at the same address would give numbers that mean nothing."""
    model = Veml7700Model()
    model.fault = "wrong_id"
    with pytest.raises(WrongDevice):
        Veml7700(I2CBus([model])).read()


CURVE = (200_000, 0, 1_000_000, 40, 2_400_000, 3000)


def test_photocell_tells_broken_wires_from_light() -> None:
    """A cut wire that reads as bright day is a dark street."""
    model = VoltageModel(1_000_000)
    cell = Photocell(AdcInput(model), CURVE)
    assert cell.read() == 40
    for wire in ("open", "short"):
        model.wire = wire
        with pytest.raises(BadAnswer):
            cell.read()
        assert cell.lux == 40


def test_photocell_switch_has_hysteresis() -> None:
    """At dusk a cell without hysteresis makes a lamp that blinks; unknown begins as dark, which is lit."""
    model = VoltageModel(700_000)  # 25 lx
    cell = Photocell(AdcInput(model), CURVE, is_switch=True, dark_lux=20, bright_lux=35)
    seen = []
    for uv in (700_000, 950_000, 700_000, 550_000, 700_000):
        model.uv = uv
        seen.append(cell.read())
    assert seen == [DARK_LUX, BRIGHT_LUX, BRIGHT_LUX, DARK_LUX, DARK_LUX]


def test_photocell_one_spike_is_nothing() -> None:
    """The radio's bursts reach the ADC: one reading in five may be anything."""

    class Spiky(VoltageModel):
        count = 0

        def microvolts(self) -> int:
            self.count += 1
            return 2_400_000 if self.count % 5 == 0 else self.uv

    assert Photocell(AdcInput(Spiky(1_000_000)), CURVE).read() == 40


@given(st.lists(st.integers(0, 3_300_000), min_size=2, max_size=16, unique=True), st.integers(-1, 3_400_000))
def test_interpolation_stays_between(xs: list[int], x: int) -> None:
    """A rounding beyond a curve's end would be a light level that the curve does not have."""
    curve: list[int] = []
    for i, one in enumerate(sorted(xs)):
        curve += [one, i * 100]
    assert 0 <= interpolate(curve, x) <= curve[-1]
    for i in range(0, len(curve), 2):
        assert interpolate(curve, curve[i]) == curve[i + 1]


@pytest.mark.parametrize("curve", [(1, 2, 3), (1, 2), (5, 0, 5, 1), (0, 0, 1, 65536)])
def test_photocell_refuses_curves(curve: tuple[int, ...]) -> None:
    """A curve that goes back on itself has two answers."""
    with pytest.raises(OutOfRange):
        Photocell(AdcInput(VoltageModel()), curve)


@pytest.mark.parametrize("beta_k", [3380, 3950, 4050])
@pytest.mark.parametrize("dc", range(-400, 1401, 150))
def test_ntc_beta_equation(beta_k: int, dc: int) -> None:
    """The exponential is worked out in integers: it must be the makers' equation, in doubles here."""
    expected = 10_000_000 * math.exp(beta_k * (1 / (273.15 + dc / 10) - 1 / 298.15))
    assert resistance_milliohm(10_000, beta_k, dc) == pytest.approx(expected, rel=1e-6, abs=2)


@pytest.mark.parametrize("is_to_ground", [True, False])
@pytest.mark.parametrize("dc", range(-200, 1101, 37))
def test_ntc_reads_back(dc: int, is_to_ground: bool) -> None:
    """Derating acts on this number: between the table's points it may err by a quarter of a degree, no more."""
    ohm = 10_000 * math.exp(3950 * (1 / (273.15 + dc / 10) - 1 / 298.15))
    series = 10_000 if is_to_ground else 1000
    part = ohm if is_to_ground else series
    model = VoltageModel(round(3_300_000 * part / (ohm + series)))
    ntc = Ntc(AdcInput(model), series_ohm=series, is_to_ground=is_to_ground, adc_max_uv=3_000_000)
    if model.uv > 3_000_000:
        with pytest.raises(BadAnswer):
            ntc.read()
    else:
        assert abs(ntc.read() - dc) <= 2


def test_ntc_open_is_no_cold_night() -> None:
    """The ADC ends below the supply, so an open wire looks like -26 °C unless its upper end is refused."""
    model = DividerModel()
    ntc = Ntc(AdcInput(model))
    assert ntc.read() == 250
    model.wire = "open"
    with pytest.raises(BadAnswer, match="open"):
        ntc.read()
    model.wire = "short"
    with pytest.raises(BadAnswer, match="shorted"):
        ntc.read()
    assert ntc.temperature_dc == 250


def test_ntc_refuses_a_divider_that_cannot_see_heat() -> None:
    """A thermistor whose hot end the ADC cannot read would switch derating off exactly when it is needed."""
    with pytest.raises(OutOfRange, match="100 C"):
        Ntc(AdcInput(VoltageModel()), is_to_ground=False)
    assert Ntc(AdcInput(VoltageModel())).temperature_dc == UNKNOWN_DC


@given(st.integers(100, 1_000_000), st.integers(1000, 6000), st.integers(100, 1_000_000), st.booleans())
def test_ntc_curves_never_turn(r25: int, beta: int, series: int, is_to_ground: bool) -> None:
    """A curve that does not rise has two temperatures for a voltage: it is refused, never used."""
    curve = curve_of_beta(r25, beta, series, 3_300_000, is_to_ground)
    rises = all(curve[i] > curve[i - 2] for i in range(2, len(curve), 2))
    try:
        Ntc(AdcInput(VoltageModel()), r25, beta, series, is_to_ground=is_to_ground)
    except OutOfRange:
        return
    assert rises
