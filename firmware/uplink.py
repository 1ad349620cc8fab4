"""The node's radios: Wi-Fi and the MQTT session over it, and the wave to the neighbours.

The lamp needs none of them. What cannot be built here (no secrets, a damaged certificate, a radio that does not start)
is noted and left out; what fails later is tried again for ever, each at its own measured pace.
"""

import gc
import os
import socket

import network

from firmware.control.compat import const
from firmware.control.inputs import Message
from firmware.control.ticks import ticks_diff
from firmware.drivers.espnow_radio import EspNowRadio
from firmware.links.backoff import Backoff
from firmware.links.mqtt_link import MqttLink
from firmware.links.mqtt_packets import MqttError
from firmware.links.timing import TURN_MS, sleep_ms, ticks_ms, turn_ms
from firmware.links.topics import Topics
from firmware.links.wave_link import Wave
from firmware.system.store import StoreError
from firmware.system.wakeup import Wakeup

SILENCE_MS = const(300000)
WAVE_SILENCE_MS = const(20000)
# A back-off is 15 min at most; the link is the last that may reset a node whose lamp burns.
LINK_SILENCE_MS = const(3600000)
# How long an association may take before it is begun anew, and the longest pause before that.
_WIFI_MS = const(30000)
_WIFI_PAUSE_MAX_MS = const(300000)
_AGAIN_MS = const(300000)
# Without interrupts the radio is asked often enough for a walker.
_WAVE_LOOK_MS = const(50)
_SNTP_WAIT_S = const(30)
# A message of the codec (1,100 bytes) with the longest topic to a node or from it (87), and what MQTT adds (9).
_RECEIVE_MAX = const(1216)
_SEND_MAX = const(1216)


def random_below(bound):
    """Return 0 … ``bound`` - 1 from the chip's generator; ``bound`` is at most 2^30."""
    number = 0
    for byte in os.urandom(4):
        number = number << 8 | byte
    return (number & 0x3FFFFFFF) % bound


