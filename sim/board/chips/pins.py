"""Doubles of ``machine.ADC``, ``machine.Pin`` and ``machine.Counter``. No hardware."""

from .model import ETIMEDOUT, Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IRQ_RISING = 1
IRQ_FALLING = 2


class AdcModel(Model):
    """What stands on an analogue input."""

    def microvolts(self) -> int:
        """Return the voltage, which may lie outside what the input can tell."""
        return 0


class AdcInput:
    """``machine.ADC`` over a ``model`` with ``microvolts() -> int``; ``full_scale_uv`` is where `read_u16` ends."""

    def __init__(self, model: "AdcModel", full_scale_uv: int = 3_100_000) -> None:
        self.model = model
        self.full_scale_uv = full_scale_uv
        self._last_uv = 0

    def read_uv(self) -> int:
        """Return microvolts, as the calibrated reading of the chip; OSError where the chip cannot read."""
        model = self.model
        # MicroPython 1.29 raises on an invalid reading, earlier ones return 0: a driver must survive both.
        if model.fault in ("no_answer", "late"):
            raise OSError(ETIMEDOUT, "timeout")
        if model.fault == "brown_out":
            model.pass_brown_out()
            return 0
        if model.fault != "stuck":
            self._last_uv = min(max(model.microvolts(), 0), self.full_scale_uv)
        if model.fault == "noise":
            return model.chance(65536) * (self.full_scale_uv // 65536)
        return self._last_uv

    def read_u16(self) -> int:
        """Return the same on a scale of 0 … 65535."""
        return self.read_uv() * 65535 // self.full_scale_uv


class PinLine:
    """``machine.Pin``: ``drive(level)`` is the world's end of it, and calls the handler on the edges it asked for."""

    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = IRQ_RISING
    IRQ_FALLING = IRQ_FALLING

    def __init__(self, level: int = 0) -> None:
        self.level = level
        self._handler: Callable[[PinLine], object] | None = None
        self._trigger = 0

    def init(self, mode: int = -1, pull: int = -1, **settings: int) -> None:
        """Take the settings; they change nothing here."""

    def value(self, level: int | None = None) -> int | None:
        """Return the level, or set it when one is given."""
        if level is None:
            return self.level
        self.level = 1 if level else 0
        return None

    def on(self) -> None:
        """Set the pin high."""
        self.level = 1

    def off(self) -> None:
        """Set the pin low."""
        self.level = 0

    def irq(
        self,
        handler: "Callable[[PinLine], object] | None" = None,
        trigger: int = IRQ_RISING | IRQ_FALLING,
        hard: bool = False,
    ) -> "PinLine":
        """Call ``handler(pin)`` on the edges of ``trigger``; None ends it."""
        self._handler = handler
        self._trigger = trigger
        return self

    @property
    def is_listened_to(self) -> bool:
        """True while a handler is set."""
        return self._handler is not None

    def drive(self, level: int) -> None:
        """Let the world set the level."""
        level = 1 if level else 0
        if level == self.level:
            return
        self.level = level
        if self._handler and self._trigger & (IRQ_RISING if level else IRQ_FALLING):
            self._handler(self)


class PulseCounter:
    """``machine.Counter`` (and ``esp32.PCNT``'s ``value``): counts what ``pulse(n)`` gives it.

    ``bits``: 0 counts without end, as ``machine.Counter`` does; 15 wraps at 32,768, as a bare unit of the chip does.
    """

    def __init__(self, bits: int = 0) -> None:
        self.bits = bits
        self.count = 0

    def pulse(self, count: int = 1) -> None:
        """Let ``count`` pulses arrive."""
        self.count += count
        if self.bits:
            self.count &= (1 << self.bits) - 1

    def value(self, count: int | None = None) -> int:
        """Return the count; set it when a number is given, as the chip does."""
        before = self.count
        if count is not None:
            self.count = count
        return before

    def start(self) -> None:
        """Return at once: it always counts."""

    def stop(self) -> None:
        """Return at once: it always counts."""
