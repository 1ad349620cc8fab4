"""Short addresses for gear that has none, or for all anew: random addresses, a binary search (IEC 62386-102, 9.14).

The gear draws 24-bit random addresses. A search address is narrowed bit by bit: whoever's is not above it says yes to
COMPARE, several at once. The lowest one found is given a short address, withdrawn, and the search goes on. It takes
about 2.4 s a gear (64 in 149 s on the bus double). The lamps stay as they are all the while.

Two that drew the same number (1 in 8000 for 64 gears) get the same short address, and often answer so much alike that
nothing shows. So all draw once more at the end: now twins differ, their random addresses collide when read, they lose
their short address and are searched again.
"""

from ..control.compat import const
from .contract import BadAnswer
from .dali_frames import CORRUPT, NOTHING
from .dali_procedures import (
    ANSWER,
    BROADCAST,
    COMPARE,
    GEARS_MAX,
    INITIALISE,
    MASK,
    PROGRAM_SHORT_ADDRESS,
    QUERY_GEAR_PRESENT,
    QUERY_MISSING_SHORT_ADDRESS,
    QUERY_RANDOM_ADDRESS_H,
    QUERY_RANDOM_ADDRESS_L,
    QUERY_RANDOM_ADDRESS_M,
    QUERY_SHORT_ADDRESS,
    RANDOMISE,
    SEARCH_ADDRESS_H,
    SEARCH_ADDRESS_L,
    SEARCH_ADDRESS_M,
    TERMINATE,
    TRIES,
    TWICE,
    VERIFY_SHORT_ADDRESS,
    WITHDRAW,
    command_frame,
    is_yes,
    present,
    set_short_address,
)

# RANDOMISE is done within 100 ms (IEC 62386-102, 11.7.4).
_RANDOMISE_MS = const(-120)
_INITIALISE_ALL = const(0x00)
_INITIALISE_UNADDRESSED = const(0xFF)
_HIGHEST = const(0xFFFFFF)
# Noise and twins cost a draw each. After so many that brought nobody an address, the bus cannot be trusted.
ROUNDS_MAX = const(12)
# And after so many in all: noise may take back what it gave.
_ROUNDS_ALL_MAX = const(200)
# With one frame in six lost, silence eight times in a row is noise once in a million.
_SURE_TRIES = const(8)


class _Search:
    """The search address as the gear has it: only bytes that changed are sent."""

    def __init__(self):
        self.at = -1

    def go(self, address):
        before = self.at
        self.at = address
        for shift, request in ((16, SEARCH_ADDRESS_H), (8, SEARCH_ADDRESS_M), (0, SEARCH_ADDRESS_L)):
            byte = address >> shift & 255
            if before < 0 or before >> shift & 255 != byte:
                yield request | byte

    def forget(self):
        self.at = -1


def commission(everything=False):
    """Give short addresses to all gear without one, or to all gear anew, lowest free first.

    Returns the short addresses given, in order. Raises `BadAnswer` when the bus is too noisy (what was given until then
    stays given), or when there is more gear than addresses.
    """
    if everything:
        yield from set_short_address(BROADCAST, -1)
    taken = yield from present()
    for _ in range(TRIES):
        if everything and taken:
            # Who did not hear that.
            for short in taken:
                yield from set_short_address(short, -1)
            taken = yield from present()
    if everything and taken:
        raise BadAnswer("dali", "addresses cannot be taken away")
    free = [short for short in range(GEARS_MAX) if short not in taken]
    given: list = []
    is_settled = False
    most = 0
    idle_rounds = 0
    for _ in range(_ROUNDS_ALL_MAX):
        if len(given) > most:
            most = len(given)
            idle_rounds = 0
        elif idle_rounds == ROUNDS_MAX:
            break
        else:
            idle_rounds += 1
        yield TERMINATE
        # Only those without an address: who has one by now stays out of the search.
        yield INITIALISE | _INITIALISE_UNADDRESSED | TWICE
        yield RANDOMISE | TWICE
        yield _RANDOMISE_MS
        is_empty = yield from _address_all(free, given)
        yield TERMINATE
        if not is_empty:
            continue
        twins = yield from _find_twins(given)
        for short in twins:
            yield from _take_back(short, free, given)
        # Who was deaf to the search by noise says here that it has no address yet.
        if not twins and not (yield from _sure(command_frame(BROADCAST, QUERY_MISSING_SHORT_ADDRESS))):
            is_settled = True
            break
    yield TERMINATE
    if not is_settled:
        raise BadAnswer("dali", "noise while addressing: " + str(len(given)) + " done")
    given.sort()
    return given


