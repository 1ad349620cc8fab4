"""A model of Vishay's VEML7700 (datasheet 84286 Rev. 1.8, registers p. 6-9). A double: no hardware."""

from .buses import I2CModel

_GAINS_EIGHTHS = (8, 16, 1, 2)
_TIMES_MS = {12: 25, 8: 50, 0: 100, 1: 200, 2: 400, 3: 800}


class Veml7700Model(I2CModel):
    """``lux_e4``: the light on it in ten-thousandths of a lux, as the bare part sees it, before any correction."""

    address = 0x10

    def __init__(self) -> None:
        super().__init__()
        self.lux_e4 = 0
        self.power_on()

    def power_on(self) -> None:
        """Shut down (ALS_CONF_0 = 0x0001), nothing measured."""
        self.words = [1, 0, 0, 0, 0, 0, 0, 0xC481]
        self.pointer = 0
        self._since_ms = self.now_ms

    def tick(self, now_ms: int) -> None:
        """Measure when an integration time has passed since the configuration was written."""
        super().tick(now_ms)
        config = self.words[0]
        time_ms = _TIMES_MS.get(config >> 6 & 15, 100)
        if config & 1 or now_ms - self._since_ms < time_ms or self.fault == "stuck":
            return
        # 0.0042 lx per count at gain 2 and 800 ms; gain in eighths, 16 x 800 = 12,800.
        sensitivity = _GAINS_EIGHTHS[config >> 11 & 3] * time_ms
        self.words[4] = min(65535, self.lux_e4 * sensitivity // (12800 * 42))
        self._since_ms = now_ms

    def written(self, data: bytes) -> None:
        """Set the command code, and the register when a word follows, low byte first."""
        self.pointer = data[0] & 7
        if len(data) >= 3 and self.pointer <= 3:
            self.words[self.pointer] = data[1] | data[2] << 8
            if self.pointer == 0:
                self._since_ms = self.now_ms

    def read(self, count: int) -> bytes:
        """Return the word at the command code, low byte first."""
        word = self.words[self.pointer]
        if self.fault == "wrong_id" and self.pointer == 7:
            word = 0x1234
        return bytes((word & 255, word >> 8))[:count]
