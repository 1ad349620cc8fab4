"""Every decision of a luminaire: integers only, no input or output, no clock, no allocation in ``step()``.

The rooms, in the order in which one presence edge walks through them:

========== =====================================================================
plan       the binary plan, read in place
civil      day numbers and dates
zone       local civil time from the zone's rule
sun        sunrise and sunset, in fixed point
schedule   what the program wants at one moment, and until when
power      the luminaire's power curve and the energy counters
controller the decision: level, fade, reason, next wake tick
========== =====================================================================
"""
