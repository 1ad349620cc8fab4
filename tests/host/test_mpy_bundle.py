"""The firmware as one module per package: it must decide, boot and fail as its modules do, in less memory."""

import ast
import builtins
import io
import symtable
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from host_tools.mpy.bundle import Bundle, bundle
from host_tools.mpy.constants import Source
from host_tools.mpy.line_map import LineMap, main, translate
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.parts import FLEETING, HOST_ONLY, UNTOUCHED, BundleError
from host_tools.mpy.scopes import Scope, Scopes
from host_tools.mpy.shipped import shipped
from tests.control import fuzz_core, fuzz_plans
from tests.control.test_core_fuzz import first_difference, write

ROOT = Path(__file__).resolve().parents[2]
APP = "def run():\n    pass\n"
COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")


def joined(drivers: list[str] | None = None, **texts: str) -> Bundle:
    """Return the bundle of ``firmware/<name>.py``; a double underscore in a name is a folder."""
    paths = {name: f"firmware/{name.replace('__', '/')}.py" for name in texts}
    return bundle({path: Source(path, texts[name]) for name, path in paths.items()}, drivers)


def control(app: str, **texts: str) -> str:
    """Return the text of the control bundle of these modules, as an app needs it."""
    made = joined(app=app, **{f"control__{name}": text for name, text in texts.items()})
    return made.files["firmware/control/__init__.py"].text


@cache
def core_for_tests() -> Bundle:
    """Return the control core in a bundle, with the mains of the tests that play lamps on it."""
    files = sources(ROOT)
    roots = ("sim/lamp_replay.py", "tests/control/fuzz_core.py")
    for path in roots:
        files[path] = Source(path, (ROOT / path).read_text(encoding="utf-8"))
    return bundle(files, None, roots)


def write_compiled(folder: Path, files: dict[str, Source]) -> None:
    for path, code in compiled(files).items():
        output = (folder / path).with_suffix(".mpy")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(code)


@cache
def everything() -> Bundle:
    """Return a bundle with every file that the chip may load, whether the application reaches it or not."""
    files = sources(ROOT)
    return bundle(files, None, [path for path, s in files.items() if path not in UNTOUCHED and HOST_ONLY not in s.text])


# -- the same firmware --------------------------------------------------------------------------------------------


def test_the_bundle_decides_as_what_was_tested(micropython_runtime, tmp_path):
    """A build step that changes one decision makes every test of the source worthless. So random lamps, with every part
    of plan and configuration, have the same decisions when the control core is one module."""
    write_compiled(tmp_path, core_for_tests().files)
    starter = tmp_path / "main.py"
    starter.write_text("import sys\nfrom tests.control import fuzz_core\nfuzz_core.main(sys.argv[1:])\n")
    chosen = [fuzz_plans.lamp(number, "shipped") for number in range(4)]
    lamps = write(tmp_path, "lamps", chosen)
    done = micropython_runtime.run(
        [starter, lamps, "2"],
        env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd=tmp_path, timeout_s=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr or done.stdout
    assert first_difference([fuzz_core.summary(lamp, 2) for lamp in chosen], done.stdout.splitlines()) == ""


def test_every_file_of_the_firmware_can_be_joined():
    """A file that the bundler refuses is found here, and not by the one who builds a release on a Friday evening."""
    made = everything()
    assert all(compiled(made.files).values())
    assert not [path for path in made.left_out if not path.endswith(("host_stream.py", "compat.py"))]


def test_no_name_is_lost_and_none_is_new():
    """A name that a bundle uses and nobody defines is a NameError on a pole, in the one branch that no test took."""
    known = set(dir(builtins)) | {"const"}
    for path, source in everything().files.items():
        scopes = Scopes(path, source.text)
        assert {use.name for use in scopes.uses if use.at.resolve(use.name) is None} <= known, path


def test_every_statement_is_mapped_to_itself():
    """A traceback from a pole is read beside the source: each statement's line leads to that very statement there."""
    made = everything()
    files = sources(ROOT)
    places = {
        path: Counter((node.lineno, type(node).__name__) for node in statements(ast.parse(source.text)))
        for path, source in files.items()
    }
    for path, lines in made.line_map.lines.items():
        text = made.files[path].text
        assert len(lines) == text.count("\n"), path
        for node in statements(ast.parse(text)):
            kind = type(node).__name__
            of, line = lines[node.lineno - 1]
            # An import at the top stands for a use; a docstring alone and an import that vanished are a `pass`.
            if kind not in ("Import", "ImportFrom", "Pass"):
                assert places[of][line, kind] > 0, (path, node.lineno, of, line, kind)


def statements(tree: ast.AST) -> list[ast.stmt]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]


