"""Short names and what is left out, on small programs: the shipped text must do what its source does, or be refused."""

from __future__ import annotations

import builtins
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.mpy.bundle import Bundle
from host_tools.mpy.constants import Source
from host_tools.mpy.parts import BundleError
from host_tools.mpy.shipped import shipped


def sources(**texts: str) -> dict[str, Source]:
    """Return the files ``firmware/<name>.py``; a double underscore in a name is a folder."""
    paths = {f"firmware/{name.replace('__', '/')}.py": text for name, text in texts.items()}
    return {path: Source(path, text) for path, text in paths.items()}


def outcome(files: dict[str, Source]) -> Any:
    """Load these files as a program of their own, and return what `firmware.app.run` gives."""
    by_module = {source.module: source for source in files.values()}
    loaded: dict[str, dict[str, Any]] = {}

    def load(module: str) -> dict[str, Any]:
        if module not in loaded:
            loaded[module] = {"__name__": module, "__builtins__": {**vars(builtins), "__import__": imported}}
            exec(by_module[module].text, loaded[module])
        return loaded[module]

    def imported(name: str, space: dict[str, Any], _: Any = None, wanted: tuple[str, ...] = (), level: int = 0) -> Any:
        if level:
            package = by_module[space["__name__"]].package
            name = ".".join([package, *([name] if name else [])])
        if not name.startswith("firmware"):
            return __import__(name, space, None, wanted)
        whole = {part: SimpleNamespace(**load(f"{name}.{part}")) for part in wanted if f"{name}.{part}" in by_module}
        return SimpleNamespace(**(load(name) if name in by_module else {}), **whole)

    return load("firmware.app")["run"]()


def same(**texts: str) -> Bundle:
    """Check that the shipped form does what the sources do; return it."""
    made = shipped(sources(**texts), [])
    assert outcome(made.files) == outcome(sources(**texts))
    return made


def text_of(made: Bundle) -> str:
    return "".join(source.text for source in made.files.values())


# -- names --------------------------------------------------------------------------------------------------------

