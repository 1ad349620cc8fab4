"""Every sensor, meter and clock driver against the model of its device, through each fault; prints what came of it.

Runs on MicroPython and on CPython as a program, ``micropython tests/node/drivers_main.py [DRIVER …]``, and a test
compares the lines. A line: driver, fault, step, what `read` gave or the name of the error, the attributes.
"""

import sys

from firmware.drivers.ade7953 import Ade7953
from firmware.drivers.bh1750 import Bh1750
from firmware.drivers.bl0937 import HLW8012, Bl0937
from firmware.drivers.contract import DriverError
from firmware.drivers.ds18b20 import Ds18b20
from firmware.drivers.ds3231 import Ds3231
from firmware.drivers.ld2410 import Ld2410, fuzz_ld2410
from firmware.drivers.lis3dh import Lis3dh
from firmware.drivers.nmea_gnss import NmeaGnss, fuzz_nmea
from firmware.drivers.ntc import Ntc, curve_of_beta
from firmware.drivers.photocell import Photocell
from firmware.drivers.presence_input import PresenceInput
from firmware.drivers.pulse_pin import PulsePin
from firmware.drivers.veml7700 import Veml7700
from sim.board.chips.ade7953 import Ade7953Model
from sim.board.chips.analogue import DividerModel, VoltageModel
from sim.board.chips.bh1750 import Bh1750Model
from sim.board.chips.bl0937 import Bl0937Model
from sim.board.chips.buses import FAULTS, AdcInput, I2CBus, OneWireBus, PinLine, UartLine
from sim.board.chips.ds18b20 import Ds18b20Model
from sim.board.chips.ds3231 import Ds3231Model
from sim.board.chips.ld2410 import Ld2410Model
from sim.board.chips.lis3dh import Lis3dhModel
from sim.board.chips.nmea_gnss import NmeaGnssModel
from sim.board.chips.presence_pin import PresencePinModel
from sim.board.chips.veml7700 import Veml7700Model

STEPS = 12
FAULT_STEPS = (4, 8)


class Clock:
    """The ticks that a driver is given, beginning just before their ring ends."""

    def __init__(self):
        self.ms = 0

    def ticks_ms(self):
        """Return ticks on the ring of 2^30."""
        return ((1 << 30) - 5000 + self.ms) & 0x3FFFFFFF


def attributes(driver):
    """Return the public attributes of a driver, in order of their names."""
    found = []
    for name in sorted(dir(driver)):
        value = getattr(driver, name)
        if name[0] != "_" and (value is None or isinstance(value, (int, bool, str, bytearray))):
            found.append(name + "=" + (bytes(value).hex() if isinstance(value, bytearray) else str(value)))
    return " ".join(found)


def run(name, make, step_ms, change=None):
    """Run one driver through all faults: good, a fault from step 4 to 8, good again; the model may ``change``."""
    for fault in FAULTS:
        clock = Clock()
        model, driver, read = make(clock)
        for step in range(STEPS):
            clock.ms += step_ms
            model.tick(clock.ms)
            if change:
                change(model, step)
            if step == FAULT_STEPS[0]:
                model.fault = fault
            elif step == FAULT_STEPS[1]:
                model.fault = "none"
            try:
                result = read()
            except DriverError as error:
                result = type(error).__name__ + " " + error.device + " (" + error.what + ")"
            print(name, fault, step, result, attributes(driver))


def make_bh1750(clock):
    """Return model, driver and what reads it."""
    model = Bh1750Model()
    model.lux = 37
    driver = Bh1750(I2CBus([model]))
    return model, driver, driver.read


def make_veml7700(clock):
    """Return model, driver and what reads it."""
    model = Veml7700Model()
    driver = Veml7700(I2CBus([model]))
    return model, driver, driver.read


def brighten(model, step):
    """Let it go from dusk to noon."""
    model.lux_e4 = 30 << 2 * step


def make_photocell(clock):
    """Return model, driver and what reads it."""
    model = VoltageModel(900000)
    driver = Photocell(AdcInput(model), (200000, 0, 1000000, 40, 2400000, 3000))
    return model, driver, driver.read


def dawn(model, step):
    """Let the voltage rise, and the wire break and short for a moment."""
    model.uv = 300000 + 60000 * step
    model.wire = "open" if step == 2 else "short" if step == 3 else "whole"


def make_ntc(clock):
    """Return model, driver and what reads it."""
    model = DividerModel()
    driver = Ntc(AdcInput(model))
    return model, driver, driver.read


def warm(model, step):
    """Let it warm up."""
    model.milliohm = 30000000 >> step
    model.wire = "open" if step == 2 else "short" if step == 3 else "whole"


def make_bl0937(clock):
    """Return model, driver and what reads it."""
    model = Bl0937Model(bits=15)
    model.current_ma = 435
    model.power_mw = 95000
    driver = Bl0937(model.cf, model.cf1, model.sel, clock.ticks_ms, counter_ring=0x7FFF)
    return model, driver, driver.read


def make_hlw8012(clock):
    """Return model, driver and what reads it."""
    model = Bl0937Model(is_hlw8012=True)
    model.current_ma = 435
    model.power_mw = 95000
    driver = Bl0937(model.cf, model.cf1, model.sel, clock.ticks_ms, part=HLW8012, name="hlw8012")
    return model, driver, driver.read


