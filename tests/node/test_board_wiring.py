"""Models of real parts hang on the board's buses: drivers speak to them as to the chip's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.board import rom
from sim.board.virtual_board import VirtualBoard
from tests.runtimes import Runtime

WIRING: dict[str, Any] = {
    "i2c": {"0": [{"model": "sim.board.chips.bh1750:Bh1750Model", "address": 35, "name": "lux"}]},
    "adc": {"34": {"model": "sim.board.chips.analogue:VoltageModel", "uv": 1_200_000, "name": "cell"}},
    "pin": {"4": {"model": "sim.board.chips.presence_pin:PresencePinModel", "name": "pir"}},
    "onewire": {"14": [{"model": "sim.board.chips.ds18b20:Ds18b20Model", "name": "inside"}]},
    "pulses": {"model": "sim.board.chips.bl0937:Bl0937Model", "pins": {"25": "cf"}, "outputs": {"27": "sel"}},
}

SENSORS = """
import machine, time, onewire
i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21))
print(i2c.scan(), machine.I2C(1).scan())
i2c.writeto(35, b"\\x10")
time.sleep_ms(200)
print("lux", i2c.readfrom(35, 2))
print("adc", machine.ADC(machine.Pin(34)).read_uv())
wire = onewire.OneWire(machine.Pin(14))
print("wire", wire.reset(), onewire.OneWire(machine.Pin(15)).reset())
edges = []
pir = machine.Pin(4, machine.Pin.IN)
pir.irq(lambda pin: edges.append(pin.value()))
print("ready")
while not edges:
    time.sleep_ms(10)
print("somebody")
while len(edges) < 2:
    time.sleep_ms(10)
print("edges", edges)
try:
    i2c.readfrom(35, 2)
except OSError as error:
    print("fault", error.errno)
"""


def test_models_answer_on_their_buses(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A driver that works only with a double of its own is not tested as a whole node."""
    with VirtualBoard(tmp_path / "b", micropython_runtime, wiring=WIRING) as board:
        board.install({"main.py": SENSORS})
        board.start()
        board.wait_print("ready")
        board.set_fault("lux", "no_answer")
        board.send("set", name="pir", what="somebody", value=1)
        board.wait_print("somebody")
        board.send("set", name="pir", what="somebody", value=0)
        board.wait_for("repl")
        board.query()
        assert board.printed == [
            "[35] []",
            "lux b'\\x00\\x00'",
            "adc 1200000",
            "wire True False",
            "ready",
            "somebody",
            "edges [1, 0]",
            "fault 19",
        ]


DALI_MAIN = """
import asyncio, machine, esp32
from firmware.drivers.dali_master import DaliMaster, RMT_CLOCK_DIV
from firmware.drivers import dali_procedures as dali
tx, rx = machine.Pin(17, machine.Pin.OUT, value=0), machine.Pin(16, machine.Pin.IN)
rmt = esp32.RMT(0, pin=tx, clock_div=RMT_CLOCK_DIV, idle_level=0)
master = DaliMaster(rmt, rx)
def set_arc(arc):
    yield dali.arc_frame(0, arc)
async def main():
    await asyncio.sleep_ms(200)
    for arc in (254, 100, 37):
        await master.run(set_arc(arc))
        print("level", await master.run(dali.query(0, dali.QUERY_ACTUAL_LEVEL)))
    print("damaged", master.damaged)
asyncio.run(main())
"""


def test_dali_gear_hears_and_answers(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """The lamp's own bus runs through RMT and pin interrupts: the driver must find its answer in the board's edges."""
    files = rom.compiled_tree("firmware/drivers") | rom.compiled_tree("firmware/control")
    wiring = {
        "dali": {"tx": 17, "rx": 16, "gears": [{"model": "sim.board.chips.dali_gear:Gear", "short": 0, "name": "gear"}]}
    }
    with VirtualBoard(tmp_path / "b", micropython_runtime, wiring=wiring, rom_files=files) as board:
        board.install({"main.py": DALI_MAIN})
        board.start()
        board.wait_for("repl")
        board.query()
        assert board.printed == ["level 254", "level 100", "level 37", "damaged 0"]


GUARDED_MAIN = """
from firmware.wiring import Wiring
wiring = Wiring({"dali0": {"tx": 17, "rx": 16}})
for is_guarded in (False, True):
    dimmer = wiring.dimmer({"name": "dali", "bus": "dali0"}, 1000, is_guarded)
    dimmer.write(200)
    print("arc", dimmer._arc)
"""


def test_a_guarded_lamp_is_not_rounded_below_its_class(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """20 % is arc 195 for all makers, and 19.97 % of the light. So where a class is to be kept the next arc is sent."""
    files = rom.compiled_tree("firmware")
    gears = [{"model": "sim.board.chips.dali_gear:Gear", "short": 0, "name": "gear"}]
    wiring = {"dali": {"tx": 17, "rx": 16, "gears": gears}}
    with VirtualBoard(tmp_path / "b", micropython_runtime, wiring=wiring, rom_files=files) as board:
        board.install({"main.py": GUARDED_MAIN})
        board.start()
        board.wait_for("repl")
        board.query()
        assert board.printed == ["arc 195", "arc 196"]


BUS_MAIN = """
import machine, time
i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21))
uart = machine.UART(1, 256000)
print("ready")
time.sleep_ms(300)
i2c.writeto(35, b"\\x10")
time.sleep_ms(200)
i2c.readfrom(35, 2)
uart.write(b"\\xfd\\xfc")
uart.read()
print("done")
"""


def test_what_goes_over_a_bus_is_seen(tmp_path: Path, micropython_runtime: Runtime) -> None:
    """A driver that asks too often, or writes where it should only read, wears parts out unseen. So a test can watch
    the wires, and ask a part what has become of it."""
    wiring = {**WIRING, "uart": {"1": {"model": "sim.board.chips.ld2410:Ld2410Model", "name": "radar"}}}
    with VirtualBoard(tmp_path / "b", micropython_runtime, wiring=wiring) as board:
        board.install({"main.py": BUS_MAIN})
        board.start()
        board.wait_print("ready")
        board.watch("i2c")
        board.watch("uart")
        board.send("set", name="lux", what="lux", value=100)
        board.wait_print("done")
        board.query()
        seen = [(e["n"], e["addr"], e.get("out"), e.get("in")) for e in board.events if e["e"] == "i2c"]
        assert seen == [(0, 35, "10", None), (0, 35, None, "0078")]
        uart = [event for event in board.events if event["e"] == "uart"]
        assert [event["out"] for event in uart if "out" in event] == ["fdfc"]
        assert uart[-1]["in"].startswith("f4f3f2f1")
        assert board.model("lux", "lux") == 100
