"""Hardware files: what cannot work on the pole is found at a desk, with its place, its reason and the remedy."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control.controller import Controller
from firmware.control.plan import Plan
from firmware.system import node_config as on_node
from firmware.system.supervisor import TASKS_MAX
from host_tools import chip_pins, devices
from host_tools.catalogue import load as load_catalogue
from host_tools.chip_pins import PinBook
from host_tools.hardware import OUTPUTS_MAX, SENSORS_MAX
from host_tools.node_config import Fleet, load_fleet
from host_tools.plan.problems import SiteError
from host_tools.plan.site import load_site
from host_tools.plan.site_text import yaml_text

ROOT = Path(__file__).parents[2]
VILLE = ROOT / "examples" / "ville"
SITE = load_site(VILLE / "site.yaml")
DAY = 9800

SMALL: dict[str, Any] = {
    "kinds": {
        "road": {
            "buses": {"i2c0": {"scl": "22", "sda": "21"}},
            "outputs": [{"dimmer": {"name": "dimmer_pwm", "pin": "25"}, "relay": {"name": "relay", "pin": "26"}}],
            "sensors": [{"name": "bh1750", "bus": "i2c0", "address": "0x23"}],
        }
    },
    "nodes": {"L001": {"kind": "road"}},
}


def fleet_of(tree: dict[str, Any], folder: Path) -> Fleet:
    """Return the fleet of a hardware file."""
    file = folder / "hardware.yaml"
    file.write_text(yaml_text(tree), encoding="utf-8")
    return load_fleet(SITE, file)


def problems_of(tree: dict[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with a hardware file."""
    with pytest.raises(SiteError) as caught:
        fleet_of(tree, folder)
    return [str(problem) for problem in caught.value.problems]


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the small file with one thing set ("kinds.road.sensors.0.pin")."""
    tree = copy.deepcopy(SMALL)
    part: Any = tree
    *way, last = path.split(".")
    for step in way:
        part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
    if isinstance(part, list):
        part.append(value)
    else:
        part[last] = value
    return tree


@pytest.fixture(scope="module")
def ville() -> Fleet:
    """The example."""
    return load_fleet(SITE, VILLE / "hardware.yaml")


def test_every_node_of_the_example_is_one_that_the_firmware_takes(ville):
    """The example is what people copy. So each of its nodes is loaded by the node's own reader, and each of its lamps
    gets a controller with its plan."""
    assert ville.warnings == []
    for name in ville.hardware.nodes:
        tree = on_node.load(ville.data(name, DAY))
        assert (tree["node"], tree["site"], tree["id"]) == (name, "Ville-Exemple", ville.node_id(name))
        for lamp, lamp_id in zip(tree["lamps"], ville.lamps(name), strict=True):
            config = on_node.controller_config(tree, lamp)
            assert config.own_id == SITE.lamp_config(lamp_id)["config"]["own_id"]
            Controller(config, Plan(SITE.plan_bytes(lamp_id)))


def test_the_same_files_give_the_same_bytes(ville):
    """A configuration is known by its hash, in journals and on the wire. So it must not depend on the run."""
    again = load_fleet(load_site(VILLE / "site.yaml"), VILLE / "hardware.yaml")
    assert again.data("L003", DAY) == ville.data("L003", DAY)
    assert json.loads(again.data("L003", DAY))["groups"] == [["quarter", 2]]


def test_the_wiring_of_the_firmware_is_what_the_host_believes():
    """A device that the host accepts and the node cannot build is a dark sensor on a pole. So the names, roles and
    places in firmware/wiring.py are compared with the host's table, and each has a description of that kind."""
    roles = {"_dimmer": "dimmer", "_relay": "relay", "_clock_chip": "clock_chip", "_sensor": "sensor",
             "_other_sensor": "sensor"}  # fmt: skip
    found = {}
    for function in ast.parse((ROOT / "firmware/wiring.py").read_text()).body:
        if isinstance(function, ast.FunctionDef) and function.name in roles:
            for test in [node for node in function.body if isinstance(node, ast.If)]:
                text = ast.unparse(test)
                (name,) = [part.value for part in ast.walk(test.test) if isinstance(part, ast.Constant)]
                place = next(key for key in ("pins", "pin", "bus") if f"device['{key}']" in text)
                found[name] = (roles[function.name], place)
    ours = {
        name: (wired.role, wired.at if wired.at in ("pin", "pins") else "bus") for name, wired in devices.WIRED.items()
    }
    assert found == ours
    kinds = {"dimmer": {"dimmer"}, "relay": {"relay"}, "clock_chip": {"clock"},
             "sensor": {"presence", "lux", "temperature", "meter", "position", "tilt"}}  # fmt: skip
    catalogue = load_catalogue()
    for name, (role, place) in ours.items():
        assert catalogue[name].kind in kinds[role], name
        # The table of docs/drivers.md says the bus on which the hardware file has to put it.
        if place == "bus":
            assert catalogue[name].buses == [devices.WIRED[name].at], name


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("kinds.road.sensors.0", {"name": "bh1750", "bus": "i2c0", "adress": "92"},
         "kinds.road.sensors[1].adress: bh1750 has no such option: did you mean address?"),
        ("kinds.road.sensors.0", {"name": "bh1750", "bus": "i2c0", "address": "36"},
         "kinds.road.sensors[1].address: 36 is not among 35, 92: take one of them"),
        ("kinds.road.sensors.0", {"name": "bh1750", "bus": "i2c0"},
         "kinds.road.sensors[1].bus: a bh1750 with this address is on i2c0 already"),
        ("kinds.road.sensors.0", {"name": "bh1570", "bus": "i2c0"},
         "kinds.road.sensors[1].name: there is no driver 'bh1570': did you mean bh1750"),
        ("kinds.road.sensors.0", {"name": "dimmer_pwm", "pin": "4"},
         "kinds.road.sensors[1].name: dimmer_pwm is a dimmer: choose from presence_input"),
        ("kinds.road.sensors.0", {"name": "ld2410", "bus": "i2c0"},
         "kinds.road.sensors[1].bus: 'i2c0' is no uart bus of this kind: add it under buses"),
        ("kinds.road.sensors.0", {"name": "presence_input", "pin": "25"},
         "kinds.road.sensors[1].pin: pin 25 is already kinds.road.outputs[0].dimmer.pin: choose another"),
        ("kinds.road.sensors.0", {"name": "presence_input", "pin": "7"},
         "kinds.road.sensors[1].pin: pin 7 is the flash memory's"),
        ("kinds.road.sensors.0", {"name": "presence_input", "pin": "35", "lamps": ["1"]},
         "kinds.road.sensors[1].lamps: there is no output '1': this kind has 0"),
        ("kinds.road.sensors.0", {"name": "photocell", "pin": "35"},
         "kinds.road.sensors[1].curve: is missing, and it has no default"),
        ("kinds.road.sensors.0", {"name": "ntc", "pin": "35", "beta_k": "3950 K"},
         "kinds.road.sensors[1].beta_k: '3950 K' is not a whole number"),
        ("kinds.road.sensors.0", {"name": "bl0937", "pins": ["32", "33"]},
         "kinds.road.sensors[1].pins: ['32', '33'] is not 1 or 3 pin(s)"),
        ("kinds.road.sensors.0", {"name": "bl0937", "pins": ["32"], "period": "1 min"},
         "kinds.road.sensors[1].period: 1 min is out of range: 1 s to 20 s"),
        ("kinds.road.outputs.0.relay", {"name": "relay_latching", "pins": ["26"]},
         "kinds.road.outputs[0].relay.pins: ['26'] is not 2 pin(s)"),
        ("kinds.road.service_pin", "34", "kinds.road.service_pin: pin 34 cannot be an input with a pull-up"),
        ("kinds.road.service_pin", "40", "kinds.road.service_pin: '40' is not a pin: write a whole number from 0"),
        ("kinds.road.buses.uart0", {"tx": "17", "rx": "16", "baud": "9600"}, "uart0 is the console's"),
        ("kinds.road.buses.uart2", {"tx": "17", "rx": "16"}, "kinds.road.buses.uart2.baud: is missing: add it"),
        ("nodes.L001.kind", "raod", "nodes.L001.kind: there is no kind 'raod': did you mean road?"),
        ("nodes.L0O2", {"kind": "road"}, "nodes.L0O2: the site has no lamp 'L0O2': did you mean L002"),
        ("nodes.L002", {"kind": "road", "lamps": ["L001"]}, "nodes.L002.lamps[0]: L001 is driven by L001 already"),
        ("nodes.L002", {"kind": "road", "lamps": ["L002", "L003"]}, "nodes.L002.lamps: 2 lamp(s) for the 1 output(s)"),
        ("nodes.group", {"kind": "road", "lamps": ["L002"]}, "'group' cannot be a node's id"),
        ("mqtt", {"host": "broker.example"}, "mqtt needs a network: add wifi"),
        ("mqtt", {"host": "broker.example", "psk_port": "8883"}, "psk_port is a second port for TLS with keys"),
        ("wave", {"channel": "14"}, "wave.channel: '14' is not a channel: write a whole number from 1 to 13"),
        ("reports", {"energy": "20 min"}, "reports.energy: 20 min cannot be: energy is counted in quarters"),
        ("clock", {"sntp": ["ntp one"]}, "clock.sntp[0]: 'ntp one' is no host name"),
        ("colour", "red", "colour: is not known here: check the spelling, or remove it"),
    ],
)  # fmt: skip
def test_each_mistake_is_said_with_its_place_and_its_remedy(path, value, said, tmp_path):
    """The installer who reads it stands in the rain. So a refusal says where, why, and what would do."""
    assert fleet_of(SMALL, tmp_path)
    (found,) = problems_of(changed(path, value), tmp_path)
    assert said in found


