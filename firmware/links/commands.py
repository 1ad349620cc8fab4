"""Which commands a node obeys. A forged, replayed, stale or misaddressed one changes nothing and is counted.

Rules (reliability.md R5, R16 and fault rows 28 and 33):

- MAC: first, over all of the command, under a key of the node (or group) and sender. See `firmware.system.keys`.
- Counter: strictly rising for each key. A limit is stored *ahead* of use, 32 further, as LoRaWAN stacks keep frame
  counters: a power cut can only make the node skip numbers, never take one twice. After a start the node refuses up to
  31 fresh numbers; the ack tells the ``floor`` above which to go on.
- Expiry: a command carries when it was signed and for how long it holds (at most 10 h). With a clock it must be that
  time, give or take 120 s. Without one it is accepted if it was signed no earlier than the newest command the node
  knows of (less 300 s): a command that was held back is then still stoppable by any newer one, and what it can do is
  bounded below. A key whose counter was never stored is only believed with a clock.
- The clock: an ordinary signed time may be old, so it sets nothing. A ``clock`` command holds a challenge that this
  node gave in an ack at most 30 s before, so nobody held it back: it is accepted whatever the node's clock says.
- Dark: a level below ``dark_permille`` lasts at most ``dark_max_min`` from the command on, and is refused without a
  clock. Should the clock be lost meanwhile, `dark_over` says when the lamp is to resume.
- Groups share a key, which anybody who opens one pole can read: a group may be dimmed, lit, resumed and identified,
  nothing else (``not_for_groups``).
- Rate: 10 at once, then 2 a second are looked at (an HMAC each); those with an old counter have a measure of their own,
  2 at once and one in 10 s, so that replays cannot use up the room of fresh ones. A flood of forgeries can: commands
  are then lost, the light goes on by itself.
- Acks of a group: the caller spreads them in time (2,000 at once are a storm).
- A duplicate of the last command of a key (same bytes) changes nothing and is answered with the same ack.
"""

import os

from firmware.control.civil import DAY_MAX, DAY_MIN
from firmware.control.compat import const
from firmware.control.inputs import UNKNOWN
from firmware.control.ticks import ticks_add, ticks_diff
from firmware.system import keys

from . import codec
from .accepted import Accepted
from .codec_fields import (
    ACCEPTED,
    ACK,
    CHALLENGE_WRONG,
    DARK_TOO_LONG,
    DUPLICATE,
    FORGED,
    MALFORMED,
    MISADDRESSED,
    NO_CLOCK,
    NOT_FOR_GROUPS,
    RATE_LIMITED,
    REPLAYED,
    STALE,
    STORE_FAILED,
    TOO_EARLY,
    VERB_ACKNOWLEDGE,
    VERB_CLOCK,
    VERB_DIM,
    VERB_EMERGENCY,
    VERB_IDENTIFY,
    VERB_OVERRIDE,
    VERB_PLAN_STAGE,
    VERB_PLAN_SWITCH,
    VERB_RESUME,
    VERB_TEST,
    VERB_WHY,
)
from .rate import Bucket

GROUPS_MAX = const(8)
STORE_NAME = "commands"
# How far the counter's limit is stored ahead: one write in 32 commands.
AHEAD = const(32)

_TOLERANCE_S = const(120)
_BLIND_TOLERANCE_S = const(300)
_CHALLENGE_LIFE_MS = const(30000)
_COUNTER_MAX = const(0x3FFFFFFF)
_COUNT_MAX = const(65535)
_VERDICTS = const(20)
_LAMPS = const(4)
_DAY_S = const(86400)
# More than this between two moments means the same, and fits 30 bits.
_FAR_S = const(400000)
_FRESH_MS = const(500)
_FRESH_BURST = const(10)
_OLD_MS = const(10000)
_OLD_BURST = const(2)
# What a group may be told.
_GROUP_VERBS = (VERB_DIM, VERB_OVERRIDE, VERB_RESUME, VERB_EMERGENCY, VERB_IDENTIFY)
# Those whose first field is the lamp.
_LAMP_VERBS = (
    VERB_DIM,
    VERB_OVERRIDE,
    VERB_RESUME,
    VERB_EMERGENCY,
    VERB_TEST,
    VERB_WHY,
    VERB_PLAN_STAGE,
    VERB_PLAN_SWITCH,
    VERB_ACKNOWLEDGE,
)
# The state: format, then the newest time of issue (day, second), then for each stored key its address and limit.
_STATE_FORMAT = const(1)
_STATE_HEAD = const(7)
_STATE_ROW = const(8)


