"""Bytes of the firmware as compiled for the chip; every commit message quotes the last line.

python -m tests.bench.size
"""

from __future__ import annotations

import sys
from collections import defaultdict

from host_tools.mpy.modules import FIRMWARE, compiled, sources

FOLDERS = ("control", "drivers", "links", "system")
TOP = "app"  # what lies in firmware/ itself: the launcher and the wiring


def measure() -> dict[str, int]:
    """Bytes of each module as it is shipped, by its path in the repository."""
    return {path: len(code) for path, code in compiled(sources()).items()}


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
        print(f"no Python file under {FIRMWARE}/: run this in a complete checkout", file=sys.stderr)
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
