"""The decision: what level a lamp output has, how it gets there, why, and when to ask again.

A decision is a function of what was seen and when, never of how often ``step()`` was called: deadlines that have passed
are carried out at their own tick, in order, before anything newer. So an event-driven caller, which calls at inputs and
at ``wake_ms``, and one that calls every 100 ms get the same decisions, bit for bit.
"""

from .budget import RiseBudget
from .civil import DAY_MAX, DAY_MIN, SECONDS_PER_DAY
from .compat import const
from .config import Config
from .consumption import Consumption
from .dynamics import Dynamics
from .failsafe import FailSafe
from .inputs import CLOCK_DOUBTED, CLOCK_UNKNOWN, UNKNOWN, Now, Seen
from .limits import PROTECTION as PROTECTED
from .monitor import Monitor
from .output import Output
from .power import PowerCurve
from .ramp import Ramp
from .reasons import BY_SERVICE, BY_TEMPERATURE, FAILSAFE, PROTECTION, RISES_USED_UP, SENSOR
from .schedule import Schedule
from .street_sense import StreetSense
from .sun import Sun
from .ticks import ticks_add, ticks_diff
from .wants import Wants, is_urgent, rank
from .zone import ZoneRule

_NONE = const(255)
_PARTS = const(6)
_DAY_S = const(86400)
# What a photocell would say to a sky that is sure: bright, where the cell is stuck dark by day.
_BRIGHT_LUX = const(65535)
# How wrong a clock may be for judging a photocell: one that is trusted, and one that is doubted (`ClockTrust`'s limit).
_CLOCK_ERROR_S = const(120)
_DOUBTED_ERROR_S = const(1800)
# Since when: five days are told apart, and everything older is five to six.
_SINCE_MAX_MS = const(432000000)