class CommandGate:
    """Decides on each command of a node.

    ``node_key``: the node's secret of 32 bytes; ``node_id``: 0 … 65535; ``groups``: up to 8 pairs (group id, group
    secret). ``store``: has ``read(name)`` and ``write(name, data)``; ``store_error``: what the latter raises, besides
    OSError (then the command is refused, and nothing has changed). ``chance(n)``: n unpredictable bytes.

    ``accepted`` holds the command accepted last. ``counts``: how often each verdict was given, up to 65535 each.
    """

    def __init__(
        self,
        node_key,
        node_id: int,
        groups,
        store,
        store_error=OSError,
        dark_permille: int = 100,
        dark_max_min: int = 30,
        chance=os.urandom,
    ):
        if len(groups) > GROUPS_MAX:
            raise ValueError("%d groups: 8 at most" % len(groups))
        if len(node_key) != 32 or min([32] + [len(group[1]) for group in groups]) != 32:
            raise ValueError("a secret has 32 bytes")
        self._store = store
        self._store_error = store_error
        self._dark_permille = dark_permille
        self._dark_max_min = dark_max_min
        self._chance = chance
        # Places of keys: four senders of the node, then four of each group.
        self._addresses = [node_id] + [group[0] for group in groups]
        # 32 bytes for each, one behind the other: a list of bytes would take twice as much.
        self._keys = b""
        for i in range(len(self._addresses)):
            secret = groups[i - 1][1] if i else node_key
            purpose = codec.PURPOSE_GROUP if i else codec.PURPOSE_COMMAND
            for sender in range(codec.SENDERS):
                self._keys += keys.derive(secret, purpose, bytes((sender,)))
        places = len(self._addresses) * codec.SENDERS
        self._last = [0] * places
        self._limits = [0] * places
        self._tags = [b""] * places
        self._acks = [b""] * places
        self._issued_day = 0
        self._issued_second = 0
        self._challenge = UNKNOWN
        self._challenge_ms = 0
        self._fresh = Bucket(_FRESH_MS, _FRESH_BURST)
        self._old = Bucket(_OLD_MS, _OLD_BURST)
        # The command last looked at, as far as it was authentic: for its ack.
        self._place = UNKNOWN
        self._envelope = [0, 0, 0, 0, 0, 0, 0]
        self._verb = 0
        self._verdict = 0
        self._is_told = False
        self.accepted = Accepted()
        self.counts = [0] * _VERDICTS
        # For each lamp: until when it may be dark, a tick.
        self._dark_ms = [UNKNOWN] * _LAMPS
        self._load()

    def accept(self, payload, is_clock_known: bool, utc_day: int, utc_second: int, tick: int) -> int:
        """Return the verdict on a command: `ACCEPTED`, and ``accepted`` holds it, or why not, and nothing has changed.

        ``tick``: the ring of 2^30 ms, for the rate and the challenge. Never raises for any bytes.
        """
        self._place = UNKNOWN
        verdict = self._judge(payload, is_clock_known, utc_day, utc_second, tick)
        if self.counts[verdict] < _COUNT_MAX:
            self.counts[verdict] += 1
        self._verdict = verdict
        self._is_told = False
        if self._place >= 0 and (not is_clock_known or verdict in (STALE, TOO_EARLY, CHALLENGE_WRONG)):
            self._challenge_at(tick)
            self._is_told = True
        return verdict

    def acknowledge(self, outcome: int, plan_hash) -> bytes:
        """Return the ack of the command last looked at: empty where it was not authentic, the same for a duplicate.

        ``outcome``: what became of an accepted command (`ACCEPTED`, `STAGED`, `DONE`, `REFUSED`, …); for a refused one
        the verdict stands. ``plan_hash``: the first 4 bytes of that of the plan in force.
        """
        place = self._place
        if place < 0:
            return b""
        if self._verdict == DUPLICATE and self._acks[place]:
            return self._acks[place]
        envelope = self._envelope
        is_done = self._verdict == ACCEPTED
        ack = codec.encode(
            ACK,
            (
                envelope[0],
                envelope[1],
                envelope[2],
                envelope[3],
                self._verb,
                outcome if is_done else self._verdict,
                self._last[place] if self._verdict == REPLAYED and self._last[place] < _COUNTER_MAX else None,
                self._challenge if self._is_told else None,
                plan_hash,
            ),
        )
        if is_done:
            self._acks[place] = ack
        return ack

    def dark_over(self, tick: int) -> int:
        """Return, once, a lamp whose dark command has lasted as long as it may: give it a resume; else `UNKNOWN`.

        To be asked every minute. It matters where the clock was lost after the command: control then waits 12 h.
        """
        for lamp in range(_LAMPS):
            due_ms = self._dark_ms[lamp]
            if due_ms != UNKNOWN and ticks_diff(tick, due_ms) >= 0:
                self._dark_ms[lamp] = UNKNOWN
                return lamp
        return UNKNOWN

    def refusals(self):
        """Return the seven counts of the ``refusals`` report, without its moment."""
        counts = self.counts
        other = 0
        for verdict in range(DARK_TOO_LONG, STORE_FAILED + 1):
            other += counts[verdict]
        stale = counts[STALE] + counts[TOO_EARLY]
        return (
            counts[MALFORMED],
            counts[MISADDRESSED],
            counts[FORGED],
            counts[REPLAYED],
            stale if stale < _COUNT_MAX else _COUNT_MAX,
            counts[RATE_LIMITED],
            other if other < _COUNT_MAX else _COUNT_MAX,
        )

    def _judge(self, payload, is_known: bool, day: int, second: int, tick: int) -> int:
        try:
            envelope = codec.decode_envelope(payload)
        except codec.CodecError:
            return MALFORMED
        place = self._place_of(envelope)
        if place < 0:
            return MISADDRESSED
        counter = envelope[3]
        bucket = self._old if counter <= self._last[place] else self._fresh
        if not bucket.take(tick):
            return RATE_LIMITED
        end = len(payload) - codec.MAC_BYTES
        mac = keys.tag(self._keys[32 * place : 32 * place + 32], payload[:end], codec.MAC_BYTES)
        if not keys.is_same(mac, payload[end:]):
            return FORGED
        try:
            verb, values = codec.decode_verb(payload)
        except codec.CodecError:
            return MALFORMED
        if not _is_whole(verb, values):
            return MALFORMED
        self._place = place
        self._envelope = envelope
        self._verb = verb
        if counter <= self._last[place]:
            is_again = counter == self._last[place] and self._tags[place] == mac
            return DUPLICATE if is_again else REPLAYED
        if envelope[0] and verb not in _GROUP_VERBS:
            return NOT_FOR_GROUPS
        if verb == VERB_CLOCK:
            verdict = self._judge_challenge(values[0], envelope, tick)
        else:
            verdict = self._judge_time(envelope, place, is_known, day, second)
        if verdict != ACCEPTED:
            return verdict
        if not is_known:
            day = envelope[4]
            second = envelope[5]
        minutes = _minutes_of(verb, values)
        dark_s = 0
        if verb in (VERB_DIM, VERB_OVERRIDE, VERB_EMERGENCY, VERB_TEST) and values[1] < self._dark_permille:
            if not is_known:
                return NO_CLOCK
            dark_s = minutes * 60
            if verb == VERB_OVERRIDE:
                dark_s = self._dark_of(values, day, second)
            if not 0 < dark_s <= self._dark_max_min * 60:
                return DARK_TOO_LONG
        if not self._persist(place, counter, envelope, verb == VERB_CLOCK):
            return STORE_FAILED
        self._last[place] = counter
        self._tags[place] = mac
        self._acks[place] = b""
        if verb == VERB_CLOCK:
            self._challenge = UNKNOWN
        self._take(envelope, verb, values, minutes, day, second)
        self._note_dark(verb, minutes, dark_s, tick)
        return ACCEPTED

    def _note_dark(self, verb: int, minutes: int, dark_s: int, tick: int) -> None:
        """Keep until when the lamp may be dark, however the clock fares."""
        lamp = self.accepted.lamp
        if dark_s:
            self._dark_ms[lamp] = ticks_add(tick, dark_s * 1000)
        elif verb in (VERB_DIM, VERB_OVERRIDE, VERB_RESUME):
            self._dark_ms[lamp] = UNKNOWN
        elif verb in (VERB_EMERGENCY, VERB_TEST) and self._dark_ms[lamp] != UNKNOWN:
            # A resume would end this light too: it waits for it.
            due_ms = ticks_add(tick, minutes * 60000)
            if ticks_diff(due_ms, self._dark_ms[lamp]) > 0:
                self._dark_ms[lamp] = due_ms

    def _take(self, envelope, verb: int, values, minutes: int, day: int, second: int) -> None:
        accepted = self.accepted
        accepted.verb = verb
        accepted.values = values
        accepted.lamp = values[0] if verb in _LAMP_VERBS else 0
        accepted.minutes = minutes
        accepted.scope = envelope[0]
        accepted.sender = envelope[1]
        accepted.address = envelope[2]
        accepted.counter = envelope[3]
        accepted.issued_day = envelope[4]
        accepted.issued_second = envelope[5]
        accepted.day = day
        accepted.second = second

    def _place_of(self, envelope) -> int:
        first = 1 if envelope[0] else 0
        last = len(self._addresses) if envelope[0] else 1
        for i in range(first, last):
            if self._addresses[i] == envelope[2]:
                return i * codec.SENDERS + envelope[1]
        return UNKNOWN

    def _judge_time(self, envelope, place: int, is_known: bool, day: int, second: int) -> int:
        issued_day = envelope[4]
        issued_second = envelope[5]
        if not DAY_MIN <= issued_day <= DAY_MAX:
            return STALE
        if not is_known:
            if self._limits[place] == 0:
                return NO_CLOCK
            behind_s = seconds_between(issued_day, issued_second, self._issued_day, self._issued_second)
            return STALE if behind_s > _BLIND_TOLERANCE_S else ACCEPTED
        age_s = seconds_between(issued_day, issued_second, day, second)
        if age_s < -_TOLERANCE_S:
            return TOO_EARLY
        return STALE if age_s > envelope[6] + _TOLERANCE_S else ACCEPTED

    def _judge_challenge(self, challenge: int, envelope, tick: int) -> int:
        if self._challenge == UNKNOWN or challenge != self._challenge:
            return CHALLENGE_WRONG
        if not 0 <= ticks_diff(tick, self._challenge_ms) <= _CHALLENGE_LIFE_MS:
            self._challenge = UNKNOWN
            return CHALLENGE_WRONG
        return ACCEPTED if DAY_MIN <= envelope[4] <= DAY_MAX else STALE

    def _challenge_at(self, tick: int) -> None:
        """Have a challenge. One that still counts is kept: else whoever replays old commands could outrun the new."""
        if self._challenge != UNKNOWN and 0 <= ticks_diff(tick, self._challenge_ms) <= _CHALLENGE_LIFE_MS:
            return
        number = 0
        for byte in self._chance(4):
            number = number << 7 | byte & 127
        self._challenge = number
        self._challenge_ms = tick

    def _dark_of(self, values, day: int, second: int) -> int:
        """Return how long an override is dark, in s from now; far too long where it has no end."""
        if values[6] is None or values[7] is None:
            return _FAR_S
        return seconds_between(day, second, values[6], values[7])

    def _persist(self, place: int, counter: int, envelope, is_proven: bool) -> bool:
        """Store a limit ahead of the counter, before it is used. False, and nothing changed, where that fails."""
        day = self._issued_day
        second = self._issued_second
        # A proven time may take the newest time of issue back: an operator's wrong clock must not be for ever.
        if is_proven or seconds_between(day, second, envelope[4], envelope[5]) > 0:
            self._issued_day = envelope[4]
            self._issued_second = envelope[5]
        limit = self._limits[place]
        if counter <= limit:
            return True
        self._limits[place] = counter + AHEAD if counter < _COUNTER_MAX - AHEAD else _COUNTER_MAX
        try:
            self._store.write(STORE_NAME, self._state())
        except (OSError, self._store_error):
            self._limits[place] = limit
            self._issued_day = day
            self._issued_second = second
            return False
        return True

    def _state(self) -> bytes:
        state = bytearray((_STATE_FORMAT,))
        _append(state, self._issued_day, 3)
        _append(state, self._issued_second, 3)
        for place in range(len(self._limits)):
            if self._limits[place]:
                group = place // codec.SENDERS
                state.append(1 if group else 0)
                state.append(place % codec.SENDERS)
                _append(state, self._addresses[group], 2)
                _append(state, self._limits[place], 4)
        return bytes(state)

    def _load(self) -> None:
        """Take the limits back: all up to them counts as used. Keys that are gone are forgotten, new ones unknown."""
        state = self._store.read(STORE_NAME)
        if not state or state[0] != _STATE_FORMAT or len(state) < _STATE_HEAD:
            return
        self._issued_day = _number(state, 1, 3)
        self._issued_second = _number(state, 4, 3)
        for at in range(_STATE_HEAD, len(state) - _STATE_ROW + 1, _STATE_ROW):
            place = self._place_of((state[at], state[at + 1] & 3, _number(state, at + 2, 2)))
            if place >= 0:
                self._limits[place] = _number(state, at + 4, 4)
                self._last[place] = self._limits[place]


def seconds_between(day: int, second: int, later_day: int, later_second: int) -> int:
    """Return how long after the first moment the later one is, in s, cut to ± 400,000."""
    days = later_day - day
    if days > 3:
        return _FAR_S
    if days < -3:
        return -_FAR_S
    return days * _DAY_S + later_second - second


def _is_whole(verb: int, values) -> bool:
    """Tell whether each moment has both its day and its second, or neither."""
    if verb == VERB_OVERRIDE:
        return (values[4] is None) == (values[5] is None) and (values[6] is None) == (values[7] is None)
    return verb != VERB_PLAN_SWITCH or (values[2] is None) == (values[3] is None)


def _minutes_of(verb: int, values) -> int:
    return values[2] if verb in (VERB_DIM, VERB_EMERGENCY, VERB_TEST) else 0


def _append(buffer, value: int, length: int) -> None:
    for _ in range(length):
        buffer.append(value & 255)
        value >>= 8


def _number(data, at: int, length: int) -> int:
    value = 0
    for i in range(length):
        value |= data[at + i] << (8 * i)
    return value
