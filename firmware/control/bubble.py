"""The light bubble: which neighbours' presence lights this lamp, and the messages that carry it from pole to pole.

After uCIFI's distributed sensor group (LwM2M object 3459): hop limit (resource 8), minimum broadcast period (10), auto
clear (15), data fusion OR (17). Here are only the rules; a radio carries the messages. A message says "presence at
pole ``origin`` now" and nothing else: no message says that it ended, so a lost one leaves no lamp lit for ever and
none is needed for the hold to run out.
"""

from .compat import const
from .ticks import ticks_add, ticks_diff

# A street has a few poles on either side that matter to one lamp; each costs a look at every message.
NEIGHBOURS_MAX = const(8)
# Origins remembered to recognise duplicates: both sides of hop limit 5, and as many again from side streets.
_ORIGINS = const(16)
# How long an origin's newest sequence counts. Copies arrive within a second or two; a sequence of 8 bits returns after
# 256 minimum periods; a pole that restarts counts from 1 again.
_MEMORY_MS = const(10000)
# A sequence up to this far behind an origin's newest is a late copy, further behind a restart.
_BEHIND_MAX = const(16)
_COUNT_MAX = const(65535)
# A free slot is older than any origin.
_FREE_AGE_MS = const(0x1FFFFFFF)

_NONE = const(-1)
# Timers: the own message to send next, the end of its minimum period, the moment when the rate limit has forgotten all,
# the next clearing of old origins; from `_HOLDS` on, the end of each neighbour's presence.
_OWN = const(0)
_QUIET = const(1)
_FULL = const(2)
_SWEEP = const(3)
_HOLDS = const(4)


