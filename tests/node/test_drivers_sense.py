"""Presence pin, thermometer and tilt: datasheet values, storms, noise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.derating import UNKNOWN_DC
from firmware.drivers.contract import UNKNOWN, BadAnswer, NoAnswer, OutOfRange, WrongDevice
from firmware.drivers.ds18b20 import Ds18b20, crc8
from firmware.drivers.lis3dh import Lis3dh, angle_dd, root
from firmware.drivers.presence_input import PresenceInput
from sim.board.chips import ds18b20 as ds18b20_model
from sim.board.chips.buses import I2CBus, OneWireBus, PinLine
from sim.board.chips.ds18b20 import Ds18b20Model
from sim.board.chips.lis3dh import Lis3dhModel

# ----- presence pin ---------------------------------------------------------------------------------------------------


class Bench:
    """A pin, a driver, what was told with its time; ticks begin just before the ring ends."""

    def __init__(self, **options: int | bool) -> None:
        self.ms = 0
        self.told: list[tuple[int, int]] = []
        self.pin = PinLine(0 if options.get("is_active_high", True) else 1)
        self.driver = PresenceInput(
            self.pin, lambda value: self.told.append((self.ms, value)), ticks_ms=self.ticks_ms, **options
        )

    def ticks_ms(self) -> int:
        return (2**30 - 700 + self.ms) % 2**30

    def until(self, ms: int, level: int | None = None) -> None:
        while self.ms < ms:
            self.ms += 10
            self.driver.poll()
        if level is not None:
            self.pin.drive(level)


@pytest.mark.parametrize("is_active_high", [True, False])
def test_presence_is_told_at_once(is_active_high: bool) -> None:
    """A cyclist at 8 m/s: each 100 ms of delay is a metre in the dark."""
    bench = Bench(is_active_high=is_active_high)
    bench.until(100, 1 if is_active_high else 0)
    assert bench.told == [(100, 1)]
    bench.until(300, 0 if is_active_high else 1)
    assert bench.told == [(100, 1), (300, 0)]


def test_presence_is_stretched() -> None:
    """A pulse of 20 ms must outlive its reader's period."""
    bench = Bench(stretch_ms=500)
    bench.until(100, 1)
    bench.until(120, 0)
    bench.until(1000)
    assert bench.told == [(100, 1), (600, 0)]


def test_presence_is_debounced() -> None:
    """A spike on a long wire is nobody; a pulse beyond the bound counts, even one that ended before anybody looked."""
    bench = Bench(debounce_ms=50)
    bench.until(100, 1)
    bench.until(130, 0)
    bench.until(400)
    assert bench.told == []
    bench.pin.drive(1)
    bench.ms += 60
    bench.pin.drive(0)
    assert bench.told == [(460, 1)]
    bench.until(600)
    assert bench.told == [(460, 1), (510, 0)]


def test_presence_storm() -> None:
    """reliability.md, fault row 12: 10 kHz on the pin may cost the bound of edges a second and no more."""
    bench = Bench(storm_per_s=50)
    bench.until(100)
    for second in range(3):
        for _ in range(10_000):
            bench.pin.drive(1 - bench.pin.level)
        assert bench.driver.is_masked
        assert bench.driver.storms == second + 1
        bench.until(100 + 1000 * (second + 1))
        assert not bench.driver.is_masked
    assert bench.driver.edges == 153
    # Afterwards the pin is believed again.
    before = len(bench.told)
    bench.pin.drive(1)
    bench.until(5000, 0)
    assert [value for _, value in bench.told[before:]] == [1, 0]


def test_presence_at_start() -> None:
    """Somebody who stands there when the power comes back must be seen without an edge."""
    bench = Bench()
    bench.pin.level = 1
    bench.until(10)
    assert bench.told == [(10, 1)]