PROGRAMS = {
    "attributes of one class differ": (
        "class Lamp:\n    def __init__(self):\n        self._level = 1\n        self._fade = 2\n"
        "    def total(self):\n        return self._level + 10 * self._fade\n"
        "def run():\n    return Lamp().total()\n",
        ("_level", "_fade", "total", "Lamp"),
    ),
    "inherited attributes differ from the heir's": (
        "class Base:\n    def __init__(self, first):\n        self._first = first\n"
        "    def sum_up(self):\n        return self._first\n"
        "class Middle(Base):\n    pass\n"
        "class Heir(Middle):\n    def __init__(self):\n        super().__init__(3)\n        self._second = 5\n"
        "    def sum_up(self):\n        return super().sum_up() * 100 + self._second\n"
        "def run():\n    return Heir().sum_up(), Base(9).sum_up()\n",
        ("_first", "_second", "sum_up"),
    ),
    "brothers meet in their child": (
        "class Left:\n    def set_left(self):\n        self._left = 1\n"
        "class Right:\n    def set_right(self):\n        self._right = 2\n"
        "class Child(Left, Right):\n    def both(self):\n        self.set_left()\n        self.set_right()\n"
        "        return self._left, self._right\n"
        "def run():\n    return Child().both()\n",
        ("_left", "_right"),
    ),
    "an attribute set from outside is alone": (
        "class Box:\n    def __init__(self):\n        self.stock = 0\n        self.label = 4\n"
        "class Ship:\n    def __init__(self):\n        self.cargo = 7\n        self.speed = 8\n"
        "def fill(box, amount):\n    box.stock = amount\n    box.label += amount\n"
        "def run():\n    box = Box()\n    ship = Ship()\n    fill(box, 5)\n    ship.cargo, box.stock = 1, 6\n"
        "    return box.stock, box.label, ship.cargo, ship.speed\n",
        ("stock", "cargo", "speed", "fill"),
    ),
    "an attribute that a stranger gives to an object that never had it": (
        "class Box:\n    def __init__(self):\n        self.mark_it = 0\n"
        "class Ship:\n    def __init__(self):\n        self.cargo = 7\n"
        "def tag(thing):\n    thing.mark_it = 5\n"
        "def run():\n    ship = Ship()\n    tag(ship)\n    return ship.cargo, ship.mark_it, Box().mark_it\n",
        ("mark_it", "cargo", "tag"),
    ),
    "class attributes are read through class and object": (
        "class Words:\n    first = (1, 2)\n    second = first + (3,)\n    [third] = [9]\n"
        "    def show(self):\n        return self.first, Words.second, self.third\n"
        "def run():\n    Words.third = 8\n    return Words().show(), Words.first\n",
        ("second", "show", "third"),
    ),
    "a property, a static method, an alias in a class": (
        "class Clock:\n    def __init__(self):\n        self._ticks = 5\n"
        "    @property\n    def seconds(self):\n        return self._ticks * 2\n"
        "    @staticmethod\n    def make(number):\n        return number + 1\n"
        "    def again(self):\n        return self.make(self.seconds)\n    once_more = again\n"
        "def run():\n    return Clock().once_more(), Clock.make(1)\n",
        ("_ticks", "seconds", "make", "again", "once_more"),
    ),
    "keyword arguments keep their names": (
        "def mix(hue, weight=3, *rest, extra=4):\n    return hue, weight, rest, extra\n"
        "def other(hue, plain):\n    return hue - plain\n"
        "def run():\n    return mix(1), mix(1, extra=9), mix(hue=2, weight=1), other(5, 3)\n",
        ("mix", "plain"),
    ),
    "a call with two stars keeps the names of what it calls": (
        "class Dimmer:\n    def __init__(self, pin, minimum=1, inverted=False):\n"
        "        self.all = (pin, minimum, inverted)\n"
        "def make(options):\n    return Dimmer(4, **options).all\n"
        "def run():\n    return make({'minimum': 7}), make({'inverted': True})\n",
        ("Dimmer", "make"),
    ),
    "a shadowed global, a nested function, a lambda with a default": (
        "limit = 3\n"
        "def outer(limit, factor):\n    def inner(value, offset=factor):\n        return value * limit + offset\n"
        "    return inner, lambda value, shift=limit: value + shift + factor\n"
        "def run():\n    inner, plus = outer(10, 2)\n    return inner(1), inner(1, 5), plus(1), plus(1, 1), limit\n",
        ("limit", "outer", "factor", "offset", "shift"),
    ),
    "a comprehension has its own scope": (
        "value = 9\n"
        "def squares(values):\n    return [value * value for value in values if value], {key: value for key in values}"
        "\n"
        "class Table:\n    rows = [value for value in (1, 2)]\n"
        "def run():\n    return squares([0, 1, 2]), Table.rows, value, sum(value for value in [4])\n",
        ("squares", "Table"),
    ),
    "global and nonlocal": (
        "counter = 0\n"
        "def count(step):\n    global counter\n    counter += step\n"
        "def run():\n    total = 1\n    def add(number):\n        nonlocal total\n        total += number\n"
        "    add(4)\n    count(3)\n    count(2)\n    return total, counter\n",
        ("counter", "count"),
    ),
    "f-strings": (
        "class Pole:\n    def __init__(self, number):\n        self.number = number\n"
        "def run():\n    pole = Pole(7)\n    return f'{pole.number:>3}|{pole.number!r}'\n",
        ("Pole",),
    ),
    "generators and exceptions with attributes": (
        "class LinkError(Exception):\n    def __init__(self, what):\n        super().__init__(what)\n"
        "        self.which = what\n        self.attempts_left = 3\n"
        "class Reader:\n    def pieces(self, count):\n        for number in range(count):\n"
        "            got = yield number\n            if got:\n                raise LinkError(got)\n"
        "def run():\n    steps = Reader().pieces(5)\n    seen = [next(steps), steps.send(None)]\n    try:\n"
        "        steps.send('cut')\n    except LinkError as error:\n"
        "        return seen, error.which, error.attempts_left, error.args, repr(error)\n",
        ("pieces", "attempts_left", "Reader"),
    ),
    "the same name of an object of ours and of a list": (
        "class Queue:\n    def __init__(self):\n        self.items = []\n    def append(self, one):\n"
        "        self.items.append(one * 2)\n"
        "def run():\n    queue = Queue()\n    both = [queue, []]\n    for each in both:\n        each.append(3)\n"
        "    return queue.items, both[1]\n",
        ("Queue",),
    ),
    "a name asked for by hasattr": (
        "class Gear:\n    def __init__(self):\n        self.level_now = 1\n    def go_on(self):\n        return 5\n"
        "class Plain:\n    def __init__(self):\n        self.state_now = 2\n        self.other_now = 3\n"
        "def run():\n    return [each.go_on() if hasattr(each, 'go_on') else 0 for each in (Gear(), Plain())]\n",
        ("Gear", "Plain"),
    ),
    "except takes the name of a parameter": (
        "def risky(error, number):\n    try:\n        return 1 // number\n    except ZeroDivisionError as error:\n"
        "        return str(error)\n"
        "def run():\n    return risky(1, 0), risky(1, 1)\n",
        ("risky", "number"),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_short_name_means_what_the_long_one_meant(name):
    """Every way in which Python finds a name is a way for a renamed one to be found wrongly, on every pole at once."""
    text, gone = PROGRAMS[name]
    made = same(app=text)
    for word in gone:
        assert not re.search(rf"\b{word}\b", text_of(made)), word


def test_names_are_shared_where_they_never_meet():
    """The saving is that one name serves many classes: with a name for each, the index on the node grows with them."""
    classes = "".join(
        f"class Kind{n}:\n    def __init__(self):\n        self.first{n} = {n}\n        self.second{n} = {n}\n"
        f"    def both{n}(self):\n        return self.first{n} + self.second{n}\n"
        for n in range(20)
    )
    made = same(app=classes + f"def run():\n    return [{', '.join(f'Kind{n}().both{n}()' for n in range(20))}]\n")
    assert len(set(re.findall(r"\.(\w+)", text_of(made))) - {"__init__"}) == 3


def test_two_bundles_agree_on_what_they_share():
    """An attribute that links set and the core reads is one attribute, whatever it is called; names that one bundle
    takes from another too."""
    made = same(
        app="from .control.core import Core, limit_of\nfrom .links.wave import Wave\n"
        "def run():\n    wave = Wave(Core(4))\n    wave.deliver(3)\n"
        "    return wave.core.total(), limit_of(wave.core)\n",
        control__core="class Core:\n    def __init__(self, start):\n        self.start_level = start\n"
        "        self.heard = 0\n    def total(self):\n        return self.start_level + self.heard\n"
        "def limit_of(core):\n    return core.heard * 2\n",
        links__wave="from firmware.control.core import Core\nclass Wave:\n    def __init__(self, core):\n"
        "        self.core = core\n        self.copy_of = Core(1)\n    def deliver(self, value):\n"
        "        from firmware.control import core\n        self.core.heard = value + core.limit_of(self.copy_of)\n",
    )
    assert not re.search(r"\b(Core|heard|limit_of|Wave|deliver|start_level)\b", text_of(made))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "def f(x, n):\n    return getattr(x, n)\ndef run():\n    return f(1, 'a')\n",
            "app.py:2: getattr takes a name",
        ),
        ("def f(x, n):\n    setattr(x, n, 1)  # names: Nothing\ndef run():\n    f(1, 'a')\n", "no class Nothing"),
        (
            "def run():\n    try:\n        return 1\n    except (KeyError, AttributeError):\n        return 2\n",
            ":4: Attri",
        ),
        (
            "class C:\n    def __getattr__(self, n):\n        return n\ndef run():\n    return C()\n",
            "C has __getattr__",
        ),
        ("class C:\n    __slots__ = ('a',)\ndef run():\n    return C()\n", "C has __slots__"),
        ("def f(*x):\n    return x\ndef run(g=f):\n    return g(**{})\n", "app.py:4: ** gives names"),
        ("class C:\n    pass\ndef run():\n    return C().__dict__\n", "app.py:4: __dict__ gives"),
        ("def run():\n    return '{0.level}'.format(1)\n", "app.py:2: a field of a text"),
        (
            "def f():\n    class B:\n        pass\n    class C(B):\n        pass\n    return C\ndef run():\n    f()\n",
            "B is no",
        ),
        ("def f():\n    return int\nclass C(f()):\n    pass\ndef run():\n    C()\n", "the base of C is made at run"),
        ("class C(metaclass=type):\n    pass\ndef run():\n    C()\n", "C has a metaclass"),
        ("x = 1\nclass C:\n    x = 2\n    y = x\ndef run():\n    return C.y, x\n", "x is the module's and of class C"),
    ],
)
def test_what_is_made_at_run_time_is_refused(text, words):
    """A name that is guessed wrong is a wrong decision on ten thousand poles. So the build says where it stops."""
    with pytest.raises(BundleError) as caught:
        shipped(sources(app=text), [])
    assert words in str(caught.value)


