"""A curve through a few measured points, in integers: how an installer's meter readings become an output.

Points are flat, x0, y0, x1, y1 ... as a configuration has them: a list of ints.
"""

from .contract import OutOfRange

POINTS_MAX = 16


def check_points(device, points, y_min, y_max):
    """Raise `OutOfRange` unless there are 2 ... 16 points, x rising from 0 to 1000, y within y_min ... y_max."""
    count = len(points) // 2
    if len(points) != 2 * count or not 2 <= count <= POINTS_MAX:
        raise OutOfRange(device, "2 to 16 pairs of points")
    if points[0] != 0 or points[-2] != 1000:
        raise OutOfRange(device, "points go from 0 to 1000")
    for i in range(0, len(points), 2):
        if i and points[i] <= points[i - 2]:
            raise OutOfRange(device, "points must rise")
        if not y_min <= points[i + 1] <= y_max:
            raise OutOfRange(device, "a point beyond its limits")


def interpolate(points, x):
    """Return y at x (0 ... 1000) on the lines between checked points, to the nearest. Allocates nothing.

    y is at most 65535 and a step in x at most 1000, so products stay below 2^27.
    """
    last = len(points) - 2
    i = 2
    while i < last and points[i] < x:
        i += 2
    x0 = points[i - 2]
    y0 = points[i - 1]
    width = points[i] - x0
    return y0 + ((points[i + 1] - y0) * (x - x0) + width // 2) // width