def test_all_mistakes_come_at_once(tmp_path):
    """Ten mistakes must not take ten attempts. So devices, pins and nodes are all looked at before anything is said."""
    tree = changed("kinds.road.sensors.0", {"name": "presence_input", "pin": "26", "debounce": "20"})
    tree["kinds"]["road"]["outputs"][0]["dimmer"] = {"name": "dimmer_pwm", "pin": "34", "frequency_hz": "100"}
    tree["nodes"]["L9"] = {"kind": "path"}
    found = problems_of(tree, tmp_path)
    places = {problem.split(":")[0] for problem in found}
    assert places == {
        "kinds.road.sensors[1].pin", "kinds.road.sensors[1].debounce", "kinds.road.outputs[0].dimmer.pin",
        "kinds.road.outputs[0].dimmer.frequency_hz", "nodes.L9", "nodes.L9.kind",
    }  # fmt: skip


def test_the_largest_node_that_a_file_may_describe_has_room_for_its_tasks():
    """Four DALI lamps with latching relays and their meters were more tasks than the supervisor takes: a good file, and
    a node that never gets beyond its launcher. So the bounds of file and supervisor are held against each other."""
    text = (ROOT / "firmware/building.py").read_text()
    # Two of them stand in loops: the lamps; and the gear and meters with tasks of their own.
    others = text.count("supervisor.add(") - 2
    assert others == 9 and all(f'"{name}"' in text for name in ("lamp%d", "gear%d", "meter"))
    assert 3 * OUTPUTS_MAX + SENSORS_MAX + others <= TASKS_MAX


