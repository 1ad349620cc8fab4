"""Who may import whom (DESIGN, section 1), and what may not enter a simulation: the real clock, unseeded chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from . import Finding, PythonFile, Rule, called, dotted, is_under

# Modules that only the chip (or the virtual board) has.
CHIP_ONLY = frozenset(
    [
        "machine",
        "network",
        "esp",
        "esp32",
        "espnow",
        "bluetooth",
        "micropython",
        "uctypes",
        "vfs",
        "cryptolib",
        "deflate",
        "neopixel",
        "dht",
        "onewire",
    ]
)
# What MicroPython 1.23 offers on an ESP32 without installing anything. An unknown name is an ImportError on the ladder.
ON_CHIP = CHIP_ONLY | frozenset(
    [
        "array",
        "asyncio",
        "binascii",
        "builtins",
        "cmath",
        "collections",
        "errno",
        "gc",
        "hashlib",
        "heapq",
        "io",
        "json",
        "math",
        "ntptime",
        "os",
        "platform",
        "random",
        "re",
        "requests",
        "select",
        "socket",
        "ssl",
        "struct",
        "sys",
        "time",
        "tls",
        "_thread",
    ]
)


@dataclass(frozen=True)
class Row:
    """One row of the table. ``house``: dotted prefixes of ours. ``outside``: other modules, None for host libraries."""

    house: tuple[str, ...]
    outside: frozenset[str] | None
    instead: str


# The import table. The most specific prefix of a path decides its room; a path without a room is a finding.
#
# One deliberate deviation from DESIGN's table: `sim` may import `host_tools.plan`, and nothing else of host_tools. It
# is the one compiler of plans and touches no device; with it the simulator runs the very plan that is pushed to the
# street, and no second compiler can disagree. The other way round, host_tools imports `sim` only in SIM_VERBS.
ROOMS: dict[str, str] = {
    "firmware/__init__.py": "the firmware package",
    "firmware/control": "control",
    "firmware/control/compat.py": "control/compat",
    "firmware/drivers": "drivers",
    "firmware/links": "links",
    "firmware/system": "system",
    "firmware/app.py": "app",
    "firmware/building.py": "app",
    "firmware/clock_chip.py": "app",
    "firmware/gear_report.py": "app",
    "firmware/gear_task.py": "app",
    "firmware/shared_sensor.py": "app",
    "firmware/warm_clock.py": "app",
    "firmware/wiring.py": "app",
    "firmware/senses.py": "app",
    "firmware/uplink.py": "app",
    "firmware/main.py": "main",
    "host_tools": "host_tools",
    "sim": "sim",
    "sim/board": "sim/board",
    "sim/board/demo": "sim/board/demo",
}
# Modules of firmware that are pure (bytes in, bytes out) and may therefore be used by host_tools and sim too.
SHARED = ("firmware.control", "firmware.links.codec", "firmware.system.boot_files", "firmware.system.bundle")
# What the host writes as the node reads it: a node's store in a folder, and the configuration in it.
HOST_SHARED = ("firmware.system.store", "firmware.system.node_config", "firmware.system.bootlog")
# Logic of firmware/system and links that the simulator runs. A module may be added when it takes its clock, files and
# buses as arguments, so that it imports nothing but control and struct.
PURE_SYSTEM: tuple[str, ...] = (
    "firmware.links.backoff",
    "firmware.system.intake",
    "firmware.system.intake_apply",
    "firmware.system.journal_format",
    "firmware.system.journal_read",
)

_CONTROL_INSTEAD = "let the caller put the value into `Now`, `Seen` or `Config`, and act on what `step()` decided"
_NODE = Row(
    ("firmware.control", "firmware.links", "firmware.system"),
    ON_CHIP,
    "have firmware/app.py pass the object in; a host or sim need belongs on the host's side",
)
_APP = Row(("firmware",), ON_CHIP, "write it with what MicroPython has, or move it to host_tools or sim")

MAY_IMPORT: dict[str, Row] = {
    "the firmware package": Row((), frozenset(), "leave the package file empty but for its docstring"),
    "control": Row(("firmware.control",), frozenset({"struct"}), _CONTROL_INSTEAD),
    "control/compat": Row(("firmware.control",), frozenset({"struct", "micropython"}), _CONTROL_INSTEAD),
    "drivers": Row(
        ("firmware.control", "firmware.drivers"),
        ON_CHIP,
        "take the bus as an argument; firmware/app.py joins driver, link and controller",
    ),
    "links": _NODE,
    "system": _NODE,
    "app": _APP,
    "main": _APP,
    "host_tools": Row(
        (*SHARED, *HOST_SHARED, "host_tools"),
        None,
        "use control, links.codec or system.bundle, and talk to a board by mpremote; simulate from a verb in SIM_VERBS",
    ),
    "sim": Row(
        (*SHARED, *PURE_SYSTEM, "sim", "host_tools.plan"),
        None,
        "use control, links.codec or host_tools.plan; make system logic pure and name it in PURE_SYSTEM",
    ),
    # The demo is a fleet's host and its street at once: it commissions nodes, and plays their night.
    "sim/board/demo": Row(
        (*SHARED, *PURE_SYSTEM, *HOST_SHARED, "sim", "host_tools", "tests.runtimes"),
        None,
        "boot firmware/main.py as a process of its own; do not import it",
    ),
    "sim/board": Row(
        (*SHARED, *PURE_SYSTEM, "sim"), None, "boot firmware/main.py as a process of its own; do not import it"
    ),
}
# The sim verbs (`plan_show` and its like join when they are written).
SIM_VERBS = ("host_tools/verbs/sim.py", "host_tools/verbs/demo.py")
# "Names of contracts only": constants (UPPER_CASE) and these. A driver does not decide, so it needs no more of control.
CONTRACT_NAMES = frozenset({"const", "Now", "Seen"})
# main.py chooses the slot, so it may import by a computed name.
IMPORTS_BY_NAME = ("firmware/main.py",)

# What the result of a simulation is computed by.
ENGINE_FILES = tuple(
    f"sim/{name}.py" for name in ["engine", "lamp_replay", "nights", "street", "traffic", "light", "bound"]
)
# sim files that may read the real clock; path -> reason.
REAL_CLOCK: dict[str, str] = {}

_CLOCK_CALLS = frozenset(
    [
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "time.ctime",
    ]
)
_CHANCE_CALLS = frozenset({"os.urandom", "uuid.uuid1", "uuid.uuid4"})
# The modules themselves, and the type of an instance that somebody else has seeded.
_CHANCE_NAMES_ALLOWED = frozenset({"random", "secrets", "numpy.random", "numpy.random.Generator"})

RULES = {
    "import-table": Rule(
        "the import table (DESIGN, section 1) keeps every room replaceable and testable", "take it as an argument"
    ),
    "firmware-imports-host": Rule(
        "the node has no host side: on the lamp post this is an ImportError, and the lamp is not controlled",
        "move what both need into firmware/control, or do it on the host before the plan is pushed",
    ),
    "import-control-relative": Rule(
        "control is one package and says so; its own parts have no other name",
        "write `from .module import name`",
    ),
    "import-by-name": Rule(
        "no test can see where a computed name leads, so the import table would not hold",
        "write the import out; only firmware/main.py, which chooses the slot, may compute a name",
    ),
    "import-no-room": Rule(
        "every file of firmware has a room with rules: control, drivers, links, system, app.py and its neighbours",
        "move it into one of them, or give it a room in tests/house/imports.py and in DESIGN",
    ),
    "engine-imports-time": Rule(
        "a result that depends on the machine's clock cannot be repeated from its seed",
        "take the moment as an argument in ms since the start; measure speed outside, in tests/bench",
    ),
    "sim-reads-clock": Rule(
        "no result without its seed, inputs and commit: today's date is none of them",
        "take the date from the scenario, or t_ms from the engine",
    ),
    "sim-global-random": Rule(
        "chance without a seed cannot be repeated, and the global generator is shared by everything that draws",
        'draw from an instance of its own: `rng = random.Random(f"{seed}/what_for")`',
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported name: ``target`` is its dotted name from the root, ``name`` what it is called after ``import``."""

    line: int
    target: str
    name: str
    is_whole_module: bool
    is_relative: bool
    is_for_types: bool


