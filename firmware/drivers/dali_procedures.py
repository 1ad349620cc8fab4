"""What a DALI control gear is asked and in which order: generators that know no bus (IEC 62386-102:2014).

A procedure yields requests, which are ints, and is sent the answer of each. So it costs nothing to test and runs on any
bus that can do two things:

- request >= 0: a forward frame in bits 15 ... 0, with the flags below. The answer is 0 ... 255, `NOTHING` or `CORRUPT`
  (a damaged answer, or several at once); without `ANSWER` it is `NOTHING`.
- request < 0: wait that many ms.

It returns its result and raises `NoAnswer` or `BadAnswer` after `TRIES`. An address is one int: a short address 0 ...
63, 64 + group, `UNADDRESSED` or `BROADCAST`; a frame's first byte is twice that, plus 1 for a command.
"""

from ..control.compat import const
from .contract import BadAnswer, NoAnswer
from .dali_frames import NOTHING

ANSWER = const(0x10000)
# Send the same frame again within 100 ms: configuration commands are ignored else.
TWICE = const(0x20000)
# Nobody else may send between this frame and the next of this procedure.
KEEP = const(0x40000)

SHORT_MAX = const(63)
GROUP_0 = const(64)
UNADDRESSED = const(126)
BROADCAST = const(127)
GEARS_MAX = const(64)
ARC_MAX = const(254)
MASK = const(255)

# Answers are lost to noise; a gear that is silent three times in a row is silent.
TRIES = const(3)

# Commands (second byte, after an address byte with its lowest bit set).
OFF = const(0x00)
RECALL_MAX_LEVEL = const(0x05)
RESET = const(0x20)
SET_MAX_LEVEL = const(0x2A)
SET_MIN_LEVEL = const(0x2B)
SET_SYSTEM_FAILURE_LEVEL = const(0x2C)
SET_POWER_ON_LEVEL = const(0x2D)
SET_FADE_TIME = const(0x2E)
SET_FADE_RATE = const(0x2F)
SET_EXTENDED_FADE_TIME = const(0x30)
SET_SHORT_ADDRESS = const(0x80)
ENABLE_WRITE_MEMORY = const(0x81)
QUERY_STATUS = const(0x90)
QUERY_GEAR_PRESENT = const(0x91)
QUERY_MISSING_SHORT_ADDRESS = const(0x96)
QUERY_VERSION_NUMBER = const(0x97)
QUERY_CONTENT_DTR0 = const(0x98)
QUERY_DEVICE_TYPE = const(0x99)
QUERY_PHYSICAL_MINIMUM = const(0x9A)
QUERY_ACTUAL_LEVEL = const(0xA0)
QUERY_MAX_LEVEL = const(0xA1)
QUERY_MIN_LEVEL = const(0xA2)
QUERY_POWER_ON_LEVEL = const(0xA3)
QUERY_SYSTEM_FAILURE_LEVEL = const(0xA4)
QUERY_FADE_TIME_FADE_RATE = const(0xA5)
QUERY_EXTENDED_FADE_TIME = const(0xA8)
QUERY_RANDOM_ADDRESS_H = const(0xC2)
QUERY_RANDOM_ADDRESS_M = const(0xC3)
QUERY_RANDOM_ADDRESS_L = const(0xC4)
READ_MEMORY_LOCATION = const(0xC5)

# Special commands (whole first byte; they reach every gear).
TERMINATE = const(0xA100)
DTR0 = const(0xA300)
INITIALISE = const(0xA500)
RANDOMISE = const(0xA700)
COMPARE = const(0xA900)
WITHDRAW = const(0xAB00)
SEARCH_ADDRESS_H = const(0xB100)
SEARCH_ADDRESS_M = const(0xB300)
SEARCH_ADDRESS_L = const(0xB500)
PROGRAM_SHORT_ADDRESS = const(0xB700)
VERIFY_SHORT_ADDRESS = const(0xB900)
QUERY_SHORT_ADDRESS = const(0xBB00)
DTR1 = const(0xC300)
WRITE_MEMORY_LOCATION = const(0xC700)
WRITE_MEMORY_NO_REPLY = const(0xC900)

# Bits of QUERY STATUS.
STATUS_GEAR_FAILURE = const(0x01)
STATUS_LAMP_FAILURE = const(0x02)
STATUS_LAMP_ON = const(0x04)
STATUS_LIMIT_ERROR = const(0x08)
STATUS_FADE_RUNNING = const(0x10)
STATUS_RESET_STATE = const(0x20)
STATUS_NO_SHORT_ADDRESS = const(0x40)
# Since the supply came back nobody has set a level.
STATUS_POWER_CYCLE = const(0x80)

