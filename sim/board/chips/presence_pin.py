"""A model of a sensor with a presence output: a pin that somebody drives, and that may chatter. A double: no hardware."""

from .buses import Model, PinLine


class PresencePinModel(Model):
    """``somebody``: 0 or 1. Faults: "noise" is a storm of 4 edges a tick, "stuck" holds the level, "no_answer" is low."""

    def __init__(self, is_active_high: bool = True) -> None:
        super().__init__()
        self.somebody = 0
        self.is_active_high = is_active_high
        self.pin = PinLine(0 if is_active_high else 1)

    def tick(self, now_ms: int) -> None:
        """Drive the pin."""
        super().tick(now_ms)
        idle = 0 if self.is_active_high else 1
        if self.fault == "stuck":
            return
        if self.fault == "no_answer":
            self.pin.drive(0)
            return
        if self.fault == "noise":
            for _ in range(4):
                self.pin.drive(1 - self.pin.level)
            return
        self.pin.drive(1 - idle if self.somebody else idle)
