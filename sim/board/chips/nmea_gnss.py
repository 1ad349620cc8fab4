"""A model of a GNSS receiver that sends RMC and GGA every second (NMEA 0183). A double: no hardware."""

from .buses import UartModel


def sentence(body: str) -> bytes:
    """Return a sentence with its check sum and line end."""
    check = 0
    for one in body.encode():
        check ^= one
    return f"${body}*{check:02X}\r\n".encode()


class NmeaGnssModel(UartModel):
    """``date`` "ddmmyy", ``second`` of day, ``latitude`` "4807.0380,N", ``longitude`` "01131.0000,E", ``has_fix``.

    The second of day runs with `tick`; the date does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.date = "241126"
        self.second = 43200
        self.latitude = "4336.2500,N"
        self.longitude = "00126.5000,E"
        self.satellites = 9
        self.has_fix = True
        self._out = b""
        self._next_ms = 0

    def power_on(self) -> None:
        """Search for satellites anew: no fix until somebody gives one; the date is what its makers chose."""
        self.has_fix = False
        self.date = "060180"
        self.second = 0
        self._out = b""

    def tick(self, now_ms: int) -> None:
        """Send both sentences for every second that has passed."""
        super().tick(now_ms)
        while now_ms >= self._next_ms:
            self._next_ms += 1000
            if self.fault != "stuck":
                self.second = (self.second + 1) % 86400
            self._out = (self._out + self.sentences())[-2048:]

    def sentences(self) -> bytes:
        """Return the sentences of this second."""
        second = self.second
        time = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}.00"
        if not self.has_fix:
            return sentence(f"GNRMC,{time},V,,,,,,,{self.date},,,N") + sentence(f"GNGGA,{time},,,,,0,00,99.99,,,,,,")
        place = self.latitude + "," + self.longitude
        rmc = sentence(f"GNRMC,{time},A,{place},0.004,77.52,{self.date},,,A")
        return rmc + sentence(f"GNGGA,{time},{place},1,{self.satellites:02d},1.02,150.3,M,49.1,M,,")

    def take(self) -> bytes:
        """Return what was sent since the last call."""
        data = self._out
        self._out = b""
        return data

    def received(self, data: bytes) -> None:
        """Ignore what is sent to it."""
