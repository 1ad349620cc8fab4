"""What the street tells a lamp: its own sensor, as far as it is trusted, and the wave of its neighbours."""

from .bubble import Bubble
from .passage import Passage
from .sensor import TRUSTED, PresenceSensor
from .ticks import ticks_diff
from .volume import VolumeClass


class StreetSense:
    """The senses of one lamp. ``presence`` and ``neighbours`` are the two channels of the program's dynamic controls.

    ``classes_down``: how many lighting classes the traffic allows the lamp to go down. ``has_to_send``: ``bubble`` has
    a message for the radio; without neighbours there is no ``bubble``. ``detections`` counts passers that the own
    sensor has seen, in a ring of 2^16. While ``is_due``, ``pass_due(due_ms)`` is to be called at the tick ``due_ms``.
    """

    def __init__(self, config):
        self.sensor = PresenceSensor()
        # What a lamp does not have costs it no memory.
        self.bubble = _bubble_of(config)
        self._passage = _passage_of(config)
        self._volume = _volume_of(config)
        self._is_light_ahead = config.is_light_ahead
        self._messages = 0
        self._is_active = False
        self._is_counting = False
        self._is_asked = False
        self.presence = 0
        self.neighbours = 0
        self.classes_down = 0
        self.detections = 0
        self.is_due = False
        self.due_ms = 0

    @property
    def has_to_send(self) -> bool:
        """Return whether ``bubble`` has a message for the radio."""
        return self.bubble is not None and self.bubble.has_to_send

    def take(self, seen, tick: int) -> None:
        """Take the own sensor and a message from what is ``seen`` (`Seen`)."""
        sensor = self.sensor
        is_on = seen.presence != 0
        if is_on != sensor.is_on:
            sensor.edge(tick, is_on)
            self._vote(tick)
        if seen.messages != self._messages and self.bubble is not None:
            self._messages = seen.messages
            message = seen.message
            position = self.bubble.receive(
                tick, message.sender, message.origin, message.sequence, message.hops, message.travelled
            )
            if position and self._passage.trigger(tick, position):
                sensor.neighbours_saw(tick)
        self._is_asked = seen.neighbours != 0
        self._count_while_trusted(tick)
        self._settle()

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``."""
        sensor = self.sensor
        if sensor.is_due and sensor.due_ms == tick:
            sensor.pass_due(tick)
            self._vote(tick)
        if self.bubble is not None:
            if self.bubble.is_due and self.bubble.due_ms == tick:
                self.bubble.pass_due(tick)
            if self._passage.is_due and self._passage.due_ms == tick:
                self._passage.pass_due(tick)
        if self._volume is not None and self._volume.is_due and self._volume.due_ms == tick:
            self._volume.pass_due(tick)
        self._count_while_trusted(tick)
        self._settle()

    def refresh(self, tick: int) -> None:
        """Let the wave forget what is over; at least once a day."""
        if self.bubble is not None:
            self.bubble.refresh(tick)
            self._settle()

    def light_time(self, tick: int, is_active: bool) -> None:
        """Tell whether the program is active: passers are counted only then, and only by a trusted sensor."""
        self._is_active = is_active
        self._count_while_trusted(tick)
        self._settle()

    def _count_while_trusted(self, tick: int) -> None:
        if self._volume is None:
            return
        is_counting = self._is_active and self.sensor.trust == TRUSTED
        if is_counting != self._is_counting:
            self._is_counting = is_counting
            if is_counting:
                self._volume.start(tick)
            else:
                self._volume.stop()

    def _vote(self, tick: int) -> None:
        """Pass on what the sensor says now, as far as it has a vote."""
        presence = 1 if self.sensor.is_present else 0
        if presence != self.presence:
            self.presence = presence
            if self.bubble is not None:
                self.bubble.own(tick, presence == 1)
                if presence:
                    self._passage.trigger(tick, 0)
            if presence:
                self.detections = (self.detections + 1) & 65535
                if self._is_counting:
                    self._volume.passer(tick)

    def _settle(self) -> None:
        """Bring the outputs and the next due tick up to date."""
        self.is_due = self.sensor.is_due
        self.due_ms = self.sensor.due_ms
        is_lit = self._is_asked
        if self.bubble is not None:
            is_lit = is_lit or self.bubble.is_lit or (self._is_light_ahead and self._passage.ahead != 0)
            self._sooner(self.bubble)
            self._sooner(self._passage)
        self.neighbours = 1 if is_lit else 0
        if self._volume is not None:
            self.classes_down = self._volume.classes_down if self._is_counting else 0
            self._sooner(self._volume)

    def _sooner(self, part) -> None:
        if part.is_due and (not self.is_due or ticks_diff(part.due_ms, self.due_ms) < 0):
            self.is_due = True
            self.due_ms = part.due_ms


def _bubble_of(config):
    if len(config.neighbours) == 0:
        return None
    return Bubble(
        config.own_id,
        config.hop_limit,
        config.bubble_period_ms,
        config.bubble_hold_ms,
        config.neighbours,
        config.reach,
        config.bubble_repeat_ms,
    )


def _passage_of(config):
    return Passage() if len(config.neighbours) > 0 else None


def _volume_of(config):
    return VolumeClass(config.volume_one_per_h, config.volume_two_per_h) if config.volume_one_per_h > 0 else None
