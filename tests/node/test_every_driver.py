"""Every driver of the catalogue, wired by `firmware/wiring.py` on the virtual board: its value reaches the journal and
the reports, and its failure is told.

One life of one node with four outputs and all twelve sensors that a node may have, at models of the chips on their
buses. Which driver is where stands in one table; a driver that is in no table fails the first test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from firmware.system import intake_apply as kinds
from firmware.system.journal_read import JournalError, Segment
from host_tools.catalogue import load as load_catalogue
from sim.board.virtual_board import VirtualBoard
from tests.conftest import require_runtime
from tests.node.whole_node import EXAMPLE, NODE, Town

RATE = 20
# Twelve sensors and four lamps are no node that anybody builds: memory is measured elsewhere (test_node_heap.py).
HEAP_BYTES = 400 * 1024

HARDWARE = """
mqtt: {{host: 127.0.0.1, port: {port}, server_name: {name}, window: 0 s, keepalive: 5 min}}
wifi: {{ssid: rue}}
wave: {{channel: 6}}
reports: {{status: 1 min, energy: 15 min}}
clock: {{drift: 20 ppm}}
kinds:
  everything:
    buses:
      i2c0: {{scl: 22, sda: 21}}
      uart1: {{tx: 23, rx: 39, baud: 256000}}
      uart2: {{tx: 18, rx: 36, baud: 9600}}
      dali0: {{tx: 17, rx: 16}}
    outputs:
      - dimmer: {{name: dimmer_pwm, pin: 25}}
        relay: {{name: relay, pin: 13}}
      - dimmer: {{name: dimmer_0_10v, pin: 26}}
        relay: {{name: relay_latching, pins: [32, 33]}}
      - dimmer: {{name: dali, bus: dali0, address: 0}}
      - dimmer: {{name: dimmer_pwm, pin: 27}}
    clock_chip: {{name: ds3231, bus: i2c0}}
    sensors:
      - {{name: ade7953, bus: i2c0, lamps: [0]}}
      - {{name: presence_input, pin: 4, lamps: [0]}}
      - {{name: bh1750, bus: i2c0, lamps: [0], period: 2 s}}
      - {{name: ntc, pin: 34, lamps: [0], period: 2 s}}
      - {{name: lis3dh, bus: i2c0, lamps: [0], period: 2 s, reference_mg: [0, 0, 1000]}}
      - {{name: ld2410, bus: uart1, lamps: [1]}}
      - {{name: veml7700, bus: i2c0, lamps: [1], period: 2 s}}
      - {{name: ds18b20, pin: 14, lamps: [1], period: 2 s}}
      - {{name: bl0937, pins: [5, 19, 2], lamps: [1], period: 2 s}}
      - {{name: dali_meter, bus: dali0, address: 0, lamps: [2]}}
      - {{name: nmea_gnss, bus: uart2, lamps: [2]}}
      - {{name: photocell, pin: 35, lamps: [3], period: 2 s, curve: [[100000, 0], [2900000, 280]]}}
nodes:
  L003: {{kind: everything, lamps: [L003, L001, L002, L004]}}
"""
CHIPS = "sim.board.chips."
WIRING: dict[str, Any] = {
    "i2c": {
        "0": [
            {"model": CHIPS + "ade7953:Ade7953Model", "name": "ade7953"},
            {"model": CHIPS + "bh1750:Bh1750Model", "name": "bh1750"},
            {"model": CHIPS + "veml7700:Veml7700Model", "name": "veml7700"},
            {"model": CHIPS + "lis3dh:Lis3dhModel", "name": "lis3dh"},
            {"model": CHIPS + "ds3231:Ds3231Model", "name": "ds3231", "time": [2026, 11, 24, 23, 0, 0]},
        ]
    },
    "uart": {
        "1": {"model": CHIPS + "ld2410:Ld2410Model", "name": "ld2410"},
        "2": {"model": CHIPS + "nmea_gnss:NmeaGnssModel", "name": "nmea_gnss"},
    },
    "adc": {
        "34": {"model": CHIPS + "analogue:DividerModel", "name": "ntc"},
        "35": {"model": CHIPS + "analogue:VoltageModel", "name": "photocell"},
    },
    "pin": {"4": {"model": CHIPS + "presence_pin:PresencePinModel", "name": "presence_input"}},
    "onewire": {"14": [{"model": CHIPS + "ds18b20:Ds18b20Model", "name": "ds18b20"}]},
    "pulses": {
        "model": CHIPS + "bl0937:Bl0937Model", "name": "bl0937", "pins": {"5": "cf", "19": "cf1"},
        "outputs": {"2": "sel"},
    },
    # Models are told the time before each access anyway.
    "tick_ms": 1000,
    "dali": {"tx": 17, "rx": 16, "gears": [{"model": CHIPS + "dali_gear:Gear", "short": 0, "name": "gear"}]},
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A sensor: what its model is set to, which input of which lamp must come of it, and the fault that tells its loss.

    ``fault``: what is done to the model; ``told``: the fault reported then ("": the log alone tells it).
    """

    driver: str
    lamp: int
    world: dict[str, int]
    kind: int
    is_right: Callable[[list[int]], bool]
    fault: str = "no_answer"
    told: str = ""