def test_scopes_are_those_of_the_compiler():
    """Whether a name is local is the compiler's decision; whoever renames by another rule breaks functions silently."""
    for path, source in sources(ROOT).items():
        ours: dict[int, set[str]] = {}
        scopes = Scopes(path, source.text)
        for use in scopes.uses:
            at: Scope = use.at
            while at.kind == "comprehension" and at.parent is not None:
                at = at.parent
            found = use.at.resolve(use.name)
            if at.kind != "module" and (found is None or found.kind == "module"):
                ours.setdefault(at.line, set()).add(use.name)
        theirs: dict[int, set[str]] = {}
        waiting = [(child, child.get_lineno()) for child in symtable.symtable(source.text, path, "exec").get_children()]
        top = {table for table, _ in waiting if table.get_name() in COMPREHENSIONS}
        while waiting:
            table, line = waiting.pop()
            names = {s.get_name() for s in table.get_symbols() if s.is_global() and s.get_name() != ".0"}
            if names and table not in top:
                theirs.setdefault(line, set()).update(names)
            for child in table.get_children():
                waiting.append((child, line if child.get_name() in COMPREHENSIONS else child.get_lineno()))
        assert ours == theirs, path


# -- names --------------------------------------------------------------------------------------------------------


def test_names_that_clash_get_the_name_of_their_module():
    """Two modules may each have a `_get` and a limit of the same name; joined, one would take the other's place."""
    text = control(
        "from .control.a import f\nfrom .control.b import g\ndef run(): return f() + g()\n",
        a="_N = const(3)\n_names = [1]\ndef _get(): return _names[_N - 3]\ndef f(_get_x=1): return _get() + _N\n",
        b="_N = const(5)\nif _N:\n    _names = [20]\ndef _get(): return _names[0]\ndef g(): return _get()\n",
    )
    space: dict = {}
    exec(text, space)
    assert (space["f"](), space["g"]()) == (4, 20)
    assert {"_get_a", "_get_b", "_names_a", "_names_b", "f", "g"} <= set(space)
    assert "_get" not in space and "_N" not in space


def test_imports_from_micropython_are_made_once():
    """Each import costs bytes and time at every start; the same one under two names is one object all the same."""
    text = control(
        "from .control.a import f\nfrom .control.b import g\nfrom .control.c import h\ndef run(): return f, g, h\n",
        a="import struct\nfrom binascii import crc32\ndef f(): return struct.calcsize('<H') + crc32(b'')\n",
        b="import struct as packing\nimport gc\ndef g(gc=1): return packing.calcsize('<I') + gc\n",
        c="def struct(): return 1\ndef h(): return struct()\n",
    )
    assert text.count("import") == 2 and "import gc" not in text
    space: dict = {}
    exec(text, space)
    assert (space["f"](), space["g"](), space["h"]()) == (2, 5, 1)


def test_a_builtin_of_a_neighbour_stays_a_builtin():
    """`min` of one module must not become `min` of all: the neighbour's sums would be wrong, without any error."""
    text = control(
        "from .control.a import f\nfrom .control.b import min as least\ndef run(): return f, least\n",
        a="def f(): return min(3, 2)\n",
        b="def min(x, y): return 99\n",
    )
    space: dict = {}
    exec(text, space)
    assert space["f"]() == 2 and space["min_b"](1, 2) == 99


