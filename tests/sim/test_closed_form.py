"""Where mathematics knows the answer, the whole chain of engine and controller must find it too."""

from __future__ import annotations

import math
import random

import pytest

from firmware.control.reasons import SENSOR
from sim.engine import Engine, Input, Lamp
from sim.lamp_replay import INPUT_PRESENCE

from .test_engine import CLOCK_AT_START, controller

EVENTS = 100_000


@pytest.mark.parametrize(
    ("rate_per_h", "hold_s"),
    [(60.0, 30), (12.0, 60), (240.0, 20)],
    ids=["1 a minute, 30 s", "12 an hour, 60 s", "240 an hour, 20 s"],
)
def test_poisson_passers_light_a_lamp_for_the_share_that_theory_gives(rate_per_h: float, hold_s: int) -> None:
    """Passers at random, λ a second, each lighting the lamp for h: it is lit for the share 1 - exp(-λh).

    If this is wrong, every forecast of a saving is. Passers last no time (the sensor goes up and down in one
    millisecond), there are no ramps, the program is always active: the lit share is the sensor's share of all time.
    """
    rng = random.Random(f"closed form {rate_per_h} {hold_s}")
    rate_per_ms = rate_per_h / 3_600_000
    inputs: list[Input] = [CLOCK_AT_START]
    t = 0.0
    for _ in range(EVENTS):
        t += rng.expovariate(rate_per_ms)
        inputs += [(int(t), 0, INPUT_PRESENCE, 1), (int(t), 0, INPUT_PRESENCE, 0)]
    end_ms = int(t)
    lamp = Lamp(controller(hold_s * 10), 0)
    engine = Engine([lamp])
    engine.run(inputs, end_ms)
    lit_ms = 0
    ends = [decision.t_ms for decision in lamp.decisions[1:]] + [end_ms]
    for decision, until in zip(lamp.decisions, ends, strict=True):
        assert decision.level_permille == (1000 if decision.reason == SENSOR else 200)
        if decision.reason == SENSOR:
            lit_ms += until - decision.t_ms
    share = lit_ms / end_ms
    theory = -math.expm1(-rate_per_h / 3600 * hold_s)
    error = share / theory - 1
    print(
        f"figure: closed form, {rate_per_h:g} passers/h, hold {hold_s} s, {EVENTS} passers: lit share {share:.5f}, "
        f"theory {theory:.5f}, {100 * error:+.2f} %"
    )
    assert abs(error) < 0.01
