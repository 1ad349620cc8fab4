"""Whether the tests of the control core would notice: what they never take, and what may be changed under them."""

import pytest

from tests.bench import coverage_core, mutants

# So many mutants of each group, the same every time: all of them (some 2,600) take an hour and more.
SAMPLE = 150


@pytest.mark.soak
def test_no_decision_of_the_core_goes_untaken():
    """A branch that no test takes is one that a town takes first. So at least 98 % of the branches and lines of
    firmware/control are taken by its own tests."""
    assert coverage_core.main([]) == 0


@pytest.mark.soak
def test_a_changed_decision_is_noticed():
    """A test that runs a line but would pass without it proves nothing. So of the changes made at random to program,
    presence and limits at least 85 % fail a test."""
    assert mutants.main(["--sample", str(SAMPLE)]) == 0