def test_imports_in_functions_reach_the_bundles():
    """Drivers are imported where they are built; in a bundle that import finds the bundle, or needs none at all."""
    made = joined(
        app="def run():\n    from firmware.control.a import f as g\n    import gc\n    return g(gc)\n",
        control__a="def f(x):\n    from .b import h as k\n    return k(x)\ndef g(x):\n    from . import b\n"
        "    return [b.h(y) for y in x]\nclass C:\n    from gc import collect\n",
        control__b="def h(x):\n    return x\n",
    )
    lines = made.files["firmware/app.py"].text.split("\n")
    assert lines[1:4] == ["    from firmware.control import f as g", "    import gc", "    return g(gc)"]
    text = made.files["firmware/control/__init__.py"].text
    assert text.startswith("def f(x):\n    pass\n    return h(x)\ndef g(x):\n    pass\n    return [h(y) for y in x]\n")


def test_a_module_used_by_its_names_is_its_names():
    """`codec.encode` reads well in the source, and on the chip there is no such module: the name itself is used. Where
    a function has a variable of that name, the other gives way."""
    text = control(
        "from .control.b import g\ndef run(): return g\n",
        a="K = const(4)\ndef tag(x): return x + K\ndef plain(): return K\n",
        b="from . import a as words\ndef g(tag): return words.tag(tag) + words.plain() + words.K\n",
    )
    assert "def g(tag): return tag_a(tag) + plain() + 4\n" in text
    space: dict = {}
    exec(text, space)
    assert space["g"](1) == 13


def test_attributes_and_names_of_arguments_stay():
    """`x.f` and `h(f=1)` name other things than the function `f`; renamed, they are a fault that the chip shows."""
    text = control(
        "from .control.b import g\nfrom .control.a import f\ndef run(): return f, g\n",
        a="def f(): return 1\n",
        b="def f(f=1): return f\nclass C:\n    f = 3\ndef g(x): return f(f=x.f) + C.f + C().f\n",
    )
    assert "def f_b(f=1): return f\nclass C:\n    f = 3\ndef g(x): return f_b(f=x.f) + C.f + C().f\n" in text


def test_names_of_other_packages_are_imported_at_the_top():
    """Both packages may have an `f`; the one that calls has to call the right one."""
    made = joined(
        app="from firmware.links.a import go\nfrom firmware.control.a import f\ndef run(): return go() + f()\n",
        control__a="def f(): return 1\n",
        links__a="from firmware.control.a import f as other\nfrom firmware.control import a\n\n"
        "def f(): return 10\n\ndef go(): return f() + other() + a.f()\n",
    )
    text = made.files["firmware/links/__init__.py"].text
    assert text.split("\n")[0] == "from firmware.control import f as f_control"
    assert "def go(): return f() + f_control() + f_control()" in text
    assert made.files["firmware/app.py"].text.startswith(
        "from firmware.control import f\nfrom firmware.links import go\n"
    )


def test_packages_that_need_each_other_become_one():
    """Links and system may import each other; as two bundles neither could be imported before the other."""
    made = joined(
        app="from .links.a import f\ndef run(): return f()\n",
        links__a="from firmware.system.b import g\ndef f(): return g()\n",
        links__c="def h(): return 1\n",
        system__b="from firmware.links.c import h\ndef g(): return h()\n",
    )
    assert sorted(made.files) == ["firmware/app.py", "firmware/links_system.py"]
    assert made.files["firmware/app.py"].text.startswith("from firmware.links_system import f\n")
    assert "links/a.py imports firmware/system/b.py" in made.joined[0]


# -- what goes in -------------------------------------------------------------------------------------------------


def test_only_what_is_reached_and_chosen_goes_in():
    """A driver that no node of the street has is flash and heap for nothing; but its name must still say what is not
    there."""
    made = bundle(sources(ROOT), ["dimmer_pwm"])
    text = made.files["firmware/drivers/__init__.py"].text
    assert "class PwmDimmer" in text and "class Bh1750" not in text
    assert "firmware/drivers/bh1750.py" in made.left_out
    app = made.files["firmware/once/building.py"].text
    assert "from firmware.drivers import PwmDimmer\n" in app
    assert "from firmware.drivers.bh1750 import Bh1750\n" in app  # an ImportError with that name
    assert "firmware/main.py" in made.files and made.files["firmware/main.py"] == sources(ROOT)["firmware/main.py"]
    assert "class Bh1750" in everything().files["firmware/drivers/__init__.py"].text


