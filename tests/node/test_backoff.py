"""Back-off: a town must not fall upon its broker at once, and a node must not give up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.links.backoff import Backoff, spread
from tests.runtimes import Runtime


def most(bound: int) -> int:
    """The longest delay that chance may give."""
    return bound - 1


def test_full_jitter_as_published() -> None:
    """The rule of reliability.md, part F: U(0, min(900 s, 5 s × 2^n)); below a full jitter, retries stay in step."""
    backoff = Backoff("L001", most)
    bounds = [backoff.failed_ms() for _ in range(12)]
    assert bounds == [5000, 10000, 20000, 40000, 80000, 160000, 320000, 640000, 900000, 900000, 900000, 900000]
    assert Backoff("L001", lambda _bound: 0).failed_ms() == 0


def test_only_a_link_that_lasts_is_a_proof() -> None:
    """A broker that accepts and hangs up at once would else be called every few seconds by a whole town."""
    backoff = Backoff("L001", most, 300)
    for _ in range(4):
        backoff.failed_ms()
    assert backoff.lost_ms(59_999, False) == 80000, "counts as a failure"
    assert backoff.lost_ms(60_000, False) == 300_000, "the broker is gone for all: spread over the window"
    assert backoff.failed_ms() == 5000, "and forgotten"
    for _ in range(4):
        backoff.failed_ms()
    assert backoff.lost_ms(60_000, True) == 5000, "Wi-Fi is lost for few"


@given(st.text(max_size=40), st.integers(-5, 5000))
def test_first_connection_stays_in_the_window(node_id: str, window_s: int) -> None:
    """The operator's window is a promise: nobody waits longer, and the same node always waits the same."""
    first = Backoff(node_id, most, window_s).first_ms()
    assert 0 <= first <= 1000 * min(max(window_s, 0), 3600)
    assert Backoff(node_id, lambda _bound: 0, window_s).first_ms() == first


@pytest.mark.parametrize("name", ["L{:04d}", "{}", "lamp-{:x}", "{:06d}-a"])
def test_spread_is_even(name: str) -> None:
    """Ids are numbers in a row, on every site: a hash that kept their order would bring streets in together.
    χ² of 10,000 ids in 100 slots; 99 degrees of freedom give less than 160 in all but 1 of 10,000 cases."""
    slots = [0] * 100
    for number in range(10_000):
        slots[spread(name.format(number).encode(), 300_001) * 100 // 300_001] += 1
    assert sum((count - 100) ** 2 / 100 for count in slots) < 160


def test_same_on_the_chip(micropython_runtime: Runtime) -> None:
    """The simulator's storm is only worth something if the nodes wait as it says."""
    code = (
        "from firmware.links.backoff import Backoff, spread\n"
        "b = Backoff('L001', lambda n: n - 1)\n"
        "print([spread(b'L%04d' % i, 300001) for i in range(50)], b.first_ms(), [b.failed_ms() for _ in range(10)])\n"
    )
    done = micropython_runtime.run(["-c", code])
    backoff = Backoff("L001", most)
    expected = (
        [spread(b"L%04d" % i, 300001) for i in range(50)],
        backoff.first_ms(),
        [backoff.failed_ms() for _ in range(10)],
    )
    assert done.stdout == " ".join(str(one) for one in expected) + "\n", done.stderr


def test_chance_is_the_callers() -> None:
    """A simulation with a seed must be repeatable."""
    one, two = (Backoff("L001", random.Random("7/backoff").randrange) for _ in range(2))
    assert [one.failed_ms() for _ in range(20)] == [two.failed_ms() for _ in range(20)]
