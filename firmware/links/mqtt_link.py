"""The node's one session with its broker, kept for ever: connect, subscribe, publish what waits, and begin again.

Nothing here decides anything about light, and nothing waits for it: while there is no link, the lamp goes on by its
plan for as long as it takes. Messages that wait are the outbox's, bounded there.
"""

from firmware.control.compat import const
from firmware.control.ticks import ticks_diff
from firmware.system.once import forget

from .backoff import spread
from .mqtt_client import BUSY, MqttClient
from .mqtt_packets import SUBACK_FAILURE, MqttError, PacketError
from .timing import TURN_MS, sleep_ms, ticks_ms, turn_ms
from .transport import LinkLost

STATE_OFFLINE = b"0"
STATE_ONLINE = b"1"

_NETWORK_POLL_MS = const(500)
# A link that has stood so long has proved itself (backoff.py).
_PROOF_MS = const(60000)
_KEEPALIVE_MIN_S = const(30)


class MqttLink:
    """A session that comes back.

    ``host``, ``port``, ``server_name``, ``tls_context``, ``receive_max``, ``send_max``, ``resolve``: as
    `MqttClient`.
    ``topics``: `Topics`. ``backoff``: `Backoff`. ``keepalive_s``: 30 … 3600, taken with up to 10 % less or more by the
    node's id, so that a town does not ping in step.

    ``outbox``: ``peek()`` returns (topic, payload, qos) or None; ``done()`` removes **what peek gave last**, whatever
    has come in since. A topic without a slash is one of the node's own ("status"). Peek is not called again before
    ``done``; a QoS 1 message is done when the broker has it (twice at the broker if power fails in between). The link
    sets its ``on_put``, to be called in a task when there is something new: it leaves at once, else within 5 s, as a
    change of the topics' groups does.

    ``on_message(kind, payload, retain)``: kind is "cmd" (own or group), "plan" or "cfg"; the rest as `MqttClient`.
    ``network``: an object with ``isconnected()`` (``network.WLAN``), or None where there is always a way.

    The broker publishes ``STATE_OFFLINE`` on ``state``, retained, when the node is gone; the node publishes
    ``STATE_ONLINE`` there, QoS 1 and retained, at each connection.

    Counters: ``attempts``, ``connects``, ``failures`` (attempts that came to nothing), ``losses`` (sessions that
    ended), ``handshakes``, ``received``, ``sent``, ``strangers`` (topics nobody asked for), ``dropped`` (messages of
    the outbox that can never be sent), ``refused_topics`` (of the last subscription). ``last_error``: its ``what``.
    ``is_online``: subscribed and announced. docs/mqtt.md says of each error what to do.
    """

    def __init__(
        self,
        host,
        port,
        topics,
        backoff,
        outbox,
        on_message,
        tls_context=None,
        server_name=None,
        network=None,
        keepalive_s=300,
        receive_max=2048,
        send_max=2048,
        resolve=None,
    ):
        self._topics = topics
        self._backoff = backoff
        self._outbox = outbox
        self._on_message = on_message
        self._network = network
        keepalive_s = min(max(keepalive_s, _KEEPALIVE_MIN_S), 3600)
        tenth = keepalive_s // 10
        keepalive_s += spread(topics.node_id.encode(), 2 * tenth + 1) - tenth
        self._client = MqttClient(
            host,
            port,
            topics.node_id,
            tls_context,
            keepalive_s,
            (topics.own("state"), STATE_OFFLINE, 1, True),
            self._take,
            server_name,
            receive_max=receive_max,
            send_max=send_max,
            # One message at a time: the outbox keeps the order, and what waits for the broker is in one place only.
            inflight_max=2,
            resolve=resolve,
        )
        outbox.on_put = self._client.wakeup.set
        # Called at least once a minute while the session is kept or waited for; whoever watches this task sets it.
        # `int`: nobody watches.
        self.beat = int
        # The groups whose topics were subscribed to since power-on, with the node's own; None for nothing. What a
        # session of an earlier life had is asked for again.
        self._subscribed: tuple | None = None
        self._waiting_id = 0
        self._wants_clean = False
        self._is_proven = False
        self._start_tick = 0
        self.is_online = False
        self.attempts = 0
        self.connects = 0
        self.failures = 0
        self.losses = 0
        self.received = 0
        self.sent = 0
        self.strangers = 0
        self.dropped = 0
        self.refused_topics = 0
        self.last_error = ""

    @property
    def handshakes(self):
        """TLS handshakes completed since power-on."""
        return self._client.handshakes

    @property
    def received_oversize(self):
        """Messages larger than ``receive_max``: read past, acknowledged and dropped."""
        return self._client.received_oversize

    async def run(self):
        """Keep the session, for ever. It ends only by cancellation, or by an error of the callbacks."""
        try:
            await self._pause(self._backoff.first_ms())
            pause_ms = _NETWORK_POLL_MS
            while True:
                self.beat()
                if not self._is_up():
                    # An access point that stays away is looked for as rarely as all else.
                    await sleep_ms(pause_ms if pause_ms < TURN_MS else turn_ms(ticks_ms()))
                    pause_ms = min(2 * pause_ms, TURN_MS)
                    continue
                pause_ms = _NETWORK_POLL_MS
                await self._pause(await self._attempt())
        finally:
            self.is_online = False
            self._client.close()

    def _is_up(self):
        return self._network is None or self._network.isconnected()

    async def _pause(self, delay_ms):
        # In pieces: a long sleep of MicroPython is as wrong as the tick it ends at.
        start = ticks_ms()
        while True:
            self.beat()
            left = delay_ms - ticks_diff(ticks_ms(), start)
            if left <= 0:
                return
            await sleep_ms(min(left, 60000))

    async def _attempt(self):
        """Hold one session from its beginning to its end; return the ms to wait before the next."""
        self.attempts += 1
        try:
            await self._client.connect(self._wants_clean)
        except (MqttError, MemoryError, ImportError) as error:
            self.failures += 1
            # A heap without room for a packet, or for the code that opens a session, is the link's trouble only: it
            # closes, and tries again later.
            self.last_error = error.what if isinstance(error, MqttError) else "memory"
            return self._backoff.failed_ms()
        self.connects += 1
        self._wants_clean = False
        self._is_proven = False
        self._start_tick = ticks_ms()
        try:
            await self._greet()
            # What opened the session has served; the heap is the lamp's again.
            forget("mqtt_open")
            self.is_online = True
            await self._serve()
        except (MqttError, MemoryError, ImportError) as error:
            self.losses += 1
            self.last_error = error.what if isinstance(error, MqttError) else "memory"
            # What a session keeps for us may be what we cannot read: without it, the retained topics still come.
            self._wants_clean = isinstance(error, PacketError)
            lasted_ms = _PROOF_MS if self._is_proven else ticks_diff(ticks_ms(), self._start_tick)
            return self._backoff.lost_ms(lasted_ms, not self._is_up())
        finally:
            self.is_online = False
            self._client.close()

    async def _greet(self):
        """Subscribe where needed, and announce the node."""
        if not self._client.session_present:
            self._subscribed = None
        await self._subscribe()
        await self._client.publish(self._topics.own("state"), STATE_ONLINE, 1, True)

    async def _subscribe(self):
        topics = self._topics
        groups = topics.groups
        if self._subscribed == groups:
            return
        gone = [topics.group_cmd(group) for group in self._subscribed or () if group not in groups]
        if gone:
            await self._client.unsubscribe(gone)
        answer = await self._client.subscribe(topics.listened())
        self.refused_topics = 0
        for code in answer:
            if code == SUBACK_FAILURE:
                self.refused_topics += 1
        # A refusal is the broker's rules at fault: asked again at the next connection, so that it shows there too.
        self._subscribed = None if self.refused_topics else groups

    async def _serve(self):
        """Publish what waits, until the link is lost."""
        while True:
            self.beat()
            if not self._is_up():
                raise LinkLost("network")
            if not self._is_proven and ticks_diff(ticks_ms(), self._start_tick) >= _PROOF_MS:
                self._is_proven = True
            if self._subscribed is not None and self._subscribed != self._topics.groups:
                await self._subscribe()
            self._publish_next()
            await self._client.step()

    def _publish_next(self):
        if self._waiting_id:
            if self._client.is_under_way(self._waiting_id):
                return
            self._waiting_id = 0
            self.sent += 1
            self._outbox.done()
        message = self._outbox.peek()
        if message is None:
            return
        topic, payload, qos = message
        if "/" not in topic:
            topic = self._topics.own(topic)
        try:
            packet_id = self._client.post(topic, payload, qos)
        except ValueError:
            # It would be refused for ever, and everything behind it would wait.
            self.dropped += 1
            self._outbox.done()
            return
        if packet_id == BUSY:
            return
        if packet_id:
            self._waiting_id = packet_id
        else:
            self.sent += 1
            self._outbox.done()

    def _take(self, topic, payload, retain):
        kind = self._topics.kind_of(topic)
        if kind is None:
            self.strangers += 1
            return
        self.received += 1
        self._on_message(kind, payload, retain)