def make_ade7953(clock):
    """Return model, driver and what reads it."""
    model = Ade7953Model()
    # 230 V through 1:991, 0.435 A through 1 mohm, power factor 0.95.
    model.voltage_uv = 232089
    model.current_uv = 435
    model.power_pv2 = 95910779
    model.power_factor_e15 = 31130
    driver = Ade7953(I2CBus([model]))
    return model, driver, driver.read


def make_ds3231(clock):
    """Return model, driver and what reads it; it is set one second before a century ends."""
    model = Ds3231Model()
    driver = Ds3231(I2CBus([model]))
    driver.set(36524, 86396)
    model.set_temperature_quarters(-41)

    def read():
        driver.read_temperature()
        return driver.read()

    return model, driver, read


def make_ds18b20(clock):
    """Return model, driver and what reads it."""
    model = Ds18b20Model()
    model.sixteenths = -162
    driver = Ds18b20(OneWireBus([model]))
    return model, driver, driver.read


def make_lis3dh(clock):
    """Return model, driver and what reads it."""
    model = Lis3dhModel()
    driver = Lis3dh(I2CBus([model]), reference_mg=(0, 0, 1000))
    return model, driver, driver.read


def lean(model, step):
    """Let the pole lean, and somebody drive into it."""
    model.x_mg = 17 * step
    if step == 6:
        model.hit(900)


def make_ld2410(clock):
    """Return model, driver and what reads it."""
    model = Ld2410Model()
    model.distance_cm = 81
    driver = Ld2410(UartLine(model), told.append)

    def read():
        driver.poll(clock.ticks_ms())
        if clock.ms == 900:
            driver.configure(clock.ticks_ms(), 6, 5, 30)
        if clock.ms == 2700:
            driver.read_firmware(clock.ticks_ms())
        return str(driver.is_alive(clock.ticks_ms())) + " " + str(len(told))

    return model, driver, read


told = []


def walk(model, step):
    """Let somebody come and go."""
    model.state = step % 4
    model.is_engineering = step % 3 == 0


def make_nmea(clock):
    """Return model, driver and what reads it."""
    model = NmeaGnssModel()
    driver = NmeaGnss(UartLine(model), 9497)

    def read():
        result = driver.poll(clock.ticks_ms())
        return str(result) + " " + str(driver.is_alive(clock.ticks_ms()))

    return model, driver, read


def make_presence(clock):
    """Return model, driver and what reads it."""
    model = PresencePinModel()
    driver = PresenceInput(model.pin, told.append, stretch_ms=500, storm_per_s=6, ticks_ms=clock.ticks_ms)

    def read():
        driver.poll()
        return driver.value()

    return model, driver, read


def come(model, step):
    """Let somebody come and go."""
    model.somebody = step >> 1 & 1


def pulses():
    """Count pulses in the interrupt, and survive a storm."""
    clock = Clock()
    pin = PinLine()
    counter = PulsePin(pin, clock.ticks_ms, storm_per_s=100)
    for second in range(6):
        for _ in range(1000 if second == 2 else 20):
            pin.drive(1)
            pin.drive(0)
        clock.ms += 1000
        print("pulse_pin", second, counter.value(), counter.storms, counter.is_masked)


def parse_noise():
    """Feed both parsers a fixed sequence of noise with sentences and reports in it."""
    radar = Ld2410Model()
    gnss = NmeaGnssModel()
    for case in range(60):
        radar.state = case % 4
        radar.distance_cm = case
        radar.is_engineering = case % 3 == 0
        noise = bytes([gnss.chance(256) for _ in range(case)])
        print("fuzz", fuzz_ld2410(noise + radar.report() * 6), fuzz_nmea(noise + gnss.sentences() + noise))
        # One to three bytes of good messages changed.
        frames = bytearray(radar.report() * 3)
        lines = bytearray(gnss.sentences())
        for _ in range(1 + case % 3):
            frames[gnss.chance(len(frames))] = gnss.chance(256)
            lines[gnss.chance(len(lines))] = gnss.chance(256)
        print("torn", fuzz_ld2410(frames), fuzz_nmea(lines))


def main(wanted):
    """Run as the module says."""
    table = (
        ("bh1750", make_bh1750, 200, None),
        ("veml7700", make_veml7700, 1700, brighten),
        ("photocell", make_photocell, 1000, dawn),
        ("ntc", make_ntc, 1000, warm),
        ("bl0937", make_bl0937, 7000, None),
        ("hlw8012", make_hlw8012, 7000, None),
        ("ade7953", make_ade7953, 10000, None),
        ("ds3231", make_ds3231, 1000, None),
        ("ds18b20", make_ds18b20, 800, None),
        ("lis3dh", make_lis3dh, 100, lean),
        ("ld2410", make_ld2410, 300, walk),
        ("nmea_gnss", make_nmea, 1000, None),
        ("presence", make_presence, 300, come),
    )
    for name, make, step_ms, change in table:
        if not wanted or name in wanted:
            run(name, make, step_ms, change)
    pulses()
    parse_noise()
    print("curve", curve_of_beta(47000, 4050, 4700, 3300000, False))
    print("told", len(told), sum(told))


if __name__ == "__main__":
    main(sys.argv[1:])
