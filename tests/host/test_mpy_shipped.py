"""The firmware as it is shipped, with short names and nothing unused: it must decide and fail as its sources do."""

from __future__ import annotations

import builtins
import io
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from typer.testing import CliRunner

from host_tools.cli import app
from host_tools.mpy.bundle import Bundle, bundle
from host_tools.mpy.constants import Source
from host_tools.mpy.line_map import LineMap, main, translate
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.outside import OUTSIDE
from host_tools.mpy.parts import ONCE
from host_tools.mpy.scopes import Scopes
from host_tools.mpy.shipped import shipped
from sim.board import rom
from tests.bench.size import measure_bundle
from tests.conftest import require_runtime
from tests.control.lamp_nights import lamp_nights
from tests.control.replay_main import summary

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = 24
# What the lead of the project asks of the shipped firmware.
WHOLE_MAX_BYTES = 140_000
CONTROL_MAX_BYTES = 40_000
IMPORT_MAX_BYTES = 50_000
REPLAY = ("sim/lamp_replay.py", "tests/control/replay_main.py")


@cache
def replay_bundle() -> Bundle:
    """Return the control core as it is shipped, with the main that replays lamp-nights."""
    files = sources(ROOT)
    for path in REPLAY:
        files[path] = Source(path, (ROOT / path).read_text(encoding="utf-8"))
    return shipped(files, None, REPLAY)


@cache
def equipped() -> Bundle:
    return measure_bundle()[0]


def install(folder: Path, files: dict[str, Source]) -> Path:
    """Write what is compiled of these files; return the folder."""
    for path, code in compiled(files).items():
        output = (folder / path).with_suffix(".mpy")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(code)
    return folder


def run(runtime, folder: Path, text: str, *arguments: object):
    """Run a starter that finds nothing but what is in the folder."""
    starter = folder / "main.py"
    starter.write_text(text)
    return runtime.run(
        [starter, *arguments], env={"MICROPYPATH": f"{folder}:.frozen"}, cwd=folder, timeout_s=300
    )  # fmt: skip


# -- the same decisions -------------------------------------------------------------------------------------------


def test_whole_lamp_nights_are_decided_as_by_the_sources(micropython_runtime, tmp_path):
    """A name that stands for two attributes of one object is a wrong light on ten thousand poles. So nights of every
    kind (storms, commands, clocks that step, calendars) have the digest that the sources give, energy and all."""
    records = lamp_nights(NIGHTS)
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    folder = install(tmp_path / "rom", replay_bundle().files)
    text = "import sys\nfrom tests.control import replay_main\nreplay_main.main(sys.argv[1:])\n"
    done = run(micropython_runtime, folder, text, file)
    assert done.returncode == 0, done.stderr or done.stdout
    assert done.stdout.splitlines() == [summary(record) for record in records]


def test_the_replay_is_of_short_names():
    """The test above would hold for a build that renames nothing."""
    text = replay_bundle().files["firmware/control/__init__.py"].text
    assert not re.search(r"\bController\b|\b_wants\b|\bstep_ms\b", text)
    known = {name for each in Scopes("", text).uses for name in [each.name] if len(name) <= 2}
    assert len(known) > 50


def test_the_shipped_firmware_stays_within_its_flash():
    """What is asked of the firmware's size is kept by a test, or it is kept until the next feature."""
    sizes = {path: len(code) for path, code in compiled(equipped().files).items()}
    assert sum(sizes.values()) <= WHOLE_MAX_BYTES
    assert sizes["firmware/control/__init__.py"] <= CONTROL_MAX_BYTES


def test_no_name_is_lost_in_any_build():
    """Each choice of drivers is a program of its own, with its own names: none may use a name that it has not."""
    for made in (shipped(sources(ROOT)), equipped()):
        for path, source in made.files.items():
            scopes = Scopes(path, source.text)
            unknown = {use.name for use in scopes.uses if use.at.resolve(use.name) is None}
            assert unknown <= set(dir(builtins)) | {"const"}, (path, unknown)
        assert all(compiled(made.files).values())