def near(place: int, wanted: int, off: int) -> Callable[[list[int]], bool]:
    """Return what tells whether a value of an input is near enough."""
    return lambda values: abs(values[place] - wanted) <= off


CASES = (
    Case("presence_input", 0, {"somebody": 1}, kinds.INPUT_PRESENCE, near(0, 1, 0), fault=""),
    Case("ld2410", 1, {"state": 1}, kinds.INPUT_PRESENCE, near(0, 1, 0), told="sensorSilent"),
    Case("bh1750", 0, {"lux": 4}, kinds.INPUT_LUX, near(0, 4, 1), told="photocellFailure"),
    Case("veml7700", 1, {"lux_e4": 900_000}, kinds.INPUT_LUX, near(0, 90, 5), told="photocellFailure"),
    # Open divider: the wire is cut.
    Case("photocell", 3, {"uv": 1_200_000}, kinds.INPUT_LUX, near(0, 110, 3), told="photocellFailure"),
    Case("ntc", 0, {"milliohm": 5_000_000}, kinds.INPUT_TEMPERATURE, lambda values: 350 < values[0] < 500),
    Case("ds18b20", 1, {"sixteenths": 16 * 47}, kinds.INPUT_TEMPERATURE, near(0, 470, 5)),
    Case("ade7953", 0,
         {"voltage_uv": 232_088, "current_uv": 278, "power_pv2": 64_000_000, "power_factor_e15": 31_000},
         kinds.INPUT_SAMPLE, near(0, 64_000, 2000), told="meterMissing"),
    Case("bl0937", 1, {"voltage_mv": 230_000, "current_ma": 278, "power_mw": 64_000}, kinds.INPUT_SAMPLE,
         lambda values: abs(values[0] - 64_000) < 3000 and abs(values[1] - 2300) < 60),
    Case("dali_meter", 2, {}, kinds.INPUT_SAMPLE, near(0, 38_500, 0)),
    Case("lis3dh", 0, {}, -1, lambda values: True),
    Case("nmea_gnss", 2, {"second": 82_800}, -1, lambda values: True),
)  # fmt: skip
# What is no sensor. Dimmers and relays are looked at while they obey, the clock chip gives the first time, and the
# radio of the neighbours has its frames looked at elsewhere (test_wave.py, test_board_links.py, the demo).
OTHERS = {"dimmer_pwm", "dimmer_0_10v", "dali", "relay", "relay_latching", "ds3231", "espnow_radio"}
# Outputs with a pin for the level; the relay's coil, and the latching one's that closes.
PWM_PINS = {0: 25, 1: 26, 3: 27}
COILS = (13, 32)


def test_no_driver_of_the_catalogue_is_left_out():
    """A driver that is tested alone and wired by nobody is a line in a table (dali_meter was one). So each is here."""
    assert {case.driver for case in CASES} | OTHERS == set(load_catalogue())
    assert all(name in HARDWARE for name in OTHERS - {"espnow_radio"} | {case.driver for case in CASES})


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "town", hardware=HARDWARE)
    yield made
    made.close()


def inputs(board: VirtualBoard) -> list[tuple[int, int, list[int]]]:
    """Return (lamp, kind, values) of all that the node's journal has."""
    found = []
    for path, data in sorted(board.files().items()):
        if not path.endswith(".jnl"):
            continue
        try:
            segment = Segment(data)
            while segment.next():
                found.append((segment.lamp, segment.kind, list(segment.values)))
        except JournalError as error:
            raise AssertionError(f"{path}: {error}") from error
    return found


def wait_virtual(board: VirtualBoard, seconds: float) -> None:
    """Let virtual seconds pass, for two minutes at most."""
    end_s = board.street.now_s + seconds
    until = time.monotonic() + 120
    while board.street.now_s < end_s:
        assert time.monotonic() < until
        time.sleep(0.05)


def started(town: Town) -> VirtualBoard:
    """Start the node at dusk, with its models in the world's state."""
    board = town.board(
        require_runtime("micropython32"), world=datetime(2026, 11, 24, 23), heap_bytes=HEAP_BYTES, rate=RATE,
        wiring=WIRING,
    )  # fmt: skip
    board.start()
    for case in CASES:
        for what, value in case.world.items():
            board.send("set", name=case.driver, what=what, value=value)
    # From the clock chip, before any network.
    assert town.wait_for("status", lambda twin: twin["clock"] == "good", timeout_s=60)
    return board