# QUERY VERSION NUMBER of IEC 62386-102:2014 (2.0 = major 2 << 2); older gear (1) has no extended fade time.
VERSION_2 = const(8)


def name_of(address):
    """Return how errors call an address."""
    if address <= SHORT_MAX:
        return "dali " + str(address)
    if address < UNADDRESSED:
        return "dali group " + str(address - GROUP_0)
    return "dali"


def arc_frame(address, arc):
    """Return the request for DIRECT ARC POWER CONTROL: arc 0 (off) ... 254; 255 stops a fade."""
    return address << 9 | arc


def command_frame(address, command):
    """Return the request for a command to an address, without flags."""
    return address << 9 | 0x100 | command


def query(address, command):
    """Return the byte (0 ... 255) that a gear answers to a query. Raises `NoAnswer`, `BadAnswer`."""
    answer = NOTHING
    for _ in range(TRIES):
        answer = yield command_frame(address, command) | ANSWER
        if answer >= 0:
            return answer
    if answer == NOTHING:
        raise NoAnswer(name_of(address), "no answer to query " + str(command))
    raise BadAnswer(name_of(address), "damaged answer to query " + str(command))


def is_yes(request):
    """Return whether anybody says yes: several at once do so as a damaged answer, and that counts."""
    answer = yield request | ANSWER
    return answer != NOTHING


def store(address, command, check, value):
    """Set a stored variable of a gear to value (DTR0, then the command twice), unless ``check`` says it has it already.

    Its memory is written only for a change. Returns True when it was changed. Raises `NoAnswer`, `BadAnswer`.
    """
    is_changed = False
    for _ in range(TRIES + 1):
        now = yield from query(address, check)
        if now == value:
            return is_changed
        is_changed = True
        yield DTR0 | value | KEEP
        yield command_frame(address, command) | TWICE
    now = yield from query(address, check)
    if now == value:
        return True
    raise BadAnswer(name_of(address), "does not keep " + str(value) + " for command " + str(command))


def protect(address, arc=ARC_MAX):
    """Make a gear burn at ``arc`` when its supply returns and when the bus fails, verified by query. Fails lit.

    254 is also the factory setting (IEC 62386-102, table of variables). Returns True when something was changed.
    """
    was_power = yield from store(address, SET_POWER_ON_LEVEL, QUERY_POWER_ON_LEVEL, arc)
    was_failure = yield from store(address, SET_SYSTEM_FAILURE_LEVEL, QUERY_SYSTEM_FAILURE_LEVEL, arc)
    return was_power or was_failure


def set_limits(address, arc_min, arc_max):
    """Set MIN LEVEL and MAX LEVEL; a minimum below the gear's physical one becomes that. Returns (min, max) as read."""
    physical = yield from query(address, QUERY_PHYSICAL_MINIMUM)
    if arc_min < physical:
        arc_min = physical
    # Down first: a gear never has a minimum above its maximum, it corrects one of them.
    yield from store(address, SET_MIN_LEVEL, QUERY_MIN_LEVEL, physical)
    yield from store(address, SET_MAX_LEVEL, QUERY_MAX_LEVEL, arc_max)
    yield from store(address, SET_MIN_LEVEL, QUERY_MIN_LEVEL, arc_min)
    return arc_min, arc_max


def set_fade(address, code, extended=0):
    """Set fade time code (0 ... 15) and, with code 0, the extended fade time's code. Verified by query.

    The extended time is only touched where ``extended`` is not -1 (gear before edition 2 has none).
    """
    if extended >= 0 and code == 0:
        yield from store(address, SET_EXTENDED_FADE_TIME, QUERY_EXTENDED_FADE_TIME, extended)
    for _ in range(TRIES + 1):
        now = yield from query(address, QUERY_FADE_TIME_FADE_RATE)
        if now >> 4 == code:
            return
        yield DTR0 | code | KEEP
        yield command_frame(address, SET_FADE_TIME) | TWICE
    raise BadAnswer(name_of(address), "does not take a fade time")


def set_short_address(address, short):
    """Give the gear at ``address`` the short address 0 ... 63, or take it away (-1). Not verified."""
    yield DTR0 | (MASK if short < 0 else short << 1 | 1) | KEEP
    yield command_frame(address, SET_SHORT_ADDRESS) | TWICE


def present():
    """Return the short addresses (0 ... 63) at which anybody answers, in order. About 2.5 s when nobody does."""
    found = []
    for short in range(GEARS_MAX):
        for _ in range(2):
            if (yield from is_yes(command_frame(short, QUERY_GEAR_PRESENT))):
                found.append(short)
                break
    return found