def test_a_mark_keeps_the_names_of_a_class():
    """A configuration names attributes by its keys: the class that it fills keeps them, and others lose theirs."""
    made = same(
        app="class Config:\n    def __init__(self):\n        self.quiet_ms = 1\n        self.reach_m = 2\n"
        "class Other:\n    def __init__(self):\n        self.far_m = 3\n"
        "def fill(config, tree):\n    for key in tree:\n        if hasattr(config, key):  # names: Config\n"
        "            setattr(config, key, tree[key])  # names: Config\n"
        "def run():\n    config = Config()\n    fill(config, {'quiet_ms': 9, 'far_m': 8})\n"
        "    return config.quiet_ms, config.reach_m, Other().far_m\n",
    )
    assert "quiet_ms" in text_of(made) and "reach_m" in text_of(made)


def test_values_that_never_change_stand_where_they_are_used():
    """A text in a table of the module is a place there and a look-up at each use. What is set again, or is made new
    each time, is no such value; what another bundle takes stays to be taken."""
    made = same(
        app="from .control.core import LINE, size\n"
        "WORD = 'ab'\nPAIR = (1, (b'x', -2))\nSUM_OF = 3 * 4\nLIST = [1]\nTWICE = 1\nTWICE = 2\nMOVED = 5\n"
        "def move():\n    global MOVED\n    MOVED += 1\n"
        "def grow():\n    LIST.append(WORD)\n    return len(LIST)\n"
        "def run():\n    move()\n    WORD_HERE = f'{WORD}:{LINE}'\n"
        "    return WORD_HERE, WORD + WORD, PAIR[1], SUM_OF, grow(), grow(), TWICE, MOVED, size(LINE)\n",
        control__core="LINE = 'a line'\nOWN = b'own'\ndef size(text):\n    return len(text) + len(OWN) + len(LINE)\n",
    )
    text = made.files["firmware/app.py"].text
    assert "'ab' + 'ab'" in text and "(1, (b'x', -2))[1]" in text and text.count("[1]") == 2
    core = made.files["firmware/control/__init__.py"].text
    assert core.count("'a line'") == 2 and "len(b'own')" in core


