"""Energy meters: the datasheets' formulas, defaults and unlock sequence; energy that is neither lost nor invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.ade7953 import Ade7953
from firmware.drivers.bl0937 import HLW8012, Bl0937, calibrated_ppm
from firmware.drivers.contract import UNKNOWN, BadAnswer, NoAnswer, OutOfRange, WrongDevice
from firmware.drivers.pulse_pin import PulsePin
from sim.board.chips.ade7953 import Ade7953Model
from sim.board.chips.bl0937 import Bl0937Model
from sim.board.chips.buses import I2CBus, PinLine, PulseCounter


class Ticks:
    """Ticks that begin just before the ring ends."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        return (2**30 - 1000 + self.ms) % 2**30


def pulse_meter(**options: int) -> tuple[Bl0937Model, Bl0937, Ticks]:
    ticks = Ticks()
    is_hlw = options.get("part") == HLW8012
    model = Bl0937Model(is_hlw8012=is_hlw)
    return model, Bl0937(model.cf, model.cf1, model.sel, ticks, **options), ticks


def pass_time(model: Bl0937Model, ticks: Ticks, ms: int) -> None:
    ticks.ms += ms
    model.tick(ticks.ms)


def test_bl0937_datasheet_frequencies() -> None:
    """The constants are the datasheet's: 1 Hz of CF is Vref^2 / 1721506 x ratio / shunt watts, and so on."""
    counter, voltage = PulseCounter(), PulseCounter()
    ticks = Ticks()
    # A divider of 1:1 + 1e-3 and a shunt of 100 mohm keep the arithmetic plain: ratio 1001 at upper 1000, lower 1000.
    meter = Bl0937(counter, voltage, PinLine(), ticks, shunt_uohm=100_000, upper_kohm=1000, lower_ohm=1000)
    counter.pulse(1000)
    ticks.ms += 1000
    # 1.218^2 / 1721506 x 1001 / 0.1 W per Hz = 8.626 mW
    assert meter.read() == pytest.approx(1000 * 1.218**2 / 1721506 * 1001 / 0.1 * 1000, rel=0.001)
    voltage.pulse(2000)
    ticks.ms += 1000
    meter.read()
    assert meter.voltage_dv == pytest.approx(2000 * 1.218 / 15397 * 1001 * 10, abs=1)


@pytest.mark.parametrize("part", [0, 1])
@given(
    voltage_mv=st.integers(180_000, 260_000), current_ma=st.integers(20, 3000), factor_permille=st.integers(300, 1000)
)
def test_pulse_meters_read_the_mains(part: int, voltage_mv: int, current_ma: int, factor_permille: int) -> None:
    """A town proves its savings with these numbers: within one pulse of what the mains did."""
    model, meter, ticks = pulse_meter(part=part)
    model.voltage_mv = voltage_mv
    model.current_ma = current_ma
    model.power_mw = voltage_mv * current_ma // 1000 * factor_permille // 1000
    for _ in range(8):
        pass_time(model, ticks, 10_000)
        meter.read()
    pulse_mw = 200 if part == 0 else 1000
    assert meter.power_mw == pytest.approx(model.power_mw, abs=pulse_mw, rel=0.001)
    assert meter.voltage_dv == pytest.approx(voltage_mv / 100, abs=2)
    assert meter.current_ma == pytest.approx(current_ma, abs=3, rel=0.001)
    total_mj = meter.energy_wh * 3_600_000 + meter.energy_mj
    assert total_mj == pytest.approx(model.power_mw * 80, abs=20 * pulse_mw, rel=0.001)


def test_pulse_meter_without_voltage_is_no_dark_lamp() -> None:
    """A dead meter must not look like a lamp that burns nothing: that would send somebody up the wrong ladder."""
    model, meter, ticks = pulse_meter()
    model.power_mw = 50_000
    for _ in range(3):
        pass_time(model, ticks, 10_000)
        meter.read()
    model.fault = "no_answer"
    errors = 0
    for _ in range(8):
        pass_time(model, ticks, 10_000)
        try:
            meter.read()
        except NoAnswer:
            errors += 1
    assert errors >= 5
    assert meter.voltage_dv == UNKNOWN


def test_pulse_meter_refuses_noise() -> None:
    """A wire that picks up the driver's ripple would invent energy at the tax-payer's cost."""
    model, meter, ticks = pulse_meter()
    model.fault = "noise"
    pass_time(model, ticks, 10_000)
    with pytest.raises(BadAnswer):
        meter.read()
    assert meter.energy_wh == meter.energy_mj == 0