def test_what_only_cpython_needs_stays_out():
    """`ssl` of CPython imported on a node at its start would be a node that does not start."""
    made = everything()
    assert "firmware/links/host_stream.py" in made.left_out
    texts = "".join(source.text for source in made.files.values())
    assert "HostStream:" not in texts and "from firmware.links.host_stream import HostStream\n" in texts


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"a": "import firmware.control.b\nx = 1\n"}, "a.py:1: import firmware.control.b: write from"),
        ({"a": "from .b import *\nx = 1\n"}, "a.py:1: import *: write the names"),
        ({"a": "import os.path\nx = 1\n"}, "a.py:1: import os.path: write from"),
        ({"a": "from .nothing import y\nx = y\n"}, "a.py:1: there is no firmware.control.nothing.y"),
        ({"a": "from .b import nothing\nx = nothing\n"}, "a.py:1: firmware.control.b has no nothing"),
        ({"a": "from . import b\nx = b.nothing\n"}, "a.py:2: firmware.control.b has no nothing"),
        ({"a": "from . import b\nx = [b]\n"}, "a.py:2: b is a module, used as an object"),
        ({"a": "from . import b\nb.y = 3\nx = 1\n"}, "a.py:2: b is a module, used as an object or set"),
        ({"a": "from . import b\nx = (b\n.y)\n"}, "a.py:2: b: write the module and its name on one line"),
        ({"a": "from .b import y\ny = 2\nx = y\n"}, "a.py:1: y is imported here and set elsewhere too"),
        ({"a": "def f():\n    from .b import y\n    y = 2\n    return y\nx = f\n"}, "a.py:2: y is imported here and"),
        (
            {"a": "try:\n    from .b import y\nexcept ImportError:\n    pass\nx = y\n"},
            "a.py:2: y: import it at the top",
        ),
        ({"a": "class x:\n    from .b import y\n    z = y\n"}, "a.py:2: y: import it at the top"),
        ({"a": "x = globals()\n"}, "a.py:1: globals makes names at run time"),
        ({"a": "from .b import x\n", "b": "from .a import x\n"}, "x is imported in a circle"),
        (
            {"a": "from .b import y\ndef x(): return y()\n", "b": "from .a import x\ndef y(): return x()\n"},
            "a circle of imports: firmware/control/a.py imports firmware/control/b.py; firmware/control/b.py imports "
            "firmware/control/a.py",
        ),
        (
            {"a": "from .b import y\nx = y\n", "b": "y = 1\ndef f():\n    global y\n    y = 2\n"},
            "a.py:1: y is set anew by `global` at firmware/control/b.py:4",
        ),
        (
            {"a": "def y(): return 1\ndef x(): return f'{y()}'\n", "b": "def y(): return 2\nz = y\n"},
            "a.py:2: y becomes y_a and stands in an f-string",
        ),
        (
            {"a": "y = 1\nclass x:\n    y = y\n", "b": "y = 2\nz = y\n"},
            "a.py:3: y becomes y_a and is set in class x too",
        ),
        ({"a": "LOW = const(1)\ndef x(LOW): return LOW\n"}, "a.py:2: LOW is a constant of 1, and function x has a LOW"),
        ({"a": "from .b import y\nx = y\n", "b": f'"""B. {HOST_ONLY}."""\ny = 1\n'}, "b.py is for CPython only"),
    ],
)
def test_what_cannot_be_joined_is_refused(texts, words):
    """A name that is guessed wrong is a wrong decision on ten thousand poles. So the build says where it stops."""
    texts = {"b": "y = 1\nz = 2\n", **texts}
    app = "from .control.a import x\n" + ("from .control.b import z\nz\n" if "z" in texts["b"] else "")
    with pytest.raises(BundleError) as caught:
        control(app + "def run(): return x\n", **texts)
    assert words in str(caught.value)