class Controller:
    """One lamp output under one plan.

    After ``step()``: ``level_permille`` is the target, reached ``fade_ms`` after ``decided_ms`` in a straight line from
    ``from_permille``; ``reason``, ``by``, ``by_index`` and ``by_program`` say why (`reasons`), ``since_ms`` since when,
    ``limit`` what made the level another one than ``by`` asks for (`limits`, `reasons`; 0: nothing).
    ``wake_ms`` is the tick at which it wants to be called again, at most a day ahead. ``energy`` is an
    `EnergyCounter`, complete up to the last deadline or input; ``count_to()`` brings it up to a tick. ``street``,
    ``output`` and ``monitor`` are its senses, its way out and its reports.
    """

    def __init__(self, config: Config, plan):
        level = config.start_level_permille
        curve = PowerCurve(config.levels_permille, config.powers_mw, config.standby_mw)
        self._schedule = Schedule(plan, ZoneRule(config.zone), Sun(config.latitude_udeg, config.longitude_udeg))
        self._dynamics = Dynamics(plan)
        self.street = StreetSense(config)
        self._failsafe = FailSafe(
            config.latitude_udeg,
            config.longitude_udeg,
            config.is_feeder_switched,
            config.has_photocell,
            plan.failsafe_level_permille,
            config.dim_permille,
        )
        self._wants = Wants(config, plan, self._schedule, self._dynamics, self.street, self._failsafe)
        self._budget = RiseBudget(config.rises_per_day)
        self.output = Output(config)
        self.monitor = Monitor(config, curve)
        # All that may have something to do at a tick of its own.
        self._parts = _list_of(self._dynamics, self.street, self.output, self.monitor, self._wants, self._failsafe)
        self._ramp = Ramp(level)
        self._consumption = Consumption(curve, self._ramp, self.output)
        self.energy = self._consumption.energy
        self.starts = 0
        self.level_permille = level
        self.from_permille = level
        self.fade_ms = 0
        self.decided_ms = 0
        self.reason = _NONE
        self.by = _NONE
        self.by_index = 0
        self.by_program = _NONE
        self.limit = 0
        self.since_ms = 0
        self.wake_ms = 0
        self._has_photocell = config.has_photocell
        # What was last taken from the caller. Deadlines are carried out with these, not with what came after them.
        self._seen = Seen()
        self._now_changes = UNKNOWN
        self._seen_changes = UNKNOWN
        self._is_started = False
        self._is_known = False
        self._is_doubted = False
        self._tick = 0
        self._day = 0
        self._second = 0
        self._ms = 0
        self._lighting_day = 0
        self._schedule_due_ms = 0
        # The ramp with which the present cause is left for a lower one (TALQ, rampFromLevelTime).
        self._leave_ramp_ms = 0
        # What presence asked for last, for a lamp whose rises of the day are used up.
        self._held_permille = 0

    def step(self, now: Now, seen: Seen) -> bool:
        """Take note of the moment and of what is seen; return True when a decision was made.

        Then call again with the same arguments until it returns False: a late call may have several decisions to make,
        each with its own ``decided_ms``. Calls may not come later than ``wake_ms`` by days, nor go back. It allocates
        nothing.
        """
        tick = now.ticks_ms
        is_news = now.changes != self._now_changes or seen.changes != self._seen_changes
        if self._is_started:
            if not is_news and ticks_diff(tick, self.wake_ms) < 0:
                return False
            while ticks_diff(tick, self.wake_ms) > 0:
                if self._pass_deadline():
                    return True
        else:
            self._is_started = True
            self._tick = tick
            self._consumption.start(tick)
            self.decided_ms = tick
            is_news = True
        if is_news:
            self._move_to(tick)
            self.count_to(tick)
            self._take(now, seen)
            if self._decide():
                return True
        while ticks_diff(tick, self.wake_ms) >= 0:
            if self._pass_deadline():
                return True
        return False

    def level_at(self, tick: int) -> int:
        """Return the level in permille at a tick not before ``decided_ms``: a pure function of the last decision."""
        return self._ramp.level_at(tick)

    def why(self, answer, tick: int) -> None:
        """Fill an `Answer` for ``tick``, which is not after ``wake_ms``: why it is so, and what comes next."""
        from .why import look_ahead

        self._move_to(tick)
        answer.take(self, tick)
        wants = self._wants
        wants.time(self._is_known, self._day, self._second, tick)
        seen = self._seen
        lux = seen.lux
        seen.lux = self._believed_lux()
        look_ahead(answer, wants, self._schedule, self._dynamics, seen, self._is_known, self._day, self._second, tick)
        seen.lux = lux
        if answer.next_level != UNKNOWN:
            # What comes next is limited, too.
            answer.next_level = self.output.would_allow(answer.next_level)

    def driver_permille(self, tick: int) -> int:
        """Return what the driver is told at a tick: the level after constant light output and virtual power output."""
        return self.output.driver_permille(self._ramp.level_at(tick), self.energy.burning_s // 3600)

    def count_to(self, tick: int) -> None:
        """Bring the energy and burning counters up to ``tick``, which is not after ``wake_ms``."""
        self._consumption.count_to(tick, self.level_permille)

    def _move_to(self, tick: int) -> None:
        """Let both clocks run on to ``tick``."""
        if self._is_known:
            ms = self._ms + ticks_diff(tick, self._tick)
            self._ms = ms % 1000
            second = self._second + ms // 1000
            self._second = second % SECONDS_PER_DAY
            self._day += second // SECONDS_PER_DAY
        self._tick = tick

    def _take(self, now: Now, seen: Seen) -> None:
        """Take over what has changed, at the current tick."""
        mine = self._seen
        tick = self._tick
        # The schedule is asked again only where it may answer otherwise: an edge must stay cheap.
        is_time = False
        if now.changes != self._now_changes:
            self._now_changes = now.changes
            # A clock outside 2020 … 2199 is none.
            self._is_known = now.quality != CLOCK_UNKNOWN and DAY_MIN <= now.day <= DAY_MAX
            self._day = now.day
            self._second = now.second
            self._ms = now.ms
            self._is_doubted = now.quality == CLOCK_DOUBTED
            is_time = True
            if not self._is_known:
                self._failsafe.forget_clock()
            elif self._has_photocell:
                error_s = _DOUBTED_ERROR_S if self._is_doubted else _CLOCK_ERROR_S
                self._failsafe.take_clock(tick, now.day, now.second, error_s)
        if seen.changes != self._seen_changes:
            self._seen_changes = seen.changes
            if seen.commands != mine.commands:
                mine.commands = seen.commands
                self._wants.command(seen.command)
                is_time = True
            if seen.lux != mine.lux:
                self._failsafe.see_lux(tick, seen.lux)
                is_time = True
            if seen.external != mine.external:
                is_time = True
            if seen.may_dim != mine.may_dim:
                self._failsafe.allow_dim(seen.may_dim != 0)
            if seen.temperature_dc != mine.temperature_dc:
                self.output.temperature(tick, seen.temperature_dc)
            self.street.take(seen, tick)
            self.monitor.take(seen, tick)
            mine.lux = seen.lux
            mine.external = seen.external
            mine.may_dim = seen.may_dim
            mine.temperature_dc = seen.temperature_dc
            mine.local_permille = seen.local_permille
        self._wants.must_be_lit = self._is_doubted and mine.may_dim == 0
        if is_time:
            self._ask_time()
        self._wants.must_be_lit = self._is_doubted and mine.may_dim == 0
        self._pass_on()

    def _pass_on(self) -> None:
        """Let what was sensed reach the program's dynamic controls and the reports."""
        mine = self._seen
        street = self.street
        if mine.presence != street.presence or mine.neighbours != street.neighbours:
            mine.presence = street.presence
            mine.neighbours = street.neighbours
            if self._is_known and self._schedule.is_sensing:
                self._ask_time()
        self._dynamics.take(mine, self._tick)
        output = self.output
        monitor = self.monitor
        monitor.supplied(self._tick, output.is_closed)
        monitor.sensed(self._tick, street.sensor.trust, street.presence != 0)
        monitor.doubts(self._tick, self._is_doubted or not self._is_known, output.is_hot, self._failsafe.is_cell_stuck)
        self._set_wake()

    def _pass_deadline(self) -> bool:
        """Carry out what was due at ``wake_ms``, at that tick; True when it made a decision."""
        tick = self.wake_ms
        self._move_to(tick)
        self.count_to(tick)
        failsafe = self._failsafe
        if failsafe.is_due and failsafe.due_ms == tick:
            failsafe.pass_due(tick)
            self._schedule_due_ms = tick
        if self.street.is_due and self.street.due_ms == tick:
            self.street.pass_due(tick)
        if self._dynamics.is_due and self._dynamics.due_ms == tick:
            self._dynamics.pass_due(tick)
        if self.output.is_due and self.output.due_ms == tick:
            self.output.pass_due(tick)
        if self.monitor.is_due and self.monitor.due_ms == tick:
            self.monitor.pass_due(tick)
        if self._schedule_due_ms == tick or (self._wants.is_due and self._wants.due_ms == tick):
            self._ask_time()
        self._pass_on()
        return self._decide()

    def _ask_time(self) -> None:
        """Ask all that depends on the time of day, and note when to ask again."""
        tick = self._tick
        wants = self._wants
        wants.time(self._is_known, self._day, self._second, tick)
        ahead_s = wants.next_s
        ms = 0
        schedule = self._schedule
        if self._is_known:
            ms = self._ms
            mine = self._seen
            lux = mine.lux
            mine.lux = self._believed_lux()
            schedule.at(self._day, self._second, mine)
            mine.lux = lux
            if schedule.next_s < ahead_s:
                ahead_s = schedule.next_s
            self._dynamics.choose(schedule.program)
            # From noon to noon.
            day = schedule.local_day - (1 if schedule.local_s < SECONDS_PER_DAY // 2 else 0)
            if day != self._lighting_day:
                self._lighting_day = day
                self._budget.new_day()
            if schedule.local_s < SECONDS_PER_DAY // 2 and ahead_s > SECONDS_PER_DAY // 2 - schedule.local_s:
                ahead_s = SECONDS_PER_DAY // 2 - schedule.local_s
        self.output.refresh(tick)
        self.street.refresh(tick)
        self.street.light_time(tick, self._is_known and schedule.is_active)
        if self.monitor.is_counting:
            self.monitor.time(tick, self._is_known, self._day, self._second, schedule)
            if self.monitor.next_s < ahead_s:
                ahead_s = self.monitor.next_s
        if ahead_s > _DAY_S:
            ahead_s = _DAY_S
        since = ticks_diff(tick, self.since_ms)
        if since > _SINCE_MAX_MS:
            # Asked once a day at least, so half a ring is never reached: a cause stays old, and does not turn young.
            self.since_ms = ticks_add(self.since_ms, since - _SINCE_MAX_MS)
        self._schedule_due_ms = ticks_add(tick, ahead_s * 1000 - ms)

    def _believed_lux(self) -> int:
        """Return what the cell says, or the sky where it is sure and the cell says otherwise."""
        if self._failsafe.is_cell_stuck:
            return 0 if self._failsafe.level_permille > 0 else _BRIGHT_LUX
        return self._seen.lux

    def _set_wake(self) -> None:
        wake = self._schedule_due_ms
        parts = self._parts
        for i in range(_PARTS):
            part = parts[i]
            if part.is_due and ticks_diff(part.due_ms, wake) < 0:
                wake = part.due_ms
        self.wake_ms = wake

    def _decide(self) -> bool:
        """Compare what is wanted with the last decision; True when a new one was made, at the current tick."""
        wants = self._wants
        wants.find(self._is_known, self._seen.local_permille)
        reason = wants.reason
        by = wants.by
        index = wants.index
        program = wants.program
        wanted = wants.level
        limit = wants.note
        if reason == SENSOR:
            self._held_permille = wanted
        elif self._is_staying_up(reason, wanted):
            # The day's rises are used up: stay up rather than go down and up again (`RiseBudget`), within the limits.
            wanted = self._held_permille
            reason = SENSOR
            by = self.by
            index = self.by_index
            program = self.by_program
            limit = RISES_USED_UP
        level = self.output.allow(wanted, reason == FAILSAFE and wanted > 0, by == BY_SERVICE)
        limit = self.output.limits.which or limit
        if limit == PROTECTED:
            reason = PROTECTION
            by = BY_TEMPERATURE
            index = 0
        is_new = False
        if level != self.level_permille or reason != self.reason:
            # Presence, commands, protection and the fail-safe change the light at once; all else keeps the quiet.
            is_now = is_urgent(reason) or is_urgent(self.reason)
            if level != self.level_permille and not self.output.may_change(self._tick, is_now):
                self._set_wake()
                return False
            self._change(level, reason)
            is_new = True
        elif by == self.by and index == self.by_index and program == self.by_program:
            self.limit = limit
            return False
        self.since_ms = self._tick
        self.by = by
        self.by_index = index
        self.by_program = program
        self.limit = limit
        self._leave_ramp_ms = wants.leaving_ramp_ms(by, index)
        self._set_wake()
        return is_new

    def _is_staying_up(self, reason: int, wanted: int) -> bool:
        """Tell whether the level of presence is kept against a lower one of program or default light state."""
        if self.reason != SENSOR or not self._budget.is_exhausted:
            return False
        return rank(reason) == 1 and reason != FAILSAFE and wanted < self._held_permille

    def _change(self, level: int, reason: int) -> None:
        """Decide: from now on ``level``, for ``reason``."""
        tick = self._tick
        before = self._ramp.level_at(tick)
        ramp_ms = self._wants.ramp_ms
        if rank(reason) < rank(self.reason):
            ramp_ms = self._leave_ramp_ms
        if before == level or reason == PROTECTION:
            # Protection is at once, whatever fade the present cause would be left with.
            ramp_ms = 0
        if before == 0 and level > 0:
            self.starts += 1
        if reason == SENSOR and level > before and self.reason != SENSOR:
            self._budget.rise()
        self._ramp.start(tick, before, level, ramp_ms)
        self.from_permille = before
        self.level_permille = level
        self.fade_ms = ramp_ms
        self.reason = reason
        self.decided_ms = tick
        self.output.changed(tick, before, level, ramp_ms)
        self.monitor.supplied(tick, self.output.is_closed)
        if self.monitor.is_watching:
            self.monitor.decided(tick, before, level, ramp_ms)


def _list_of(*parts):
    return list(parts)
