"""Presence lights the lamps around it, on both sides alike, and the messages for that never become a storm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.control.bubble import Bubble
from firmware.control.ticks import TICKS_MAX
from tests.control.presence_main import Moved, history

HOLD, REPEAT, MINIMUM = 30_000, 10_000, 2000
DAY = 86_400_000
# The pole under test is 100; its street has 98 and 99 before it, 101 and 102 after it, and 105 far away.
STREET = [(98, -2), (99, -1), (101, 1), (102, 2), (105, 5)]


def pole(own_id: int = 100, hop_limit: int = 5, neighbours=STREET, minimum: int = MINIMUM, **options) -> Bubble:
    return Bubble(own_id, hop_limit, minimum, HOLD, neighbours, repeat_ms=REPEAT, **options)


def take(bubble: Bubble) -> tuple[int, int, int, int] | None:
    """Send what there is to send; return origin, sequence, hops left, hops travelled."""
    if not bubble.has_to_send:
        return None
    bubble.sent()
    return bubble.send_origin, bubble.send_sequence, bubble.send_hops, bubble.send_travelled


def counters(bubble: Bubble) -> tuple[int, int, int, int]:
    return bubble.accepted, bubble.duplicate, bubble.unknown, bubble.limited


def state_of(bubble: Bubble) -> tuple[object, ...]:
    return counters(bubble), bubble.is_lit, bubble.nearest, bubble.is_due, bubble.due_ms


def test_a_neighbours_passer_lights_this_lamp_for_the_hold():
    """A walker needs 21 s from pole to pole: the light must be there before he is, and stay until the next lamp has
    him. Each message of his pole extends it."""
    moved = Moved(pole())
    assert moved.part.receive(moved.tick, 99, 99, 7, 0) == -1
    assert moved.part.is_lit and moved.part.nearest == 1
    assert moved.part.receive(moved.to(20_000), 99, 99, 8, 0) == -1
    moved.settle(20_000 + HOLD - 1)
    assert moved.part.is_lit
    moved.settle(20_000 + HOLD)
    assert not moved.part.is_lit and moved.part.nearest == 0


def test_only_poles_within_reach_light_this_lamp():
    """Two poles on either side are a bubble; a lamp lit for somebody five poles away is waste. It is news all the same,
    for whoever estimates directions."""
    bubble = pole()
    assert bubble.receive(0, 101, 105, 1, 2) == 5
    assert not bubble.is_lit and bubble.is_due
    assert bubble.receive(0, 101, 102, 1, 0) == 2
    assert bubble.nearest == 2
    assert bubble.receive(0, 101, 101, 1, 0) == 1
    assert bubble.nearest == 1


def test_every_neighbour_is_heard():
    """The first and the last of a list are where programs go wrong. Each neighbour, pole 0 too, is heard, lights and is
    passed on."""
    street = [(0, -2), (99, -1), (101, 1), (102, 2), (1, 1)]
    for sender, distance in street:
        bubble = pole(neighbours=street)
        assert bubble.receive(TICKS_MAX - 9, sender, sender, 1, 1) == distance
        assert bubble.nearest == abs(distance) and take(bubble) == (sender, 1, 0, 1)


def test_the_hop_limit_counts_poles():
    """The operator who writes "hop limit 5" expects five poles to hear of it: the own message allows its receivers four
    more hops, the fifth pole passes nothing on, and a limit of one stays with the direct neighbours."""
    bubble = pole()
    bubble.own(0, True)
    assert take(bubble) == (100, 1, 4, 0)
    bubble = pole(hop_limit=1)
    bubble.own(0, True)
    assert take(bubble) == (100, 1, 0, 0)
    for hops, travelled, passed in ((4, 0, (99, 1, 3, 1)), (1, 3, (99, 1, 0, 4)), (0, 4, None)):
        bubble = pole()
        bubble.receive(0, 99, 99, 1, hops, travelled)
        assert take(bubble) == passed


def test_a_message_goes_no_further_than_this_poles_limit():
    """One wrong entry in one node (hop limit 255) must not light a whole quarter."""
    bubble = pole()
    bubble.receive(0, 99, 99, 1, 255)
    assert take(bubble) == (99, 1, 3, 1)
    bubble.receive(5000, 99, 98, 1, 255, 4)
    assert take(bubble) is None


def test_strangers_copies_and_echoes_change_nothing():
    """On the air are other streets, repeated frames, one's own words from a neighbour's mouth. They are counted, and
    light nothing."""
    bubble = pole()
    assert bubble.receive(0, 97, 99, 1, 3) == 0
    assert bubble.receive(0, 99, 100, 1, 3) == 0
    assert not bubble.is_lit and take(bubble) is None
    assert bubble.receive(0, 99, 98, 1, 3) == -2
    assert take(bubble) == (98, 1, 2, 1)
    assert bubble.receive(10, 101, 98, 1, 1) == 0
    assert take(bubble) is None
    assert counters(bubble) == (1, 2, 1, 0)


def test_a_late_copy_is_old_and_a_restart_is_not():
    """Copies take different ways, so an older one may come after a newer one. A pole that restarts counts from 1 again:
    its passers must not wait until its memory fades."""
    bubble = pole()
    for sequence, is_news in ((20, True), (19, False), (4, False), (3, True), (20, True), (21, True)):
        assert (bubble.receive(0, 99, 99, sequence, 0) != 0) == is_news, sequence


def test_a_sequence_that_comes_round_is_new():
    """Eight bits are used up in nine minutes of presence. The memory of a sequence fades in ten seconds, so that it is
    never taken for the one before."""
    moved = Moved(pole())
    assert moved.part.receive(moved.tick, 99, 99, 255, 0)
    assert moved.part.receive(moved.to(1), 99, 99, 0, 0), "0 follows 255"
    assert not moved.part.receive(moved.to(2), 99, 99, 255, 0)
    assert not moved.part.receive(moved.to(10_000), 99, 99, 0, 0)
    assert moved.part.receive(moved.to(10_001), 99, 99, 0, 0)


def refreshed_daily(moved: Moved) -> None:
    """Let a week go by as the controller does: nothing is due, and once a day what is over is forgotten."""
    for day in range(2, 8):
        moved.part.refresh(moved.to(day * DAY - 1))


def test_presence_is_told_at_once_repeated_and_then_silent():
    """Rise fast: the neighbours hear of a passer at the first edge. Whoever stands there is told again before their
    hold ends; when he has gone there is nothing to say."""
    moved = Moved(pole())
    moved.part.own(moved.to(1000), True)
    assert take(moved.part) == (100, 1, 4, 0)
    moved.settle(1000 + REPEAT - 1)
    assert take(moved.part) is None
    moved.settle(1000 + REPEAT)
    assert take(moved.part) == (100, 2, 4, 0)
    moved.part.own(moved.to(15_000), True)
    assert take(moved.part) is None, "no edge"
    moved.part.own(moved.to(16_000), False)
    moved.settle(DAY)
    assert take(moved.part) is None
    assert not moved.part.is_due, "an idle street costs nothing"
    refreshed_daily(moved)
    moved.part.own(moved.to(7 * DAY), True)
    assert take(moved.part) == (100, 3, 4, 0)


def test_a_second_rise_waits_for_the_minimum_period_and_is_not_lost():
    """A sensor that flutters must not fill the air: one message in the minimum period. But the second passer counts,
    even if he has gone before his message may be sent."""
    moved = Moved(pole())
    moved.part.own(moved.tick, True)
    take(moved.part)
    moved.part.own(moved.to(100), False)
    moved.part.own(moved.to(500), True)
    moved.part.own(moved.to(600), False)
    assert take(moved.part) is None and moved.part.is_due
    moved.settle(MINIMUM - 1)
    assert take(moved.part) is None
    moved.settle(MINIMUM)
    assert take(moved.part) == (100, 2, 4, 0)
    moved.settle(DAY)
    assert take(moved.part) is None
    # After the minimum period there is no wait, and while one runs a new rise adds nothing.
    moved.part.own(moved.to(DAY + 1), True)
    assert take(moved.part) == (100, 3, 4, 0)
    for i in range(10):
        moved.part.own(moved.to(DAY + 100 + i), i % 2 == 1)
    moved.settle(DAY + 1 + MINIMUM)
    assert take(moved.part) == (100, 4, 4, 0)
    moved.settle(DAY + 1 + MINIMUM + REPEAT)
    assert take(moved.part) == (100, 5, 4, 0), "still present, so it repeats"


def test_the_total_rate_holds_the_own_message_back_too():
    """Without a minimum period the total rate still stands (fault 34): three at once, then one a second."""
    moved = Moved(pole(minimum=0))
    times = []
    for i in range(60):
        moved.part.own(moved.to(100 * i), i % 2 == 0)
        if take(moved.part):
            times.append(moved.now)
        moved.settle(100 * i + 99)
        if take(moved.part):
            times.append("late")
    assert times[:3] == [0, 200, 400]
    assert len(times) == 3 + 5


def test_the_longer_of_two_limits_decides():
    """Minimum period and total rate both stand. Where the period is over first, the message still waits for
    the rate."""
    moved = Moved(pole(minimum=400, burst=2))
    times = []
    for now, is_present in ((0, True), (100, False), (200, True), (450, False), (500, True)):
        moved.settle(now)
        moved.part.own(moved.tick, is_present)
        if take(moved.part):
            times.append(now)
    moved.settle(999)
    assert times == [0, 450] and take(moved.part) is None
    moved.settle(1000)
    assert take(moved.part) == (100, 3, 4, 0)


def test_passing_on_leaves_room_for_the_own_message():
    """A busy crossing next door must not silence this pole: what it alone can say is never kept waiting by what it only
    repeats."""
    bubble = pole()
    for origin in range(200, 210):
        bubble.receive(0, 99, origin, 1, 3)
        take(bubble)
    assert bubble.limited == 8, "two of the burst of three, the last is kept"
    bubble.own(0, True)
    assert take(bubble) == (100, 1, 4, 0)


def test_an_origin_is_passed_on_once_in_the_minimum_period():
    """A neighbour that shouts all the time lights this lamp, and is passed on no more often than its turn."""
    moved = Moved(pole(total_per_s=10, burst=10))
    passed = []
    for i in range(40):
        moved.part.receive(moved.to(i * 150), 99, 99, i, 2)
        if take(moved.part):
            passed.append(moved.now)
    assert passed == [0, 2100, 4200]
    assert moved.part.accepted == 40 and moved.part.limited == 37


def test_the_period_of_an_origin_outlives_the_memory_of_its_sequence():
    """An operator may want one message in half a minute. That must hold although sequences are forgotten in ten
    seconds."""
    moved = Moved(pole(minimum=25_000))
    passed = []
    for i in range(60):
        moved.part.receive(moved.to(i * 1000), 99, 99, i, 2)
        if take(moved.part):
            passed.append(moved.now)
    moved.settle(DAY)
    assert passed == [0, 25_000, 50_000] and not moved.part.is_due
    moved = Moved(pole(minimum=25_000))
    moved.part.receive(moved.tick, 99, 99, 1, 2)
    take(moved.part)
    moved.part.receive(moved.to(24_999), 99, 99, 2, 2)
    assert take(moved.part) is None


def test_a_radio_that_is_slow_gets_the_newest_own_message():
    """While the radio is busy nothing queues up: the own message replaces what waits, a message to pass on does not."""
    bubble = pole()
    bubble.receive(0, 99, 99, 1, 3)
    bubble.receive(0, 99, 98, 1, 3)
    assert (bubble.send_origin, bubble.limited) == (99, 1)
    bubble.own(1, True)
    assert (bubble.send_origin, bubble.limited) == (100, 2)
    bubble.sent()
    assert not bubble.has_to_send


def test_a_week_of_silence_leaves_nothing_behind():
    """After six days an old tick lies in the future of the ring. A neighbour that is heard again after a week must not
    meet its own message of then, nor its rate limit."""
    moved = Moved(pole())
    moved.part.receive(moved.tick, 99, 99, 1, 2)
    assert take(moved.part)
    moved.part.own(moved.tick, True)
    moved.part.own(moved.tick, False)
    assert take(moved.part)
    moved.settle(DAY)
    assert not moved.part.is_due
    refreshed_daily(moved)
    moved.part.own(moved.to(7 * DAY), True)
    assert take(moved.part) == (100, 2, 4, 0)
    moved.part.own(moved.tick, False)
    assert moved.part.receive(moved.to(7 * DAY + 5000), 99, 99, 1, 2) == -1
    assert take(moved.part) == (99, 1, 1, 1)
    # An origin beyond the neighbours runs no hold: nothing but the sweep forgets it.
    moved = Moved(pole())
    moved.part.receive(moved.tick, 99, 300, 1, 0)
    moved.settle(DAY)
    refreshed_daily(moved)
    moved.part.receive(moved.to(7 * DAY), 99, 300, 1, 0)
    assert counters(moved.part) == (2, 0, 0, 0)


def test_more_origins_than_memory_forget_the_oldest():
    """A flood of invented origins must cost a bounded memory and never the newest neighbour's place in it."""
    moved = Moved(pole())
    for i in range(17):
        moved.part.receive(moved.to(i), 99, 500 + i, 1, 0)
    assert moved.part.receive(moved.to(20), 99, 501, 1, 0) == 0 and moved.part.duplicate == 1
    moved.part.receive(moved.to(21), 99, 500, 1, 0)
    assert moved.part.accepted == 18, "500 was forgotten for 516"
    for _ in range(70_000):
        moved.part.receive(moved.tick, 1, 1, 1, 0)
    assert moved.part.unknown == 65_535


