"""Broadcasts of a few bytes to the poles nearby, by ESP-NOW: what `firmware.links.wave_link` speaks over.

MicroPython's espnow module (docs, library/espnow; ports/esp32/modespnow.c): a broadcast goes to the peer
ff:ff:ff:ff:ff:ff, is not encrypted and not acknowledged. The station interface must be active, and power saving off
(``pm=WLAN.PM_NONE``), else it sleeps through broadcasts. Sender and receiver must be on one channel, which is the
access point's while Wi-Fi is connected: a site with Wi-Fi keeps its access points on one channel, or the wave is deaf.

Two bounds that the module lacks are kept here:

- ``send`` tries for up to 2 s while the radio's buffers are full, and all tasks wait with it (DEFAULT_SEND_TIMEOUT_MS;
  size the watchdog for it). After such a failure the next 30 frames are dropped unsent.
- Each address that was ever heard gets a place in ``peers_table``, for ever (`_update_rssi`): a stranger who changes
  his address fills the heap. At 128 addresses this driver stops listening until the node starts anew, and says so.

Not tried on hardware: run against a double of the module (tests/node/test_wave.py).
"""

from ..control.compat import const

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
FRAME_MAX_BYTES = const(250)
# What the module holds until it is fetched: 30 frames of 20 bytes with 13 bytes of its own.
_RX_BYTES = const(1024)
_PEERS_MAX = const(128)
_DROPPED_AFTER_FAILURE = const(30)
_COUNT_MAX = const(65535)


class EspNowRadio:
    """The radio. ``espnow``: an `espnow.ESPNow()` (or `aioespnow.AIOESPNow()`); the station interface is active.

    ``errors`` counts what the radio refused, up to 65535; nothing raises once it was made. The constructor raises
    OSError where ESP-NOW does not start. ``is_deaf``: more addresses were heard than there is room for.
    """

    def __init__(self, espnow):
        self._espnow = espnow
        self._drops = 0
        self.errors = 0
        self.is_deaf = False
        espnow.config(rxbuf=_RX_BYTES)
        espnow.active(True)
        try:
            espnow.add_peer(BROADCAST)
        except OSError as error:
            # It is there already after a soft reset (ESP_ERR_ESPNOW_EXIST).
            if "EXIST" not in str(error):
                raise

    def send(self, frame) -> bool:
        """Broadcast a frame of up to 250 bytes; False where the radio does not take it now. Does not wait."""
        if len(frame) > FRAME_MAX_BYTES:
            return self._failed()
        if self._drops > 0:
            self._drops -= 1
            return False
        try:
            # The last argument: do not wait for an answer (a broadcast has none).
            self._espnow.send(BROADCAST, frame, False)
        except (OSError, ValueError):
            self._drops = _DROPPED_AFTER_FAILURE
            return self._failed()
        return True

    def receive(self):
        """Return a frame, or None where there is none. Does not wait."""
        try:
            if self.is_deaf or not self._espnow.any():
                return None
            frame = self._espnow.recv(0)[1]
            self.is_deaf = len(self._espnow.peers_table) >= _PEERS_MAX
            return frame
        except (OSError, ValueError):
            # ValueError: the module's buffer was damaged; what is in it is lost.
            self._failed()
            return None

    def _failed(self) -> bool:
        if self.errors < _COUNT_MAX:
            self.errors += 1
        return False
