"""Models of a photocell and a thermistor in a divider: what an ADC input sees. Doubles: no hardware."""

from .buses import AdcModel


class VoltageModel(AdcModel):
    """An input at ``uv`` microvolts; ``wire`` is "whole", "open" or "short", as seen with the part to ground."""

    def __init__(self, uv: int = 1_000_000, supply_uv: int = 3_300_000) -> None:
        super().__init__()
        self.uv = uv
        self.supply_uv = supply_uv
        self.wire = "whole"

    def microvolts(self) -> int:
        """Return what stands on the pin."""
        if self.wire == "open":
            return self.supply_uv
        return 0 if self.wire == "short" else self.uv


class DividerModel(VoltageModel):
    """A resistance of ``milliohm`` to ground under ``series_ohm`` to the supply."""

    def __init__(self, milliohm: int = 10_000_000, series_ohm: int = 10_000, supply_uv: int = 3_300_000) -> None:
        super().__init__(0, supply_uv)
        self.milliohm = milliohm
        self.series_ohm = series_ohm

    def microvolts(self) -> int:
        """Return what stands on the pin."""
        self.uv = self.supply_uv * self.milliohm // (self.milliohm + self.series_ohm * 1000)
        return super().microvolts()