def test_more_neighbours_than_the_table_are_refused():
    """A plan with a typing error must be refused when it is loaded, not lose a neighbour in silence."""
    assert pole(neighbours=[(i, i) for i in range(1, 9)])
    with pytest.raises(ValueError, match="8 neighbours"):
        pole(neighbours=[(i, i) for i in range(1, 10)])


def test_deadlines_at_tick_zero_are_deadlines():
    """Tick 0 comes every twelve days on every lamp. A hold, a repetition, a wait or a memory that ends there ends
    as any other."""
    moved = Moved(pole(), TICKS_MAX + 1 - HOLD)
    moved.part.receive(moved.tick, 99, 99, 1, 0)
    moved.settle(HOLD)
    assert moved.tick == 0 and not moved.part.is_lit and not moved.part.is_due
    moved = Moved(pole(), TICKS_MAX + 1 - REPEAT)
    moved.part.own(moved.tick, True)
    take(moved.part)
    moved.settle(REPEAT)
    assert take(moved.part) == (100, 2, 4, 0)
    for wait, minimum in ((2000, 2000), (1000, 0)):
        moved = Moved(pole(minimum=minimum, burst=2), TICKS_MAX + 1 - wait)
        for is_present in (True, False, True, False, True):
            moved.part.own(moved.tick, is_present)
            take(moved.part)
        assert moved.part._is_waiting
        moved.settle(wait)
        assert take(moved.part)
    moved = Moved(pole(), TICKS_MAX + 1)
    moved.part.receive(moved.tick, 99, 98, 1, 2)
    assert take(moved.part)
    moved.part.receive(moved.to(1), 99, 98, 1, 2)
    assert moved.part.duplicate == 1, "what came at tick 0 is remembered"
    moved.settle(DAY)
    assert not moved.part.is_due
    moved = Moved(pole(), TICKS_MAX + 1 - MINIMUM)
    moved.part.receive(moved.tick, 99, 98, 1, 2)
    assert take(moved.part)
    moved.part.receive(moved.to(MINIMUM - 1), 99, 98, 2, 2)
    assert take(moved.part) is None, "its quiet period ends at tick 0, not before"
    moved.part.receive(moved.to(MINIMUM), 99, 98, 3, 2)
    assert take(moved.part) == (98, 3, 1, 1)


