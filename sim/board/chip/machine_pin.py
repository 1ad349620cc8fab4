"""machine.Pin, PWM, ADC, Signal: levels come from the host or a model, changes go to the host.

A pin has one object a number, as on the ESP32. An output's changes and a PWM's duty are posted as events with real
us, so that the time from an edge to the lamp is measured. IRQ handlers are scheduled (see irq.py).
"""

from . import irq, wire

_pins = {}
_PINS_MAX = 49
# Those of an ESP32. Their objects are there from the start, as in the chip's flash: none of the program's heap.
_PINS_MADE = 40
_PIN_EVENT = wire.shape_of("pin", ("n", "v"))
_PWM_EVENT = wire.shape_of("pwm", ("n", "duty", "freq", "on"))


class _Irq:
    """What Pin.irq() returns."""

    def __init__(self, pin):
        self._pin = pin

    def init(self, handler=None, trigger=3, wake=None):
        """Set the handler again."""
        self._pin.irq(handler, trigger)

    def trigger(self, value=None):
        """Return the trigger."""
        return self._pin.trigger

    def flags(self):
        """Return which edge came last."""
        return self._pin.flags

    def __call__(self):
        self._pin.fire(self._pin.trigger)


class Pin:
    """One GPIO. `level` is what a voltmeter would show; `line` is a model's end of the wire, if any."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __new__(cls, id, *args, **kwargs):
        if isinstance(id, Pin):
            return id
        pin = _pins.get(id)
        if pin is None:
            if type(id) is not int or not 0 <= id < _PINS_MAX:
                raise ValueError("invalid pin")
            pin = object.__new__(cls)
            pin.number = id
            pin.mode = cls.IN
            pin.pull = None
            pin.latch = 0
            pin.driven = None
            pin.handler = None
            pin.trigger = 0
            pin.flags = 0
            pin.pwm = None
            pin.line = None
            pin._was = 0
            _pins[id] = pin
        return pin

    def __init__(self, id, mode=-1, pull=-1, value=None, drive=None, hold=None):
        if mode != -1 or pull != -1 or value is not None:
            self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None, drive=None, hold=None):
        """Set mode, pull and value; the value is set before the mode, so that an output starts without a glitch."""
        if value is not None:
            self.latch = 1 if value else 0
        if pull != -1:
            self.pull = pull
        if mode != -1:
            self.mode = mode
        self._settle()

    def level(self):
        """Return the level on the wire."""
        if self.mode == Pin.OUT:
            return self.latch
        if self.mode == Pin.OPEN_DRAIN and self.latch == 0:
            return 0
        if self.line is not None:
            return self.line.value()
        if self.driven is not None:
            return self.driven
        return 1 if self.pull == Pin.PULL_UP else 0

    def _settle(self):
        now = self.level()
        if now == self._was:
            return
        self._was = now
        if self.mode == Pin.OUT or self.mode == Pin.OPEN_DRAIN:
            if self.line is not None:
                self.line.value(now)
            wire.post_numbers(_PIN_EVENT, self.number, now)
        edge = Pin.IRQ_RISING if now else Pin.IRQ_FALLING
        if self.handler is not None and self.trigger & edge:
            self.fire(edge)

    def fire(self, edge):
        """Schedule the handler."""
        self.flags = edge
        if self.handler is not None:
            irq.put(self.handler, self)

    def drive(self, value):
        """Let the world put a level on the wire (None lets go of it)."""
        self.driven = value
        self._settle()

    def value(self, x=None):
        """Return or set the level."""
        if x is None:
            return self.level()
        self.latch = 1 if x else 0
        self._settle()
        return None

    def __call__(self, x=None):
        return self.value(x)

    def on(self):
        """Set to 1."""
        self.value(1)

    def off(self):
        """Set to 0."""
        self.value(0)

    def toggle(self):
        """Set to the other level."""
        self.value(not self.latch)

    def irq(self, handler=None, trigger=3, wake=None, hard=False):
        """Call `handler(pin)` on edges, scheduled; `hard` is refused, as on the chip."""
        if hard:
            raise ValueError("hard IRQ is not supported")
        self.handler = handler
        self.trigger = trigger
        self._was = self.level()
        return _Irq(self)

    def __repr__(self):
        return "Pin(%d)" % self.number


def make_pins():
    """Make the objects of all pins, before the program's heap is bound."""
    for number in range(_PINS_MADE):
        Pin(number)


class Signal:
    """machine.Signal: a pin, possibly inverted."""

    def __init__(self, pin, *args, invert=False, **kwargs):
        self._pin = pin if isinstance(pin, Pin) else Pin(pin, *args, **kwargs)
        self._invert = bool(invert)

    def value(self, x=None):
        """Return or set the signal."""
        if x is None:
            return self._pin.value() ^ self._invert
        self._pin.value(bool(x) ^ self._invert)
        return None

    def on(self):
        """Switch on."""
        self.value(1)

    def off(self):
        """Switch off."""
        self.value(0)


