"""What the street tells one lamp, its parts together: own sensor, wave, passage, volume."""

from firmware.control.config import Config
from firmware.control.inputs import Seen
from firmware.control.street_sense import StreetSense

MIN_MS = 60_000
WINDOW_MS = 10 * MIN_MS
ZONE = (0,) * 10


def street(**options) -> StreetSense:
    """Return the senses of a lamp with these options of `Config`."""
    config = Config(ZONE, 0, 0, (1000,), (1000,), 0)
    for name, value in options.items():
        assert hasattr(config, name), name
        setattr(config, name, value)
    return StreetSense(config)


class World:
    """One lamp's senses and what they see; deadlines are kept."""

    def __init__(self, **options):
        self.senses = street(**options)
        self.seen = Seen()

    def run(self, tick: int) -> None:
        """Do what is due up to ``tick``."""
        while self.senses.is_due and self.senses.due_ms <= tick:
            self.senses.pass_due(self.senses.due_ms)

    def see(self, tick: int, **values) -> None:
        """Let ``values`` of `Seen` be so from ``tick`` on."""
        self.run(tick)
        for name, value in values.items():
            assert hasattr(self.seen, name), name
            setattr(self.seen, name, value)
        self.senses.take(self.seen, tick)

    def hear(self, tick: int, sender: int, origin: int, sequence: int, hops: int = 1, travelled: int = 0) -> None:
        """Let a message of the wave arrive."""
        message = self.seen.message
        message.sender, message.origin, message.sequence = sender, origin, sequence
        message.hops, message.travelled = hops, travelled
        self.see(tick, messages=self.seen.messages + 1)


def test_a_new_lamp_has_seen_nobody_and_asks_nothing():
    """The first minutes after a power cut must not be lit by what nobody saw. So all starts at nobody, and nothing is
    due."""
    senses = street()
    assert (senses.presence, senses.neighbours, senses.classes_down, senses.detections) == (0, 0, 0, 0)
    assert not senses.is_due
    assert not senses.has_to_send
    senses.light_time(0, True)
    assert senses.neighbours == 0


def test_each_passer_is_counted_once():
    """The count of passers decides a lighting class and enters the town's proof. So it rises by one for each, however
    long he stays, and keeps to 16 bits."""
    world = World()
    for passer in range(1, 4):
        world.see(passer * 10_000, presence=1)
        world.see(passer * 10_000 + 200, presence=1)
        assert world.senses.detections == passer
        world.see(passer * 10_000 + 5_000, presence=0)
        assert world.senses.detections == passer
    world.senses.detections = 65_535
    world.see(50_000, presence=1)
    assert world.senses.detections == 0


def test_a_lamp_alone_has_no_wave():
    """A message that a lamp without neighbours hears by chance is not for it."""
    world = World(own_id=20)
    world.hear(1_000, 21, 21, 1)
    assert world.senses.neighbours == 0
    world.see(2_000, presence=1)
    assert not world.senses.has_to_send


def test_own_presence_is_sent_with_the_own_id_and_again_while_it_lasts():
    """A neighbour judges by the sender where it stands. So a passer is announced once at once, under the pole's own id,
    again after the repeat time, and not when he has gone."""
    world = World(own_id=20, neighbours=((21, 1),), bubble_repeat_ms=4_000)
    bubble = world.senses.bubble
    world.see(1_000, presence=1)
    assert world.senses.has_to_send
    assert bubble.send_origin == 20
    first = bubble.send_sequence
    bubble.sent()
    assert not world.senses.has_to_send
    world.run(4_999)
    assert not world.senses.has_to_send
    world.run(5_000)
    assert world.senses.has_to_send
    assert (bubble.send_origin, bubble.send_sequence) == (20, first + 1)
    bubble.sent()
    world.see(6_000, presence=0)
    world.run(20_000)
    assert not world.senses.has_to_send