def test_pulse_meter_behind_a_transistor() -> None:
    """Some boards drive SEL through a transistor: volts read as amperes is a meter that convicts the wrong lamp."""

    class Inverted(PinLine):
        def __init__(self, pin: PinLine) -> None:
            super().__init__()
            self.pin = pin

        def value(self, level: int | None = None) -> int | None:
            self.pin.value(1 - (level or 0))
            return None

    ticks = Ticks()
    model = Bl0937Model()
    model.current_ma = 400
    meter = Bl0937(model.cf, model.cf1, Inverted(model.sel), ticks, is_sel_inverted=True)
    for _ in range(6):
        pass_time(model, ticks, 10_000)
        meter.read()
    assert meter.voltage_dv == pytest.approx(2300, abs=2)
    assert meter.current_ma == pytest.approx(400, abs=3)


def test_pulse_meter_asked_too_soon_changes_nothing() -> None:
    """Two callers must not halve each other's windows."""
    model, meter, ticks = pulse_meter()
    model.power_mw = 50_000
    pass_time(model, ticks, 10_000)
    first = meter.read()
    pass_time(model, ticks, 400)
    assert meter.read() == first


def test_calibration() -> None:
    """Shunt, divider and reference err by several per cent together; a reference meter at commissioning mends it."""
    model, meter, ticks = pulse_meter(shunt_uohm=1030)
    model.power_mw = 80_000
    pass_time(model, ticks, 60_000)
    ppm = calibrated_ppm(meter.read(), 80_000)
    assert ppm == pytest.approx(1_030_000, rel=0.002)
    model, meter, ticks = pulse_meter(shunt_uohm=1030, power_ppm=ppm)
    model.power_mw = 80_000
    pass_time(model, ticks, 60_000)
    assert meter.read() == pytest.approx(80_000, rel=0.001)
    for shown, true in ((0, 5), (5, 0), (1, 3)):
        with pytest.raises(OutOfRange):
            calibrated_ppm(shown, true)


def test_pulse_pin_masks_a_storm() -> None:
    """reliability.md, fault row 12: kHz edges starve the processor; the interrupt counts, then is masked for 1 s."""
    ticks = Ticks()
    pin = PinLine()
    counter = PulsePin(pin, ticks, storm_per_s=50)
    for _ in range(10_000):
        pin.drive(1)
        pin.drive(0)
    assert counter.value() == 51
    assert not pin.is_listened_to
    ticks.ms += 1000
    counter.value()
    assert pin.is_listened_to
    pin.drive(1)
    assert counter.value() == 52
    assert counter.storms == 1


# Datasheet Rev. C, register tables 13 to 17.
ADE_DEFAULTS = {0x102: 0x8004, 0x004: 0x40, 0x107: 0x0300, 0x303: 0x00E419, 0x380: 0x400000, 0x381: 0x400000}


def test_ade7953_model_has_the_datasheets_defaults() -> None:
    """The driver is only as right as the model it is tested with."""
    model = Ade7953Model()
    assert {register: model.get(register) for register in ADE_DEFAULTS} == ADE_DEFAULTS


def test_ade7953_start_sequence() -> None:
    """Without 0xAD to 0xFE and 0x30 to 0x120 the chip measures outside its datasheet's accuracy."""
    model = Ade7953Model()
    bus = I2CBus([model])
    writes: list[bytes] = []
    bus.on_traffic = lambda kind, address, data: writes.append(data) if kind == "write" and len(data) > 2 else None
    Ade7953(bus).read()
    at = writes.index(b"\x00\xfe\xad")
    assert writes[at + 1] == b"\x01\x20\x00\x30"
    assert model.values[0x120] == 0x30


def test_ade7953_required_register_needs_its_key() -> None:
    """The model must refuse what the chip refuses, or the test above proves nothing."""
    model = Ade7953Model()
    I2CBus([model]).writeto_mem(0x38, 0x120, b"\x00\x30", addrsize=16)
    assert model.get(0x120) == 0


def ade_meter(**options: int) -> tuple[Ade7953Model, Ade7953]:
    model = Ade7953Model()
    meter = Ade7953(I2CBus([model]), **options)
    assert meter.read() == UNKNOWN
    return model, meter


