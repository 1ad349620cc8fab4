"""A clock chip as `ClockKeeper` asks it. Loaded where it is used, and forgotten: only nodes that have one keep it."""

from firmware.drivers.contract import BadAnswer


class ClockChip:
    """A clock chip. `read` raises BadAnswer where the chip itself says that it has stopped."""

    def __init__(self, chip, name):
        self._chip = chip
        self._name = name

    def read(self):
        """Return (day, second), UTC."""
        if not self._chip.read():
            raise BadAnswer(self._name, "has stopped since it was set")
        return self._chip.day, self._chip.second

    def write(self, day, second):
        """Set the chip."""
        self._chip.set(day, second)
