"""A curve through a few measured points, in integers: how an installer's meter readings become an output."""

from .contract import OutOfRange

POINTS_MAX = 16


def check_points(device, points, y_max):
    """Raise `OutOfRange` unless points are 2 … 16 pairs (x, y), x rising from 0 to 1000, y within 0 … y_max."""
    if not 2 <= len(points) <= POINTS_MAX:
        raise OutOfRange(device, "2 to 16 points")
    if points[0][0] != 0 or points[-1][0] != 1000:
        raise OutOfRange(device, "points go from 0 to 1000")
    before = -1
    for x, y in points:
        if x <= before:
            raise OutOfRange(device, "points must rise")
        if not 0 <= y <= y_max:
            raise OutOfRange(device, "point above its limit")
        before = x


def interpolate(points, x):
    """Return y at x (0 … 1000) on the lines between checked points, to the nearest. Allocates nothing.

    y is at most 65535 and a step in x at most 1000, so products stay below 2^26.
    """
    last = len(points) - 1
    i = 1
    while i < last and points[i][0] < x:
        i += 1
    x0, y0 = points[i - 1]
    x1, y1 = points[i]
    width = x1 - x0
    return y0 + ((y1 - y0) * (x - x0) + width // 2) // width
