"""docs/plans.md is what others build on: its limits, kinds, keys and words are those of the code."""

import importlib
import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from host_tools.payload_words import LIMITS
from host_tools.plan.events import KINDS, read_events
from host_tools.plan.play import REASONS
from host_tools.verbs import plan_check, plan_show
from tests.host.test_check import ALL_NIGHT, site_text

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")
VILLE = ROOT / "examples" / "ville" / "site.yaml"
PARTS = {part.split("\n", 1)[0]: part for part in DOCUMENT.split("\n## ")}


def rows(part: str) -> list[list[str]]:
    """Return the cells of a part's table, head left out."""
    lines = [line for line in PARTS[part].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shape(tree: object) -> object:
    """Return the keys of an example, in order, without its values."""
    if isinstance(tree, dict):
        return {key: shape(value) for key, value in tree.items()}
    return [shape(tree[0])] if isinstance(tree, list) and tree and isinstance(tree[0], dict) else None


def example(part: str) -> dict[str, object]:
    found = re.search(r"```json\n(.*?)```", PARTS[part], re.S)
    assert found is not None
    tree = json.loads(found.group(1))
    assert isinstance(tree, dict)
    return tree


def printed(verb, *args: object) -> dict[str, object]:
    app = typer.Typer()
    app.command()(verb)
    tree = json.loads(CliRunner().invoke(app, [str(arg) for arg in args]).output)
    assert isinstance(tree, dict)
    return tree


def test_the_limits_are_the_constants():
    """A town's tool that trusts a published limit is wrong when it moves. So each is the constant it names, and each
    that the binary plan has is published."""
    published = {}
    for _, most, constant in rows("Limits"):
        if constant != "-":
            module, name = constant.strip("`").split(".")
            assert int(most) == getattr(importlib.import_module(f"firmware.control.{module}"), name), name
            published[name] = module
    layout = importlib.import_module("firmware.control.plan_format")
    own = {name for name in vars(layout) if "_MAX" in name} - {"LEVEL_MAX", "EFFECT_MAX"}
    assert own <= set(published)


def test_the_events_are_those_that_are_read(tmp_path):
    """Who writes an events file has this page. So its kinds are all there are, and its example is read."""
    assert [row[0].strip("`") for row in rows("Events")] == sorted(
        KINDS, key=[row[0].strip("`") for row in rows("Events")].index
    )
    found = re.search(r"```\n(utc,kind.*?)```", PARTS["Events"], re.S)
    assert found is not None
    file = tmp_path / "events.csv"
    file.write_text(found.group(1), encoding="utf-8")
    assert [event.kind for event in read_events(file)] == ["presence", "presence", "override"]


def test_the_json_of_a_night_is_that_of_the_page():
    """A CMS reads these keys for years. So the page's example has the keys that are printed, in their order, and its
    point is one of the shipped site's."""
    tree = printed(plan_show.show, VILLE, "L001", "--night", "2026-06-20", "--json")
    told = example("`plan show --json`")
    assert shape(tree) == shape(told)
    points = tree["points"]
    assert isinstance(points, list) and told["points"][0] in points  # type: ignore[index]
    assert {key: tree[key] for key in ("node", "night", "zone", "derogation")} == {
        key: told[key] for key in ("node", "night", "zone", "derogation")
    }


def test_the_json_of_a_check_is_that_of_the_page(tmp_path):
    """The same for whoever checks plans in a pipeline: a park that is lit all night shows the keys."""
    file = tmp_path / "site.yaml"
    file.write_text(site_text(f"  p: {ALL_NIGHT}", lamps="P002: {category: park}"), encoding="utf-8")
    tree = printed(plan_check.check, file, "--year", "2026", "--json")
    assert shape(tree) == shape(example("`plan check --json`"))


@pytest.mark.parametrize(("part", "words"), [("`plan show --json`", REASONS), ("What a node answers", LIMITS)])
def test_every_word_is_on_the_page(part, words):
    """A word that no page has is a support call. So each reason and each limit stands there."""
    assert [word for word in words.values() if f"`{word}`" not in PARTS[part]] == []
