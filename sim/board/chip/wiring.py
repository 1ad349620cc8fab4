"""Which chip hangs where. The wiring is part of the board's settings, written by the host from its JSON file:

{"i2c": {"0": [{"model": "sim.board.chips.bh1750:Bh1750", "address": 35, "name": "lux"}]},
 "uart": {"1": {"model": "...", "name": "meter"}}, "adc": {"34": {...}}, "pin": {"4": {...}}}

A model is made with what its entry has beside `model` and `name`. `name` is what the host calls it by in the
operations `fault` ({"op": "fault", "name": "lux", "fault": "no_answer"}) and `set` ({"op": "set", "name": "lux",
"what": "lux", "value": 12}). Models learn the time by `tick(now_ms)`, before every access and at least once a second.
"""

from . import wire
from .clock import MASK

_models = {}
_TICK_MS = 1000


class _Ticker:
    """A timer of the board's that tells the models the time."""

    def __init__(self, idle):
        self._idle = idle
        self.due30 = idle.clock.world_ms30()

    def fire(self):
        now = self._idle.clock.ticks_ms()
        for model in _models.values():
            model.tick(now)
        self.due30 = (self.due30 + _TICK_MS) & MASK


def hang(wiring, idle):
    """Make the models and hang them on buses and pins; import them first, while the board's code is mounted."""
    from . import machine_bus, machine_pin

    if not wiring:
        return
    from sim.board.chips import buses

    for number, entries in wiring.get("i2c", {}).items():
        key = int(number) if number.isdigit() else number
        machine_bus.i2c_buses[key] = buses.I2CBus([_make(entry) for entry in entries])
    for number, entry in wiring.get("uart", {}).items():
        machine_bus.uart_lines[int(number)] = buses.UartLine(_make(entry))
    for number, entry in wiring.get("adc", {}).items():
        machine_pin.hang_adc(int(number), buses.AdcInput(_make(entry)))
    for number, entry in wiring.get("pin", {}).items():
        machine_pin.hang(int(number), _make(entry))
    ticking = _Ticker(idle)
    idle.timers.append(ticking)
    idle.reschedule()


def _make(entry):
    path, name = entry["model"].split(":")
    module = __import__(path, None, None, (name,))
    arguments = {}
    for key, value in entry.items():
        if key not in ("model", "name"):
            arguments[key] = value
    model = getattr(module, name)(**arguments)
    _models[entry.get("name", entry["model"])] = model
    return model


def _fault(message):
    _models[message["name"]].fault = message["fault"]


def _set(message):
    setattr(_models[message["name"]], message["what"], message["value"])


wire.operations["fault"] = _fault
wire.operations["set"] = _set