class PWM:
    """LEDC output. Without a duty it starts at 50 %, as the chip does: the first visible level is the caller's care."""

    def __new__(cls, dest, *args, **kwargs):
        pin = Pin(dest)
        if pin.pwm is None:
            pin.pwm = object.__new__(cls)
            pin.pwm._pin = pin
            pin.pwm._freq = 5000
            pin.pwm._duty = 32768
            pin.pwm._invert = 0
            pin.pwm._is_on = False
        return pin.pwm

    def __init__(self, dest, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=None, timer=None, channel=None):
        self.init(freq, duty, duty_u16, duty_ns, invert)

    def init(self, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=None, timer=None, channel=None):
        """Set any of frequency, duty, inversion."""
        if freq is not None:
            if not 1 <= freq <= 40000000:
                raise ValueError("frequency must be from 1Hz to 40MHz")
            self._freq = freq
        if invert is not None:
            self._invert = int(invert)
        if duty is not None:
            self._duty = self._checked(duty, 1023) * 65535 // 1023
        elif duty_u16 is not None:
            self._duty = self._checked(duty_u16, 65535)
        elif duty_ns is not None:
            self._duty = self._of_ns(duty_ns)
        self._is_on = True
        self._post()

    def _checked(self, value, most):
        if not 0 <= value <= most:
            raise ValueError("duty must be from 0 to %d" % most)
        return value

    def _of_ns(self, ns):
        return min(65535, ns * self._freq // 15259)

    def _post(self):
        duty = 65535 - self._duty if self._invert else self._duty
        wire.post_numbers(_PWM_EVENT, self._pin.number, duty, self._freq, 1 if self._is_on else 0)

    def deinit(self):
        """Let go of the pin: from here on the pull resistor decides."""
        self._is_on = False
        self._post()

    def freq(self, value=None):
        """Return or set the frequency in Hz."""
        if value is None:
            return self._freq
        self.init(freq=value)
        return None

    def duty_u16(self, value=None):
        """Return or set the duty, 0 to 65535."""
        if value is None:
            return self._duty
        self._duty = self._checked(value, 65535)
        self._is_on = True
        self._post()
        return None

    def duty(self, value=None):
        """Return or set the duty, 0 to 1023."""
        if value is None:
            return self._duty * 1023 // 65535
        self._duty = self._checked(value, 1023) * 65535 // 1023
        self._is_on = True
        self._post()
        return None

    def duty_ns(self, value=None):
        """Return or set the pulse in ns."""
        if value is None:
            return self._duty * 15259 // self._freq
        self._duty = self._of_ns(value)
        self._is_on = True
        self._post()
        return None


_adc_uv = {}


class ADC:
    """One channel: microvolts given by the host, or by a model's AdcInput where the wiring hangs one on the pin."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12
    _FULL_UV = (950000, 1250000, 1750000, 2450000)

    def __init__(self, pin, atten=3, sample_ns=None):
        self._number = Pin(pin).number
        self._atten = atten

    def init(self, sample_ns=None, atten=None):
        """Set the attenuation."""
        if atten is not None:
            self._atten = atten

    def atten(self, value):
        """Set the attenuation."""
        self._atten = value

    def width(self, value):
        """Do nothing: the width is 12 bits."""

    def read_uv(self):
        """Return microvolts at the pin, at most the attenuation's full scale."""
        source = _adc_uv.get(self._number, 0)
        if type(source) is not int:
            source = source.read_uv()
        return min(max(0, source), self._FULL_UV[self._atten])

    def read_u16(self):
        """Return 0 to 65535 of full scale."""
        return self.read_uv() // 10 * 65535 // (self._FULL_UV[self._atten] // 10)

    def read(self):
        """Return 0 to 4095 of full scale."""
        return self.read_u16() >> 4


def time_pulse_us(pin, level, timeout_us=1000000):
    """Return the length of a pulse in us, or -2, -1 as the chip does; edges come from the host or a model."""
    from . import vtime

    pin = Pin(pin)
    start = vtime.ticks_us()
    while pin.level() != level:
        vtime.sleep_us(5)
        if vtime.ticks_diff(vtime.ticks_us(), start) > timeout_us:
            return -2
    start = vtime.ticks_us()
    while pin.level() == level:
        vtime.sleep_us(5)
        if vtime.ticks_diff(vtime.ticks_us(), start) > timeout_us:
            return -1
    return vtime.ticks_diff(vtime.ticks_us(), start)


def _drive(message):
    Pin(message["n"]).drive(message["v"])


def _set_adc(message):
    _adc_uv[message["n"]] = message["uv"]


def hang(number, line):
    """Hang a model's PinLine on a pin."""
    Pin(number).line = line


def hang_adc(number, model):
    """Hang a model's AdcInput on a pin."""
    _adc_uv[number] = model


wire.operations["pin"] = _drive
wire.operations["adc"] = _set_adc