class Town:
    """Poles in one row (or a ring), each hearing its two direct neighbours; instant, faultless radio."""

    def __init__(self, count: int, hop_limit: int, is_ring: bool = False):
        self.poles = []
        self.messages = 0
        for i in range(count):
            places = [(i + d, d) for d in (-2, -1, 1, 2)]
            near = [((p % count) if is_ring else p, d) for p, d in places if is_ring or 0 <= p < count]
            self.poles.append(pole(i, hop_limit, near))

    def hears(self, sender: int, receiver: int) -> bool:
        """Radio reaches the next pole on either side only."""
        return (receiver - sender) % len(self.poles) in (1, len(self.poles) - 1)

    def calm(self, tick: int) -> None:
        """Let the radio carry messages until nobody has one."""
        while senders := [bubble for bubble in self.poles if bubble.has_to_send]:
            for bubble in senders:
                said = take(bubble)
                self.messages += 1
                sender = self.poles.index(bubble)
                for i, other in enumerate(self.poles):
                    if self.hears(sender, i) and dict.fromkeys(other._poles, 1).get(sender):
                        other.receive(tick, sender, *said)


@pytest.mark.parametrize("hop_limit", [1, 2, 5])
def test_a_wave_reaches_its_hops_on_both_sides_and_dies(hop_limit):
    """A group message that circles is a storm of the whole town (fault 34). In a row and in a ring of poles: the hop
    limit on either side, each pole speaks once, the light is symmetric."""
    for is_ring, count in ((False, 21), (True, 21), (True, 7)):
        town = Town(count, hop_limit, is_ring)
        middle = count // 2
        town.poles[middle].own(0, True)
        town.calm(0)
        heard = [i for i, bubble in enumerate(town.poles) if bubble.accepted]
        side = min(hop_limit, count // 2)
        assert heard == [i for i in range(middle - side, middle + side + 1) if i != middle]
        lit = [i for i, bubble in enumerate(town.poles) if bubble.is_lit]
        reach = min(hop_limit, 2)
        assert lit == [i for i in range(middle - reach, middle + reach + 1) if i != middle]
        assert town.messages <= 2 * hop_limit + 1


steps = st.lists(
    st.tuples(
        st.integers(0, 300) | st.integers(0, 15_000),
        st.sampled_from(["rise", "fall", "hear", "hear", "hear"]),
        st.sampled_from([97, 98, 99, 101, 102]),
        st.sampled_from([98, 99, 100, 101, 102, 105, 300]),
        st.integers(0, 255) | st.integers(0, 3),
        st.integers(0, 6),
    ),
    max_size=80,
)
MIRROR = {97: 103, 98: 102, 99: 101, 100: 100, 101: 99, 102: 98, 105: 95, 300: 300}


def play(script, mirrored: bool = False, tick0: int = TICKS_MAX - 5000) -> tuple[list, list]:
    """Play a script; return the states after each step, and the moment and content of all that was sent."""
    sent, states = [], []

    def collect(moved):
        said = take(moved.part)
        if said:
            sent.append((moved.now, *said))

    street = [(MIRROR[p], -d) for p, d in STREET] if mirrored else STREET
    moved = Moved(pole(neighbours=street), tick0, collect)
    for wait, what, sender, origin, sequence, hops in script:
        if mirrored:
            sender, origin = MIRROR[sender], MIRROR[origin]
        tick = moved.to(moved.now + wait)
        news = 0
        if what == "hear":
            news = moved.part.receive(tick, sender, origin, sequence, hops)
        else:
            moved.part.own(tick, what == "rise")
        collect(moved)
        states.append((abs(news), moved.part.is_lit, moved.part.nearest, counters(moved.part)))
    moved.part.own(moved.to(moved.now + 1), False)
    moved.settle(moved.now + 60_000)
    assert not moved.part.is_due and not moved.part.is_lit
    return states, sent


@given(steps, st.integers(0, TICKS_MAX))
def test_the_bubble_does_not_know_left_from_right(script, tick0):
    """People come from both sides. The mirrored street with mirrored messages must light alike; and where the ring of
    ticks stands makes no difference either."""
    states, sent = play(script)
    mirrored, mirror_sent = play(script, mirrored=True)
    assert states == mirrored
    assert [(at, MIRROR[origin], *rest) for at, origin, *rest in sent] == mirror_sent
    assert play(script, tick0=tick0) == (states, sent)


@given(steps, st.integers(0, TICKS_MAX))
def test_whoever_asks_for_news_first_misses_nothing(script, tick0):
    """Most messages of an evening are copies, and each cost a decision. A node that asks first and receives only what
    is news ends with the same light, the same messages sent and the same counts as one that receives all."""
    all_received, asked = Moved(pole(), tick0), Moved(pole(), tick0)
    for wait, what, sender, origin, sequence, hops in script:
        for moved in (all_received, asked):
            tick = moved.to(moved.now + wait)
            part = moved.part
            if what != "hear":
                part.own(tick, what == "rise")
            elif moved is all_received or part.is_news(tick, sender, origin, sequence):
                part.receive(tick, sender, origin, sequence, hops)
        assert state_of(asked.part) == state_of(all_received.part)
        assert take(asked.part) == take(all_received.part)


@given(steps)
def test_no_history_makes_a_storm(script):
    """Whatever is heard or seen: three messages at once, one a second after that, one per origin in the minimum period,
    and nothing passed on further than it was allowed."""
    _, sent = play(script)
    for i, (at, origin, _, hops, travelled) in enumerate(sent):
        assert 0 <= hops <= 4 and hops + travelled <= 4
        assert sum(1 for other in sent[i:] if other[0] < at + 1000) <= 3 + 1
        assert sum(1 for other in sent[i:] if other[0] <= at + 10_000) <= 3 + 10
        assert all(other[0] >= at + MINIMUM for other in sent[i + 1 :] if other[1] == origin)


@given(steps)
def test_every_rise_is_told_within_the_minimum_period(script):
    """Rise fast: whatever this pole passes on for others, its own passer is told at once, or as soon as its own last
    message is the minimum period old."""
    _, sent = play(script)
    now, is_present, own = 0, False, [at for at, origin, *_ in sent if origin == 100]
    for wait, what, *_ in script:
        now += wait
        if what == "rise" and not is_present:
            before = [at for at in own if at < now]
            latest = max([now] + [at + MINIMUM for at in before[-1:]])
            assert any(now <= at <= latest for at in own)
        is_present = what == "rise" if what != "hear" else is_present


def test_the_chip_passes_the_wave_as_the_host_does(micropython_runtime):
    """A simulated street of a thousand poles must be the street itself. The same random messages give the same states
    on CPython and on MicroPython, and no running call allocates."""
    done = micropython_runtime.run(["tests/control/presence_main.py", "bubble", "7", "4000"])
    assert done.returncode == 0, done.stderr
    expected = list(history("bubble", 7, 4000))
    assert done.stdout.split("\n")[:-1] == expected
    assert all(int(count) > 50 for count in expected[-1].split()[8:12])