def feed(model: Ade7953Model, voltage_v: float, current_a: float, factor: float) -> None:
    """Put what the mains does to the pins: divider 1:991, shunt 1 mohm."""
    model.voltage_uv = round(voltage_v / 991 * 1e6)
    model.current_uv = round(current_a * 1e-3 * 1e6)
    model.power_pv2 = round(voltage_v / 991 * current_a * 1e-3 * factor * 1e12)
    model.power_factor_e15 = round(factor * 32768) if abs(factor) < 1 else 32767


@given(st.integers(180, 260), st.integers(100, 10_000), st.integers(100, 1000))
def test_ade7953_reads_the_mains(voltage_v: int, current_ma: int, factor_permille: int) -> None:
    """Register units come from full scales of the datasheet; a slip of a digit is a factor in the town's bill."""
    model, meter = ade_meter()
    feed(model, voltage_v, current_ma / 1000, factor_permille / 1000)
    power_mw = voltage_v * current_ma * factor_permille / 1000
    start = meter.energy_mj
    model.tick(60_000)
    if power_mw > 4_000_000:
        return
    # One count of AWATT is 25 mW behind this divider and shunt.
    assert meter.read() == pytest.approx(power_mw, rel=0.001, abs=40)
    assert meter.voltage_dv == pytest.approx(voltage_v * 10, abs=1)
    assert meter.current_ma == pytest.approx(current_ma, rel=0.001, abs=2)
    assert meter.power_factor_permille == pytest.approx(factor_permille, abs=1)
    counted_mj = meter.energy_wh * 3_600_000 + meter.energy_mj - start
    # Below a no-load threshold of 0.5 W the chip counts nothing; all these are above.
    assert counted_mj == pytest.approx(power_mw * 60, rel=0.001, abs=700)


def test_ade7953_no_load_and_sign() -> None:
    """A lamp that is off draws the gear's standby: the chip's own threshold keeps its noise out of the bill."""
    model, meter = ade_meter(no_load_mw=1000)
    feed(model, 230, 0.010, 0.3)  # 0.69 W
    model.tick(100_000)
    meter.read()
    assert meter.energy_mj == meter.energy_wh == 0
    feed(model, 230, 0.4, -0.95)
    model.tick(110_000)
    assert meter.read() == pytest.approx(-87_400, rel=0.002)
    assert meter.energy_mj == pytest.approx(874_000, rel=0.002)
    model, meter = ade_meter(is_reversed=True)
    feed(model, 230, 0.4, -0.95)
    assert meter.read() == pytest.approx(87_400, rel=0.002)


def test_ade7953_default_no_load_is_ten_thousand_to_one() -> None:
    """Datasheet: 0x00E419 is 65536 - 10000 / 1.4, the threshold at 1/10000 of full scale."""
    assert 65536 - 100_000 // 14 - 1 <= 0x00E419 <= 65536 - 100_000 // 14 + 1


def test_ade7953_survives_its_supply() -> None:
    """A dip of the supply puts the chip to its defaults: settings must come back, and nothing be counted twice."""
    model, meter = ade_meter()
    feed(model, 230, 0.4, 0.95)
    model.tick(10_000)
    meter.read()
    before = meter.energy_mj
    model.fault = "brown_out"
    assert meter.read() == UNKNOWN
    assert model.values[0x120] == 0x30
    assert (meter.resets, meter.energy_mj) == (1, before)
    assert meter.read() == pytest.approx(87_400, rel=0.002)


def test_ade7953_refuses_another_part() -> None:
    """Something else at 0x38 would be a meter of fiction."""
    model = Ade7953Model()
    model.fault = "wrong_id"
    with pytest.raises(WrongDevice):
        Ade7953(I2CBus([model])).read()


def test_ade7953_noise_gives_no_energy() -> None:
    """I2C has no check sum: a flipped bit where reading clears would be kilowatt-hours from nowhere."""
    model, meter = ade_meter()
    feed(model, 230, 0.4, 0.95)
    bus_read = model.read
    torn = []

    def read(count: int) -> bytes:
        data = bus_read(count)
        if model.pointer == 0x31E and not torn:
            torn.append(data)
            return bytes((data[0], data[1] ^ 0x40, data[2], data[3]))
        return data

    model.read = read  # type: ignore[method-assign]
    model.tick(10_000)
    meter.read()
    assert torn
    assert meter.energy_mj == pytest.approx(874_000, rel=0.002)
