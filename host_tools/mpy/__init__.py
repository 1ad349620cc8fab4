"""The firmware as the chip loads it: constants put in where they are used, then compiled to .mpy."""
