"""People decide on what they can see, so a simulated night is shown as one page and one picture.

`sim.report.page` makes the self-contained HTML page, `sim.report.picture` the PNG; both read the plain
dictionaries `results` (schema ``reverbere/results/1``) and `timeline`, and neither simulates anything.
"""