# -- random programs ----------------------------------------------------------------------------------------------

WORDS = ("level", "fade", "hold", "zone", "power", "lamps")


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program of classes that inherit, set and read attributes of themselves and of each other."""
    count = draw(st.integers(2, 6))
    bases = [draw(st.sampled_from([None, *range(number)])) for number in range(count)]
    own = [draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True)) for _ in range(count)]
    every: list[set[str]] = []
    # No constants: they would be put in, and be names no more.
    lines = [f"TABLE{number} = [{number}]" for number in range(count)]
    for number in range(count):
        base = bases[number]
        every.append(set(own[number]) | (every[base] if base is not None else set()))
        lines.append(f"class K{number}" + (f"(K{base}):" if base is not None else ":"))
        of_class = draw(st.lists(st.sampled_from(("is_far", "is_near", "rank")), max_size=3, unique=True))
        lines += [f"    {word} = {draw(st.integers(0, 9))}" for word in of_class]
        every[number] |= set(of_class) | {"row"}
        # A default is read in the class's own scope.
        lines.append(f"    def __init__(self, start, table=TABLE{draw(st.integers(0, count - 1))}):")
        if base is not None:
            lines.append("        super().__init__(start + 1)")
        lines += [f"        self.{word} = start * {draw(st.integers(1, 99))}" for word in own[number]]
        lines.append("        self.row = table[0]")
        for method in range(draw(st.integers(0, 2))):
            other = draw(st.integers(0, number))
            mine, theirs = draw(st.sampled_from(sorted(every[number]))), draw(st.sampled_from(sorted(every[other])))
            lines.append(f"    def act{number}_{method}(self, other):")
            if draw(st.booleans()):
                lines.append(f"        other.{theirs} += 1")
            lines.append(f"        self.{mine} = self.{mine} + other.{theirs}")
            lines.append(f"        return self.{mine}")
    lines.append("def run():")
    lines.append(f"    every = [{', '.join(f'K{number}({number + 1})' for number in range(count))}]")
    lines.append("    log = []")
    text = "\n".join(line for line in lines if line)
    for number, method in re.findall(r"act(\d+)_(\d+)\(self, other\)", text):
        # What a method takes of another is of a class that has it: its own heirs do.
        takes = set(re.findall(r"other\.(\w+)", text.split(f"act{number}_{method}(self")[1].split("return")[0]))
        for third in range(count):
            if takes <= every[third]:
                lines.append(f"    log.append(every[{number}].act{number}_{method}(every[{third}]))")
    for number in range(count):
        lines += [f"    log.append(every[{number}].{word})" for word in sorted(every[number])]
    lines.append("    return log")
    return "\n".join(line for line in lines if line) + "\n"


@given(programs())
@settings(max_examples=150, deadline=None)
def test_random_classes_do_what_they_did(text):
    """Whoever chooses examples chooses those he thought of. So random families of classes, which read and set each
    other's attributes, give the same with their names shared."""
    same(app=text)


