"""The ring of ticks against MicroPython's own definition of `time.ticks_diff`."""

from hypothesis import example, given
from hypothesis import strategies as st

from firmware.control.ticks import TICKS_MAX, TICKS_SPAN_MAX_MS, ticks_add, ticks_diff

PERIOD = 2**30
ticks = st.integers(0, PERIOD - 1) | st.sampled_from([0, 1, PERIOD // 2 - 1, PERIOD // 2, PERIOD - 1])
spans = st.integers(0, TICKS_SPAN_MAX_MS) | st.sampled_from([0, 1, TICKS_SPAN_MAX_MS])
INTERPRETER = """
import time
print(time.ticks_add(0, -1))
for a, b in {pairs}:
    print(time.ticks_diff(a, b), time.ticks_add(a, {span}))
"""


def documented_diff(end: int, start: int) -> int:
    """What MicroPython's documentation of `time.ticks_diff` gives as its meaning, for a period P."""
    return ((end - start + PERIOD // 2) & (PERIOD - 1)) - PERIOD // 2


@given(ticks, ticks)
@example(0, PERIOD // 2)
@example(PERIOD // 2, 0)
def test_a_difference_is_micropythons(end, start):
    """A lamp's hold must not last twelve days because the ring wrapped. So differences are those MicroPython documents,
    ((a - b + P/2) & (P - 1)) - P/2, over all of the ring."""
    assert ticks_diff(end, start) == documented_diff(end, start)
    assert -PERIOD // 2 <= ticks_diff(end, start) < PERIOD // 2


@given(ticks, spans)
def test_a_sum_is_the_tick_that_much_later(start, span):
    """A deadline is set by adding and met by subtracting. So the two are each other's inverse wherever on the ring."""
    assert ticks_add(start, span) == (start + span) % PERIOD
    assert ticks_diff(ticks_add(start, span), start) == span


@given(ticks, spans, spans)
def test_sums_add_up(start, first, second):
    """Events arrive in any division of the time between them. So two sums are one, on the ring."""
    if first + second <= TICKS_SPAN_MAX_MS:
        assert ticks_add(ticks_add(start, first), second) == ticks_add(start, first + second)


def test_the_ring_is_the_chips(micropython_runtime):
    """Our ring is worth something only if the interpreter's is the same. On 64 bits the unix port's ring is longer, and
    a difference of real ticks there means the same as ours as long as both lie in ours."""
    pairs = [(5, 3), (3, 5), (0, 0), (1000, 2**29 - 1), (7, 2**28)]
    done = micropython_runtime.run(["-c", INTERPRETER.format(pairs=pairs, span=86_400_000)])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    ring = int(lines[0]) + 1
    assert ring & (ring - 1) == 0
    assert ring >= PERIOD
    assert TICKS_MAX == PERIOD - 1
    if micropython_runtime.small_int_bits == 31:
        assert ring == PERIOD
    for (end, start), line in zip(pairs, lines[1:], strict=False):
        difference, later = (int(number) for number in line.split())
        assert ticks_diff(end, start) == difference
        assert ticks_add(end, 86_400_000) == later % PERIOD