def _sure(request):
    """Return whether anybody says yes, asked up to eight times: a lost yes would leave a gear behind for ever."""
    for _ in range(_SURE_TRIES):
        if (yield from is_yes(request)):
            return True
    return False


def _take_back(short, free, given):
    """Take a short address away again. Where somebody holds on to it, it stays given, and is looked at again."""
    for _ in range(TRIES):
        yield from set_short_address(short, -1)
        if not (yield from _sure(command_frame(short, QUERY_GEAR_PRESENT))):
            given.remove(short)
            free.append(short)
            free.sort()
            return


def _address_all(free, given):
    """Address whoever is in the search. Returns True when nobody is left, False when a new draw is needed."""
    search = _Search()
    for _ in range(2 * GEARS_MAX):
        found = yield from _lowest(search)
        if found == NOTHING:
            return True
        if found == CORRUPT:
            return False
        has = NOTHING
        for _ in range(TRIES):
            has = yield QUERY_SHORT_ADDRESS | ANSWER
            if has >= 0:
                break
        if has == CORRUPT:
            return False
        if has == NOTHING:
            # Gear that does not tell: a double address, if it comes to that, is found at the end.
            has = MASK
        if has != MASK and has >> 1 in given:
            # It did not hear that it shall withdraw.
            yield WITHDRAW
            continue
        if not free:
            raise BadAnswer("dali", "more than 64 gears")
        short = free[0]
        yield PROGRAM_SHORT_ADDRESS | short << 1 | 1
        answer = yield VERIFY_SHORT_ADDRESS | short << 1 | 1 | ANSWER
        if answer == NOTHING:
            answer = yield VERIFY_SHORT_ADDRESS | short << 1 | 1 | ANSWER
        # Ours from here on, whoever has it, until it is taken back.
        free.pop(0)
        given.append(short)
        if answer < 0:
            # Nobody says that he has it, or several do: it goes back, and all draw again.
            yield from _take_back(short, free, given)
            return False
        yield WITHDRAW
    return False


def _lowest(search):
    """Return the lowest random address in the search, `NOTHING` when nobody is left, `CORRUPT` after contradictions."""
    somebody = False
    for _ in range(TRIES):
        yield from search.go(_HIGHEST)
        if (yield from is_yes(COMPARE)):
            somebody = True
            break
        # A byte of the search address, or the yes, may have been lost.
        search.forget()
    if not somebody:
        return NOTHING
    address = _HIGHEST
    for i in range(23, -1, -1):
        trial = address ^ 1 << i
        yield from search.go(trial)
        if (yield from is_yes(COMPARE)):
            address = trial
    # Noise may have said yes for nobody, or silenced somebody: the result is asked for once more, and one below it.
    yield from search.go(address)
    if not (yield from is_yes(COMPARE)):
        # Bytes may have been lost on the way: once more, all three.
        search.forget()
        yield from search.go(address)
        if not (yield from is_yes(COMPARE)):
            return CORRUPT
    if address > 0:
        yield from search.go(address - 1)
        if (yield from is_yes(COMPARE)):
            return CORRUPT
        search.forget()
        yield from search.go(address)
    return address


def _find_twins(given):
    """Return the short addresses that two or more gears share: all draw again, then twins differ."""
    twins: list = []
    if not given:
        return twins
    for _ in range(2):
        # Twice, since a lost draw would leave twins alike.
        yield INITIALISE | _INITIALISE_ALL | TWICE
        yield RANDOMISE | TWICE
        yield _RANDOMISE_MS
    yield TERMINATE
    for short in given:
        for command in (QUERY_RANDOM_ADDRESS_L, QUERY_RANDOM_ADDRESS_M, QUERY_RANDOM_ADDRESS_H):
            damaged = 0
            for _ in range(TRIES):
                if (yield command_frame(short, command) | ANSWER) >= 0:
                    break
                damaged += 1
            if damaged == TRIES:
                twins.append(short)
                break
    return twins
