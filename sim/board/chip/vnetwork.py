"""`network.WLAN` in station mode: joins after a while where the access point is there, loses it when it is gone.

The host says `{"op": "wifi", "ap": 0}` or `1`. A board whose settings have `"is_wired": true` in "wifi" (the default)
has sockets without asking WLAN first; with `false`, sockets work only while the station is connected.
"""

from . import idle, vsocket, wire
from .clock import add30

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
AUTH_OPEN = 0
AUTH_WPA2_PSK = 3

_JOIN_MS = 2000

_has_ap = True
_is_free = True
_country = "FR"
_hostname = "mpy-esp32"


class _Join:
    """The timer after which a station is connected."""

    def __init__(self):
        self.due30 = 0

    def fire(self):
        idle.timers.remove(self)
        _station.settle(_has_ap)


class WLAN:
    """The station; the access point's side exists, is inactive and stays so."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __new__(cls, interface=0):
        if interface == AP_IF:
            return _access_point or object.__new__(cls)
        return _station or object.__new__(cls)

    def __init__(self, interface=0):
        if self is _station or self is _access_point:
            return
        self._is_active = False
        self._is_connected = False
        self._wants = False
        self._ssid = ""
        self._join = _Join()
        self._settings = {"channel": 1, "hidden": False, "pm": 1, "reconnects": -1, "txpower": 20}

    def active(self, is_active=None):
        """Return or set whether the radio is on."""
        if is_active is None:
            return self._is_active
        self._is_active = bool(is_active)
        if not is_active:
            self._wants = False
            self.settle(False)
        return self._is_active

    def connect(self, ssid=None, key=None, bssid=None):
        """Join: connected two virtual seconds later where the access point is there. OSError where not active."""
        if not self._is_active:
            raise OSError("Wifi Not Started")
        if ssid is not None:
            self._ssid = ssid
        self._wants = True
        self.begin()

    def begin(self):
        """Start joining (called by the board)."""
        self._join.due30 = add30(idle.clock.world_ms30(), _JOIN_MS)
        if self._join not in idle.timers:
            idle.timers.append(self._join)
        idle.reschedule()

    def settle(self, is_connected):
        """Take a new state (called by the board)."""
        is_connected = bool(is_connected and self._wants)
        if is_connected != self._is_connected:
            self._is_connected = is_connected
            wire.post("wifi", ',"connected":%d' % is_connected)
        if not _is_free:
            vsocket.set_up(is_connected)
        if self._wants and not is_connected and _has_ap:
            self.begin()

    def disconnect(self):
        """Leave."""
        self._wants = False
        self.settle(False)

    def isconnected(self):
        """Tell whether it is connected; calls in a loop see it change."""
        idle.glance()
        return self._is_connected

    def wants(self):
        """Tell whether it would connect if it could."""
        return self._wants

    def status(self, what=None):
        """Return the state, or the signal in dBm for 'rssi'."""
        if what == "rssi":
            return -67
        if self._is_connected:
            return STAT_GOT_IP
        if not self._wants:
            return STAT_IDLE
        return STAT_CONNECTING if _has_ap else STAT_NO_AP_FOUND

    def scan(self):
        """Return the one access point, where it is there."""
        return [(self._ssid.encode() or b"street", b"\x02\x00\x00\x00\x00\x01", 1, -67, 3, False)] if _has_ap else []

    def config(self, name=None, **settings):
        """Return a setting, or set some."""
        if name is None:
            self._settings.update(settings)
            return None
        if name == "mac":
            from . import vmachine

            return vmachine.unique_id()
        if name in ("ssid", "essid"):
            return self._ssid
        if name in ("hostname", "dhcp_hostname"):
            return _hostname
        if name not in self._settings:
            raise ValueError("unknown config param")
        return self._settings[name]

    def ifconfig(self, value=None):
        """Return addresses: loopback, which is where the board's sockets are."""
        if self._is_connected:
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

    def ipconfig(self, name=None, **settings):
        """Return one address setting."""
        if name == "addr4":
            return self.ifconfig()[:2]
        if name == "gw4":
            return self.ifconfig()[2]
        return None


_station = None
_access_point = None
_station = WLAN(STA_IF)
_access_point = WLAN(AP_IF)


def country(code=None):
    """Return or set the country."""
    global _country
    if code is not None:
        _country = code
    return _country


def hostname(name=None):
    """Return or set the host name."""
    global _hostname
    if name is not None:
        _hostname = name
    return _hostname


def attach(settings):
    """Take the board's settings."""
    global _has_ap, _is_free
    _has_ap = bool(settings.get("ap", True))
    _is_free = bool(settings.get("is_wired", True))
    if not _is_free:
        vsocket.set_up(False)


def _set_access_point(message):
    global _has_ap
    _has_ap = bool(message["ap"])
    if not _has_ap:
        _station.settle(False)
        if _is_free:
            vsocket.set_up(False)
    else:
        if _is_free:
            vsocket.set_up(True)
        if _station.wants():
            _station.begin()


wire.operations["wifi"] = _set_access_point
