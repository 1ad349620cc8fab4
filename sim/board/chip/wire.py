"""The control line to the host: a socket inherited at start, one JSON object a line both ways.

Host to node: `{"op": "pin", "n": 5, "v": 1}`; an operation is a function registered in `operations`. Node to host:
`{"e": "pwm", "t": 12.345, "r": 99, ...}` with t in virtual seconds since the street began, and r in us of
CLOCK_MONOTONIC modulo 2^30, so that a latency is measured with both ends' stamps. Lines are at most LINE_MAX bytes.
When the host closes its end the process ends, at once and whatever it does (read gives 0, write fails).
"""

import gc
import json
from time import ticks_us as real_us

import select as _select  # the interpreter's own, before it is replaced

from . import layout, libc

LINE_MAX = 2048
_RESERVE_WORDS = 512
_LOST = b'{"e":"event_lost","t":0,"r":0}\n'

operations = {}
_lines = {}  # descriptor -> what reads it
_fd = -1
_clock = None
_inbox = bytearray(LINE_MAX)
_outbox = bytearray(256)
_filled = 0
_poll = None
_reserve = [None] * _RESERVE_WORDS


def attach(fd, clock):
    """Take the inherited descriptor and the clock that stamps events."""
    global _fd, _clock, _poll
    _fd = fd
    _clock = clock
    _poll = _select.poll()
    add_line(fd, _receive)


def add_line(fd, read):
    """Watch another descriptor of the board's own; `read()` is called when it has something."""
    _lines[fd] = read
    _poll.register(fd, _select.POLLIN)


def watch(poll):
    """Register the board's lines in a poll object, which then wakes for them too. Only they are plain numbers in it."""
    for fd in _lines:
        poll.register(fd, _select.POLLIN)


def _take_reserve():
    """Give back the reserve, so that the board can speak where the program has used up the heap; see _keep_reserve."""
    _reserve.clear()
    gc.collect()


def _keep_reserve():
    """Take the reserve again, if there is room."""
    global _reserve
    try:
        _reserve = [None] * _RESERVE_WORDS
    except MemoryError:
        _reserve = []


def post(kind, more=""):
    """Send an event; `more` is JSON members after a comma, or nothing.

    The program's heap may be full: then the board's reserve is used, and where that is gone too the event is replaced
    by a constant one, "event_lost". A program never sees a MemoryError that only its observer has caused.
    """
    try:
        _post(kind, more)
        return
    except MemoryError:
        _take_reserve()
    try:
        _post(kind, more)
    except MemoryError:
        libc.write(_fd, _LOST, len(_LOST))
    _keep_reserve()


def post_numbers(shape, a, b=0, c=0, d=0):
    """Send an event of numbers, which allocates nothing: `shape` as `shape_of` has made it."""
    passed = _clock.passed_us() + _clock.base_us()
    s = _clock.base_s() + passed // 1000000
    ms = passed // 1000 % 1000
    length = libc.snprintf(_outbox, len(_outbox), shape, s, ms, real_us() & 0x3FFFFFFF, a, b, c, d)
    start = 0
    while start < length:
        sent = libc.write(_fd, _outbox if start == 0 else memoryview(_outbox)[start:], length - start)
        if sent <= 0:
            libc.leave(layout.EXIT_HOST_GONE)
        start += sent


def shape_of(kind, names):
    """Return what `post_numbers` wants for an event of this kind with at most four members, numbers of these names."""
    members = "".join(',"%s":%%d' % name for name in names)
    return '{"e":"%s","t":%%d.%%03d,"r":%%d%s}\n' % (kind, members)


def _post(kind, more):
    s, ms = _clock.stamp()
    line = '{"e":"%s","t":%d.%03d,"r":%d%s}\n' % (kind, s, ms, real_us() & 0x3FFFFFFF, more)
    data = line.encode()
    while data:
        sent = libc.write(_fd, data, len(data))
        if sent <= 0:
            libc.leave(layout.EXIT_HOST_GONE)
        data = data[sent:]


def has_news():
    """Tell without waiting whether a line has something; allocates nothing."""
    for _ in _poll.ipoll(0):
        return True
    return False


def receive():
    """Read what has come on any line (once, without waiting for more)."""
    for one in _poll.ipoll(0):
        _lines[one[0]]()


def _receive():
    """Read what the host has written and run its operations."""
    global _filled
    view = memoryview(_inbox)
    got = libc.read(_fd, view[_filled:], LINE_MAX - _filled)
    if got <= 0:
        libc.leave(layout.EXIT_HOST_GONE)
    _filled += got
    start = 0
    while True:
        end = -1
        for at in range(start, _filled):
            if _inbox[at] == 10:
                end = at
                break
        if end < 0:
            break
        try:
            run(bytes(view[start:end]))
        except MemoryError:
            _take_reserve()
            run(bytes(view[start:end]))
            _keep_reserve()
        start = end + 1
    view[: _filled - start] = bytes(view[start:_filled])
    _filled -= start
    if _filled == LINE_MAX:
        raise ValueError("a control line beyond %d bytes" % LINE_MAX)


def run(text):
    """Run one operation from its JSON; an unknown one is reported and changes nothing."""
    message = json.loads(text)
    operation = operations.get(message.get("op"))
    if operation is None:
        post("refused", ',"op":%s' % json.dumps(message.get("op")))
    else:
        operation(message)
