"""The bound: a controller that knows all passers beforehand and lights each required metre just while it is required.

Same lamps, same floor (the program without its dynamic control), same ramps: it begins to rise so that the required
level is reached when the need begins, and begins to fall when it ends, with no hold time. No controller that serves
every need can use less; one that misses some may. Where the floor itself changes during a ramp (sunset, sunrise, fixed
time controls), a controller may use the program's ramps, so the bound takes the floor alone, which errs downwards. One
error upwards is left: while a fixed time control dims more slowly than the sensor's ramp down, a lamp that comes from
its sensor's level is at the new level first (200 permille over 30 s: at most 3 s of full light).
"""

from .light import Light, Piece


def clairvoyant(
    floor: Light, periods: list[tuple[int, int]], level: int, ramp_up_ms: int, ramp_down_ms: int, end_ms: int
) -> list[Piece]:
    """Return one lamp's light, 0 … ``end_ms``: ``level`` permille in ``periods`` (in order, apart), else the floor.

    Where the floor is higher than the required level, the floor stays.
    """
    pieces: list[Piece] = []
    at = 0
    for index, (start, end) in enumerate(periods):
        before = periods[index - 1] if index else None
        rise_from = max(start - ramp_up_ms, 0)
        if before is None:
            pieces += floor.between(at, rise_from)
            pieces += _ramp(floor, rise_from, start, level, rising=True)
        elif before[1] + ramp_down_ms <= rise_from:
            fallen = before[1] + ramp_down_ms
            pieces += _ramp(floor, before[1], fallen, level, rising=False)
            pieces += floor.between(fallen, rise_from)
            pieces += _ramp(floor, rise_from, start, level, rising=True)
        else:
            pieces += _valley(floor, before[1], start, level, ramp_up_ms, ramp_down_ms)
        pieces += _held(floor, start, end, level)
        at = end
    if periods:
        fallen = min(at + ramp_down_ms, end_ms)
        pieces += _ramp(floor, at, fallen, level, rising=False)
        at = fallen
    pieces += floor.between(at, end_ms)
    return [piece for piece in pieces if piece.end_ms > piece.start_ms]


def _level(floor: Light, t_ms: int) -> float:
    """Return the floor's level just after a moment."""
    found = list(floor.between(t_ms, t_ms + 1))
    return found[0].from_permille if found else 0.0


def _is_constant(floor: Light, start: int, end: int) -> bool:
    """Tell whether the floor stays at one level from just before ``start`` to just after ``end``."""
    first = _level(floor, start)
    return all(piece.from_permille == piece.to_permille == first for piece in floor.between(max(start - 1, 0), end + 1))


def _ramp(floor: Light, start: int, end: int, level: int, *, rising: bool) -> list[Piece]:
    """Return the ramp between a constant floor and the level; any other floor, or a higher one, as it is."""
    if end <= start:
        return []
    foot = _level(floor, start)
    if foot >= level or not _is_constant(floor, start, end):
        return list(floor.between(start, end))
    return [Piece(start, end, foot, level) if rising else Piece(start, end, level, foot)]


def _held(floor: Light, start: int, end: int, level: int) -> list[Piece]:
    """Return the level of a need; what of the floor is higher stays as it is."""
    pieces = []
    for piece in floor.between(start, end):
        first, last = piece.from_permille, piece.to_permille
        cut = piece.end_ms
        if (first < level) != (last < level):
            cut = piece.start_ms + round((level - first) * (piece.end_ms - piece.start_ms) / (last - first))
        middle = max(piece.at(cut), level)
        pieces.append(Piece(piece.start_ms, cut, max(first, level), middle))
        pieces.append(Piece(cut, piece.end_ms, middle, max(last, level)))
    return pieces


def _valley(floor: Light, start: int, end: int, level: int, ramp_up_ms: int, ramp_down_ms: int) -> list[Piece]:
    """Return a fall and a rise that meet before the floor is reached."""
    foot = _level(floor, start)
    if foot >= level or end <= start or not _is_constant(floor, start, end):
        return list(floor.between(start, end))
    turn = start + (end - start) * ramp_down_ms // (ramp_down_ms + ramp_up_ms)
    depth = (level - foot) * (turn - start) / ramp_down_ms if ramp_down_ms else 0.0
    low = level - depth
    return [Piece(start, turn, level, low), Piece(turn, end, low, level)]
