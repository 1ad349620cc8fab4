"""How a virtual chip waits: it lets virtual time pass, and meanwhile does what comes due.

Due are: the host's operations, the script's events, timers, the watchdog. All of it happens inside the board's calls
(poll, sleep, ticks), where interrupts are delivered too. A wait is cut into slices of real time, because the clock's
rate may change under it; in jump mode, where nothing is pending and no socket wants real time (sockets.py), the clock
moves to the next thing due at once.
"""

from time import ticks_us as real_us

import select as _select  # the interpreter's own, before it is replaced

import uctypes

from . import irq, libc, sockets, wire
from .clock import MASK, add30, diff30
from .sockets import QUIET_US

SLICE_MS = 100
_SERVICE_US = 1000
_JUMP_MAX_MS = 1 << 28
_BUSY = 1
_WAITING = 2

clock = None
timers = []  # of objects with due30 and fire()
_next30 = 0
_has_next = False
_last_service = 0
_script_at = 0
_script_end = 0
_script_line = None
_script_s = 0
_script_ms = 0
_script_due30 = 0
_is_script_far = False
_is_serving = False
_bare = None


def attach(the_clock):
    """Give the clock; from here on waits are possible."""
    global clock, _bare
    clock = the_clock
    _bare = _select.poll()
    wire.watch(_bare)
    clock.slot.state = _BUSY


def load_script(address, length):
    """Take a mapped script: lines `<s> <ms> <operation as JSON>`, in order of time, ended by a zero byte."""
    global _script_at, _script_end
    _script_at = address
    _script_end = address + length
    _read_script()


def _read_script():
    global _script_at, _script_line, _script_s, _script_ms
    _script_line = None
    if _script_at >= _script_end:
        return
    window = uctypes.bytes_at(_script_at, min(512, _script_end - _script_at))
    end = window.find(b"\n")
    if end <= 0:
        _script_at = _script_end
        return
    _script_at += end + 1
    seconds, ms, text = window[:end].split(None, 2)
    _script_s = int(seconds)
    _script_ms = int(ms)
    _script_line = text
    _place_script()


