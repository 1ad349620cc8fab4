"""What all models of devices share. See `buses` for the faults."""

FAULTS = ("none", "no_answer", "noise", "stuck", "wrong_id", "brown_out", "late")

ENODEV = 19
ETIMEDOUT = 116


class Model:
    """What all models share: the fault, the time, a supply that dips, and noise that can be repeated."""

    def __init__(self) -> None:
        self.fault = "none"
        self.now_ms = 0
        self._noise = 1

    def power_on(self) -> None:
        """Put the registers to what the datasheet gives after power-on; a model overrides it."""

    def tick(self, now_ms: int) -> None:
        """Let the time be ``now_ms``, which may not go back; a model that measures or counts overrides it."""
        self.now_ms = now_ms

    def chance(self, below: int) -> int:
        """Return the next number of a fixed sequence, 0 … ``below`` - 1 (at most 65,536 values)."""
        # The generator of the ZX81's manual, x <- 75 (x + 1) - 1 mod 65537: no integer beyond 30 bits.
        self._noise = (self._noise * 75 + 74) % 65537
        return self._noise % below

    def noisy(self, data: bytes) -> bytes:
        """Return the bytes with at least one of them changed; nothing stays nothing."""
        changed = bytearray(data)
        if changed:
            changed[self.chance(len(changed))] ^= 1 + self.chance(255)
            for i in range(len(changed)):
                if self.chance(4) == 0:
                    changed[i] ^= self.chance(256)
            if bytes(changed) == bytes(data):
                changed[0] ^= 0xFF
        return bytes(changed)

    def pass_brown_out(self) -> None:
        """Let a dip of the supply happen now, if one is set."""
        if self.fault == "brown_out":
            self.fault = "none"
            self.power_on()