class WiFi:
    """Keeps the station associated; for the supervisor. ``is_radio_only``: no access point, the radio is for the wave.

    Power saving is off: a station that sleeps misses broadcasts (espnow) and answers late.
    """

    def __init__(self, name, password, channel):
        self._name = name
        self._password = password
        self.station = network.WLAN(network.STA_IF)
        self.station.active(True)
        if hasattr(network.WLAN, "PM_NONE"):
            self.station.config(pm=network.WLAN.PM_NONE)
        if name is None and channel:
            self.station.config(channel=channel)
        self.losses = 0

    def isconnected(self):
        """Tell whether there is a way to the broker."""
        return self.station.isconnected()

    async def run(self, beat):
        """Associate, and again whenever that is lost, after 1 s, 2 s … 5 min."""
        pause_ms = 1000
        while True:
            beat()
            if self._name is None or self.station.isconnected():
                pause_ms = 1000
                await sleep_ms(turn_ms(ticks_ms()))
                continue
            self.losses += 1
            self._begin()
            start = ticks_ms()
            while not self.station.isconnected() and ticks_diff(ticks_ms(), start) < _WIFI_MS:
                beat()
                await sleep_ms(500)
            if not self.station.isconnected():
                # In pieces: a pause as long as the supervisor's patience had the node reset every 18 min without an
                # access point.
                for _ in range(-(-pause_ms // TURN_MS)):
                    beat()
                    await sleep_ms(min(pause_ms, turn_ms(ticks_ms())))
                pause_ms = min(2 * pause_ms, _WIFI_PAUSE_MAX_MS)

    def _begin(self):
        try:
            # Off and on: a second connect() on a live interface is an "internal error" (micropython #17661).
            self.station.active(False)
            self.station.active(True)
            self.station.connect(self._name, self._password)
        except OSError:
            pass  # Tried again after the pause.


class Uplink:
    """Builds the session with the broker and keeps it; for the supervisor.

    Certificates that are none, or no room for TLS, are no reason to start the node anew: the lamp goes on, ``what``
    says why there is no link, and it is tried again every 5 min.
    """

    def __init__(self, config, store, box, on_message, wifi, secret):
        self._secret = secret
        self._mqtt = config["mqtt"]
        self._topics = Topics(config["site"], config["node"], [group[0] for group in config["groups"]])
        self._store = store
        self._box = box
        self._on_message = on_message
        self._wifi = wifi
        self.link = None
        self.what = ""

    async def run(self, beat):
        """Keep a session, for ever."""
        while True:
            beat()
            gc.collect()
            try:
                self.link = self._build()
                self.what = ""
                self.link.beat = beat
                await self.link.run()
            except (MqttError, ValueError, TypeError, MemoryError) as error:
                self.link = None
                self.what = repr(error)
            for _ in range(_AGAIN_MS // 10000):
                beat()
                await sleep_ms(10000)

    def _build(self):
        mqtt = self._mqtt
        from firmware.links.tls_context import node_context

        context, port = node_context(mqtt, self._topics.node_id, self._secret, self._store)
        backoff = Backoff(self._topics.node_id, random_below, mqtt.get("window_s", 300))
        return MqttLink(
            mqtt["host"],
            port,
            self._topics,
            backoff,
            self._box,
            self._on_message,
            context,
            mqtt.get("server_name"),
            self._wifi,
            mqtt.get("keepalive_s", 300),
            receive_max=_RECEIVE_MAX,
            send_max=_SEND_MAX,
        )


class TimeServers:
    """The time servers of a node, asked one after the other; as `ClockKeeper` wants its ``client``.

    ``addresses``: names or addresses, at most a few. A name is looked up once, which blocks as long as the DNS takes.
    """

    def __init__(self, addresses, wifi):
        self._addresses = addresses
        self._wifi = wifi
        self._at = 0
        # The socket address of the server whose turn it is, and how it has fared: what a `SntpClient` begins with.
        self._address = None
        self._fared = None
        self.wait_s = 0
        self.tick = 0
        self.day = 0
        self.second = 0
        self.ms = 0

    async def query(self):
        """Ask the server whose turn it is; True when the time is known. One that fails gives way to the next."""
        self.wait_s = _SNTP_WAIT_S
        if not self._wifi.isconnected():
            return False
        if self._address is None:
            self._address = self._find(self._addresses[self._at])
        if self._address is not None:
            from firmware.system.sntp import SntpClient

            client = SntpClient(self._address, os.urandom, ticks_ms, self._fared)
            is_known = await client.query()
            self._fared = client.fared
            self.wait_s = client.wait_s
            if is_known:
                self.tick, self.day, self.second, self.ms = client.tick, client.day, client.second, client.ms
                return True
        if len(self._addresses) > 1:
            self._at = (self._at + 1) % len(self._addresses)
            self._address = None
            self._fared = None
        return False

    def _find(self, name):
        try:
            found = socket.getaddrinfo(name, 123, socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            return None
        return found[0][-1] if found else None


class WaveTask:
    """Carries the wave between the radio and the lamp that has neighbours (the first of the node)."""

    def __init__(self, lamp, secret, own_id, neighbours, store):
        import espnow

        self._lamp = lamp
        self._wakeup = Wakeup()
        radio = espnow.ESPNow()
        self.wave = Wave(secret, own_id, [pair[0] for pair in neighbours], EspNowRadio(radio), store, StoreError)
        self._message = Message()
        # A frame wakes the task.
        self._has_irq = hasattr(radio, "irq")
        if self._has_irq:
            radio.irq(self._on_frame)
        lamp.intake.on_wave = self._send

    def _on_frame(self, radio):
        self._wakeup.set()

    def _send(self, bubble):
        self.wave.send(bubble.send_origin, bubble.send_sequence, bubble.send_hops, bubble.send_travelled, ticks_ms())

    async def run(self, beat):
        """Take what comes, for ever; for the supervisor."""
        lamp = self._lamp
        message = self._message
        while True:
            beat()
            if not self.wave.is_started:
                self.wave.start()
            while self.wave.receive(message, ticks_ms()):
                # Asked each time: a switch of plan gives the lamp another one.
                lamp.intake.message(message.sender, message.origin, message.sequence, message.hops, message.travelled)
                lamp.kick()
            self.wave.poll(ticks_ms())
            await self._wakeup.wait_ms(turn_ms(ticks_ms()) if self._has_irq else _WAVE_LOOK_MS)
