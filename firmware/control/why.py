"""Why am I lit? One answer at every instant: how bright, who wants it, since when, until when, and what comes next.

For the installer's screen, the operator's command and the journal. It looks ahead with the schedule itself and puts it
back as it was, so it may be asked at any time and changes nothing; it takes as long as a few decisions do.

Loaded where it is used, and forgotten: a lamp is asked a few times a year.
"""

from .civil import SECONDS_PER_DAY
from .compat import const
from .inputs import UNKNOWN
from .reasons import BY_DYNAMIC, BY_LOCAL, BY_OVERRIDE, BY_SERVICE, SENSOR
from .ticks import ticks_diff

# Within a day the schedule changes at most at each switch point of two programs, twice at the sun, and at the clocks.
_LOOKS_MAX = const(128)


class Answer:
    """The answer for one instant. Levels in permille, times in s.

    ``level``, ``reason``, ``by``, ``index``, ``program``, ``limit``: as the controller has them (`reasons`), ``level``
    at this instant of a fade. ``since_s``: how long this has been so (at most six days are told apart). ``until_s``:
    when the next change comes if nothing else happens, `UNKNOWN` when none is known within a day: presence lasts as
    long as it lasts. ``next_level``, ``next_reason``, ``next_by``, ``next_index``: that change; with ``until_s``
    unknown because of presence, what follows it. `UNKNOWN` in ``next_level``: nothing is known to follow.
    """

    def __init__(self):
        self.level = 0
        self.reason = 0
        self.by = 0
        self.index = 0
        self.program = 0
        self.limit = 0
        self.since_s = 0
        self.until_s = UNKNOWN
        self.next_level = UNKNOWN
        self.next_reason = 0
        self.next_by = 0
        self.next_index = 0

    def take(self, controller, tick: int) -> None:
        """Take over what the controller says of itself at ``tick``."""
        self.level = controller.level_at(tick)
        self.reason = controller.reason
        self.by = controller.by
        self.index = controller.by_index
        self.program = controller.by_program
        self.limit = controller.limit
        self.since_s = ticks_diff(tick, controller.since_ms) // 1000
        self.until_s = UNKNOWN
        self.next_level = UNKNOWN

    def follow(self, wants, until_s: int) -> None:
        """Note that ``wants`` is what comes in ``until_s``."""
        self.until_s = until_s
        self.next_level = wants.level
        self.next_reason = wants.reason
        self.next_by = wants.by
        self.next_index = wants.index


def look_ahead(answer, wants, schedule, dynamics, seen, is_known: bool, day: int, second: int, tick: int) -> None:
    """Find what comes after what ``answer`` says of now; ``day`` and ``second`` are those of ``tick``, in UTC."""
    by = answer.by
    memory = schedule.periods.memory()
    if BY_OVERRIDE <= by <= BY_SERVICE and by != BY_LOCAL:
        left_s = wants.ends_in_s(by)
        if left_s == UNKNOWN:
            return
        _look_at(wants, schedule, seen, is_known, day, second, left_s)
        answer.follow(wants, left_s)
    elif by == BY_LOCAL or not is_known:
        return
    elif by == BY_DYNAMIC and answer.reason == SENSOR:
        # While somebody is here nobody knows until when; what follows is the program without its sensors.
        left_s = (ticks_diff(dynamics.due_ms, tick) + 999) // 1000 if dynamics.is_due else UNKNOWN
        dynamics.is_muted = True
        _look_at(wants, schedule, seen, is_known, day, second, left_s if left_s > 0 else 0)
        answer.follow(wants, left_s)
        dynamics.is_muted = False
    else:
        # What holds now, before limits, is what a later moment is compared with.
        _look_at(wants, schedule, seen, is_known, day, second, 0)
        level = wants.level
        reason = wants.reason
        ahead_s = schedule.next_s
        hold_s = ticks_diff(dynamics.due_ms, tick) // 1000 if dynamics.is_due else SECONDS_PER_DAY
        for _ in range(_LOOKS_MAX):
            if ahead_s > SECONDS_PER_DAY:
                break
            # A hold time that ends before has no say then.
            dynamics.is_muted = ahead_s > hold_s
            _look_at(wants, schedule, seen, is_known, day, second, ahead_s)
            if wants.level != level or wants.reason != reason:
                answer.follow(wants, ahead_s)
                break
            ahead_s += schedule.next_s
        dynamics.is_muted = False
    if is_known:
        schedule.periods.recall(memory)
        schedule.at(day, second, seen)


def _look_at(wants, schedule, seen, is_known: bool, day: int, second: int, ahead_s: int) -> None:
    """Let schedule and wants speak for a moment ahead, as if no command were there."""
    second += ahead_s
    if is_known:
        schedule.at(day + second // SECONDS_PER_DAY, second % SECONDS_PER_DAY, seen)
    wants.find_below_commands(is_known, seen.local_permille)
