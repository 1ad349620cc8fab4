"""A lamp's light over a night as straight pieces, and what can be read from it: energy, shares, the least level."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from firmware.control.power import PowerCurve

from .engine import Decision

MJ_PER_WH = 3_600_000


@dataclass(frozen=True)
class Piece:
    """The level goes straight from ``from_permille`` at ``start_ms`` to ``to_permille`` at ``end_ms``."""

    start_ms: int
    end_ms: int
    from_permille: float
    to_permille: float

    def at(self, t_ms: float) -> float:
        """Return the level at a moment inside the piece."""
        if self.end_ms == self.start_ms or self.from_permille == self.to_permille:
            return self.to_permille
        return self.from_permille + (self.to_permille - self.from_permille) * (t_ms - self.start_ms) / (
            self.end_ms - self.start_ms
        )


def pieces_of(decisions: Iterable[Decision], end_ms: int) -> list[Piece]:
    """Return the pieces that a lamp's decisions make, without gaps, up to ``end_ms``."""
    pieces: list[Piece] = []
    ordered = list(decisions)
    for index, decision in enumerate(ordered):
        until = ordered[index + 1].t_ms if index + 1 < len(ordered) else end_ms
        faded = decision.t_ms + decision.fade_ms
        whole = Piece(decision.t_ms, faded, decision.from_permille, decision.level_permille)
        if decision.fade_ms:
            cut = min(faded, until)
            if cut > decision.t_ms:
                pieces.append(Piece(decision.t_ms, cut, decision.from_permille, whole.at(cut)))
        if faded < until:
            pieces.append(Piece(faded, until, decision.level_permille, decision.level_permille))
    return pieces


def mean_power_mw(curve: PowerCurve, low: float, high: float) -> int:
    """Return the mean power between two levels, by the control core's own curve (levels rounded to 1 permille)."""
    first, last = round(low), round(high)
    return curve.at(first) if first == last else curve.mean(first, last)


def energy_mj(curve: PowerCurve, pieces: Iterable[Piece]) -> int:
    """Return the energy of pieces in mJ."""
    total_uj = 0
    for piece in pieces:
        total_uj += mean_power_mw(curve, piece.from_permille, piece.to_permille) * (piece.end_ms - piece.start_ms)
    return total_uj // 1000


def power_series_mw(curve: PowerCurve, pieces: Iterable[Piece], end_ms: int, step_ms: int) -> list[int]:
    """Return the mean power in each step of ``step_ms`` from 0 to ``end_ms``."""
    sums = [0] * -(-end_ms // step_ms)
    for piece in pieces:
        for part in _split(piece, step_ms):
            power = mean_power_mw(curve, part.from_permille, part.to_permille)
            sums[part.start_ms // step_ms] += power * (part.end_ms - part.start_ms)
    return [total // step_ms for total in sums]


def _split(piece: Piece, step_ms: int) -> Iterator[Piece]:
    start = piece.start_ms
    while start < piece.end_ms:
        end = min((start // step_ms + 1) * step_ms, piece.end_ms)
        yield Piece(start, end, piece.at(start), piece.at(end))
        start = end


class Light:
    """Pieces of one lamp, with quick answers about any period."""

    def __init__(self, pieces: list[Piece]):
        self.pieces = pieces
        self._starts = [piece.start_ms for piece in pieces]

    def between(self, start_ms: int, end_ms: int) -> Iterator[Piece]:
        """Yield the pieces of a period, cut to it."""
        at = max(bisect_right(self._starts, start_ms) - 1, 0)
        while at < len(self.pieces) and self.pieces[at].start_ms < end_ms:
            piece = self.pieces[at]
            at += 1
            start, end = max(piece.start_ms, start_ms), min(piece.end_ms, end_ms)
            if start < end:
                yield Piece(start, end, piece.at(start), piece.at(end))

    def below_ms(self, start_ms: int, end_ms: int, level: float) -> float:
        """Return for how long in a period the level is below ``level``."""
        total = 0.0
        for piece in self.between(start_ms, end_ms):
            low, high = sorted((piece.from_permille, piece.to_permille))
            if high < level:
                total += piece.end_ms - piece.start_ms
            elif low < level:
                total += (piece.end_ms - piece.start_ms) * (level - low) / (high - low)
        return total

    def lit_ms(self, start_ms: int, end_ms: int) -> int:
        """Return for how long in a period the lamp is not off."""
        return sum(
            piece.end_ms - piece.start_ms
            for piece in self.between(start_ms, end_ms)
            if piece.from_permille > 0 or piece.to_permille > 0
        )

    def mean_permille(self, start_ms: int, end_ms: int) -> float:
        """Return the mean level of a period."""
        area = sum(
            (piece.from_permille + piece.to_permille) / 2 * (piece.end_ms - piece.start_ms)
            for piece in self.between(start_ms, end_ms)
        )
        return area / (end_ms - start_ms) if end_ms > start_ms else 0.0
