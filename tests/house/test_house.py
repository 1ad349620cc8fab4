"""The rules of this house: the tree keeps them, each finds its bad example and lets its good one pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import Finding
from tests.house.everywhere import LINES_MAX, LINES_WARN
from tests.house.imports import ENGINE_FILES, MAY_IMPORT, ROOMS, SIM_VERBS
from tests.house.rules import ROOT, RULES, check_file, check_tree

CONTROL = "firmware/control/example.py"
COMPAT = "firmware/control/compat.py"
DRIVER = "firmware/drivers/example.py"
SYSTEM = "firmware/system/example.py"
# Written so that this file does not break the rules it tests.
HOME = "/" + "home"
OPEN_END = "TO" + "DO"


def hot(*lines: str) -> str:
    """Return a control module whose method ``step`` has these lines."""
    body = "".join(f"        {line}\n" for line in lines)
    return (
        '"""Doc."""\n\n\nclass Example:\n    """Doc."""\n\n    def step(self, a, b):\n        """Doc."""\n'
        f'{body}\n    def _other(self):\n        """Doc."""\n'
    )


def function(*lines: str, name: str = "example", arguments: str = "a, b") -> str:
    """Return a documented module with one documented function."""
    body = "".join(f"    {line}\n" for line in lines)
    return f'"""Doc."""\n\n\ndef {name}({arguments}):\n    """Doc."""\n{body}'


def module(*lines: str) -> str:
    """Return a documented module with these lines."""
    return '"""Doc."""\n' + "".join(f"{line}\n" for line in lines)


# (rule, path, text): the rule must be found there.
BAD = [
    ("import-table", CONTROL, module("import time")),
    ("import-table", CONTROL, module("from micropython import const")),
    ("import-table", CONTROL, module("import machine, struct")),
    ("import-table", CONTROL, function("import os", "return os")),
    ("import-table", CONTROL, module("from ..drivers.dimmer import Dimmer")),
    ("import-table", CONTROL, module("from .. import app")),
    ("import-table", CONTROL, module("from firmware.links import codec")),
    ("import-table", CONTROL, module("if False:", "    from typing import Any")),
    ("import-table", COMPAT, module("import sys")),
    ("import-table", "firmware/__init__.py", module("from . import app")),
    ("import-table", DRIVER, module("from ..links.codec import pack")),
    ("import-table", DRIVER, module("from ..control.controller import Controller")),
    ("import-table", DRIVER, module("import firmware.control.controller")),
    ("import-table", DRIVER, module("import subprocess")),
    ("import-table", "firmware/links/mqtt.py", module("from ..drivers.radio import Radio")),
    ("import-table", SYSTEM, module("from .. import app")),
    ("import-table", SYSTEM, module("__import__('firmware.drivers.dimmer')")),
    ("import-table", "firmware/app.py", module("import threading")),
    ("import-table", "host_tools/board.py", module("from firmware.drivers.dimmer import Dimmer")),
    ("import-table", "host_tools/board.py", module("from firmware.system import journal")),
    ("import-table", "host_tools/board.py", module("import firmware")),
    ("import-table", "host_tools/board.py", module("import machine")),
    ("import-table", "host_tools/verbs/push.py", module("from sim.nights import run_nights")),
    ("import-table", "host_tools/verbs/push.py", function("from sim import nights", "return nights")),
    ("import-table", "host_tools/plan/encode.py", module("import importlib", "importlib.import_module('sim.nights')")),
    ("import-table", "sim/example.py", module("from host_tools.verbs import sim")),
    ("import-table", "sim/example.py", module("from host_tools import cli")),
    ("import-table", "sim/example.py", module("from firmware.drivers import dimmer")),
    ("import-table", "sim/example.py", module("from firmware.app import main")),
    ("import-table", "sim/example.py", module("from tests.conftest import require_runtime")),
    ("import-table", "sim/example.py", module("import espnow")),
    ("import-table", "sim/board/machine.py", module("from firmware.main import run")),
    ("firmware-imports-host", CONTROL, module("from host_tools.plan import encode")),
    ("firmware-imports-host", SYSTEM, module("import sim.engine")),
    ("firmware-imports-host", SYSTEM, function("from sim import engine", "return engine")),
    ("firmware-imports-host", SYSTEM, module("from ...sim import engine")),
    ("firmware-imports-host", SYSTEM, module("__import__('host_tools.cli')")),
    ("firmware-imports-host", SYSTEM, module("import importlib", "importlib.import_module('sim')")),
    ("firmware-imports-host", SYSTEM, module("if False:", "    from sim import engine")),
    ("firmware-imports-host", "firmware/main.py", module("try:", "    import sim", "except ImportError:", "    pass")),
    ("import-control-relative", CONTROL, module("from firmware.control.civil import DAY_MIN")),
    ("import-by-name", SYSTEM, function("return __import__(a)")),
    ("import-by-name", SYSTEM, function("return __import__('firmware.' + a)")),
    ("import-no-room", "firmware/helpers.py", module()),
    ("import-no-room", "firmware/util/text.py", module()),
    ("engine-imports-time", "sim/engine.py", module("import time")),
    ("engine-imports-time", "sim/light.py", function("from time import perf_counter", "return perf_counter()")),
    ("sim-reads-clock", "sim/figures.py", module("from datetime import datetime", "NOW = datetime.now()")),
    ("sim-reads-clock", "sim/figures.py", module("import datetime as dt", "NOW = dt.datetime.now(dt.UTC)")),
    ("sim-reads-clock", "sim/figures.py", module("from datetime import date as Date", "NOW = Date.today()")),
    ("sim-reads-clock", "sim/figures.py", module("import time", "NOW = time.time()")),
    ("sim-reads-clock", "sim/figures.py", module("from time import time", "NOW = time()")),
    ("sim-reads-clock", "sim/figures.py", module("from datetime import datetime", "f(default_factory=datetime.now)")),
    ("sim-global-random", "sim/figures.py", module("import random", "X = random.random()")),
    ("sim-global-random", "sim/figures.py", module("import random as r", "r.seed(1)")),
    ("sim-global-random", "sim/figures.py", module("from random import shuffle", "shuffle([])")),
    ("sim-global-random", "sim/figures.py", module("import random", "X = random.Random()")),
    ("sim-global-random", "sim/figures.py", module("import random", "X = random.SystemRandom()")),
    ("sim-global-random", "sim/figures.py", module("import numpy as np", "X = np.random.uniform()")),
    ("sim-global-random", "sim/figures.py", module("import os", "X = os.urandom(4)")),
    ("control-float", CONTROL, module("X = 0.5")),
    ("control-float", CONTROL, module("X = 1e3")),
    ("control-float", CONTROL, function("return a / b")),
    ("control-float", CONTROL, function("a /= b")),
    ("control-float", CONTROL, function("return float(a)")),
    ("control-float", CONTROL, function("return round(a)")),
    ("control-power", CONTROL, function("return 2 ** a")),
    ("control-power", CONTROL, function("return 10 ** -1")),
    ("control-power", CONTROL, function("a **= b")),
    ("control-power", CONTROL, function("return pow(a, b)")),
    ("control-io", CONTROL, function("print(a)")),
    ("control-io", CONTROL, function("return open(a)")),
    ("control-global", CONTROL, function("global X", "X = a")),
    ("control-try", CONTROL, function("try:", "    a.b()", "finally:", "    b()")),
    ("control-try", CONTROL, module("try:", "    import struct", "except ImportError:", "    struct = None")),
    ("control-large-integer", CONTROL, module("X = 0x40000000")),
    ("control-large-integer", CONTROL, module("X = const(1 << 30)")),
    ("control-large-integer", CONTROL, function("return a & 0xFFFFFFFF")),
    ("control-large-integer", CONTROL, module("X = -0x40000001")),
    ("step-allocates", CONTROL, hot("x = [a, b]")),
    ("step-allocates", CONTROL, hot("return a, b")),
    ("step-allocates", CONTROL, hot("x = {a: b}")),
    ("step-allocates", CONTROL, hot("x = {a, b}")),
    ("step-allocates", CONTROL, hot("x = [i for i in a]")),
    ("step-allocates", CONTROL, hot("x = any(i for i in a)")),
    ("step-allocates", CONTROL, hot("x = f'{a}'")),
    ("step-allocates", CONTROL, hot("x = '%d' % a")),
    ("step-allocates", CONTROL, hot("x = '{}'.format(a)")),
    ("step-allocates", CONTROL, hot("x = lambda: a")),
    ("step-allocates", CONTROL, hot("x = a[1:2]")),
    ("step-allocates", CONTROL, hot("x = bytes(a)")),
    ("step-allocates", CONTROL, hot("x = range(a)")),
    ("step-allocates", CONTROL, hot("for i, x in enumerate(a):", "    b(i, x)")),
    ("step-allocates", CONTROL, hot("def inner():", "    return a")),
    ("step-allocates", "firmware/control/fixed.py", function("return [a, b]")),
    ("step-raises", CONTROL, hot("raise ValueError('%d' % a)")),
    ("step-raises", "firmware/control/plan.py", function("raise ValueError", name="fixed_level_permille")),
    ("step-bound-method", CONTROL, hot("f = self._other", "f()")),
    ("step-bound-method", CONTROL, hot("a(self._other)")),
    ("step-bound-method", CONTROL, hot("f = a.at", "return f(b)")),
    ("syntax", SYSTEM, "def broken(:\n"),
    ("micropython-syntax", SYSTEM, function("match a:", "    case 1:", "        return b")),
    ("micropython-syntax", SYSTEM, function("return a", arguments="a, /, b")),
    ("micropython-syntax", SYSTEM, function("return [*a, b]")),
    ("micropython-syntax", SYSTEM, function("return (*a, b)")),
    ("micropython-syntax", SYSTEM, function("return {**a}")),
    ("micropython-syntax", SYSTEM, function("try:", "    a()", "except* OSError:", "    b()")),
    ("micropython-syntax", SYSTEM, module("async def _example(a):", "    return [x async for x in a]")),
    ("micropython-syntax", SYSTEM, function("with (open(a) as x, open(b) as y):", "    return x, y")),
    ("micropython-syntax", SYSTEM, module("@a[0].b", "def _example():", "    pass")),
    ("micropython-module", SYSTEM, module("from __future__ import annotations")),
    ("micropython-module", SYSTEM, module("import typing")),
    ("micropython-module", SYSTEM, module("from dataclasses import dataclass")),
    ("micropython-module", SYSTEM, function("import datetime", "return datetime")),
    ("micropython-module", "sim/lamp_replay.py", module("import functools")),
    ("catch-all", SYSTEM, function("try:", "    a()", "except Exception:", "    b()")),
    ("catch-all", SYSTEM, function("try:", "    a()", "except (OSError, Exception):", "    b()")),
    ("catch-all", SYSTEM, function("try:", "    a()", "except BaseException:", "    b()")),
    ("module-name", "firmware/system/logging.py", module()),
    ("module-name", "firmware/system/queue/store.py", module()),
    ("module-name", "firmware/drivers/machine.py", module()),
    ("docstring", SYSTEM, "X = 1\n"),
    ("docstring", SYSTEM, module("def example():", "    return 1")),
    ("docstring", SYSTEM, module("class Example:", "    X = 1")),
    ("docstring", SYSTEM, module("class Example:", "    '''Doc.'''", "    def a(self):", "        b()", "        c()")),
    ("docstring", SYSTEM, module("if X:", "    def example():", "        return 1")),
    ("slice-step", SYSTEM, function("return a[::2]")),
    ("slice-step", SYSTEM, function("return a[::-1]")),
    ("assert", SYSTEM, function("assert a > 0")),
    ("mutable-default", SYSTEM, function("return a", arguments="a=[]")),
    ("mutable-default", SYSTEM, function("return a", arguments="*, a={}")),
    ("mutable-default", SYSTEM, function("return a", arguments="a=bytearray(4)")),
    ("bare-except", "tests/example.py", module("try:", "    a()", "except:", "    b()")),
    ("bare-except", "firmware/main.py", module("try:", "    a()", "except:", "    b()")),
    ("too-long", "tests/example.py", "x = 1\n" * (LINES_MAX + 1)),
    ("long", "tests/example.py", "x = 1\n" * (LINES_WARN + 1)),
    ("open-end", "sim/report/page.js", f"// {OPEN_END}: later\n"),
    ("open-end", "host_tools/board.py", function("raise NotImplemented" + "Error")),
    ("machine-path", "docs/install.md", f"Put it into {HOME}/ann/lamps.\n"),
    ("machine-path", "Makefile", "out:\n\tcp x " + "/" + "tmp/x\n"),
    ("machine-path", "tests/example.py", f'X = "{HOME}"\n'),
    ("machine-path", "sim/example.py", "X = '/" + "work/main/build'\n"),
    ("machine-path", "firmware/system/example.py", '"""See /' + 'root/notes."""\n'),
]

# (rule, path, text): the rule must not be found there.
GOOD = [
    ("import-table", CONTROL, module("import struct", "from .civil import DAY_MIN", "from . import ticks")),
    ("import-table", COMPAT, module("from micropython import const")),
    ("import-table", DRIVER, module("import time", "from machine import PWM", "from ..control.compat import const")),
    ("import-table", DRIVER, module("from ..control.controller import CLOCK_HELD, Now, Seen")),
    ("import-table", DRIVER, module("if False:", "    from typing import Any")),
    (
        "import-table",
        "firmware/links/mqtt.py",
        module("import asyncio", "from ..system import store", "from . import codec"),
    ),
    (
        "import-table",
        "firmware/app.py",
        module("import network", "from .drivers import dimmer", "from .links import mqtt"),
    ),
    ("import-table", "host_tools/board.py", module("import typer", "from firmware.links.codec import unpack")),
    ("import-table", SIM_VERBS[0], module("from sim.nights import run_nights")),
    ("import-table", "sim/example.py", module("from host_tools.plan.encode import encode", "import numpy")),
    (
        "import-table",
        "sim/example.py",
        module("from host_tools.plan import units", "from firmware.control import plan"),
    ),
    ("import-table", "sim/board/example.py", module("import machine", "import time")),
    ("import-table", "tests/example.py", module("import sim.engine", "from firmware.drivers import dimmer")),
    ("firmware-imports-host", SYSTEM, module("from ..control import plan", "import simple")),
    ("import-control-relative", CONTROL, module("from .civil import DAY_MIN")),
    ("import-by-name", "firmware/main.py", function("return __import__(a)")),
    ("import-by-name", SYSTEM, function("return __import__('firmware.system.store')")),
    ("import-no-room", "firmware/system/store.py", module()),
    ("engine-imports-time", "sim/engine.py", module("import heapq", "from .timing import x")),
    ("engine-imports-time", "sim/progress.py", module("import time")),
    ("sim-reads-clock", "sim/figures.py", module("from datetime import datetime", "X = datetime.fromisoformat('')")),
    ("sim-reads-clock", "sim/figures.py", function("return a.now", arguments="a")),
    ("sim-reads-clock", "host_tools/board.py", module("import time", "NOW = time.time()")),
    ("sim-global-random", "sim/traffic.py", module("import random", "rng = random.Random('1/cars')", "rng.random()")),
    ("sim-global-random", "sim/traffic.py", module("import random", "def f(rng: random.Random) -> None: ...")),
    ("control-float", CONTROL, function("return a // b")),
    ("control-float", SYSTEM, function("return a / 2.0")),
    ("control-power", CONTROL, function("return a ** 2 + pow(b, 3)")),
    ("control-io", CONTROL, function("return a.open()")),
    ("control-global", CONTROL, function("a.level = b")),
    ("control-try", COMPAT, module("try:", "    import struct", "except ImportError:", "    struct = None")),
    ("control-large-integer", CONTROL, module("X = const(0x3FFFFFFF)", "Y = (1 << 30) - 1", "Z = -0x40000000")),
    ("control-large-integer", CONTROL, function("return a ^ 0xFFFFFFFF", name="crc32")),
    ("control-large-integer", CONTROL, function("return a & 0xFFFFFFFF", name="_u32_at")),
    ("step-allocates", CONTROL, hot("for i in range(a):", "    self.x = a % b")),
    ("step-allocates", CONTROL, hot("x: tuple[int, int] = a", "return x[0] + x[b]")),
    ("step-allocates", CONTROL, function("x, y = a", "return x")),
    ("step-allocates", CONTROL, function("return [a, b]", name="table_at_load")),
    ("step-allocates", CONTROL, function("return [a, b]", name="verify_period_at_load")),
    ("step-allocates", CONTROL, module("class _Example:", "    def __init__(self):", "        self.x = [0] * 4")),
    ("step-allocates", SYSTEM, function("return [a, b]")),
    ("step-raises", CONTROL, function("raise ValueError", name="check_at_load")),
    ("step-bound-method", CONTROL, hot("x = self.level", "self._other()", "return x")),
    (
        "step-bound-method",
        CONTROL,
        module("class _A:", "    def __init__(self):", "        self.x = self.b", "    def b(self): ..."),
    ),
    ("syntax", SYSTEM, module("x = 1")),
    (
        "micropython-syntax",
        SYSTEM,
        function("if (c := a) > b:", "    print(*a, **b)", "    first, *rest = a", "return c"),
    ),
    ("micropython-syntax", "host_tools/board.py", function("return [*a, b]")),
    ("micropython-module", SYSTEM, module("TYPE_CHECKING = False", "if TYPE_CHECKING:", "    from typing import Any")),
    ("micropython-module", SYSTEM, module("import asyncio", "import json", "from . import logging")),
    ("micropython-module", "sim/nights.py", module("import datetime")),
    ("catch-all", "firmware/system/supervisor.py", function("try:", "    a()", "except Exception:", "    b()")),
    ("catch-all", "firmware/main.py", function("try:", "    a()", "except Exception:", "    b()")),
    ("catch-all", SYSTEM, function("try:", "    a()", "except OSError:", "    b()")),
    ("module-name", "firmware/control/civil.py", module()),
    ("module-name", "sim/board/machine.py", module()),
    ("docstring", SYSTEM, module("def _example():", "    pass", "class _A:", "    def b(self):", "        pass")),
    (
        "docstring",
        SYSTEM,
        module("class A:", "    '''Doc.'''", "    def level_permille(self):", "        return self._u16(3)"),
    ),
    ("slice-step", SYSTEM, function("return a[1:b]")),
    ("assert", "tests/example.py", function("assert a > 0")),
    ("mutable-default", SYSTEM, function("return a", arguments="a=None, b=(), c=b''")),
    ("bare-except", SYSTEM, module("try:", "    a()", "except OSError:", "    b()")),
    ("too-long", "tests/example.py", "x = 1\n" * LINES_MAX),
    ("long", "tests/example.py", "x = 1\n" * LINES_WARN),
    ("long", "sim/report/page.js", "x = 1\n" * (LINES_WARN + 1)),
    ("open-end", "tests/example.py", f"# {OPEN_END}\n"),
    ("open-end", "sim/example.py", f"{OPEN_END}S = 1\n"),
    (
        "machine-path",
        "docs/install.md",
        f"https://example.org{HOME}/index and $HOME/tmp and build/tmp and and/or /homes\n",
    ),
    ("machine-path", "tests/example.py", "def test(tmp_path): x = tmp_path / 'work'\n"),
    ("machine-path", "README.md", f"{HOME}\n"),
]


def names_of(examples: list[tuple[str, str, str]]) -> list[str]:
    """Return a readable name for each example: its rule, its number and its file."""
    return [f"{rule}-{number}-{path}" for number, (rule, path, _) in enumerate(examples, 1)]


def rules_found(path: str, text: str) -> set[str]:
    """Return the names of the rules that a text breaks."""
    return {finding.rule for finding in check_file(path, text)}


def test_the_tree_is_clean() -> None:
    """Warnings do not count."""
    findings, files = check_tree()
    assert files > 50
    errors = [str(finding) for finding in findings if not finding.is_warning]
    assert not errors, "\n" + "\n".join(errors)


@pytest.mark.parametrize(("rule", "path", "text"), BAD, ids=names_of(BAD))
def test_a_bad_example_is_found(rule: str, path: str, text: str) -> None:
    """At least one finding of that rule, in a message with place, reason and remedy."""
    found = [finding for finding in check_file(path, text) if finding.rule == rule]
    assert found
    for finding in found:
        place, reason, remedy = str(finding).split(" — ")
        assert place.startswith(f"{path}:{finding.line}: ")
        assert 1 <= finding.line <= len(text.splitlines())
        assert len(reason) > 20
        assert len(remedy) > 20


@pytest.mark.parametrize(("rule", "path", "text"), GOOD, ids=names_of(GOOD))
def test_a_good_example_passes(rule: str, path: str, text: str) -> None:
    """Nothing of that rule is found."""
    assert rule not in rules_found(path, text)


def test_every_rule_has_both_examples() -> None:
    """A rule that nobody has seen find something is a hope."""
    assert {rule for rule, _, _ in BAD} == set(RULES)
    assert {rule for rule, _, _ in GOOD} == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_says_why_and_what_to_do(name: str) -> None:
    """Both halves are there, on one line, without the separator of messages."""
    for text in (RULES[name].why, RULES[name].instead):
        assert len(text) > 20
        assert "\n" not in text
        assert " — " not in text


def test_every_room_has_a_row() -> None:
    """The table covers every room, and no row is left over."""
    assert set(ROOMS.values()) == set(MAY_IMPORT)


@pytest.mark.parametrize("path", [*SIM_VERBS, *ENGINE_FILES, "sim/lamp_replay.py", "firmware/control/compat.py"])
def test_files_named_in_rules_exist(path: str) -> None:
    """A renamed file would silently leave its rule."""
    assert (ROOT / path).is_file(), f"{path} is named by a rule in tests/house and does not exist: rename it there too"


def test_a_message_can_be_read() -> None:
    """Path, line, what, why and remedy, in this order."""
    finding = Finding("a.py", 3, "rule", "what", "why", "remedy")
    assert str(finding) == "a.py:3: what — why — remedy"


def test_an_archive_without_git_is_read(tmp_path: Path) -> None:
    """What is built or hidden is left out, and pictures are not text."""
    for name in ("firmware/system/store.py", "build/x.py", ".cache/y.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("assert False\n", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    findings, files = check_tree(tmp_path)
    assert files == 1
    assert {finding.path for finding in findings} == {"firmware/system/store.py"}


def test_the_command_agrees_with_its_exit_code() -> None:
    """`python -m tests.house` is what `make lint` runs."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.house"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines()[:-1] if ": warning: " not in line]
    assert done.returncode == (1 if errors else 0), done.stdout + done.stderr
    assert " rules: " in done.stdout.splitlines()[-1]
