"""Write what the nodes of a site need: for each lamp its plan and its settings, and one manifest over them.

The same site gives the same bytes. Nothing is changed on the disk unless everything could be written.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from firmware.control import plan_format as layout

from .sign import sign_manifest
from .site import Site

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 2


class OutError(ValueError):
    """A folder that must not be written to. Says why and what to do."""


def compiled_files(site: Site, key: bytes | None = None) -> dict[str, bytes]:
    """Return the name and content of every file, `MANIFEST` last.

    ``key``: the site's private key; without one ``signature`` in the manifest is null. ``derogation``: see
    `derogation_of`.
    """
    files: dict[str, bytes] = {}
    lamps: dict[str, Any] = {}
    for lamp_id in site.lamps:
        plan = site.plan_bytes(lamp_id)
        config = _json(site.lamp_config(lamp_id))
        files[f"{lamp_id}.plan"] = plan
        files[f"{lamp_id}.json"] = config
        lamps[lamp_id] = {
            "config": {"sha256": _sha256(config), "size": len(config)},
            "derogation": derogation_of(site, lamp_id),
            "plan": {"sha256": _sha256(plan), "size": len(plan)},
            "programs": list(site.lamp_plan(lamp_id).names),
        }
    manifest: dict[str, Any] = {
        "distinct_plans": len({entry["plan"]["sha256"] for entry in lamps.values()}),
        "format": MANIFEST_FORMAT,
        "lamps": lamps,
        "plan_format": layout.PLAN_VERSION,
        "signature": None,
        "site": site.name,
        "source": {"file": site.path.name, "sha256": site.sha256},
    }
    if key is not None:
        manifest = sign_manifest(manifest, {lamp: files[f"{lamp}.plan"] for lamp in lamps}, key)
    files[MANIFEST] = _json(manifest)
    return files


def derogation_of(site: Site, lamp_id: str) -> dict[str, Any] | None:
    """Return by which decision a lamp may go below its class guard, and the guard; None where it may not."""
    limits = site.lamp_limits(lamp_id)
    if limits.derogation is None:
        return None
    return {"by": limits.derogation, "guard_permille": limits.guard}


def write_files(files: dict[str, bytes], out: Path) -> None:
    """Write a folder aside and put it in place of ``out``, which may be new, empty, or one that this has written.

    Raises `OutError` where ``out`` holds anything else, OSError where it cannot be written; ``out`` is then as it was.
    """
    out = out.resolve()
    is_there = _check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        for name, content in files.items():
            with (new / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if is_there:
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if is_there:
                old.rename(out)
            raise
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(aside)


def _check_out(out: Path) -> bool:
    """Tell whether ``out`` exists. It may hold only what its own manifest lists."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise OutError(f"{out.name} is a file: give a folder")
    found = {path.name for path in out.iterdir()}
    if not found:
        return True
    try:
        manifest = json.loads((out / MANIFEST).read_bytes())
        known = {MANIFEST, *(f"{lamp}{end}" for lamp in manifest["lamps"] for end in (".plan", ".json"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutError(f"{out.name} holds other files and no {MANIFEST} of ours: give a new or empty folder") from error
    strange = sorted(found - known)
    if strange:
        raise OutError(f"{out.name} holds {strange[0]}, which is not ours: move it away, or give another folder")
    return True


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
