"""What each name is called in its bundle: as in its module where no other has that name, else with its module's name.

A name also gives way where a function that uses it has a local one of that spelling: `keys.tag` in a function with a
variable `tag`. The names of MicroPython's modules, and of the builtins that any module of the bundle uses, are never
given to something else: a module with a `min` of its own must not change what `min` means to its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from .parts import Meaning, Own, Part, Parts, Standard, Whole
from .scopes import Scope


class Names:
    """The names of one bundle: ``of`` gives what each meaning is called in it. First its own, then `take` others'."""

    def __init__(self, path: str, parts: list[Part], every: Parts):
        self.path = path
        self.of: dict[Meaning, str] = {}
        self._words = {word for part in parts for word in _words(part)}
        self._taken: set[str] = {
            use.name for part in parts for use in part.scopes.uses if use.at.resolve(use.name) is None
        }
        self._hidden = _hidden(parts, every)
        stem = PurePosixPath(path).stem
        wanted: dict[str, list[tuple[int, Meaning, str]]] = {}
        for part in parts:
            for name, meaning, suffix in _meanings(part, every):
                # What comes first keeps its name: what stock MicroPython calls so, and what others call from outside.
                rank = 0 if isinstance(meaning, Standard) else 1 if part.stem == stem else 2
                if meaning not in self.of:
                    wanted.setdefault(name, []).append((rank, meaning, suffix))
                    self.of[meaning] = name
        for name, claims in sorted(wanted.items()):
            claims.sort(key=lambda claim: claim[0])
            is_first = len(claims) == 1 or claims[0][0] < claims[1][0]
            for number, (_, meaning, suffix) in enumerate(claims):
                keeps = number == 0 and is_first and self._is_free(meaning, name)
                self._call(meaning, name if keeps else f"{name}_{suffix}", keeps)

    def _is_free(self, meaning: Meaning, name: str) -> bool:
        return name not in self._taken and name not in self._hidden.get(meaning, ())

    def _call(self, meaning: Meaning, name: str, is_kept: bool) -> None:
        if not is_kept:
            while name in self._words or name in self._taken:
                name += "_"
        self.of[meaning] = name
        self._taken.add(name)

    def take(self, meaning: Meaning, name: str, package: str) -> str:
        """Return what a name of another bundle is called here."""
        if meaning not in self.of:
            is_free = self._is_free(meaning, name)
            self._call(meaning, name if is_free else f"{name}_{package}", is_free)
        return self.of[meaning]


def _hidden(parts: list[Part], every: Parts) -> dict[Meaning, set[str]]:
    """Return for each meaning the local names of the functions that use it: called so, it would be taken for them."""
    found: dict[Meaning, set[str]] = {}
    for part in parts:
        for use in part.scopes.uses:
            known = every.of_use(part, use)
            if known is None:
                continue
            meaning = every.attribute(part, known[0], use) if isinstance(known[0], Whole) else known[0]
            for scope in use.at.chain():
                if scope.kind != "module":
                    found.setdefault(meaning, set()).update(
                        name for name in scope.bound if not _is_import_of(part, every, scope, name, meaning)
                    )
    return found


def _is_import_of(part: Part, every: Parts, scope: Scope, name: str, meaning: Meaning) -> bool:
    taken = part.of_binding(scope, name)
    return taken is not None and every.taken_meaning(part, taken) == meaning


def _words(part: Part) -> Iterable[str]:
    """Yield every name that a part has anywhere, so that a new name is new."""
    for use in part.scopes.uses:
        yield use.name
    for scope in part.scopes.scopes:
        yield from scope.bound


def _meanings(part: Part, every: Parts) -> Iterable[tuple[str, Meaning, str]]:
    """Yield the names that a part brings to its bundle's level: (name, meaning, suffix where it clashes)."""
    for name in sorted(part.scopes.module.bound):
        meaning = every.meaning(part, name)
        if isinstance(meaning, Standard) or (isinstance(meaning, Own) and meaning.module == part.module):
            yield name, meaning, part.stem
    for use in part.scopes.uses:
        known = every.of_use(part, use)
        if known is not None and isinstance(known[0], Whole):
            meaning = every.attribute(part, known[0], use)
            if isinstance(meaning, Standard):
                yield meaning.name or meaning.module, meaning, part.stem