def test_what_the_launcher_calls_keeps_its_name():
    """The launcher is never replaced on a node, and it calls `app.run`."""
    with pytest.raises(BundleError, match="run is what the launcher calls"):
        joined(app="from . import other\ndef run(): return other.f()\n", other="def f(): return run(1)\n")
    made = joined(
        app="from . import other\ndef run(): return other.f()\n", other="def run(): 1\ndef f(): return run()\n"
    )
    assert "def run(): return f()\n" in made.files["firmware/app.py"].text
    assert "def run_other(): 1\n" in made.files["firmware/app.py"].text


def test_an_unknown_driver_is_named():
    """A misspelt driver must not become a node without that driver."""
    with pytest.raises(BundleError, match=r"bh1570: no driver of the catalogue; known are .*bh1750"):
        joined(["bh1570"], app=APP)


# -- tracebacks ---------------------------------------------------------------------------------------------------


def test_a_traceback_is_read_in_terms_of_the_source(micropython_runtime, tmp_path):
    """An installer sends what a pole has kept; whoever reads it has the source before him, not the bundle."""
    made = joined(
        app='"""Words."""\nfrom .control.a import f\n\n\ndef run():\n    """Run."""\n    return f()\n',
        control__a='"""A."""\n\nfrom .b import _get as get\n\n\ndef _get():\n    # nothing\n    return get(\n'
        "        1)\n\n\ndef f():\n    return _get()\n",
        control__b='"""B."""\nZERO = const(0)\n\n\ndef _get(x):\n    """Words\n    and words."""\n\n'
        "    return x // ZERO\n",
    )
    write_compiled(tmp_path, made.files)
    starter = tmp_path / "main.py"
    starter.write_text("from firmware import app\napp.run()\n")
    done = micropython_runtime.run([starter], env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd=tmp_path)
    said = translate(done.stderr or done.stdout, LineMap.from_json(made.line_map.to_json()))
    places = [line.strip() for line in said.splitlines() if "firmware/" in line]
    assert places == [
        'File "firmware/app.py", line 7, in run',
        'File "firmware/control/a.py", line 13, in f',
        'File "firmware/control/a.py", line 8, in _get',
        'File "firmware/control/b.py", line 9, in _get',
    ]


def test_what_the_map_does_not_know_stays_as_it_is(tmp_path, capsys, monkeypatch):
    """The end of a traceback may be cut, and its beginning is the launcher's own: nothing may be invented for them."""
    known = LineMap({"firmware/app.py": [("firmware/senses.py", 40)]}, {"firmware/app.py": {"_f_senses": "_f"}})
    text = (
        'ine 7, in x\n  File "main.py", line 120, in _start\n  File "firmware/app.py", line 2, in y\n'
        '  File "firmware/app.py", line 1, in _f_senses\n  File "firmware/app.py", line 1\nMemoryError: \n'
    )
    wanted = text.replace('app.py", line 1, in _f_senses', 'senses.py", line 40, in _f').replace(
        'app.py", line 1\n', 'senses.py", line 40\n'
    )
    assert translate(text, known) == wanted
    file = tmp_path / "map.json"
    file.write_text(known.to_json())
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main([str(file)]) == 0 and capsys.readouterr().out == wanted
    file.write_text('{"format": 9}')
    assert main([str(file)]) == 1 and "take the one that was built" in capsys.readouterr().err
    assert main([]) == 2
    with pytest.raises(ValueError):
        LineMap.from_json("[]")


# -- what is loaded for one use --------------------------------------------------------------------------------------


def test_what_is_needed_once_is_a_bundle_of_its_own():
    """A heap of 110 kB has no room for what only the start needs. So such a module is joined with nothing, lies where
    `forget` finds it, and is imported where it is used."""
    made = joined(
        app="def run():\n    from .control.check import f\n    return f()\n",
        control__check=f'"""Checks. {FLEETING}."""\nfrom .plain import g\ndef f(): return g()\n',
        control__plain="def g(): return 7\n",
    )
    assert sorted(made.files) == ["firmware/app.py", "firmware/control/__init__.py", "firmware/once/check.py"]
    assert "    from firmware.once.check import f\n" in made.files["firmware/app.py"].text
    assert "from firmware.control import g\n" in made.files["firmware/once/check.py"].text