def imports_of(source: PythonFile) -> Iterator[Import]:
    """Yield what a file imports, wherever it stands; names given to ``__import__`` and ``import_module`` too."""
    for_types = set(_nodes_for_types(source))
    package = source.path.removesuffix(".py").split("/")[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, alias.name, True, False, node in for_types)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: max(len(package) - node.level + 1, 0)] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                target = f"{base}.{alias.name}" if base else alias.name
                yield Import(node.lineno, target, alias.name, False, node.level > 0, node in for_types)
        elif isinstance(node, ast.Call) and _is_import_call(node) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                target = name.value.lstrip(".")
                yield Import(node.lineno, target, target, True, name.value.startswith("."), node in for_types)


def check(source: PythonFile) -> Iterator[Finding]:
    """Yield what breaks the import table, and real clocks and unseeded chance in ``sim``."""
    yield from _check_table(source)
    if is_under(source.path, ("sim",), "/"):
        yield from _check_repeatable(source)


def room_of(path: str) -> str | None:
    """Return the room of a path, None where it has none."""
    found = [prefix for prefix in ROOMS if is_under(path, (prefix,), "/")]
    return ROOMS[max(found, key=len)] if found else None


def _check_table(source: PythonFile) -> Iterator[Finding]:
    room = room_of(source.path)
    is_firmware = is_under(source.path, ("firmware",), "/")
    if room is None:
        if is_firmware:
            yield source.find(RULES, "import-no-room", 1, "a file of firmware outside every room")
        return
    row = MAY_IMPORT[room]
    house = (*row.house, "sim") if source.path in SIM_VERBS else row.house
    for one in imports_of(source):
        root = one.target.split(".")[0]
        what = f"{room} imports `{one.target}`"
        if root in ("firmware", "host_tools", "sim", "tests"):
            if is_firmware and root != "firmware":
                yield source.find(RULES, "firmware-imports-host", one.line, what)
            elif not is_under(one.target, house, "."):
                yield source.find(RULES, "import-table", one.line, what, row.instead)
            elif room.startswith("control") and not one.is_relative:
                yield source.find(RULES, "import-control-relative", one.line, what)
            elif room == "drivers" and _is_of_control(one) and (one.is_whole_module or not _is_contract(one.name)):
                instead = "import constants by name, `const`, `Now` or `Seen`; leave decisions and sums to control"
                yield source.find(RULES, "import-table", one.line, f"{what}, which is no contract", instead)
        elif row.outside is None:
            if root in CHIP_ONLY and room != "sim/board":
                instead = "ask the board for it by mpremote, or take it as an argument"
                yield source.find(RULES, "import-table", one.line, f"{what}, which only the chip has", instead)
        elif root not in row.outside and not (one.is_for_types and not room.startswith("control")):
            yield source.find(RULES, "import-table", one.line, what, row.instead)
    if is_firmware and source.path not in IMPORTS_BY_NAME:
        for node in source.nodes:
            if isinstance(node, ast.Call) and _is_import_call(node):
                name = node.args[0] if node.args else None
                if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                    yield source.find(RULES, "import-by-name", node.lineno, "imports a computed name")


