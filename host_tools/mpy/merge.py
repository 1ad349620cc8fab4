"""One text out of the modules of a bundle: names are replaced, imports among them vanish, lines keep their origin."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping

from .naming import Names
from .parts import Meaning, Own, Part, Parts, Standard, Taken, Whole, is_docstring
from .scopes import Scope, Use

Line = tuple[str, tuple[str, int]]


class Merge:
    """Joins the parts of one bundle. ``names``: of every bundle by path; ``included``: the modules that go in."""

    def __init__(self, path: str, parts: list[Part], every: Parts, names: Mapping[str, Names], included: set[str]):
        self._path = path
        self._parts = parts
        self._every = every
        self._names = names
        self._own = names[path]
        self._included = included
        # Imports at the top of the bundle, each with the place in the source that wanted it first.
        self._standard: dict[Standard, tuple[str, int]] = {}
        self._foreign: dict[str, dict[Own, tuple[str, int]]] = {}

    def lines(self) -> list[Line]:
        """Return the bundle's lines, each with (path, line) of its source."""
        body = [line for part in self._parts for line in self._part(part)]
        return self._header() + body

    def _header(self) -> list[Line]:
        made: list[Line] = []
        for standard, place in sorted(self._standard.items(), key=lambda entry: (entry[0].module, entry[0].name)):
            called = self._own.of[standard]
            text = f"from {standard.module} import {standard.name}" if standard.name else f"import {standard.module}"
            made.append((text + _as(standard.name or standard.module, called), place))
        for bundle, wanted in sorted(self._foreign.items()):
            pairs = sorted((self._names[bundle].of[own], self._own.of[own]) for own in wanted)
            names = ", ".join(there + _as(there, here) for there, here in pairs)
            made.append((f"from {_module(bundle)} import {names}", next(iter(wanted.values()))))
        return made

    # -- one part -------------------------------------------------------------------------------------------------

    def _part(self, part: Part) -> list[Line]:
        lines = list(part.scopes.lines)
        edits: list[tuple[int, int, int, str]] = []
        gone: set[tuple[int, str]] = set()
        for scope in part.scopes.scopes[1:]:
            gone |= {(id(scope), name) for name in scope.bound if self._vanishes(part, scope, name)}
        for use in part.scopes.uses:
            edit = self._edit(part, use, gone)
            if edit is not None:
                edits.append(edit)
        for line, start, end, text in sorted(set(edits), reverse=True):
            lines[line - 1] = lines[line - 1][:start] + text + lines[line - 1][end:]
        statements: dict[int, list[Taken]] = {}
        for taken in part.taken.values():
            statements.setdefault(id(taken.node), []).append(taken)
        for group in statements.values():
            self._rewrite_import(part, group, lines)
        _drop_docstrings(part.scopes.tree, lines)
        return [(lines[number - 1], (part.path, number)) for number in _lines_of_code("\n".join(lines))]

    def _edit(self, part: Part, use: Use, gone: set[tuple[int, str]]) -> tuple[int, int, int, str] | None:
        """Return what a use becomes: (line, first column, last column, text); None where it stays."""
        known = self._every.of_use(part, use)
        if known is None:
            self._refuse_class_name(part, use)
            return None
        meaning, scope = known
        end = use.end
        was = use.name
        if isinstance(meaning, Whole):
            meaning = self._every.attribute(part, meaning, use)
            attribute = use.attribute
            if attribute is None or attribute.end_lineno != use.line or attribute.end_col_offset is None:
                raise part.refusal(use.line, f"{use.name}: write the module and its name on one line")
            end = part.scopes.column(use.line, attribute.end_col_offset)
            was = part.scopes.lines[use.line - 1][use.start : end]
        elif scope.kind != "module" and (id(scope), use.name) not in gone:
            return None
        text = self._called(part, meaning, use.line)
        if text == was and scope.kind == "module":
            return None
        if use.is_in_text:
            raise part.refusal(use.line, f"{was} becomes {text} and stands in an f-string: put it in a variable first")
        self._refuse_capture(part, use, was, text, gone)
        return None if text == was else (use.line, use.start, end, text)

    def _refuse_class_name(self, part: Part, use: Use) -> None:
        """A class body reads the module's name until it has set its own: which one is meant, only its run tells."""
        if use.is_store or use.at.kind != "class" or use.name not in part.scopes.module.bound:
            return
        meaning = self._every.meaning(part, use.name)
        text = self._own.of.get(meaning)
        if text != use.name:
            raise part.refusal(use.line, f"{use.name} becomes {text} and is set in class {use.at.name} too: rename one")

    def _refuse_capture(self, part: Part, use: Use, was: str, text: str, gone: set[tuple[int, str]]) -> None:
        for scope in use.at.chain():
            if scope.kind != "module" and text in scope.bound and (id(scope), text) not in gone:
                if text in scope.globals or text in scope.nonlocals:
                    continue
                raise part.refusal(
                    use.line,
                    f"{was} is called {text} in {self._path}, and {scope.kind} {scope.name} (line {scope.line}) has a "
                    f"{text} of its own: rename that one",
                )

    def _called(self, part: Part, meaning: Meaning, line: int) -> str:
        """Return what a meaning is called in this bundle; it is imported at the top where it comes from elsewhere."""
        place = (part.path, line)
        if isinstance(meaning, Standard):
            self._standard.setdefault(meaning, place)
            return self._own.of[meaning]
        assert isinstance(meaning, Own)
        bundle = self._every.by_module[meaning.module].bundle
        if bundle == self._path:
            return self._own.of[meaning]
        self._foreign.setdefault(bundle, {}).setdefault(meaning, place)
        return self._own.take(meaning, self._names[bundle].of[meaning], _module(bundle).rpartition(".")[2])

    # -- imports --------------------------------------------------------------------------------------------------

    def _vanishes(self, part: Part, scope: Scope, name: str) -> bool:
        """Tell whether a local name is nothing but an import of this very bundle, or a module by its attributes."""
        taken = part.of_binding(scope, name)
        return taken is not None and self._is_dropped(part, taken)

    def _is_dropped(self, part: Part, taken: Taken) -> bool:
        meaning = self._every.taken_meaning(part, taken)
        if taken.is_top:
            # A standard one that is bound twice in its module stays where it is.
            return not isinstance(meaning, Standard) or part.of_binding(taken.scope, taken.local) is not None
        if isinstance(taken.meaning, Standard) or not isinstance(meaning, (Own, Whole)):
            return False
        if isinstance(meaning, Whole):
            return True
        return meaning.module in self._included and self._every.by_module[meaning.module].bundle == self._path

    def _rewrite_import(self, part: Part, group: list[Taken], lines: list[str]) -> None:
        """Write an import anew with what is left of it."""
        node = group[0].node
        left = [taken for taken in group if not self._is_dropped(part, taken)]
        made = "; ".join(self._import_text(part, taken) for taken in left)
        if not made and not group[0].is_top:
            made = "pass"
        row = node.lineno - 1
        for number in range(row, node.end_lineno or node.lineno):
            lines[number] = ""
        lines[row] = " " * node.col_offset + made if made else ""

    def _import_text(self, part: Part, taken: Taken) -> str:
        """Return one import that stays: of MicroPython's modules, or of another bundle within a function."""
        meaning = self._every.taken_meaning(part, taken)
        local = taken.local
        if taken.scope.kind == "module":
            local = self._own.of[Own(part.module, local)]
        if isinstance(meaning, Standard):
            if meaning.name:
                return f"from {meaning.module} import {meaning.name}{_as(meaning.name, local)}"
            return f"import {meaning.module}{_as(meaning.module, local)}"
        assert isinstance(meaning, Own)
        if meaning.module not in self._included:
            # A driver that is not chosen, or what only CPython needs: the import must fail, and say of what.
            return f"from {meaning.module} import {meaning.name}{_as(meaning.name, local)}"
        bundle = self._every.by_module[meaning.module].bundle
        there = self._names[bundle].of[meaning]
        return f"from {_module(bundle)} import {there}{_as(there, local)}"


def _as(name: str, called: str) -> str:
    return "" if name == called else f" as {called}"


def _module(bundle: str) -> str:
    return bundle.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _drop_docstrings(tree: ast.Module, lines: list[str]) -> None:
    """Empty the lines of docstrings; a body of nothing else gets a ``pass``."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not is_docstring(body[0]):
            continue
        text = body[0]
        if not lines[text.lineno - 1][: text.col_offset].strip():
            for number in range(text.lineno - 1, text.end_lineno or text.lineno):
                lines[number] = ""
            if len(body) == 1 and not isinstance(node, ast.Module):
                lines[text.lineno - 1] = " " * text.col_offset + "pass"


def _lines_of_code(text: str) -> list[int]:
    """Return the numbers of the lines that hold code: no blanks, no comments."""
    skipped = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.NEWLINE)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            found.update(range(token.start[0], token.end[0] + 1))
    return sorted(found)
