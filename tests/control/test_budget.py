"""A lamp may go up only so often in a night; when that is used up it stays up."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.control.budget import RISES_PER_DAY, RiseBudget
from tests.control.presence_main import history


def test_the_last_rise_of_the_budget_stays():
    """Somebody sleeps behind that window: after the last rise of the budget the lamp must not step down and go up
    again. So the budget is exhausted with its last rise, not with the one after it."""
    budget = RiseBudget(3)
    seen = []
    for _ in range(4):
        seen.append((budget.may_rise(), budget.is_exhausted, budget.used))
        budget.rise()
    assert seen == [(True, False, 0), (True, False, 1), (True, False, 2), (False, True, 3)]


def test_a_rise_beyond_the_budget_is_counted_and_not_refused():
    """Nobody is kept in the dark for a statistic. A lamp that is down all the same goes up, and the report says
    how often."""
    budget = RiseBudget(1)
    for _ in range(5):
        budget.rise()
    assert (budget.used, budget.is_exhausted) == (5, True)


def test_a_new_day_has_the_whole_budget():
    """The lamp that stayed up last night must serve tonight as any other."""
    budget = RiseBudget(1)
    budget.rise()
    budget.new_day()
    assert (budget.used, budget.is_exhausted, budget.may_rise()) == (0, False, True)


def test_an_ordinary_night_is_within_the_default():
    """A lamp in a residential street sees about 150 passers in a night. A budget that they exhaust would light it until
    the morning for nothing."""
    budget = RiseBudget()
    for _ in range(150):
        budget.rise()
    assert budget.may_rise() and budget.limit == RISES_PER_DAY == 300


def test_the_counter_saturates():
    """A counter that runs over would give a chattering lamp its budget back in the middle of the night. This one stops
    counting, and stays exhausted."""
    budget = RiseBudget(65_535)
    for _ in range(65_534):
        budget.rise()
    assert (budget.used, budget.is_exhausted) == (65_534, False)
    for _ in range(10):
        budget.rise()
        assert (budget.used, budget.is_exhausted) == (65_535, True)


@given(st.integers(1, 100), st.lists(st.booleans(), max_size=300))
def test_a_day_has_its_budget_whatever_the_days_before(limit, script):
    """Days differ; a busy one must neither borrow from the next nor leave it anything."""
    budget = RiseBudget(limit)
    rises = 0
    for is_new_day in script:
        if is_new_day:
            budget.new_day()
            rises = 0
        else:
            budget.rise()
            rises += 1
        assert (budget.used, budget.is_exhausted, budget.may_rise()) == (rises, rises >= limit, rises < limit)


def test_the_chip_keeps_the_budget_as_the_host_does(micropython_runtime):
    """The chip and the simulator must agree when a lamp stops stepping down, and no call may allocate."""
    done = micropython_runtime.run(["tests/control/presence_main.py", "budget", "7", "2000"])
    assert done.returncode == 0, done.stderr
    expected = list(history("budget", 7, 2000))
    assert done.stdout.split("\n")[:-1] == expected
    assert {line.split()[2] for line in expected} == {"0", "1"}