def test_what_is_needed_together_is_one_file():
    """Each file takes four names of the heap for ever. So a module may say with which other one it is loaded."""
    made = joined(
        app="def run():\n    from .check import f\n    return f()\n",
        check=f'"""Checks. {FLEETING}."""\nfrom .system.sums import g\ndef f(): return g()\n',
        system__sums=f'"""Sums. {FLEETING} with\n`check`."""\ndef g(): return 7\n',
    )
    assert sorted(made.files) == ["firmware/app.py", "firmware/once/check.py"]


@pytest.mark.parametrize(
    "app",
    [
        "from .check import f\ndef run(): return f()\n",
        "def run():\n    from . import check\n    return check.f()\n",
    ],
)
def test_what_would_stay_for_ever_is_refused(app: str):
    """An import at the top of a module that stays would keep the other one too, and nobody would see why the heap is
    full. So the bundler says where and what to write."""
    with pytest.raises(
        BundleError, match=r"firmware/app\.py:\d: firmware/check\.py is loaded where it is used: import"
    ):
        joined(app=app, check=f'"""Checks. {FLEETING}."""\ndef f(): return 1\n')


def test_what_was_loaded_for_one_use_leaves_the_heap(micropython_runtime, tmp_path):
    """A plan is verified once a season: what it takes must not stay in the heap of a lamp till the next reset, nor
    leave a little behind each time. So a hundred uses take no more than one."""
    bulky = "".join(f"def f{i}(): return {i}\n" for i in range(200))
    made = joined(
        app="import gc\nfrom .system.once import forget\n"
        "def use():\n    from .bulky import f7\n    return f7()\n"
        "def used():\n    gc.collect()\n    gc.collect()\n    return gc.mem_alloc()\n"
        "def run():\n    import sys\n    use()\n    forget()\n    forget()\n    start = used()\n"
        "    use()\n    full = used()\n"
        "    for _ in range(100):\n        use()\n        forget()\n"
        "    print(full - start > 3000, used() - start < 100, [m for m in sys.modules if 'once' in m])\n",
        bulky=f'"""Bulky. {FLEETING}."""\n{bulky}',
        system__once=(ROOT / "firmware/system/once.py").read_text(),
    )
    write_compiled(tmp_path, made.files)
    starter = tmp_path / "main.py"
    starter.write_text("from firmware import app\napp.run()\n")
    done = micropython_runtime.run([starter], env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd=tmp_path)
    assert done.stdout == "True True []\n", done.stdout + done.stderr


def test_a_default_is_the_modules_also_where_the_class_has_that_name(micropython_runtime, tmp_path):
    """A driver's default read the attribute of its class that had got the same short name: a lamp without its dimmer.
    So what a class body reads is never called as something that the class sets."""
    classes = "".join(
        f"class C{i}:\n    is_a = False\n    is_b = True\n    def __init__(self, x=_T{i}): self.x = x\n"
        for i in range(9)
    )
    made = shipped(
        {
            "firmware/__init__.py": Source("firmware/__init__.py", ""),
            "firmware/app.py": Source(
                "firmware/app.py",
                "from .drivers.many import make\ndef run():\n    print(make())\n",
            ),
            "firmware/drivers/many.py": Source(
                "firmware/drivers/many.py",
                "".join(f"_T{i} = ({i}, {i})\n" for i in range(9))
                + classes
                + "def make(): return [("
                + ", ".join(f"C{i}().x, C{i}().is_a, C{i}().is_b" for i in range(9))
                + ")]\n",
            ),
        },
        [],
    )
    write_compiled(tmp_path, made.files)
    starter = tmp_path / "main.py"
    starter.write_text("from firmware import app\napp.run()\n")
    done = micropython_runtime.run([starter], env={"MICROPYPATH": f"{tmp_path}:.frozen"}, cwd=tmp_path)
    wanted = [each for i in range(9) for each in ((i, i), False, True)]
    assert done.stdout == f"{[tuple(wanted)]}\n", done.stdout + done.stderr