@pytest.mark.parametrize("options", [{"debounce_ms": -1}, {"stretch_ms": 10_001}, {"storm_per_s": 3}])
def test_presence_refuses_options(options: dict[str, int]) -> None:
    """Bounds stand beside the thing."""
    with pytest.raises(OutOfRange):
        Bench(**options)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 1)), max_size=60), st.integers(0, 100), st.integers(0, 600)
)
def test_presence_alternates(edges: list[tuple[int, int]], debounce_ms: int, stretch_ms: int) -> None:
    """Whatever the pin does: told values alternate, somebody lasts at least the stretch, and the end is the truth."""
    bench = Bench(debounce_ms=debounce_ms, stretch_ms=stretch_ms, storm_per_s=20)
    at = 0
    for gap_ms, level in edges:
        at += gap_ms
        bench.until(at, level)
    bench.until(at + 3000)
    values = [value for _, value in bench.told]
    assert values == [1, 0] * (len(values) // 2) + [1] * (len(values) % 2)
    for i in range(0, len(values) - 1, 2):
        assert bench.told[i + 1][0] - bench.told[i][0] >= stretch_ms
    assert (values[-1] if values else 0) == bench.pin.level


# ----- thermometer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "dc"),
    # Datasheet, table 1 (+85 °C: below).
    [
        (0x07D0, 1250),
        (0x0191, 251),
        (0x00A2, 101),
        (0x0008, 5),
        (0x0000, 0),
        (0xFFF8, -5),
        (0xFF5E, -101),
        (0xFE6F, -251),
        (0xFC90, -550),
    ],
)
def test_ds18b20_table_of_the_datasheet(raw: int, dc: int) -> None:
    """The datasheet's own temperatures, in tenths to the nearest."""
    model, thermometer = bench_thermometer()
    model.sixteenths = raw
    model.tick(750)
    assert thermometer.read() == dc
    assert thermometer.sixteenths == (raw - 65536 if raw > 32767 else raw)


def bench_thermometer(**options: bytes) -> tuple[Ds18b20Model, Ds18b20]:
    model = Ds18b20Model()
    thermometer = Ds18b20(OneWireBus([model]), **options)
    assert thermometer.read() == UNKNOWN_DC
    return model, thermometer


def test_ds18b20_crc_of_the_application_note() -> None:
    """Maxim application note 27: the ROM 02 1C B8 01 00 00 00 has the CRC A2."""
    rom = bytes.fromhex("021CB801000000A2")
    assert crc8(rom, 7) == 0xA2
    assert crc8(rom, 8) == 0
    assert ds18b20_model.crc8(rom[:7]) == 0xA2


@given(st.binary(min_size=9, max_size=9))
def test_ds18b20_crc_agrees(data: bytes) -> None:
    """Driver and model have each their own: by bytes, and by the shift register of the note."""
    assert crc8(data, 9) == ds18b20_model.crc8(data) == OneWireBus([]).crc8(data)


def test_ds18b20_85_degrees() -> None:
    """85 °C is what it says after power-on: a derating on it would dim a cold street; a true one comes from below."""
    model, thermometer = bench_thermometer()
    for sixteenths in (0x0550, 0x0550):
        model.sixteenths = sixteenths
        model.tick(model.now_ms + 750)
        with pytest.raises(BadAnswer, match="power-on"):
            thermometer.read()
        assert thermometer.read() == UNKNOWN_DC
    for sixteenths, dc in ((1290, 806), (0x0550, 850), (1400, 875)):
        model.sixteenths = sixteenths
        model.tick(model.now_ms + 750)
        assert thermometer.read() == dc


def test_ds18b20_conversion_is_bounded() -> None:
    """A chip that never ends its conversion is told apart from one that needs a little longer."""
    model, thermometer = bench_thermometer()
    model._done_ms = 10**9
    assert [thermometer.read() for _ in range(2)] == [UNKNOWN_DC] * 2
    with pytest.raises(NoAnswer):
        thermometer.read()


def test_ds18b20_wrong_and_shorted() -> None:
    """A DS1822 at its place, and a wire pinched in the door."""
    model = Ds18b20Model()
    model.fault = "wrong_id"
    with pytest.raises(WrongDevice):
        Ds18b20(OneWireBus([model])).read()

    class Shorted:
        rom = b""
        fault = "none"

        def pass_brown_out(self) -> None:
            pass

        def reset(self) -> bool:
            return True

        def read_bit(self) -> int:
            return 0

        def write_bit(self, bit: int) -> None:
            pass

    with pytest.raises(BadAnswer, match="shorted"):
        Ds18b20(OneWireBus([Shorted()])).read()