def test_a_neighbour_that_asks_and_the_wave_are_one_channel():
    """A gateway may ask for light on behalf of the neighbours, and their messages may too. So either lights, and the
    channel falls when both have ended."""
    world = World(own_id=20, neighbours=((21, 1),), bubble_hold_ms=20_000)
    world.see(0, neighbours=1)
    assert world.senses.neighbours == 1
    world.see(100, neighbours=0)
    assert world.senses.neighbours == 0
    world.hear(1_000, 21, 21, 7)
    assert world.senses.neighbours == 1
    world.run(20_999)
    assert world.senses.neighbours == 1
    world.run(21_000)
    assert world.senses.neighbours == 0


def test_traffic_is_counted_in_the_lit_hours_only():
    """A class by traffic that was counted by day would be the day's. So counting begins with the program and ends with
    it, from the very moment it is told."""
    world = World(volume_one_per_h=100, volume_two_per_h=20)
    senses = world.senses
    senses.light_time(0, False)
    assert not senses.is_due
    senses.light_time(1_000, True)
    assert (senses.is_due, senses.due_ms) == (True, 1_000 + WINDOW_MS)
    world.run(31 * MIN_MS)
    assert senses.classes_down > 0
    senses.light_time(31 * MIN_MS, False)
    assert senses.classes_down == 0


def test_a_sensor_without_a_vote_counts_nobody():
    """A chattering sensor would count a crowd and keep an empty street at full class. So while it has no vote the
    window is not judged."""
    world = World(volume_one_per_h=100, volume_two_per_h=20)
    senses = world.senses
    senses.light_time(0, True)
    tick = 1_000
    while senses.sensor.trust == 0 and tick < 5 * MIN_MS:
        world.see(tick, presence=1)
        world.see(tick + 50, presence=0)
        tick += 100
    assert senses.sensor.trust != 0
    assert senses.classes_down == 0
    world.run(tick + 14 * MIN_MS)
    # Ten quiet minutes give the vote back: the window starts anew from there.
    assert senses.sensor.trust == 0
    due = senses.due_ms
    assert tick + 10 * MIN_MS < due <= tick + 21 * MIN_MS


def test_the_sooner_of_two_is_due():
    """Sensor, wave and counts share one due tick; one that hides another leaves light on for ever."""
    world = World(own_id=20, neighbours=((21, 1),), bubble_hold_ms=20_000, volume_one_per_h=100, volume_two_per_h=20)
    senses = world.senses
    senses.light_time(0, True)
    assert senses.due_ms == WINDOW_MS
    world.hear(1_000, 21, 21, 7)
    assert senses.due_ms <= 21_000
    world.run(WINDOW_MS - 1)
    assert senses.neighbours == 0
    assert senses.due_ms == WINDOW_MS


def test_a_sensor_that_sticks_loses_its_vote_at_its_own_tick():
    """A sensor stuck on lights its street all night, and its neighbours'. So after two hours its presence ends, the
    neighbours hear no more of it, and a minute of rest gives the vote back."""
    world = World(own_id=20, neighbours=((21, 1),), bubble_repeat_ms=10_000)
    senses = world.senses
    world.see(0, presence=1)
    stuck = 120 * MIN_MS
    while senses.is_due and senses.due_ms < stuck:
        senses.pass_due(senses.due_ms)
        if senses.has_to_send:
            senses.bubble.sent()
    assert senses.presence == 1
    world.run(stuck)
    assert (senses.presence, senses.detections) == (0, 1)
    world.run(stuck + 5 * MIN_MS)
    assert not senses.has_to_send
    world.see(stuck + 5 * MIN_MS, presence=0)
    world.run(stuck + 6 * MIN_MS - 1)
    assert senses.sensor.trust != 0
    world.run(stuck + 6 * MIN_MS)
    assert senses.sensor.trust == 0
    world.see(stuck + 7 * MIN_MS, presence=1)
    assert (senses.presence, senses.detections) == (1, 2)
    assert senses.has_to_send
