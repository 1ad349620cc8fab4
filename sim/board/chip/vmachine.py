"""`machine` as the ESP32 has it: resets, watchdog, timers, and what machine_*.py and bus_*.py bring."""

from . import idle as waiting
from . import irq, layout, machine_rtc
from .clock import MASK, add30, diff30
from .machine_bus import I2C, SPI, UART, SoftI2C, before_access
from .machine_pin import ADC, PWM, Pin, Signal, time_pulse_us
from .machine_rtc import RTC

PWRON_RESET = layout.PWRON_RESET
HARD_RESET = layout.HARD_RESET
WDT_RESET = layout.WDT_RESET
DEEPSLEEP_RESET = layout.DEEPSLEEP_RESET
SOFT_RESET = layout.SOFT_RESET
SLEEP = 2
DEEPSLEEP = 4
EXT0_WAKE = 2
TIMER_WAKE = 4

_shared = None
_mac = b""
_freq = 160000000


def attach(rtc, mac):
    """Take the RTC's fields and the chip's address (6 bytes)."""
    global _shared, _mac
    _shared = rtc
    _mac = mac


def unique_id():
    """Return the chip's 6 bytes."""
    return _mac


def freq(hz=None):
    """Return or set the processor's frequency, which changes nothing here."""
    global _freq
    if hz is not None:
        if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
            raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
        _freq = hz
        return None
    return _freq


def reset_cause():
    """Return why the chip started."""
    return _shared.cause


def reset():
    """Reset the chip, at once."""
    waiting.end(layout.EXIT_HARD_RESET)


def soft_reset():
    """End the program and start it again, as Ctrl-D does."""
    raise SystemExit


def idle():
    """Let interrupts come."""
    waiting.service()


def lightsleep(ms=None):
    """Sleep; everything is kept."""
    waiting.sleep_ms(1 << 28 if ms is None else ms)


def deepsleep(ms=None):
    """Sleep and start again: the sleep itself takes no time here."""
    waiting.end(layout.EXIT_DEEPSLEEP)


def disable_irq():
    """Do nothing: handlers are soft and run inside the board's calls only."""
    return 0


def enable_irq(state):
    """Do nothing."""


def wake_reason():
    """Return 0."""
    return 0


class _WdtBite:
    """The watchdog among the timers: what it fires is a reset."""

    def __init__(self):
        self.due30 = 0
        self.timeout_ms = 0

    def fire(self):
        waiting.end(layout.EXIT_WDT_RESET)


_bite = _WdtBite()


class WDT:
    """The task watchdog: cannot be stopped; a second WDT(timeout=...) changes the time, as the port's source does."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) does not exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _bite.timeout_ms = timeout
        if _bite not in waiting.timers:
            waiting.timers.append(_bite)
        self.feed()

    def feed(self):
        """Say that all is well for another timeout."""
        _bite.due30 = add30(waiting.clock.world_ms30(), _bite.timeout_ms)
        slot = waiting.clock.slot
        slot.wdt_ms30 = _bite.due30
        slot.wdt_armed = 1
        waiting.reschedule()


def resume_watchdog(cause):
    """A soft reset does not stop the watchdog of the chip: it bites whoever stays at the prompt."""
    slot = waiting.clock.slot
    if cause == SOFT_RESET and slot.wdt_armed:
        _bite.due30 = slot.wdt_ms30
        waiting.timers.append(_bite)
        waiting.reschedule()
    else:
        slot.wdt_armed = 0


class Timer:
    """Hardware and virtual timers; callbacks are soft. Hard ones are refused, as on the ESP32."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **kwargs):
        self._callback = None
        self._period = 0
        self._mode = Timer.PERIODIC
        self.due30 = 0
        if kwargs:
            self.init(**kwargs)

    def init(self, mode=PERIODIC, freq=-1, period=-1, callback=None, hard=False):
        """Start: every `period` ms, or `freq` Hz; once or for ever."""
        if hard:
            raise ValueError("hard Timers are not implemented")
        self.deinit()
        self._mode = mode
        self._callback = callback
        self._period = max(1, int(1000 / freq) if freq > 0 else period)
        self.due30 = add30(waiting.clock.world_ms30(), self._period)
        waiting.timers.append(self)
        waiting.reschedule()

    def fire(self):
        """Come due (called by the board): schedule the callback."""
        if self._mode == Timer.ONE_SHOT:
            waiting.timers.remove(self)
        else:
            self.due30 = add30(self.due30, self._period)
        if self._callback is not None:
            irq.put(self._callback, self)

    def deinit(self):
        """Stop."""
        if self in waiting.timers:
            waiting.timers.remove(self)
            waiting.reschedule()

    def value(self):
        """Return ms since the last firing."""
        return (self._period - diff30(self.due30, waiting.clock.world_ms30())) & MASK


class Counter:
    """machine.Counter (1.26): counts a pin's edges, by a model's PulseCounter where the wiring has one."""

    RISING = 1
    FALLING = 2
    sources = {}

    def __init__(self, id, src=None, **kwargs):
        self._model = Counter.sources.get(Pin(src).number) if src is not None else None
        self._zero = 0

    def value(self, value=None):
        """Return the count, and set it where a value is given."""
        before_access[0]()
        raw = self._model.value() if self._model else 0
        now = raw - self._zero
        if value is not None:
            self._zero = raw - value
        return now


__all__ = (
    "ADC",
    "I2C",
    "PWM",
    "RTC",
    "SPI",
    "UART",
    "Pin",
    "Signal",
    "SoftI2C",
    "machine_rtc",
    "time_pulse_us",
)
