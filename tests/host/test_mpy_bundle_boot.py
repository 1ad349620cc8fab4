"""The firmware as bundles on the virtual board: it boots to the same lamp as its modules, and leaves more heap."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path

from firmware.system.boot_files import lamp_file
from firmware.system.store import Store
from host_tools.mpy.bundle import bundled
from host_tools.mpy.modules import compiled, sources
from host_tools.mpy.shipped import shipped
from host_tools.plan.site import load_site
from sim.board.virtual_board import HEAP_BYTES, Event, VirtualBoard

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("dimmer_pwm", "presence_input")
LAMP_PIN, SENSOR_PIN = 25, 27
# The launcher, the dimmer, and the controller's first decision: each has written the lamp's level once.
LEVELS = 3
FORMS = ("modules", "shipped", "bundles", "bundles, every driver")


@cache
def rom_files(form: str) -> dict[str, bytes]:
    """Return the firmware as it lies in ROM: as it is shipped, each module, or a bundle of each package."""
    files = sources(ROOT)
    if form == "shipped":
        files = shipped(files, DRIVERS).files
    elif form == "bundles":
        files = bundled(files, DRIVERS)
    elif form == "bundles, every driver":
        files = bundled(files)
    code = compiled({path: source for path, source in files.items() if path != "firmware/main.py"})
    return {path[:-3] + ".mpy": data for path, data in code.items()}


def flash_files(folder: Path) -> dict[str, bytes]:
    """Return what a commissioned node has on its flash: one lamp on a PWM pin, one presence sensor."""
    site = load_site(ROOT / "examples/ville/site.yaml")
    name = next(iter(site.lamps))
    of_site = site.lamp_config(name)
    lamp = {key: of_site[key] for key in ("levels", "powers", "standby", "start", "config")}
    config = {
        "format": 1, "site": "ville", "node": name, "id": 1, "groups": [],
        "zone": of_site["zone"], "place": of_site["place"],
        "lamps": [{"dimmer": {"name": "dimmer_pwm", "pin": LAMP_PIN}, "relay": None, **lamp}],
        "sensors": [{"name": "presence_input", "pin": SENSOR_PIN, "lamps": [0]}],
        "buses": {}, "clock": {"build_day": 9800}, "mqtt": None, "wave": None, "reports": {},
    }  # fmt: skip
    store = Store(str(folder / "store"))
    store.write("config", json.dumps(config).encode())
    store.write("plan0", site.plan_bytes(name))
    files = {f"data/store/{path.name}": path.read_bytes() for path in (folder / "store").iterdir()}
    files["main.py"] = (ROOT / "firmware/main.py").read_bytes()
    files["boot.lamp"] = lamp_file([(1, LAMP_PIN, 0, 0, 4000, 1000)])
    return files


def booted(folder: Path, runtime, form: str) -> tuple[list[int], Event]:
    """Boot to a lamp under control; return the levels written to its pin, and the heap a second later."""
    folder.mkdir()
    # What goes to a node must fit a node. The other forms are measured only, with room for that; so is a runtime of
    # 64 bits, where the same objects take twice the bytes.
    is_bound = form == "shipped" and runtime.small_int_bits < 32
    heap_bytes = HEAP_BYTES if is_bound else 2 * HEAP_BYTES
    with VirtualBoard(folder / "board", runtime, heap_bytes, rom_files=rom_files(form)) as board:
        board.install(flash_files(folder))
        board.start()

        def is_under_control(_: Event) -> bool:
            return len(levels(board)) >= LEVELS

        board.wait_for(is_under_control)
        time.sleep(1)
        heap = board.query()
        # Without a `print` there is no word of a crash either, and the board runs on.
        assert board.printed == [] and sum(event["e"] == "boot" for event in board.events) == 1
        return levels(board), heap


def levels(board: VirtualBoard) -> list[int]:
    return [event["duty"] for event in list(board.events) if event["e"] == "pwm" and event["n"] == LAMP_PIN]


def test_the_bundle_boots_to_the_same_lamp_in_less_heap(micropython_runtime, tmp_path, capsys):
    """Joining modules is done for the heap of the node alone. So the same node is booted both ways: the lamp is lit and
    has the same levels, and the heap is measured on the board."""
    seen = {}
    for number, form in enumerate(FORMS if micropython_runtime.small_int_bits < 32 else FORMS[:3]):
        written, heap = booted(tmp_path / str(number), micropython_runtime, form)
        assert len(written) >= LEVELS and min(written) > 0, "the lamp was dark at some moment of the boot"
        seen[form] = (written, heap)
        with capsys.disabled():
            code = sum(map(len, rom_files(form).values()))
            print(
                f"\nfigure: boot of a PWM lamp with one presence sensor, {form}, {micropython_runtime.name}: "
                f"heap used {heap['heap_used']} B, free {heap['heap_free']} B, largest free block "
                f"{heap['max_free_block']} B; ROM {code} B in {len(rom_files(form))} files",
                end="",
            )
    assert all(written == seen["modules"][0] for written, _ in seen.values())
    used = {form: heap["heap_used"] for form, (_, heap) in seen.items()}
    assert used["shipped"] < used["bundles"] < used["modules"]


def test_line_numbers_may_be_left_out():
    """Where flash is short, line numbers are the first to go: it must be known what that gives."""
    files = {path: s for path, s in shipped(sources(ROOT), DRIVERS).files.items() if path != "firmware/main.py"}
    without = sum(map(len, compiled(files, optimisation=3).values()))
    assert without < 0.95 * sum(map(len, rom_files("shipped").values()))
