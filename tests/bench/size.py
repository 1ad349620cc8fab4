"""Bytes of the firmware as compiled for the chip; every commit message quotes the last line.

Two forms: every module by itself, as it is developed and tested, and the bundles that go to a node. The last line is
the bundle of a fully equipped node: all that the application reaches, with one driver of each kind.

python -m tests.bench.size
"""

from __future__ import annotations

import sys
from collections import defaultdict

from host_tools.mpy.bundle import Bundle
from host_tools.mpy.modules import FIRMWARE, compiled, sources
from host_tools.mpy.shipped import shipped

FOLDERS = ("control", "drivers", "links", "system")
TOP = "app"  # what lies in firmware/ itself: the launcher and the wiring
# One of each kind in host_tools/drivers, and of each kind the largest, so that no real node has more of them.
EQUIPPED = ("dali", "relay_latching", "ld2410", "veml7700", "ade7953", "ds3231", "ds18b20", "nmea_gnss", "lis3dh")


def measure() -> dict[str, int]:
    """Bytes of each module by itself, by its path in the repository."""
    return {path: len(code) for path, code in compiled(sources()).items()}


def measure_bundle() -> tuple[Bundle, dict[str, int]]:
    """The bundle of a fully equipped node, and the bytes of its files."""
    made = shipped(sources(), EQUIPPED)
    return made, {path: len(code) for path, code in compiled(made.files).items()}


def by_folder(sizes: dict[str, int]) -> dict[str, int]:
    """Bytes of each folder of the firmware, known ones first; packages joined into one file are named together."""
    totals: dict[str, int] = defaultdict(int, dict.fromkeys(FOLDERS, 0))
    for path, size in sizes.items():
        parts = path.removesuffix(".py").split("/")
        is_joined = len(parts) == 2 and set(parts[1].split("_")) <= set(FOLDERS)
        totals[parts[1] if len(parts) > 2 or is_joined else TOP] += size
    return dict(totals)


def number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def words(sizes: dict[str, int]) -> str:
    """Return the folders and the total in a line."""
    parts = [f"{folder} {number(size)} B" for folder, size in by_folder(sizes).items() if size]
    return f"{', '.join(parts)}, total {number(sum(sizes.values()))} B"


def grouped(unused: list[str]) -> dict[str, list[str]]:
    """Return what was left out by its file, each name once."""
    found: dict[str, list[str]] = {}
    for each in unused:
        place, _, name = each.partition(" ")
        names = found.setdefault(place.partition(":")[0], [])
        if name not in names:
            names.append(name)
    return found


def main() -> int:
    modules = measure()
    if not modules:
        print(f"no Python file under {FIRMWARE}/: run this in a complete checkout", file=sys.stderr)
        return 1
    for path, size in modules.items():
        print(f"{number(size):>9} B  {path}")
    made, bundles = measure_bundle()
    print(f"\nas shipped, with the drivers {', '.join(EQUIPPED)}:")
    for path, size in bundles.items():
        print(f"{number(size):>9} B  {path}")
    for line in made.joined:
        print(line)
    left = [path for path in made.left_out if path in modules]
    print(f"not in it, {number(sum(modules[path] for path in left))} B as modules: {', '.join(left)}")
    print("in its files, but nothing there asks for it:")
    for path, names in grouped(made.unused).items():
        print(f"  {path}: {', '.join(names)}")
    without_lines = sum(map(len, compiled(made.files, 3).values()))
    print(f"without line numbers (mpy-cross -O3): {number(without_lines)} B\n")
    print(f"as {len(modules)} modules: {words(modules)}")
    print(f"make size: {words(bundles)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
