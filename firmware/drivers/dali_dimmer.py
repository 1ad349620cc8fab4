"""One lamp on a DALI bus: the newest level wins, is asked back, and is sent again for as long as it takes.

**What the lamp does when something fails.** Gear without a bus burns at its system failure level, gear whose supply
came back at its power on level; both are set to 254, full light, and verified (`is_protected`). While the gear does not
answer, the last level it heard holds, the newest one is sent again at least every 30 s, and ``fault`` is 1 from the
second round of three tries (about a second) until the gear says that it does what it was told. Sending a level again
changes nothing on a lamp that has it, so nothing blinks.
"""

from ..control.compat import const
from .contract import BadAnswer, DriverError, NoAnswer, OutOfRange, clip_permille
from .dali_frames import CORRUPT, NOTHING, extended_code, extended_ms, fade_code, fade_ms
from .dali_procedures import (
    ANSWER,
    ARC_MAX,
    BROADCAST,
    DTR0,
    KEEP,
    MASK,
    QUERY_ACTUAL_LEVEL,
    QUERY_MAX_LEVEL,
    QUERY_MIN_LEVEL,
    QUERY_POWER_ON_LEVEL,
    QUERY_STATUS,
    QUERY_SYSTEM_FAILURE_LEVEL,
    QUERY_VERSION_NUMBER,
    SET_FADE_TIME,
    SET_POWER_ON_LEVEL,
    SET_SYSTEM_FAILURE_LEVEL,
    SHORT_MAX,
    STATUS_LAMP_FAILURE,
    STATUS_POWER_CYCLE,
    TRIES,
    TWICE,
    UNADDRESSED,
    VERSION_2,
    arc_frame,
    command_frame,
    name_of,
    query,
    set_fade,
    store,
)

_POLL_MS = const(20)
# Behind a fade the gear may be a step late; and it may answer 255 while a lamp is starting, for 2 s at most here.
_SETTLE_MS = const(60)
_START_MS = const(2000)
# Between the three tries of a round.
_RETRY_MS = const(50)
# Between rounds: 250 ms, 500 ms ... 30 s, for ever.
_ROUND_MS = const(250)
_ROUND_MAX_MS = const(30000)
# Rounds of three tries that fail before it is called a fault.
FAULT_ROUNDS = const(2)
_ROUNDS_MAX = const(1000)
FADE_MAX_MS = const(960000)


def linear_arc(permille):
    """Return the arc power level of a gear set to the linear curve (IEC 62386-207): 0 ... 254."""
    return (permille * ARC_MAX + 500) // 1000 or (1 if permille else 0)


def _send_arc(address, arc):
    yield arc_frame(address, arc)


def _ask(address, command):
    return (yield command_frame(address, command) | ANSWER)


def _store_blindly(address, command, value):
    yield DTR0 | value | KEEP
    yield command_frame(address, command) | TWICE