def _check_repeatable(source: PythonFile) -> Iterator[Finding]:
    names = _names_of_modules(source)
    if source.path in ENGINE_FILES:
        for one in imports_of(source):
            if one.target.split(".")[0] == "time":
                yield source.find(RULES, "engine-imports-time", one.line, f"the engine imports `{one.target}`")
    for node in source.nodes:
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        head, _, rest = dotted(node).partition(".")
        if head not in names:
            continue
        name = names[head] + ("." + rest if rest else "")
        if name in _CLOCK_CALLS and source.path not in REAL_CLOCK:
            yield source.find(RULES, "sim-reads-clock", node.lineno, f"uses `{name}`")
        parent = source.parents.get(node)
        is_seedless = isinstance(parent, ast.Call) and parent.func is node and not parent.args and not parent.keywords
        if name == "random.Random":
            if is_seedless:
                yield source.find(RULES, "sim-global-random", node.lineno, "`random.Random()` without a seed")
        elif name == "numpy.random.default_rng":
            if is_seedless:
                yield source.find(RULES, "sim-global-random", node.lineno, f"`{name}()` without a seed")
        elif name in _CHANCE_CALLS or (
            name not in _CHANCE_NAMES_ALLOWED and is_under(name, ("random", "secrets", "numpy.random"), ".")
        ):
            yield source.find(RULES, "sim-global-random", node.lineno, f"uses `{name}`")


def _names_of_modules(source: PythonFile) -> dict[str, str]:
    """Return what each local name stands for: {"Date": "datetime.date"} after ``from datetime import date as Date``."""
    names = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    root = alias.name.split(".")[0]
                    names[root] = root
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _nodes_for_types(source: PythonFile) -> Iterator[ast.AST]:
    """Yield what stands under ``if TYPE_CHECKING:`` or ``if False:``: MicroPython never runs it."""
    for node in source.nodes:
        if isinstance(node, ast.If) and (
            dotted(node.test).split(".")[-1] == "TYPE_CHECKING"
            or (isinstance(node.test, ast.Constant) and node.test.value is False)
        ):
            for statement in node.body:
                yield from ast.walk(statement)


def _is_import_call(node: ast.Call) -> bool:
    return called(node).split(".")[-1] in ("__import__", "import_module")


def _is_of_control(one: Import) -> bool:
    return is_under(one.target, ("firmware.control",), ".")


def _is_contract(name: str) -> bool:
    return name in CONTRACT_NAMES or name.isupper()