def _place_script():
    """Find the script's next event on the ring of ms; one that is far beyond it is looked at again."""
    global _script_due30, _is_script_far
    s, ms = clock.stamp()
    seconds = min(_script_s - s, _JUMP_MAX_MS // 1000)
    _is_script_far = _script_s - s > seconds
    _script_due30 = add30(clock.world_ms30(), seconds * 1000 + _script_ms - ms)


def _script_wait_ms(now30):
    """Return ms until the script's next event, at most some _JUMP_MAX_MS; negative where it is overdue."""
    if _is_script_far:
        _place_script()
    return diff30(_script_due30, now30)


def reschedule():
    """Find the next timer again, after one was started, stopped or fired."""
    global _next30, _has_next
    _has_next = False
    for timer in timers:
        if not _has_next or diff30(timer.due30, _next30) < 0:
            _next30 = timer.due30
            _has_next = True


def run_due():
    """Fire what is due now: script and timers; return True where anything was. What they call may not call it again."""
    global _is_serving
    if _is_serving:
        return False
    _is_serving = True
    try:
        return _run_due()
    finally:
        _is_serving = False


def _run_due():
    happened = False
    now30 = clock.world_ms30()
    while _script_line is not None and _script_wait_ms(now30) <= 0:
        text = _script_line
        _read_script()
        wire.run(text)
        irq.deliver()
        happened = True
    if _has_next:
        while _has_next and diff30(_next30, now30) <= 0:
            for timer in timers:
                if timer.due30 == _next30:
                    timer.fire()
                    break
            reschedule()
            happened = True
    return happened


def service():
    """Look at the line and the time, deliver interrupts; return True where anything happened. Does not wait."""
    global _is_serving, _last_service
    if _is_serving:
        return False
    _is_serving = True
    _last_service = real_us() & MASK
    try:
        happened = False
        while wire.has_news():
            wire.receive()
            happened = True
            irq.deliver()
        if _run_due():
            happened = True
    finally:
        _is_serving = False
    if not irq.is_idle():
        irq.deliver()
        happened = True
    return happened


def glance():
    """Serve if a millisecond of real time has passed since the last time: for calls that are made in loops."""
    if not _is_serving and ((real_us() - _last_service) & MASK) > _SERVICE_US:
        clock.slot.service_ms30 = clock.world_ms30()
        service()


def wait(poll, until30, has_deadline, found):
    """Let time pass until `until30` (if `has_deadline`) or until `poll` has something, which is put into `found`.

    Return True where something was found, False at the deadline. `poll` is an interpreter's poll object that watches
    the control line too. Returns with False also after any operation or interrupt (it may have set a flag): the
    caller looks and waits again, unless its own deadline is over.
    """
    slice_ms = 0
    slot = clock.slot
    while True:
        happened = False
        if slice_ms > 0:
            slot.state = _WAITING
        if slice_ms >= 0:
            for one in poll.ipoll(slice_ms):
                if type(one[0]) is int:
                    happened = True
                elif found is not None:
                    found.append((one[0], one[1]))
        if slice_ms > 0:
            slot.state = _BUSY
            slot.wakes = slot.wakes + 1 & MASK
        if found and not clock.shared.has_bell:
            # In strides each 10 ms of it would be a night's minutes; there the kernel (sockets.py) and the flag of the
            # radio's mail say who still owes something.
            clock.want_real_time(QUIET_US)
        if happened or not irq.is_idle():
            happened = service() or happened
        elif run_due():
            happened = True
            irq.deliver()
        if found:
            return True
        if happened:
            return False
        if has_deadline and diff30(until30, clock.world_ms30()) <= 0:
            return False
        slice_ms = _slice_ms(until30, has_deadline)


def _slice_ms(until30, has_deadline):
    """Return real ms to wait now, 0 where something is due now; publish the deadline, in jump mode jump to it (-1)."""
    slot = clock.slot
    left = _JUMP_MAX_MS
    now30 = clock.world_ms30()
    slot.service_ms30 = now30
    if has_deadline:
        left = diff30(until30, now30)
    if _has_next:
        left = min(left, diff30(_next30, now30))
    if _script_line is not None:
        left = min(left, _script_wait_ms(now30))
    if left <= 0:
        return 0
    sockets.look(clock)
    slot.deadline_ms30 = add30(now30, left)
    slot.has_deadline = 1
    if clock.is_jump:
        wanted = clock.real_time_wanted_us()
        if wanted:
            return 1 if sockets.is_waiting else min(left, wanted // 1000 + 1)
        if left >= _JUMP_MAX_MS:
            return SLICE_MS  # nothing is ever due: only the host can wake it
        clock.own(left)
        slot.wakes = slot.wakes + 1 & MASK
        return -1
    if sockets.is_waiting:
        return 1
    if clock.shared.has_bell:
        return SLICE_MS
    wanted = clock.shared.wanted
    if wanted > 1:
        left = left // wanted
    return max(1, min(left, SLICE_MS))


def sleep_ms(ms):
    """Let `ms` of virtual time pass; interrupts are delivered meanwhile."""
    if ms <= 0:
        service()
        return
    left = ms
    while left > 0:
        step = min(left, _JUMP_MAX_MS)
        until30 = add30(clock.world_ms30(), step)
        while diff30(until30, clock.world_ms30()) > 0:
            wait(_bare, until30, True, None)
        left -= step


def nap(ms):
    """Let at most `ms` pass (0 to 2^28; None for no bound), less where anything happened."""
    if ms is None:
        wait(_bare, 0, False, None)
    else:
        wait(_bare, add30(clock.world_ms30(), min(ms, _JUMP_MAX_MS)), True, None)


def end(code):
    """End the process: the chip resets (see layout) and the host starts it again."""
    clock.slot.state = 0
    libc.leave(code)