class DaliDimmer:
    """See `contract`, Dimmer.

    ``address``: 0 ... 63, 64 + group, or `BROADCAST` for the only lamp of a node. Several gears behind one address
    answer together: their damaged answer counts as an answer, and their levels are not compared. ``arc_of``: from
    permille to 0 ... 254; firmware/app.py passes control's logarithmic curve, which is what gear has from the factory,
    because drivers import no control. ``verify_s``: how often a level at rest is asked back. ``has_fades``: False where
    the gear's memory is to be spared: each change of the fade time is stored in it, and then it is only once made none.

    ``is_protected``: 1 when the gear's failure levels are known to be 254. ``lamp_failure``: 1 while the gear reports
    its lamp (LEDs) dead. ``rounds``: rounds of tries that failed since the last success, up to 1000.
    """

    can_go_dark = True

    def __init__(self, master, safe_permille, address=BROADCAST, arc_of=linear_arc, verify_s=60, has_fades=True):
        if not (0 <= address < 80 or UNADDRESSED <= address <= BROADCAST):
            raise OutOfRange("dali", "address 0 to 79, or 127")
        if not 5 <= verify_s <= 3600:
            raise OutOfRange("dali", "verify every 5 to 3600 s")
        self._master = master
        self._address = address
        self._is_one = address <= SHORT_MAX
        self._arc_of = arc_of
        self._verify_ms = verify_s * 1000
        self.has_fades = has_fades
        self.fault = 0
        self.is_protected = 0
        self.lamp_failure = 0
        self.rounds = 0
        # The mailbox: one wish, and how many there were.
        self._wishes = 0
        self._arc = 0
        self._fade_ms = 0
        # The gear's fade time in ms, -1 while it is not known; and whether it has the extended one.
        self._gear_fade_ms = -1
        self._has_extended = -1
        self._is_stored = False
        self.level_permille = 0
        self.write(safe_permille)
        # It may still be starting, so `run` says it again and asks; but gear that listens obeys at once.
        master.shout(arc_frame(address, self._arc))

    def write(self, permille):
        """Wish for a level (0 ... 1000, clipped). Sent within 100 ms on a healthy bus, 250 ms beside other talk."""
        self._wish(permille, 0)

    def fade(self, permille, ms):
        """Wish for a level that the gear glides to in the time nearest to ms that it knows (0 ... 16 min)."""
        self._wish(permille, min(max(ms, 0), FADE_MAX_MS) if self.has_fades else 0)

    def _wish(self, permille, ms):
        permille = clip_permille(permille)
        self._arc = self._arc_of(permille)
        self._fade_ms = ms
        self._wishes = (self._wishes + 1) & 0x3FFFFFFF
        self.level_permille = permille

    async def run(self):
        """Send what is wished for, ask it back, retry for ever. Never returns, never raises but for cancellation."""
        sleep_ms = self._master.clock.sleep_ms
        wait_ms = 0
        seen = -1
        while True:
            waited_ms = 0
            while waited_ms < wait_ms and seen == self._wishes:
                await sleep_ms(_POLL_MS)
                waited_ms += _POLL_MS
            is_new = seen != self._wishes
            seen = self._wishes
            if await self._round(seen, is_new):
                self.rounds = 0
                self.fault = 0
                wait_ms = self._verify_ms
                if not self.is_protected and seen == self._wishes:
                    await self._protect(seen)
            elif seen == self._wishes:
                if self.rounds < _ROUNDS_MAX:
                    self.rounds += 1
                if self.rounds >= FAULT_ROUNDS:
                    self.fault = 1
                    # What comes back may be another gear, or this one after a loss of its supply.
                    self.is_protected = 0
                    self._gear_fade_ms = -1
                wait_ms = min(_ROUND_MS << min(self.rounds - 1, 10), _ROUND_MAX_MS)
            else:
                wait_ms = 0

    async def _round(self, seen, is_new):
        """Bring the gear to the wish in three tries. Returns True when it is there; a newer wish ends it with False."""
        sleep_ms = self._master.clock.sleep_ms
        for i in range(TRIES):
            if i:
                await sleep_ms(_RETRY_MS << i)
            if seen != self._wishes:
                return False
            try:
                if is_new or i:
                    await self._send(seen)
                    if self._fade_ms and self._is_one:
                        # A dead gear is not given the whole glide before it is found out.
                        await self._master.run(query(self._address, QUERY_STATUS), True)
                    if not await self._rest(seen):
                        return False
                if await self._is_there(seen):
                    return True
                is_new = True
            except DriverError:
                continue
        return False

    async def _send(self, seen):
        """Send level and fade time. A level that is to be there at once starts before the fade time is looked at."""
        arc = self._arc
        ms = self._fade_ms
        run = self._master.run
        if self._gear_fade_ms != ms:
            if ms == 0:
                await run(_send_arc(self._address, arc), True)
            try:
                await self._set_fade(ms)
            except DriverError:
                # A wrong glide is better than a wrong level.
                self._gear_fade_ms = -1
            if seen != self._wishes:
                return
        await run(_send_arc(self._address, arc), True)

    async def _set_fade(self, ms):
        self._gear_fade_ms = -1
        if not self._is_one:
            self._has_extended = 0
            await self._master.run(_store_blindly(self._address, SET_FADE_TIME, fade_code(ms)), True)
        else:
            if self._has_extended < 0:
                version = await self._master.run(query(self._address, QUERY_VERSION_NUMBER), True)
                self._has_extended = 1 if VERSION_2 <= version < MASK else 0
            if self._has_extended:
                await self._master.run(set_fade(self._address, 0, extended_code(ms)), True)
            else:
                await self._master.run(set_fade(self._address, fade_code(ms), -1), True)
        self._gear_fade_ms = ms

    async def _rest(self, seen):
        """Wait until a fade is over. Returns False when a newer wish came."""
        wait_ms = _SETTLE_MS
        if self._fade_ms and self.has_fades:
            if self._has_extended > 0:
                wait_ms += extended_ms(extended_code(self._fade_ms))
            else:
                wait_ms += fade_ms(fade_code(self._fade_ms))
            # Gear may be a tenth off.
            wait_ms += wait_ms // 10
        while wait_ms > 0:
            await self._master.clock.sleep_ms(_POLL_MS)
            wait_ms -= _POLL_MS
            if seen != self._wishes:
                return False
        return True

    async def _is_there(self, seen):
        """Return whether the gear has the level that was wished for. Raises `NoAnswer` or `BadAnswer`."""
        run = self._master.run
        arc = self._arc
        if not self._is_one:
            answer = NOTHING
            for _ in range(TRIES):
                answer = await run(_ask(self._address, QUERY_ACTUAL_LEVEL), True)
                if answer != NOTHING:
                    return answer == CORRUPT or await self._is_level(answer, arc)
            raise NoAnswer(name_of(self._address), "silent")
        waited_ms = 0
        while True:
            status = await run(query(self._address, QUERY_STATUS), True)
            self.lamp_failure = 1 if status & STATUS_LAMP_FAILURE else 0
            if status & STATUS_POWER_CYCLE:
                # It lost its supply: it burns at its power on level, and whether it is the same gear nobody knows.
                self.is_protected = 0
                self._gear_fade_ms = -1
                return False
            answer = await run(query(self._address, QUERY_ACTUAL_LEVEL), True)
            if answer != MASK:
                return await self._is_level(answer, arc)
            if waited_ms >= _START_MS or seen != self._wishes:
                raise BadAnswer(name_of(self._address), "does not start")
            await self._master.clock.sleep_ms(100)
            waited_ms += 100

    async def _is_level(self, answer, arc):
        if answer == arc:
            return True
        if arc == 0 or answer == 0:
            return False
        # It may have limits of its own.
        least = await self._master.run(query(self._address, QUERY_MIN_LEVEL), True)
        if arc < least:
            return answer == least
        most = await self._master.run(query(self._address, QUERY_MAX_LEVEL), True)
        return arc > most and answer == most

    async def _protect(self, seen):
        """Set the failure levels; what fails now, or is interrupted by a wish, is tried with the next verification."""
        run = self._master.run
        try:
            await run(store(self._address, SET_SYSTEM_FAILURE_LEVEL, QUERY_SYSTEM_FAILURE_LEVEL, ARC_MAX), True)
            if seen != self._wishes:
                return
            await run(store(self._address, SET_POWER_ON_LEVEL, QUERY_POWER_ON_LEVEL, ARC_MAX), True)
            self.is_protected = 1
        except DriverError:
            if self._is_one or self._is_stored:
                return
            # Several answer at once, so nothing can be verified: stored once, to spare their memory.
            self._is_stored = True
            try:
                await run(_store_blindly(self._address, SET_POWER_ON_LEVEL, ARC_MAX), True)
                await run(_store_blindly(self._address, SET_SYSTEM_FAILURE_LEVEL, ARC_MAX), True)
            except DriverError:
                self._is_stored = False