def test_ds18b20_two_on_one_wire() -> None:
    """Driver case and air: each answers to its own number only."""
    models = [Ds18b20Model(1), Ds18b20Model(2)]
    bus = OneWireBus(models)
    both = [Ds18b20(bus, rom=model.rom) for model in models]
    for i, model in enumerate(models):
        model.sixteenths = 160 * (i + 1)
        both[i].read()
    for model in models:
        model.tick(750)
    assert [one.read() for one in both] == [100, 200]
    with pytest.raises(OutOfRange):
        Ds18b20(bus, rom=models[0].rom[:7] + b"\x00")


def test_ds18b20_coarse_resolution() -> None:
    """At 9 bits the low three bits mean nothing, and must not be read as temperature."""
    model, thermometer = bench_thermometer()
    model.scratchpad[4] = 0x1F
    model.sixteenths = 0x0197
    model.tick(750)
    assert thermometer.read() == 250


# ----- tilt -----------------------------------------------------------------------------------------------------------

AXIS = st.integers(-2048, 2047)


@given(AXIS, AXIS, AXIS, AXIS, AXIS, AXIS)
def test_angle_is_the_arc_cosine(x: int, y: int, z: int, u: int, v: int, w: int) -> None:
    """CORDIC in integers against the library's floats: a tenth of a degree."""
    cross = math.dist((0, 0, 0), (y * w - z * v, z * u - x * w, x * v - y * u))
    expected = math.degrees(math.atan2(cross, x * u + y * v + z * w))
    if min(x * x + y * y + z * z, u * u + v * v + w * w) > 100**2:
        assert abs(angle_dd(x, y, z, u, v, w) - expected * 10) <= 1.5
    else:
        assert 0 <= angle_dd(x, y, z, u, v, w) <= 1800


@given(st.integers(0, 2**48))
def test_root(value: int) -> None:
    """The integer root is the floor of the true one."""
    assert root(value) == math.isqrt(value)


def bench_tilt(**options: tuple[int, int, int]) -> tuple[Lis3dhModel, Lis3dh]:
    model = Lis3dhModel()
    sensor = Lis3dh(I2CBus([model]), **options)
    assert sensor.read() == UNKNOWN
    return model, sensor


def test_lis3dh_tilt_from_any_mounting() -> None:
    """A pole that leans after a lorry must be seen however the board sits in the luminaire."""
    model, sensor = bench_tilt()
    model.x_mg, model.y_mg, model.z_mg = 600, -640, 480
    model.tick(100)
    assert sensor.read() == UNKNOWN
    assert sensor.take_reference() == (600, -640, 480)
    assert sensor.read() == 0
    model.x_mg, model.y_mg, model.z_mg = 640, 600, 480
    model.tick(200)
    assert sensor.read() == pytest.approx(10 * math.degrees(math.acos(0.2304)), abs=1)


def test_lis3dh_shock_is_latched() -> None:
    """A crash lasts 100 ms and the reader comes once a second."""
    model, sensor = bench_tilt()
    model.tick(100)
    model.hit(400)
    sensor.read()
    assert sensor.shocks == 0
    model.hit(900)
    sensor.read()
    sensor.read()
    assert sensor.shocks == 1


def test_lis3dh_swinging_is_no_tilt() -> None:
    """In a gale acceleration is not gravity: the last angle stands."""
    model, sensor = bench_tilt(reference_mg=(0, 0, 1000))
    model.tick(100)
    assert sensor.read() == 0
    model.x_mg = 1500
    model.tick(200)
    with pytest.raises(BadAnswer):
        sensor.read()
    assert sensor.tilt_dd == 0


def test_lis3dh_refuses() -> None:
    """Another part, and references that are no gravity."""
    model = Lis3dhModel()
    model.fault = "wrong_id"
    with pytest.raises(WrongDevice):
        Lis3dh(I2CBus([model])).read()
    with pytest.raises(OutOfRange):
        Lis3dh(I2CBus([]), reference_mg=(0, 0, 100))
    with pytest.raises(OutOfRange):
        Lis3dh(I2CBus([])).take_reference()