def test_the_same_sources_give_the_same_bytes():
    """A map that was built again must fit the node that was built before: chance and the order of sets stay out."""
    code = (
        "import sys, hashlib\nfrom host_tools.mpy.shipped import shipped\nfrom host_tools.mpy.modules import sources\n"
    )
    code += "made = shipped(sources(), ('dimmer_pwm',))\n"
    code += "print(hashlib.sha256((made.line_map.to_json() + repr(made.files)).encode()).hexdigest())\n"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True, timeout=120,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_names_that_micropython_has_are_known(micropython_runtime, tmp_path):
    """An attribute of a socket that is not on the list may be given to the firmware's own under another name, and then
    the socket is asked for that. So every attribute that a runtime's modules and objects have is on the list."""
    (tmp_path / "main.py").write_text(
        "import asyncio, binascii, gc, hashlib, io, json, os, select, socket, struct, sys, time, tls, random, errno\n"
        "seen = []\nnames = set()\n"
        "def walk(thing, depth):\n"
        "    if depth > 2 or any(thing is each for each in seen): return\n"
        "    seen.append(thing)\n"
        "    for name in dir(thing):\n"
        "        names.add(name)\n"
        "        try: walk(getattr(thing, name), depth + 1)\n"
        "        except Exception: pass\n"
        "for module in (asyncio, binascii, gc, hashlib, io, json, os, select, socket, struct, sys, time, tls, random,\n"
        "        errno): walk(module, 0)\n"
        "for thing in (1, 1.0, '', b'', bytearray(), [], (), {}, set(), memoryview(b''), OSError(1), io.BytesIO(),\n"
        "        hashlib.sha256(), socket.socket(), select.poll(), (i for i in ())): walk(thing, 1)\n"
        "print(' '.join(names))\n"
    )
    done = micropython_runtime.run([tmp_path / "main.py"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr or done.stdout
    names = {name for name in done.stdout.split() if not name.startswith("_") and len(name) > 1}
    assert len(names) > 200
    # Exceptions and the like are asked of no object but the module of builtins.
    assert names - OUTSIDE - {name for name in dir(builtins) if name[0].isupper()} == set()


_IMPORT = """
import gc, sys, vfs, asyncio, binascii, errno, hashlib, io, json, os, random, select, socket, struct, time, tls
class Anything:
    def __getattr__(self, name): return Anything
for name in ("machine", "network", "esp32", "espnow", "onewire"): sys.modules[name] = Anything()
sys.modules["ssl"] = tls
with open(sys.argv[1], "rb") as file: image = file.read()
vfs.mount(vfs.VfsRom(image), "/rom")
sys.path[:] = ["/rom", ".frozen"]
gc.collect()
before = gc.mem_alloc()
for name in sys.argv[2:]: __import__(name)
gc.collect()
print(gc.mem_alloc() - before)
"""


def heap_of_import(files: dict[str, Source], folder: Path) -> int:
    """Return the bytes of heap that loading what stays keeps, from ROM, the interpreter's index of names with it."""
    code = {path: data for path, data in compiled(files).items() if path != "firmware/main.py"}
    folder.mkdir()
    (folder / "rom.img").write_bytes(
        rom.image({path.removesuffix(".py") + ".mpy": data for path, data in code.items()})
    )
    (folder / "main.py").write_text(_IMPORT)
    # What is loaded for one use leaves the heap again.
    names = [Source(path, "").module for path in code if not path.startswith(ONCE + "/")]
    done = require_runtime("micropython32").run([folder / "main.py", folder / "rom.img", *names], cwd=folder)
    assert done.returncode == 0, done.stderr or done.stdout
    return int(done.stdout)


def test_loading_the_shipped_firmware_keeps_less_heap(tmp_path, capsys):
    """The heap of a board without external RAM is what names, functions and classes leave of it. So what loading takes
    is measured in both forms, and bounded."""
    drivers = ("dimmer_pwm", "presence_input", "ade7953")
    long = heap_of_import(bundle(sources(ROOT), drivers).files, tmp_path / "long")
    short = heap_of_import(shipped(sources(ROOT), drivers).files, tmp_path / "short")
    whole = heap_of_import(equipped().files, tmp_path / "whole")
    with capsys.disabled():
        print(f"figure: heap after the import, 32-bit: {short} B, with long names {long} B; fully equipped {whole} B")
    assert short <= IMPORT_MAX_BYTES and long - short > 15_000


# -- tracebacks ---------------------------------------------------------------------------------------------------

_SHOUT = "raise ValueError('shout')"


def spoilt() -> tuple[Bundle, dict[str, int]]:
    """Return the shipped firmware with a failure in the depth of the control core, and where each frame stands."""
    files = sources(ROOT)
    for path in REPLAY:
        files[path] = Source(path, (ROOT / path).read_text(encoding="utf-8"))
    path = "firmware/control/flicker.py"
    text = files[path].text
    found = re.search(r"\n    def (\w+)\(self[^\n]*\n(        \"\"\"(?:.|\n)*?\"\"\"\n)?", text.split("class ", 1)[1])
    assert found
    at = text.index(found[0]) + len(found[0])
    files[path] = Source(path, text[:at] + f"        {_SHOUT}\n" + text[at:])
    return shipped(files, None, REPLAY), {path: text[:at].count("\n") + 1}


def test_a_failure_in_the_shipped_firmware_is_read_beside_the_source(micropython_runtime, tmp_path, monkeypatch):
    """A pole sends what the chip printed: short names, and lines of a bundle that nobody has before him. With the map
    of its build every frame has the file, line and function of the source."""
    made, where = spoilt()
    record = lamp_nights(1)[0]
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    folder = install(tmp_path / "rom", made.files)
    text = "import sys\nfrom tests.control import replay_main\nreplay_main.main(sys.argv[1:])\n"
    done = run(micropython_runtime, folder, text, file)
    printed = done.stderr or done.stdout
    assert "shout" in printed
    map_file = tmp_path / "map.json"
    map_file.write_text(made.line_map.to_json())
    result = CliRunner().invoke(app, ["node", "traceback", str(map_file)], input=printed)
    assert result.exit_code == 0
    frames = re.findall(r'File "(firmware/[^"]+|sim/[^"]+)", line (\d+), in (\S+)', result.output)
    assert len(frames) >= 5
    files = sources(ROOT)
    (path, line), *_ = where.items()
    assert (frames[-1][0], int(frames[-1][1])) == (path, line)
    for number, (path, line, function) in enumerate(frames[:-1]):
        # Each frame's line calls what the next frame is in.
        source = files[path].text if path in files else (ROOT / path).read_text(encoding="utf-8")
        below = frames[number + 1][2]
        called = "(" if below == "__init__" else f"{below}("
        assert called in source.split("\n")[int(line) - 1], (path, line, function, below)


def test_attributes_and_names_are_given_back():
    """`'aB' object has no attribute 'c'` is all that a chip says of a wrong name; the map says which it may be."""
    known = LineMap(
        {"firmware/app.py": [("firmware/senses.py", 40)]},
        {"firmware/app.py": {"aB": "Senses", "q": "look"}},
        {"firmware/senses.py": [(30, 60, "Senses"), (38, 44, "look_around")]},
        {"firmware/app.py": {"aB": ("Senses", {"c": "lamps", "d": "box"}), "e": ("Box", {"c": "peek"})}},
    )
    text = (
        '  File "firmware/app.py", line 1, in q\n'
        "AttributeError: 'aB' object has no attribute 'c'\nAttributeError: type object 'aB' has no attribute 'd'\n"
        "NameError: name 'q' isn't defined\nImportError: can't import name q\nValueError: name q\n"
    )
    wanted = (
        '  File "firmware/senses.py", line 40, in look_around\n'
        "AttributeError: 'Senses' object has no attribute 'lamps/peek'\n"
        "AttributeError: type object 'Senses' has no attribute 'box'\n"
        "NameError: name 'look' isn't defined\nImportError: can't import name 'look'\nValueError: name q\n"
    )
    assert translate(text, LineMap.from_json(known.to_json())) == wanted


def test_a_map_that_cannot_be_used_is_refused(tmp_path, monkeypatch, capsys):
    """The map of another format, or half of one, must not give lines that are wrong but look right."""
    file = tmp_path / "map.json"
    for text, words in (
        ('{"format": 1}', "take the one that was built"),
        ('{"format": 2}', "is damaged"),
        ("{", "Expecting"),
    ):
        file.write_text(text)
        result = CliRunner().invoke(app, ["node", "traceback", str(tmp_path)], input="")
        assert result.exit_code == 2 and words in result.output.replace("\n", " ")
    assert CliRunner().invoke(app, ["node", "traceback", str(tmp_path / "none")]).exit_code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main([str(file)]) == 1
    assert capsys.readouterr().err