def obeys(town: Town, board: VirtualBoard) -> None:
    """Tell each output a level that it does not have, and see its pin or its gear take it."""
    for coil in COILS:
        assert any(event["e"] == "pin" and (event["n"], event["v"]) == (coil, 1) for event in board.events), coil
    for lamp, level in ((0, 300), (1, 350), (2, 400), (3, 450)):
        mark = len(board.events)
        before = board.model("gear", "_to")
        fields = {"lamp": lamp, "level_permille": level, "duration_min": 2, "ramp_to_ms": 0}
        assert town.command(board, "dim", fields)["verdict"] == "done"
        if lamp in PWM_PINS:
            pin = PWM_PINS[lamp]
            board.wait_for(lambda event, pin=pin: event["e"] == "pwm" and event["n"] == pin, since=mark, timeout_s=30)
            continue
        until = time.monotonic() + 30
        while board.model("gear", "_to") == before:
            assert time.monotonic() < until, "the gear keeps its level"


def faults(town: Town) -> set[tuple[int, str]]:
    """Return the faults that were raised and told so far."""
    return {
        (twin["lamp"], twin["fault"])
        for kind, twin in list(town.messages)
        if kind == "event" and twin["message"] == "fault" and twin["is_active"] == "raised"
    }


@pytest.mark.timeout(400)
def test_every_sensor_is_heard_and_its_loss_is_told(town: Town):
    """A sensor is worth its price when what it sees reaches the lamp, and its end reaches the operator. So each is set
    to a value, which the journal must have as the input of its lamp, and then torn off, which a fault or the node's log
    must tell; what a steady meter says must be judged, and not be taken for silence."""
    assert EXAMPLE.exists() and NODE == "L003"
    board = started(town)
    obeys(town, board)
    wait_virtual(board, 130)
    gear = town.wait_for("event", lambda twin: twin["message"] == "gear", timeout_s=60)
    assert (gear["lamp"], gear["gear_h"], gear["light_h"], gear["gear_starts"]) == (2, 4100, 4000, 365)
    assert int(gear["gtin"], 16) == 3760123456789 and gear["gear_wh"] == 123456
    status = town.wait_for("status", lambda twin: twin["lamp"] == 2 and twin["temperature_dc"] is not None)
    assert (status["temperature_dc"], status["power_mw"]) == (410, 38_500)
    # For two minutes lamp 0 was told 30 %, and its meter went on to say 64 W: what lasts is told. Nothing else is
    # wrong, and above all no meter is missing that says the same again and again.
    assert faults(town) == {(0, "dimmingFailure")}, faults(town)
    mark = len(town.messages)
    for case in CASES:
        if case.fault:
            name = "gear" if case.driver == "dali_meter" else case.driver
            board.send("fault", name=name, fault=case.fault)
    board.send("set", name="lis3dh", what="x_mg", value=700)
    wait_virtual(board, 110)
    told = faults(town)
    sender = town.sender()
    log = b""
    while True:
        fields = {"log": "errors", "offset": len(log), "most_bytes": 1000}
        town.messages[:] = [one for one in town.messages if one[1].get("message") != "log"]
        town.command(board, "log_read", fields, sender=sender)
        part = town.wait_for("ack", lambda twin: twin["message"] == "log", timeout_s=30)
        log += bytes.fromhex(part["chunk"])
        if len(log) >= part["length"]:
            break
    text = log.decode(errors="replace")
    town.command(board, "reset", {"mode": "restart"}, sender=sender)
    board.wait_for("reset", timeout_s=60)
    board.power_cut()
    came = inputs(board)
    missed = []
    for case in CASES:
        if case.kind >= 0 and not any(
            (lamp, kind) == (case.lamp, case.kind) and case.is_right(values) for lamp, kind, values in came
        ):
            had = [values for lamp, kind, values in came if (lamp, kind) == (case.lamp, case.kind)][:5]
            missed.append(f"{case.driver}: not heard by lamp {case.lamp}; it had {had}")
        if case.told and (case.lamp, case.told) not in told:
            missed.append(f"{case.driver}: {case.told} of lamp {case.lamp} was not told; {sorted(told)}")
        if case.fault and f"lost: {case.driver}:" not in text:
            missed.append(f"{case.driver}: its loss is not in the log: {text}")
    assert not missed, "\n".join(missed)
    assert (2, "controlGearCommFailure") in told, "the DALI gear is silent"
    assert mark