def test_mistakes_of_all_sorts_come_at_once(tmp_path):
    """A unit that is missing must not hide a pin that is taken. So what is wrong in itself is set aside, and the rest
    is still looked at: twelve mistakes, one attempt."""
    tree = changed("kinds.road.sensors.0", {"name": "presence_input", "pin": "26", "debounce": "20"})
    tree["mqtt"] = {"host": "broker ville", "window": "60"}
    tree["wave"] = {"channel": "14"}
    tree["clock"] = {"drift": "20", "sntp": ["ntp one"]}
    tree["kinds"]["path"] = {"outputs": [], "service_pin": "99"}
    tree["nodes"]["L002"] = {"kind": "path"}
    tree["nodes"]["L9"] = {"kind": "raod"}
    tree["colour"] = "red"
    found = {problem.split(":")[0] for problem in problems_of(tree, tmp_path)}
    assert found == {
        "mqtt.host", "mqtt.window", "wave.channel", "clock.drift", "clock.sntp[0]", "kinds.path.outputs",
        "kinds.path.service_pin", "kinds.road.sensors[1].pin", "kinds.road.sensors[1].debounce", "nodes.L9",
        "nodes.L9.kind", "colour",
    }  # fmt: skip


@pytest.mark.parametrize(("radio", "is_refused"), [({}, False), ({"wave": {"channel": "6"}}, True)])
def test_analogue_inputs_of_the_radios_converter_are_refused_while_it_runs(radio, is_refused, tmp_path):
    """ADC2 reads on the bench and fails when Wi-Fi starts (reliability.md, C2): a photocell that dies at dusk."""
    tree = changed("kinds.road.sensors.0", {"name": "ntc", "pin": "27"}) | radio
    if is_refused:
        (found,) = problems_of(tree, tmp_path)
        assert found.startswith("kinds.road.sensors[1].pin: pin 27 is on ADC2, which cannot be read while Wi-Fi runs")
    else:
        assert fleet_of(tree, tmp_path).tree("L001", DAY)["sensors"][1] == {"name": "ntc", "pin": 27, "lamps": [0]}


