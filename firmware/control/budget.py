"""The lamp's daily budget of upward transitions: people sleep behind the window it shines at."""

from .compat import const

# Two rises for each of the 150 passers that a lamp in a residential street sees in a night.
RISES_PER_DAY = const(300)
_COUNT_MAX = const(65535)


class RiseBudget:
    """How often a lamp may go up because of presence in one lighting day (noon to noon).

    The budget protects people from a lamp that goes up and down all night. It never keeps anybody in the dark: a used
    up budget is answered by staying up. ``is_exhausted`` means: do not step down from the presence level before
    ``new_day()``; whoever comes then finds light and no change. The opposite answer, staying down, would trade a
    nuisance for a danger, and a passer cannot know that the budget of the day is used up. So ``rise()`` is never
    refused: a lamp that is down all the same (it started again, its program went down) goes up, and that is counted.

    ``limit`` (1 … 65535), ``used``: rises of this day, up to 65535, beyond the limit too.
    """

    def __init__(self, limit: int = RISES_PER_DAY):
        self.limit = limit
        self.used = 0
        self.is_exhausted = False

    def may_rise(self) -> bool:
        """Tell whether another rise is in the budget, so that stepping down now is fair."""
        return not self.is_exhausted

    def rise(self) -> None:
        """Count an upward transition that presence caused."""
        if self.used < _COUNT_MAX:
            self.used += 1
        self.is_exhausted = self.used >= self.limit

    def new_day(self) -> None:
        """Begin a lighting day with the whole budget."""
        self.used = 0
        self.is_exhausted = False
