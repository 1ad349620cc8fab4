"""The catalogue of drivers: complete, true to the constructors, and the page made from it current."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest

from host_tools.catalogue import FOLDER, PAGE, CatalogueError, Description, load, markdown_table
from tests.runtimes import ROOT

CATALOGUE = load()
# Constructors whose options a configuration sets by name. The lamp's drivers are joined by firmware/app.py.
SENSORS = (
    "ade7953", "bh1750", "bl0937", "ds18b20", "ds3231", "ld2410", "lis3dh", "nmea_gnss", "ntc", "photocell",
    "presence_input", "veml7700",
)  # fmt: skip


def test_every_driver_file_is_described() -> None:
    """A file that no description names is never deployed: an ImportError on the ladder."""
    described = {name for one in CATALOGUE.values() for name in one.files}
    present = {path.relative_to(ROOT).as_posix() for path in (ROOT / "firmware" / "drivers").glob("*.py")}
    present.discard("firmware/drivers/__init__.py")
    assert present == described


def test_page_is_current() -> None:
    """A page of last year's options is worse than none. Remedy: python -m host_tools.catalogue"""
    assert PAGE.read_text(encoding="utf-8") == markdown_table()
    assert "No hardware was used" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CATALOGUE)
def test_says_that_no_hardware_was_used(name: str) -> None:
    """Whoever buys a hundred of these must know how far they were tested."""
    assert "no hardware" in CATALOGUE[name].tested


@pytest.mark.parametrize("name", SENSORS)
def test_options_are_the_constructors(name: str) -> None:
    """A default on the host that is not the node's is a value that nobody chose."""
    one = CATALOGUE[name]
    module = importlib.import_module("firmware.drivers." + name)
    parameters = inspect.signature(getattr(module, one.class_ or "")).parameters
    assert parameters["name"].default == name
    taken = {
        key: parameter.default
        for key, parameter in parameters.items()
        if key in one.options or (parameter.default is not parameter.empty and key not in ("name", "ticks_ms"))
    }
    expected = {
        key: tuple(option.default) if isinstance(option.default, list) else option.default
        for key, option in one.options.items()
    }
    assert {key: None if value is inspect.Parameter.empty else value for key, value in taken.items()} == expected


@pytest.mark.parametrize("name", SENSORS)
def test_files_are_all_that_is_imported(name: str) -> None:
    """What a driver imports must be deployed with it."""
    one = CATALOGUE[name]
    needed = {f"firmware/drivers/{name}.py"}
    for path in list(one.files):
        for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
            if line.startswith("from .") and not line.startswith("from .."):
                needed.add(f"firmware/drivers/{line.split()[1][1:]}.py")
    # `pulse_pin` is joined to the meter by the application, not imported by it.
    assert set(one.files) - needed <= {"firmware/drivers/pulse_pin.py"}
    assert needed <= set(one.files)


def test_configured_options_are_checked() -> None:
    """A misspelt option would be the default for ever."""
    one = CATALOGUE["bh1750"]
    assert one.problems({"address": 92}) == []
    assert one.problems({"address": 36}) == ["bh1750.address: 36 is not among 35, 92: take one of them"]
    assert one.problems({"measure_time": 255}) == ["bh1750.measure_time: 255 is above 254: take 254 or less"]
    assert one.problems({"measure_time": 30}) == ["bh1750.measure_time: 30 is below 31: take 31 or more"]
    assert one.problems({"measure_time": True}) == ["bh1750.measure_time: True is no int: write one"]
    assert one.problems({"adress": 35})[0].startswith("bh1750.adress: no such option (it has: address, measure_time)")
    assert CATALOGUE["photocell"].problems({})[0].startswith("photocell.curve: missing, and it has no default")
    assert "which is no int" in CATALOGUE["ds18b20"].problems({"rom": [1, "x"]})[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "toaster"}, "kind"),
        ({"colour": "red"}, "colour"),
        ({"name": "other"}, "name the file other.json"),
        ({"options": {"a_b": {"type": "int", "default": 5, "max": 4, "help": "x"}}}, "above 4"),
        ({"files": []}, "files"),
        ({"files": ["firmware/main.py"]}, "files"),
    ],
)
def test_bad_descriptions_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    """A description is code: a wrong one deploys the wrong thing."""
    good = json.loads((FOLDER / "bh1750.json").read_text(encoding="utf-8"))
    (tmp_path / "bh1750.json").write_text(json.dumps({**good, **change}), encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"bh1750\.json") as refused:
        load(tmp_path)
    assert said in str(refused.value)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"x\.json: is no JSON"):
        load(tmp_path)


def test_descriptions_are_frozen() -> None:
    """The catalogue is shared: nobody may change a driver for everybody."""
    with pytest.raises(ValueError, match="frozen"):
        next(iter(CATALOGUE.values())).title = "x"  # type: ignore[misc]
    assert isinstance(CATALOGUE["bh1750"], Description)
