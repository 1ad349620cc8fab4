"""Which chip hangs where. The wiring is part of the board's settings, written by the host:

{"i2c":     {"0": [{"model": "sim.board.chips.bh1750:Bh1750Model", "address": 35, "name": "lux"}]},
 "uart":    {"1": {"model": "sim.board.chips.ld2410:Ld2410Model"}},
 "adc":     {"34": {"model": "sim.board.chips.analogue:VoltageModel"}},
 "pin":     {"4": {"model": "sim.board.chips.presence_pin:PresencePinModel", "name": "pir"}},
 "onewire": {"14": [{"model": "sim.board.chips.ds18b20:Ds18b20Model"}]},
 "pulses":  {"model": "sim.board.chips.bl0937:Bl0937Model", "pins": {"25": "cf"}, "outputs": {"27": "sel"}},
 "dali":    {"tx": 17, "rx": 16, "gears": [{"model": "sim.board.chips.dali_gear:Gear", "short": 0}]}}

An I2C bus is named by its number, or by "scl,sda" for a SoftI2C on those pins. A model is made with what its entry has
beside `model` and `name`. `name` (else the class's) is what the host calls it by in the operations
{"op": "fault", "name": "lux", "fault": "no_answer"} and {"op": "set", "name": "lux", "what": "lux", "value": 12}, and
{"op": "get", "name": "lux", "what": "lux"}, which an event `got` answers: what the part has become.
Models learn the time, in ms since this start of the process, before every access and at least every 100 ms, or every
"tick_ms": 60000 where the wiring says so (a clock chip needs it only when it is read, and each tick wakes the board).
"""

from . import idle, machine_bus, machine_pin, vesp32, vmachine, vonewire, wire
from .clock import MASK

_TICK_MS = 100
_models = {}
_start_s = 0
_start_ms = 0


def _now_ms():
    """Return ms since this start; beyond 12 days the number needs the heap on a 32-bit interpreter."""
    s, ms = idle.clock.stamp()
    return (s - _start_s) * 1000 + ms - _start_ms


def tick():
    """Tell every model the time."""
    now_ms = _now_ms()
    for model in _models.values():
        if hasattr(model, "tick") and not hasattr(model, "advance"):
            model.tick(now_ms)


class _Ticker:
    """A timer of the board's that tells the models the time."""

    def __init__(self, period_ms):
        self._period_ms = period_ms
        self.due30 = idle.clock.world_ms30()

    def fire(self):
        tick()
        self.due30 = (idle.clock.world_ms30() + self._period_ms) & MASK


def hang(wiring):
    """Make the models and hang them on buses and pins; called while the board's code is still mounted."""
    global _start_s, _start_ms
    if not wiring:
        return
    from sim.board.chips import buses

    _start_s, _start_ms = idle.clock.stamp()
    machine_bus.before_access[0] = tick
    for number, entries in wiring.get("i2c", {}).items():
        key = number if "," in number else int(number)
        machine_bus.i2c_buses[key] = buses.I2CBus([_make(entry) for entry in entries])
    for number, entry in wiring.get("uart", {}).items():
        machine_bus.uart_lines[int(number)] = buses.UartLine(_make(entry))
    for number, entry in wiring.get("adc", {}).items():
        machine_pin.hang_adc(int(number), buses.AdcInput(_make(entry)))
    for number, entry in wiring.get("onewire", {}).items():
        vonewire.buses[int(number)] = buses.OneWireBus([_make(one) for one in entry])
    for number, entry in wiring.get("pin", {}).items():
        _follow(int(number), _make(entry).pin)
    if "pulses" in wiring:
        _hang_pulses(wiring["pulses"])
    if "dali" in wiring:
        from .dali_port import DaliPort

        entry = wiring["dali"]
        gears = [_make(one, "gear%d" % at) for at, one in enumerate(entry["gears"])]
        _models[entry.get("name", "dali")] = DaliPort(entry["tx"], entry["rx"], gears).bus
    idle.timers.append(_Ticker(wiring.get("tick_ms", _TICK_MS)))
    idle.reschedule()


def _make(entry, name=None):
    path, class_name = entry["model"].split(":")
    module = __import__(path, None, None, (class_name,))
    arguments = {}
    for key, value in entry.items():
        if key not in ("model", "name", "pins", "outputs"):
            arguments[key] = value
    model = getattr(module, class_name)(**arguments)
    _models[entry.get("name", name or class_name)] = model
    return model


def _follow(number, line):
    """Let a pin have the level of a model's PinLine, edge by edge."""
    pin = machine_pin.Pin(number)
    pin.drive(line.value())
    line.irq(lambda line: pin.drive(line.value()))


def _hang_pulses(entry):
    model = _make(entry)
    for number, name in entry["pins"].items():
        vmachine.Counter.sources[int(number)] = getattr(model, name)
        vesp32.PCNT.sources[int(number)] = getattr(model, name)
    for number, name in entry.get("outputs", {}).items():
        machine_pin.hang(int(number), getattr(model, name))


def _fault(message):
    _models[message["name"]].fault = message["fault"]


def _set(message):
    setattr(_models[message["name"]], message["what"], message["value"])


def _get(message):
    value = getattr(_models[message["name"]], message["what"])
    text = str(int(value)) if isinstance(value, int) else '"%s"' % value
    wire.post("got", ',"name":"%s","what":"%s","value":%s' % (message["name"], message["what"], text))


wire.operations["get"] = _get
wire.operations["fault"] = _fault
wire.operations["set"] = _set