class Bubble:
    """The wave of presence seen from one pole. Poles are 16-bit ids; a sequence has 8 bits.

    ``neighbours``: up to 8 pairs (pole id, distance in poles along the street: negative before, positive after, never
    0). Only what they transmit is heard. Presence at one of them within ``reach`` poles lights this lamp until
    ``hold_ms`` after its last message. ``hop_limit`` (1 … 255): how many poles a message passes; 1 reaches the direct
    neighbours. While somebody is present the own message is repeated every ``repeat_ms``, less than ``hold_ms``.

    Rates: one message per origin in ``min_period_ms`` (0 or more), and ``total_per_s`` (1 … 10) in all on average, at
    most ``burst`` (2 … 10) at once. The last of the burst is kept for the own message, which nobody else can send.

    ``has_to_send``: transmit ``send_origin``, ``send_sequence``, ``send_hops`` (left to the receiver) and
    ``send_travelled`` (hops behind it), then call ``sent()``. ``is_lit``: a neighbour's presence reaches this lamp,
    ``nearest`` poles away (0: none), on whichever side. ``accepted``, ``duplicate`` (and late or own), ``unknown``
    (sender) and ``limited`` (not passed on) count messages up to 65535. While ``is_due``, ``pass_due(due_ms)`` is to be
    called at the tick ``due_ms``; ``refresh()`` at least once a day.
    """

    def __init__(
        self,
        own_id: int,
        hop_limit: int,
        min_period_ms: int,
        hold_ms: int,
        neighbours,
        reach: int = 2,
        repeat_ms: int = 10000,
        total_per_s: int = 1,
        burst: int = 3,
    ):
        if len(neighbours) > NEIGHBOURS_MAX:
            raise ValueError("more than 8 neighbours")
        self._own_id = own_id
        self._hop_limit = hop_limit
        self._min_period_ms = min_period_ms
        self._hold_ms = hold_ms
        self._reach = reach
        self._repeat_ms = repeat_ms
        self._cost_ms = 1000 // total_per_s
        self._slack_ms = (burst - 1) * self._cost_ms
        self._poles = [pair[0] for pair in neighbours]
        self._distances = [pair[1] for pair in neighbours]
        self._timers = [_NONE] * (_HOLDS + len(neighbours))
        # Of each origin: its newest sequence, when that came (none: free), and until when no more is passed on.
        self._origins = [0] * _ORIGINS
        self._sequences = [0] * _ORIGINS
        self._came = [_NONE] * _ORIGINS
        self._quiet = [_NONE] * _ORIGINS
        self._is_present = False
        self._is_waiting = False
        self._sequence = 0
        self.has_to_send = False
        self.send_origin = 0
        self.send_sequence = 0
        self.send_hops = 0
        self.send_travelled = 0
        self.is_lit = False
        self.nearest = 0
        self.accepted = 0
        self.duplicate = 0
        self.unknown = 0
        self.limited = 0
        self.is_due = False
        self.due_ms = 0

    def own(self, tick: int, is_present: bool) -> None:
        """Take the own sensor's vote. A rise that the limits hold back is sent when they allow, ended or not."""
        if is_present == self._is_present:
            return
        self._is_present = is_present
        if not self._is_waiting:
            self._timers[_OWN] = _NONE
            if is_present:
                self._send_own(tick)
        self._settle()

    def sent(self) -> None:
        """Note that the message was handed to the radio."""
        self.has_to_send = False

    def is_news(self, tick: int, sender: int, origin: int, sequence: int) -> bool:
        """Tell whether a message is to be received; else it is counted, and that is all there is to do.

        Most messages of an evening are copies. Whoever asks this first spares the controller a call, and the journal
        an entry, without a difference.
        """
        if self._find(sender) < 0:
            self.unknown = _one_more(self.unknown)
            return False
        is_known = origin == self._own_id
        if not is_known:
            for i in range(_ORIGINS):
                if self._origins[i] == origin and self._came[i] >= 0:
                    age = ticks_diff(tick, self._came[i])
                    is_known = age < _MEMORY_MS and (self._sequences[i] - sequence) & 255 <= _BEHIND_MAX
                    break
        if is_known:
            self.duplicate = _one_more(self.duplicate)
        return not is_known

    def receive(self, tick: int, sender: int, origin: int, sequence: int, hops: int, travelled: int = 0) -> int:
        """Take a message as ``sender`` transmitted it.

        Return where its presence is, in poles from here with its sign, when it is news from one of the neighbours: that
        is a trigger for `Passage`. Else 0: unknown sender, own, duplicate, or from beyond the neighbours.
        """
        if not self.is_news(tick, sender, origin, sequence):
            return 0
        slot = self._remember(tick, origin, sequence)
        self.accepted = _one_more(self.accepted)
        # A sender with a larger hop limit than ours does not send a message further than ours allows.
        left = self._hop_limit - 1 - travelled
        if hops < left:
            left = hops
        if left > 0:
            self._forward(tick, slot, left - 1, travelled + 1)
        at = self._find(origin)
        if at >= 0:
            self._timers[_HOLDS + at] = ticks_add(tick, self._hold_ms)
        self._settle()
        return self._distances[at] if at >= 0 else 0

    def pass_due(self, tick: int) -> None:
        """Do what is due at ``tick``."""
        timers = self._timers
        for i in range(len(timers)):
            if timers[i] >= 0 and ticks_diff(tick, timers[i]) >= 0:
                timers[i] = _NONE
                if i == _OWN:
                    self._send_own(tick)
                elif i == _SWEEP:
                    self._sweep(tick)
        self._settle()

    def refresh(self, tick: int) -> None:
        """Forget what is over; to be called at least once a day, or an old tick comes to lie in the future."""
        self.pass_due(tick)

    def _find(self, pole: int) -> int:
        for i in range(len(self._poles)):
            if self._poles[i] == pole:
                return i
        return _NONE

    def _remember(self, tick: int, origin: int, sequence: int) -> int:
        """Return the slot of a new message's origin: its own, or the oldest."""
        slot = 0
        oldest = _NONE
        for i in range(_ORIGINS):
            age = _FREE_AGE_MS
            if self._came[i] >= 0:
                age = ticks_diff(tick, self._came[i])
                if self._origins[i] == origin:
                    slot = i
                    break
            if age > oldest:
                oldest = age
                slot = i
        if self._origins[slot] != origin:
            self._origins[slot] = origin
            self._quiet[slot] = _NONE
        self._sequences[slot] = sequence
        self._came[slot] = tick
        if self._timers[_SWEEP] < 0:
            self._timers[_SWEEP] = ticks_add(tick, _MEMORY_MS)
        return slot

    def _sweep(self, tick: int) -> None:
        """Free the origins that no longer count: an older tick would come to lie in the future of the ring."""
        for i in range(_ORIGINS):
            if self._quiet[i] >= 0 and ticks_diff(tick, self._quiet[i]) >= 0:
                self._quiet[i] = _NONE
            if self._came[i] >= 0:
                if self._quiet[i] < 0 and ticks_diff(tick, self._came[i]) >= _MEMORY_MS:
                    self._came[i] = _NONE
                else:
                    self._timers[_SWEEP] = ticks_add(tick, _MEMORY_MS)

    def _forward(self, tick: int, slot: int, hops: int, travelled: int) -> None:
        quiet = self._quiet[slot]
        if (
            self.has_to_send
            or (quiet >= 0 and ticks_diff(quiet, tick) > 0)
            or self._wait_ms(tick) > self._slack_ms - self._cost_ms
        ):
            # Not kept for later: the origin repeats itself, and other poles pass it on too.
            self.limited = _one_more(self.limited)
            return
        self._quiet[slot] = ticks_add(tick, self._min_period_ms)
        self._put(tick, self._origins[slot], self._sequences[slot], hops, travelled)

    def _send_own(self, tick: int) -> None:
        wait_ms = self._wait_ms(tick) - self._slack_ms
        if self._timers[_QUIET] >= 0:
            quiet_ms = ticks_diff(self._timers[_QUIET], tick)
            if quiet_ms > wait_ms:
                wait_ms = quiet_ms
        self._is_waiting = wait_ms > 0
        if wait_ms > 0:
            self._timers[_OWN] = ticks_add(tick, wait_ms)
            return
        if self._is_present:
            self._timers[_OWN] = ticks_add(tick, self._repeat_ms)
        self._timers[_QUIET] = ticks_add(tick, self._min_period_ms)
        if self.has_to_send:
            # The radio has not taken the last one: the own presence of now replaces it.
            self.limited = _one_more(self.limited)
        self._sequence = (self._sequence + 1) & 255
        self._put(tick, self._own_id, self._sequence, self._hop_limit - 1, 0)

    def _wait_ms(self, tick: int) -> int:
        """Return how long it takes until the rate limit has forgotten all that was sent, in ms."""
        full = self._timers[_FULL]
        wait_ms = ticks_diff(full, tick) if full >= 0 else 0
        return wait_ms if wait_ms > 0 else 0

    def _put(self, tick: int, origin: int, sequence: int, hops: int, travelled: int) -> None:
        self.send_origin = origin
        self.send_sequence = sequence
        self.send_hops = hops
        self.send_travelled = travelled
        self.has_to_send = True
        self._timers[_FULL] = ticks_add(tick, self._wait_ms(tick) + self._cost_ms)

    def _settle(self) -> None:
        timers = self._timers
        nearest = 0
        due_ms = _NONE
        for i in range(len(timers)):
            timer = timers[i]
            if timer < 0:
                continue
            # Nobody is woken for the rates and the memory: what is over there is found over when it is next needed.
            if not _QUIET <= i <= _SWEEP and (due_ms < 0 or ticks_diff(timer, due_ms) < 0):
                due_ms = timer
            if i >= _HOLDS:
                distance = abs(self._distances[i - _HOLDS])
                if distance <= self._reach and (nearest == 0 or distance < nearest):
                    nearest = distance
        self.nearest = nearest
        self.is_lit = nearest > 0
        self.is_due = due_ms >= 0
        self.due_ms = due_ms


def _one_more(count: int) -> int:
    return count + 1 if count < _COUNT_MAX else count
