"""`esp32`: NVS over a mapped file, RMT whose pulses are recorded, a minimal Partition, heap information, PCNT."""

import gc

from . import idle, wire
from .machine_bus import before_access

NVS_BYTES = 16384
HEAP_DATA = 4
HEAP_EXEC = 2
WAKEUP_ALL_LOW = 0
WAKEUP_ANY_HIGH = 1

_ENOENT = -0x1102  # ESP_ERR_NVS_NOT_FOUND, negative as the port raises it
_EFULL = -0x1105
_I32 = 1
_BLOB = 2

_nvs = None


def attach(memory):
    """Take the mapped memory of NVS: records of (kind, name length, data length low, high, name, data), then zeros."""
    global _nvs
    _nvs = memory


def _records():
    at = 0
    while at + 4 <= NVS_BYTES and _nvs[at]:
        length = 4 + _nvs[at + 1] + _nvs[at + 2] + 256 * _nvs[at + 3]
        yield at, length
        at += length


class NVS:
    """Key and value storage of one namespace: 32-bit integers and blobs. Each change is whole, or not there."""

    def __init__(self, namespace):
        self._prefix = namespace.encode() + b"\0"

    def _find(self, kind, key):
        name = self._prefix + key.encode()
        for at, length in _records():
            start = at + 4 + len(name)
            if _nvs[at] == kind and _nvs[at + 1] == len(name) and bytes(_nvs[at + 4 : start]) == name:
                return at, start, length
        return -1, 0, 0

    def _set(self, kind, key, data):
        name = self._prefix + key.encode()
        kept = bytearray()
        for at, length in _records():
            if bytes(_nvs[at + 4 : at + 4 + _nvs[at + 1]]) != name:
                kept += _nvs[at : at + length]
        if data is not None:
            kept += bytes((kind, len(name), len(data) & 0xFF, len(data) >> 8)) + name + data
        if len(kept) + 1 > NVS_BYTES:
            raise OSError(_EFULL, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        _nvs[: len(kept)] = kept
        _nvs[len(kept)] = 0

    def set_i32(self, key, value):
        """Store an integer."""
        self._set(_I32, key, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def get_i32(self, key):
        """Return an integer; OSError where there is none."""
        at, start, _ = self._find(_I32, key)
        if at < 0:
            raise OSError(_ENOENT, "ESP_ERR_NVS_NOT_FOUND")
        value = int.from_bytes(_nvs[start : start + 4], "little")
        return value - 0x100000000 if value & 0x80000000 else value

    def set_blob(self, key, value):
        """Store bytes."""
        self._set(_BLOB, key, bytes(value))

    def get_blob(self, key, buffer):
        """Fill the buffer; return the length. OSError where there is none or the buffer is short."""
        at, start, length = self._find(_BLOB, key)
        if at < 0:
            raise OSError(_ENOENT, "ESP_ERR_NVS_NOT_FOUND")
        size = at + length - start
        if size > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[:size] = _nvs[start : at + length]
        return size

    def erase_key(self, key):
        """Remove a key; OSError where there is none."""
        if self._find(_I32, key)[0] < 0 and self._find(_BLOB, key)[0] < 0:
            raise OSError(_ENOENT, "ESP_ERR_NVS_NOT_FOUND")
        self._set(0, key, None)

    def commit(self):
        """Do nothing: what is set is stored."""


class RMT:
    """The pulse transmitter: pulses go to the host as an event, and to the model that hangs on the pin, if any."""

    PULSE_MAX = 32767

    def __init__(
        self, channel=0, pin=None, clock_div=8, idle_level=0, resolution_hz=None, tx_carrier=None, num_symbols=0
    ):
        self._pin = pin
        self._tick_ns = 1000000000 // resolution_hz if resolution_hz else clock_div * 25 // 2
        self._idle_level = idle_level
        self._is_looping = False

    def write_pulses(self, duration, data=True):
        """Send: a list of durations with alternating levels from `data`, or one duration and a list of levels."""
        if type(duration) is int:
            pulses = [(duration * self._tick_ns, 1 if level else 0) for level in data]
        elif data is True or data is False or type(data) is int:
            level = 1 if data else 0
            pulses = []
            for one in duration:
                pulses.append((one * self._tick_ns, level))
                level = 1 - level
        else:
            pulses = [(one * self._tick_ns, 1 if level else 0) for one, level in zip(duration, data)]
        line = self._pin.line
        if line is not None and hasattr(line, "write_pulses"):
            line.write_pulses([one[0] // 1000 for one in pulses], [one[1] for one in pulses], self._idle_level)
        wire.post("rmt", ',"n":%d,"count":%d,"ns":%d' % (self._pin.number, len(pulses), sum(p[0] for p in pulses)))

    def wait_done(self, timeout=0):
        """Return whether the last pulses are out; at once where no model hangs on the pin."""
        line = self._pin.line
        return line.wait_done() if hasattr(line, "wait_done") else True

    def loop(self, enable):
        """Note that the pattern repeats."""
        self._is_looping = bool(enable)

    def deinit(self):
        """Do nothing."""

    def source_freq(self):
        """Return Hz."""
        return 80000000


class PCNT:
    """The pulse counter: counts by a model's PulseCounter where the wiring has one."""

    HOLD = 0
    INCREMENT = 1
    DECREMENT = 2
    sources = {}

    def __init__(self, id, pin=None, rising=0, falling=0, **settings):
        self._model = PCNT.sources.get(getattr(pin, "number", -1))
        self._zero = 0

    def init(self, **settings):
        """Do nothing."""

    def value(self, value=None):
        """Return the count, and set it where a value is given."""
        before_access[0]()
        raw = self._model.value() if self._model else 0
        now = raw - self._zero
        if value is not None:
            self._zero = raw - value
        return now

    def start(self):
        """Do nothing: it counts always."""

    def stop(self):
        """Do nothing."""


class Partition:
    """The running application and the file system, as far as a health report asks."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id=1, block_size=4096):
        self._label = id if isinstance(id, str) else "factory"

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        """Return the one partition of that type."""
        return [Partition("factory" if type == Partition.TYPE_APP else "vfs")]

    def info(self):
        """Return (type, subtype, address, size, label, encrypted)."""
        if self._label == "factory":
            return (0, 0, 0x10000, 0x1F0000, "factory", False)
        return (1, 0x81, 0x200000, 0x200000, "vfs", False)

    def get_next_update(self):
        """Refuse: the stock table has one application."""
        raise OSError(2)

    @staticmethod
    def mark_app_valid_cancel_rollback():
        """Do nothing: there is nothing to roll back to."""


def idf_heap_info(capabilities):
    """Return (total, free, largest free, lowest ever free) of one region, taken from the Python heap's figures."""
    free = gc.mem_free()
    return [(gc.mem_alloc() + free, free, free, free)]


def raw_temperature():
    """Return degrees Fahrenheit, as the classic ESP32 does."""
    return 104


def mcu_temperature():
    """Return degrees Celsius."""
    return 40


def wake_on_ext0(pin=None, level=None):
    """Do nothing."""


def gpio_deep_sleep_hold(enable):
    """Do nothing."""


def uptime_ms():
    """Return ms since power on (not on the chip; for tests of this board)."""
    return idle.clock.ticks_ms()
