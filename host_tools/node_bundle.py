"""Everything that goes onto one node, as files: the firmware compiled, its launcher, and what is the node's own.

================================ ======================================================================================
``lib/firmware/….mpy``           the application, as `mpy.shipped` makes it for the drivers of this node; see below
``data/store/NAME.0``            the first generation of: ``config``, ``plan0`` … ``plan3``, ``secrets``, ``ca``,
                                 ``cert``, ``key`` (DER), written by the node's own `firmware.system.store`
``main.py``                      the launcher, as source: it is never replaced
``boot.lamp``                    the outputs and their safe levels; last, since it is what delivers the node
================================ ======================================================================================

The application is better off in the chip's ROM file system, from where its code runs in place: loaded from ``lib`` into
RAM it leaves no room on a board without external RAM. So a written bundle has it in a folder of its own.

``map.json`` stays on the desk: with it `reverbere node traceback` reads what a node says of a failure.

``secrets`` is JSON, every secret in hexadecimal: ``{"format": 1, "node", "service", "wave", "site", "groups": [[id,
secret], …], "wifi"}``; ``site`` is the public key of plans, ``wave`` and ``wifi`` are there where the node uses them.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from firmware.system.store import Store

from .catalogue import Description
from .catalogue import load as load_catalogue
from .mpy.constants import Source
from .mpy.modules import ROOT, compiled, sources
from .mpy.shipped import shipped
from .node_config import Fleet
from .node_launch import launch_file
from .site_keys import SiteKeys, refuse_git

LAUNCHER = "firmware/main.py"
MANIFEST = "bundle.json"
FILES = "files"
ROM = "rom"
MAP = "map.json"
FORMAT = 1
_DRIVERS = "firmware/drivers/"
# Runs on the host only.
_NEVER = frozenset((LAUNCHER, "firmware/links/host_stream.py"))


class BundleError(Exception):
    """A bundle that cannot be made or written: says why and what to do."""


@dataclass(frozen=True)
class Bundle:
    """One node's files. ``firmware``: by their path in ROM or under /lib; ``own``: by their path on the node, in the
    order in which they are to be copied. The latter hold secrets. ``line_map``: for tracebacks, as JSON."""

    node: str
    firmware: dict[str, bytes] = field(repr=False)
    own: dict[str, bytes] = field(repr=False)
    line_map: bytes = field(repr=False)

    @property
    def files(self) -> dict[str, bytes]:
        """All files by their path on a node whose application lies in /lib."""
        return {**{f"lib/{path}": data for path, data in self.firmware.items()}, **self.own}

    def written(self) -> dict[str, bytes]:
        """Return all files by their path in a bundle's folder."""
        rom = {f"{ROM}/{path}": data for path, data in self.firmware.items()}
        return {**rom, **{f"{FILES}/{path}": data for path, data in self.own.items()}, MAP: self.line_map}

    def manifest(self) -> dict[str, object]:
        """Return what may be known of it: sizes and hashes, no secret."""
        return {
            "format": FORMAT,
            "node": self.node,
            "files": [
                {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for path, data in self.written().items()
            ],
        }


def make_bundle(fleet: Fleet, node: str, keys: SiteKeys, build_day: int, *, is_delivered: bool = True) -> Bundle:
    """Return everything for one node; its keys are made where it has none.

    ``is_delivered``: the node's prompt is closed from its first start on. Raises `SiteError`, `KeysError` and
    `BundleError`.
    """
    if keys.site != fleet.site.name:
        raise BundleError(f"the keys are those of {keys.site}, the site is {fleet.site.name}: take the site's own")
    tree = fleet.tree(node, build_day)
    modules_for(fleet, node)
    firmware, line_map = _firmware(tuple(sorted(fleet.drivers(node))))
    stored = _stored(store_files(fleet, node, keys, build_day))
    own = {f"data/store/{name}.0": data for name, data in stored.items()}
    own["main.py"] = (ROOT / LAUNCHER).read_bytes()
    service_pin = fleet.hardware.kinds[fleet.node(node).kind].service_pin
    own["boot.lamp"] = launch_file(tree, service_pin, is_delivered)
    return Bundle(node, firmware, own, line_map)


def store_files(fleet: Fleet, node: str, keys: SiteKeys, build_day: int) -> dict[str, bytes]:
    """Return the first content of a node's store by name. It holds secrets."""
    own = keys.node(node)
    secrets: dict[str, object] = {
        "format": FORMAT,
        "node": own.secret.hex(),
        "service": own.service.hex(),
        "site": keys.signing_public.hex(),
        "groups": [[number, keys.group_secret(name).hex()] for name, number in fleet.groups(node).items()],
    }
    if fleet.hardware.wave is not None:
        secrets["wave"] = keys.wave_secret.hex()
    if fleet.hardware.wifi is not None and (password := keys.wifi_password(fleet.hardware.wifi.ssid)) is not None:
        secrets["wifi"] = password
    plans = {f"plan{number}": fleet.site.plan_bytes(lamp) for number, lamp in enumerate(fleet.lamps(node))}
    return {
        "config": fleet.data(node, build_day),
        **plans,
        "secrets": json.dumps(secrets, separators=(",", ":"), ensure_ascii=False).encode(),
        "ca": keys.authority_der,
        "cert": own.credential.certificate_der,
        "key": own.credential.key_der,
    }


def modules_for(fleet: Fleet, node: str, catalogue: Mapping[str, Description] | None = None) -> list[str]:
    """Return the firmware's files that a node needs, by their path in the repository.

    Raises `BundleError` where one of them imports, as it is loaded, what would not be there.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    everything = sources()
    wanted = {path for driver in fleet.drivers(node) for path in catalogue[driver].files}
    chosen = sorted({*always_there(everything), *wanted})
    absent = sorted({*wanted, "firmware/app.py"} - set(everything))
    if absent:
        raise BundleError(f"the firmware has no {', '.join(absent)}: correct the drivers' descriptions")
    if missing := missing_modules(chosen, everything):
        raise BundleError(f"{missing[0]}, and would not be on the node: correct the driver's description")
    return chosen


def always_there(everything: Mapping[str, Source]) -> list[str]:
    """Return the files that every node has: all but the drivers, and those parts of drivers that these load."""
    chosen = [path for path in everything if path not in _NEVER and not path.startswith(_DRIVERS)]
    paths = {source.module: path for path, source in everything.items()}
    for path in chosen:
        for origin, names in _imports(everything[path]):
            for module in (origin, *(f"{origin}.{name}" for name in names)):
                # The list grows while it is walked: what is added is looked at too.
                if paths.get(module, "").startswith(_DRIVERS) and paths[module] not in chosen:
                    chosen.append(paths[module])
    return chosen


def missing_modules(chosen: Iterable[str], everything: Mapping[str, Source]) -> list[str]:
    """Return in words which file imports, on being loaded, a module of the firmware that is not among the chosen."""
    used = [everything[path] for path in chosen]
    # What is imported from a folder is a module itself: the packages' own files are empty.
    there = {source.module for source in used if source.module != source.package}
    return [
        f"{source.path} imports {origin}.{names[0]}"
        for source in used
        for origin, names in _imports(source)
        if origin not in there and any(f"{origin}.{name}" not in there for name in names)
    ]


@cache
def _imports(source: Source) -> list[tuple[str, list[str]]]:
    """Return what a file imports from the firmware when it is loaded: (from where, names)."""
    found = []
    package = source.package.split(".")
    for node in ast.parse(source.text).body:
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            if origin.split(".")[0] == "firmware":
                found.append((origin, [alias.name for alias in node.names]))
    return found


def write_bundle(bundle: Bundle, out: Path) -> None:
    """Write ``out``/bundle.json, ``out``/rom and ``out``/files, for their owner only, whole or not at all.

    ``out`` is new, empty, or an earlier bundle. Raises `BundleError`, KeysError inside a git repository, OSError.
    """
    refuse_git(out)
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise BundleError(f"{out.name} is a file: give a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BundleError(f"{out.name} holds other files: give a new or empty folder, or that of an earlier bundle")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Made for its owner only.
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    new, old = aside / "new", aside / "old"
    try:
        contents = bundle.written()
        contents[MANIFEST] = json.dumps(bundle.manifest(), indent=1).encode() + b"\n"
        new.mkdir(mode=0o700)
        for path, data in contents.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                handle.write(data)
        if out.exists():
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(aside)


@cache
def _firmware(drivers: tuple[str, ...]) -> tuple[dict[str, bytes], bytes]:
    """Return the application with these drivers, compiled, and its map: once for all nodes that are alike."""
    made = shipped(sources(), drivers)
    code = compiled({path: source for path, source in made.files.items() if path != LAUNCHER})
    return {path.removesuffix(".py") + ".mpy": data for path, data in code.items()}, made.line_map.to_json().encode()


def _stored(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that a node's store makes of ``contents``, by name."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for name, data in contents.items():
            store.write(name, data)
        return {name: (Path(folder) / f"{name}.0").read_bytes() for name in contents}
