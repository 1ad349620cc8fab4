"""A model of a sensor with a presence output: a pin that is driven, and may chatter. A double: no hardware."""

from .buses import Model, PinLine


class PresencePinModel(Model):
    """``somebody``: 0 or 1. Faults: "noise": 4 edges a tick; "stuck": the level stays; "no_answer": it is low."""

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