# ESP32 datasheet, pin table: GPIO by what may hang on it, on a module with flash and a console.
@pytest.mark.parametrize(
    ("use", "good"),
    [
        (chip_pins.OUTPUT, {2, 4, 5, *range(13, 20), 21, 22, 23, 25, 26, 27, 32, 33}),
        (chip_pins.INPUT, {2, 4, 5, *range(13, 20), 21, 22, 23, 25, 26, 27, *range(32, 40)}),
        (chip_pins.PULLED, {2, 4, 5, *range(13, 20), 21, 22, 23, 25, 26, 27, 32, 33}),
        (chip_pins.ADC, set(range(32, 40))),
        (chip_pins.DAC, {25, 26}),
    ],
)
def test_pins_can_do_what_the_datasheet_says(use, good):
    """One wrong pin is a truck, a ladder and a closed lane. So every pin is tried for every use."""
    for pin in range(64):
        book = PinBook(has_wifi=True)
        book.take(pin, use, "here")
        assert (not book.problems) == (pin in good), (use, pin, book.problems)
        assert bool(book.warnings) == (pin in {2, 5, 15} & good)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_file_is_refused_or_loaded_by_the_node(data):
    """A file that is neither refused nor usable would be found out on the pole. So files with random devices are either
    refused with words, or make a configuration that the node takes."""
    names = st.sampled_from([*devices.WIRED, "nothing", "dali_meter", ["relay"]])
    values = st.one_of(st.integers(-1, 45).map(str), st.sampled_from(["i2c0", "yes", "x"]), st.lists(st.just("3")))
    keys = st.sampled_from(["pin", "bus", "pins", "address", "is_inverted", "points", "period", "lamps", "name"])
    device = st.fixed_dictionaries({"name": names}).flatmap(
        lambda fixed: st.dictionaries(keys, values, max_size=4).map(lambda more: {**more, **fixed})
    )
    tree = copy.deepcopy(SMALL)
    tree["kinds"]["road"]["sensors"] = data.draw(st.lists(device, max_size=3))
    tree["kinds"]["road"]["outputs"][0]["dimmer"] = data.draw(device)
    file = Path(data.draw(st.just(_SCRATCH))) / "hardware.yaml"
    file.write_text(yaml_text(tree), encoding="utf-8")
    try:
        fleet = load_fleet(SITE, file)
    except SiteError as error:
        assert all(len(problem.reason) > 10 for problem in error.problems)
    else:
        on_node.load(fleet.data("L001", DAY))


_SCRATCH = ""


@pytest.fixture(autouse=True, scope="module")
def scratch(tmp_path_factory):
    """A folder for the files of the random test: hypothesis runs it many times within one."""
    global _SCRATCH
    _SCRATCH = str(tmp_path_factory.mktemp("hardware"))
