"""The firmware as shipped: constants put in, compiled; it must still be the firmware that was tested."""

import ast
from pathlib import Path

import pytest

from host_tools.mpy.constants import ConstantError, Constants, Source
from host_tools.mpy.modules import compiled, sources
from tests.control import fuzz_core, fuzz_plans
from tests.control.test_core_fuzz import first_difference, write

ROOT = Path(__file__).resolve().parents[2]


def put_in(**texts: str) -> dict[str, str]:
    """Return the texts of ``firmware/<name>.py`` with constants put in."""
    files = {f"firmware/{name}.py": Source(f"firmware/{name}.py", text) for name, text in texts.items()}
    constants = Constants(files)
    return {source.path.split("/")[-1][:-3]: constants.put_in(source) for source in files.values()}


def test_what_is_shipped_decides_as_what_was_tested(micropython_runtime, tmp_path):
    """A build step that changes one decision makes every test of the source worthless. So random lamps, with every part
    of plan and configuration, have the same decisions when the interpreter runs the compiled firmware."""
    files = sources()
    for path in ("sim/lamp_replay.py", "tests/control/fuzz_core.py"):
        # What calls the core from outside needs the constants too, which the shipped modules no longer have.
        files[path] = Source(path, (ROOT / path).read_text(encoding="utf-8"))
    for path, code in compiled(files).items():
        output = (tmp_path / path).with_suffix(".mpy")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(code)
    main = tmp_path / "main.py"
    main.write_text("import sys\nfrom tests.control import fuzz_core\nfuzz_core.main(sys.argv[1:])\n", encoding="utf-8")
    chosen = [fuzz_plans.lamp(number, "shipped") for number in range(8)]
    lamps = write(tmp_path, "lamps", chosen)
    # Nothing of the source may be reached: an import that is not in the folder must fail.
    done = micropython_runtime.run(
        [main, lamps, "2"],
        env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd=tmp_path, timeout_s=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr or done.stdout
    assert first_difference([fuzz_core.summary(lamp, 2) for lamp in chosen], done.stdout.splitlines()) == ""


def test_every_line_stays_where_it_is():
    """A traceback from a pole is read beside the source. So each statement of a function stands where it stood."""
    files = sources(ROOT)
    constants = Constants(files)
    for source in files.values():
        before, after = ast.parse(source.text), ast.parse(constants.put_in(source))
        assert places(before) == places(after), source.path


def places(tree: ast.Module) -> list[tuple[str, int]]:
    """Return the kind and line of each statement within functions and classes."""
    bodies = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return [(type(n).__name__, n.lineno) for body in bodies for n in ast.walk(body) if isinstance(n, ast.stmt)]


def test_values_reach_where_they_are_used():
    """The saving is that the name is gone: from the file that has the constant, and from those that import it."""
    done = put_in(
        a="from .compat import const\nDAY_S = const(24 * 3600)\nLOW = const(-DAY_S)\ndef f(): return DAY_S\n",
        b="from firmware.a import DAY_S as day, LOW, f\ndef g(LOW=1): return f() + day - LOW\n",
        compat="def const(x): return x\n",
    )
    assert done["a"] == "from .compat import const\n\n\ndef f(): return 86400\n"
    assert done["b"] == "from firmware.a import f\ndef g(LOW=1): return f() + 86400 - (-86400)\n"
    space: dict = {}
    exec(done["a"].split("\n", 1)[1], space)
    assert space["f"]() == 86400


def test_an_import_within_a_function_loses_its_constants_too():
    """What is loaded late is imported within a function. So a constant there is a value as well, and what is left of
    the import stays at its place."""
    done = put_in(
        a="ON = const(1)\ndef g(): pass\n",
        b="def f():\n    from .a import ON, g\n    return g(ON)\ndef h():\n    from .a import ON\n    return ON\n",
    )
    assert done["b"] == "def f():\n    from .a import g\n    return g(1)\ndef h():\n    pass\n    return 1\n"


def test_a_constant_may_be_imported_from_where_it_was_imported():
    """`clock` imports the quality from `inputs`, and others take it from `clock`: on the chip neither has it."""
    done = put_in(a="GOOD = const(2)\n", b="from .a import GOOD\n", c="from .b import GOOD as best\nx = best\n")
    assert done == {"a": "\n", "b": "\n", "c": "\nx = 2\n"}


def test_a_constant_may_be_imported_in_a_function():
    """A driver's constants are imported where the driver is built; left there, the import would ask the chip for a name
    that no file has any more."""
    done = put_in(
        a="N = const(7)\ndef f(): return 1\n",
        b="def g():\n    from .a import N, f\n    return f() + N\ndef h():\n    from .a import N\n    return N\n",
    )
    assert done["b"] == "def g():\n    from .a import f\n    return f() + 7\ndef h():\n    pass\n    return 7\n"


def test_an_attribute_of_the_same_name_is_no_constant():
    """`self.LIT` and `f(LIT=1)` name other things; to replace them would be a fault that only the chip shows."""
    done = put_in(a="LIT = const(7)\ndef f(self): return self.LIT + g(LIT=LIT)\n")
    assert done["a"] == "\ndef f(self): return self.LIT + g(LIT=7)\n"


def test_a_constant_reached_through_its_module_is_a_value_too():
    """`faults.LAMP` reads well, and on the chip its module has no such name. So it is replaced whole, other attributes
    and calls are not."""
    done = put_in(
        a="LAMP = const(3)\ndef f(): return 1\n",
        b="from . import a as faults\nfrom . import a\n"
        "def g(x): return faults.LAMP + a.f() + x.a.LAMP + f(a.LAMP, LAMP=2)\n",
    )
    assert done["b"].split("\n")[2] == "def g(x): return 3 + a.f() + x.a.LAMP + f(3, LAMP=2)"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"a": "A = const(1)\n", "b": "from . import a\na.A = 2\n"}, "b.py:2: A is a constant and is set again"),
        ({"a": "A = const(1.5)\n"}, "a.py:1: const(1.5) is no integer"),
        ({"a": "A = const(1)\ndef f():\n    A = 2\n"}, "a.py:3: A is a constant and is set again"),
    ],
)
def test_what_cannot_be_put_in_is_refused(texts, words):
    """A constant that is guessed wrong is a wrong decision on ten thousand poles. So the build says where it stops."""
    with pytest.raises(ConstantError) as caught:
        put_in(**texts)
    assert words in str(caught.value)