# -- what is left out ---------------------------------------------------------------------------------------------


def test_what_nothing_asks_for_is_left_out_to_the_end():
    """What only unused things use is unused too; what a string, MicroPython or a subclass may ask for stays."""
    made = same(
        app="import json\n"
        "TABLE = (1, 2)\n_ONLY_UNUSED = {'a': 1}\n"
        "def helper():\n    return _ONLY_UNUSED\n"
        "def unused():\n    return helper(), json.dumps(1)\n"
        "class Never:\n    def used_by_never(self):\n        return TABLE\n"
        "class Part:\n    def __init__(self):\n        self.counted = 0\n        self.kept = [1]\n"
        "        self.read_often = 2\n"
        "    def work(self):\n        self.counted += 1\n        return self.read_often\n"
        "    def forgotten(self):\n        return helper()\n"
        "    def write(self, data):\n        return data\n"
        "    def asked(self):\n        return 4\n"
        "    def __len__(self):\n        return 6\n"
        "def run():\n    part = Part()\n    return part.work(), getattr(part, 'asked')(), len(part)\n",
    )
    text = text_of(made)
    for word in ("json", "TABLE", "ONLY", "helper", "Never", "counted", "forgotten"):
        assert word not in text, word
    assert ".write" not in text and "def write" in text and "def asked" in text and "__len__" in text
    names = [each.split(" ", 1)[1] for each in made.unused]
    assert {"TABLE", "_ONLY_UNUSED", "helper", "unused", "Never", "Part.forgotten", "attribute counted"} <= set(names)


def test_an_object_that_is_only_held_is_held():
    """A timer or a pin that nobody asks again lives by being held: such an attribute stays."""
    made = same(
        app="class C:\n    def __init__(self):\n        self.timer = [1]\n        self.n = 1\ndef run():\n    C()\n"
    )
    assert re.search(r"\.\w+ = \[1\]", text_of(made)) and "= 1\n" not in text_of(made)


def test_what_is_only_for_cpython_is_left_out():
    """On the node the other branch of `hasattr(time, 'ticks_ms')` is bytes for nothing."""
    made = shipped(
        sources(
            app="import time\nif hasattr(time, 'ticks_ms'):\n    def now():\n        return time.ticks_ms()\n"
            "else:\n    def now():\n        return time.monotonic_ns()\ndef run():\n    return now()\n"
        ),
        [],
    )
    assert "ticks_ms" in text_of(made) and "monotonic" not in text_of(made)
