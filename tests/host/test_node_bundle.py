"""Bundles: what goes onto one node is complete, its own, nobody else's, and boots."""

from __future__ import annotations

import copy
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.control.plan import Plan
from firmware.drivers.dimmer_0_10v import VoltageDimmer
from firmware.drivers.dimmer_pwm import PwmDimmer
from firmware.system.boot_files import unseal
from firmware.system.store import Store
from host_tools import site_keys
from host_tools.catalogue import load as load_catalogue
from host_tools.devices import WIRED
from host_tools.journal_bundle import JournalBundleError, journal_files
from host_tools.mpy.modules import sources
from host_tools.node_bundle import (
    Bundle,
    BundleError,
    always_there,
    make_bundle,
    missing_modules,
    modules_for,
    write_bundle,
)
from host_tools.node_config import Fleet, load_fleet
from host_tools.node_launch import launch_outputs
from host_tools.plan.site import load_site
from host_tools.site_keys import KeysError, SiteKeys
from sim.board.virtual_board import HEAP_BYTES, VirtualBoard
from sim.journal_replay import replay_folder
from tests.conftest import require_runtime

VILLE = Path(__file__).parents[2] / "examples" / "ville"
DAY = 9800


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """The example."""
    return load_fleet(load_site(VILLE / "site.yaml"), VILLE / "hardware.yaml")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> SiteKeys:
    """Keys of the example's site."""
    made = SiteKeys.create(tmp_path_factory.mktemp("site") / "keys", "Ville-Exemple")
    made.set_wifi_password("ville-eclairage", "correct horse")
    return made


@pytest.fixture(scope="module")
def bundle(fleet, keys) -> Bundle:
    """The bundle of a road luminaire."""
    return make_bundle(fleet, "L001", keys, DAY)


def store_of(bundle: Bundle, folder: Path) -> Store:
    """Return the node's store, as it finds it."""
    for path, data in bundle.own.items():
        if path.startswith("data/store/"):
            (folder / path.split("/")[-1]).write_bytes(data)
    return Store(str(folder))


def test_a_node_finds_all_that_is_its_own(fleet, keys, bundle, tmp_path):
    """A node that lacks its plan is lit all night, one without keys obeys nobody. So the node's own store reads every
    name, and what it reads is what the site says."""
    store = store_of(bundle, tmp_path)
    assert store.names() == ["ca", "cert", "config", "key", "plan0", "secrets"]
    assert store.corrupt == 0
    assert store.read("config") == fleet.data("L001", DAY)
    assert store.read("plan0") == fleet.site.plan_bytes("L001")
    Plan(store.read("plan0"))
    certificate = x509.load_der_x509_certificate(store.read("cert"))
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(store.read("ca")))
    assert certificate.subject.rfc4514_string() == "CN=L001"
    secrets = json.loads(store.read("secrets"))
    assert list(secrets) == ["format", "node", "service", "site", "groups", "wave", "wifi"]
    assert bytes.fromhex(secrets["node"]) == keys.node_secret("L001") != bytes.fromhex(secrets["service"])
    assert secrets["groups"] == [[1, keys.group_secret("main-street").hex()]]
    assert (bytes.fromhex(secrets["wave"]), secrets["wifi"]) == (keys.wave_secret, "correct horse")


def test_no_node_has_another_nodes_secrets(fleet, keys, bundle):
    """Who opens one pole reads its flash (reliability.md, C2). So that must open no other: nothing of the authority's
    key, of the signing key, of another node or of a foreign group is in a bundle, and every node has its own."""
    other = make_bundle(fleet, "H001", keys, DAY)
    everything = b"".join(bundle.files.values())
    foreign = [
        keys.node_secret("H001"),
        keys.node("H001").service,
        keys.group_secret("facades"),
        keys.node("H001").credential.key_der,
    ]
    foreign += [(keys.folder / "signing.key").read_bytes(), keys.authority.key_der]
    for secret in foreign:
        assert secret not in everything and secret.hex().encode() not in everything
    assert keys.node_secret("H001").hex().encode() in b"".join(other.files.values())


def test_the_same_node_gets_the_same_files_again(fleet, keys, bundle):
    """A node is replaced after a lightning strike: its successor must be it, to the broker and to every office."""
    assert make_bundle(fleet, "L001", keys, DAY).files == bundle.files


def test_nothing_secret_shows_by_accident(keys, bundle):
    """Logs and tracebacks travel further than folders. So neither shows a secret, and no file is readable by others."""
    shown = repr(bundle) + json.dumps(bundle.manifest()) + repr(keys) + repr(keys.node("L001"))
    assert keys.node_secret("L001").hex() not in shown and repr(keys.node_secret("L001")) not in shown
    for path in keys.folder.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_keys_are_refused_where_they_would_leak(tmp_path):
    """What was once pushed or was readable by all is no secret any more. So both are refused, and nothing is made."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    inside = tmp_path / "repository" / "deep" / "keys"
    with pytest.raises(KeysError, match="git repository"):
        SiteKeys.create(inside, "Ville")
    assert not inside.exists()
    made = SiteKeys.create(tmp_path / "keys", "Ville")
    with pytest.raises(KeysError, match="not empty"):
        SiteKeys.create(tmp_path / "keys", "Ville")
    (made.folder / "wave.key").chmod(0o644)
    with pytest.raises(KeysError, match="read by others"):
        _ = made.wave_secret


@pytest.mark.parametrize("damage", [b"", b"x" * 31, b"x" * 33])
def test_damaged_keys_are_said_and_never_replaced(damage, tmp_path):
    """A key made anew in silence would lock a town out. So a damaged one is refused, with the way back."""
    made = SiteKeys.create(tmp_path / "keys", "Ville")
    secret = made.node("N1").secret
    path = made.folder / "nodes" / "N1.node.key"
    path.write_bytes(damage)
    with pytest.raises(KeysError, match="restore it from your copy"):
        made.node("N1")
    path.write_bytes(secret)
    assert made.node("N1").secret == secret


def test_two_offices_that_ask_at_once_get_one_key(tmp_path, monkeypatch):
    """Two installers bundle the same node at the same time: the node must not have one key and the office the other."""
    made = SiteKeys.create(tmp_path / "keys", "Ville")
    (made.folder / "groups").mkdir()

    def meanwhile() -> bytes:
        site_keys._write(made.folder / "groups" / "all.key", b"a" * 32, is_new=True)
        return b"b" * 32

    monkeypatch.setattr(site_keys, "_random", meanwhile)
    assert made.group_secret("all") == b"a" * 32


def test_each_driver_brings_all_that_it_loads():
    """A module that is missing is an ImportError at dusk. So the files of each description, with the firmware that
    every node has, import nothing that is not there."""
    everything = sources()
    always = always_there(everything)
    catalogue = load_catalogue()
    for name in WIRED:
        assert missing_modules([*always, *catalogue[name].files], everything) == [], name
    assert missing_modules([*always, "firmware/drivers/veml7700.py"], everything)


def test_a_node_carries_only_its_own_drivers(fleet):
    """Flash and RAM are small. So a node has the drivers of its devices, and the rest of the firmware whole."""
    road, lantern = (set(modules_for(fleet, node)) for node in ("L001", "H001"))
    assert "firmware/drivers/bh1750.py" in road and "firmware/drivers/bh1750.py" not in lantern
    assert "firmware/drivers/dali_dimmer.py" in lantern and "firmware/drivers/dali_dimmer.py" not in road
    assert {path for path in road ^ lantern if not path.startswith("firmware/drivers/")} == set()
    assert "firmware/main.py" not in road and "firmware/links/host_stream.py" not in road


class Line:
    """A double of machine.Pin and machine.PWM: it keeps what it was told first."""

    OUT = 1

    def init(self, mode: int, value: int) -> None:
        """Take a direction and a level."""
        self.level = value


def first_duty(kind: type, level: int, options: dict[str, Any]) -> int:
    """Return the duty that a dimmer begins with at a safe level."""
    seen = []

    def pwm(pin: Line, freq: int, duty_u16: int) -> None:
        seen.append(duty_u16)

    name = "pwm" if kind is PwmDimmer else "output"
    kind(Line(), level, **{**options, "points": tuple(options["points"])}, **{name: pwm})
    return seen[0]


@given(st.integers(1, 1000), st.booleans(), st.booleans(), st.integers(0, 65535), st.integers(1, 1000))
@settings(max_examples=150, deadline=None)
def test_the_launcher_begins_where_the_driver_does(level, is_voltage, is_inverted, middle, minimum):
    """The launcher knows no drivers, so the host tells it the duty. If that were wrong the lamp would jump at each
    boot, or be darker than is safe. So it is the driver's own first duty, and above it by 1 permille at most."""
    if is_voltage:
        options: dict[str, Any] = {"points": [0, 1000, 500, 1000 + middle % 9000, 1000, 11000], "full_scale_mv": 12000}
        lamp = {"name": "dimmer_0_10v", "pin": 25, "is_inverted": is_inverted, **options}
        duty = first_duty(VoltageDimmer, level, {**options, "is_inverted": is_inverted})
    else:
        options = {"points": [0, 0, 500, middle, 1000, 65535], "minimum_permille": minimum}
        lamp = {"name": "dimmer_pwm", "pin": 25, "is_inverted": is_inverted, **options}
        duty = first_duty(PwmDimmer, level, {**options, "is_inverted": is_inverted})
    ((kind, pin, inverted, output, _, permille),) = launch_outputs({"lamps": [{"dimmer": lamp, "start": level}]})
    assert (kind, pin, inverted, output) == (1, 25, is_inverted, 0)
    # As firmware/main.py computes it.
    launched = (1000 - permille if inverted else permille) * 65535 // 1000
    above = duty - launched if is_inverted else launched - duty
    assert -2 <= above <= 67


def test_relays_are_closed_by_the_launcher(fleet):
    """A relay that the launcher opens is a street that goes dark at each reset. So all four ways to wire one are
    closed, as firmware/main.py computes it."""
    for is_active_high in (True, False):
        for is_on_active in (True, False):
            relay = {"name": "relay", "pin": 26, "is_active_high": is_active_high, "is_on_active": is_on_active}
            tree = {"lamps": [{"dimmer": {"name": "dali", "bus": "dali0"}, "relay": relay, "start": 1000}]}
            ((kind, pin, inverted, _, _, level),) = launch_outputs(tree)
            value = (level > 0) != (inverted > 0)
            assert (kind, pin, value) == (2, 26, is_active_high == is_on_active)
    # A steady level would burn a latching relay's coil.
    latch = {"name": "relay_latching", "pins": [26, 27]}
    assert launch_outputs({"lamps": [{"dimmer": {"name": "dali"}, "relay": latch, "start": 1000}]}) == []


def test_a_delivered_node_is_closed_and_a_bench_is_open(fleet, keys, bundle):
    """R12: the prompt of a delivered node answers nobody. Only who asks for it gets an open one."""
    body = unseal(bundle.own["boot.lamp"], b"RLMP")
    assert (body[4], body[5]) == (1, 13)
    assert unseal(make_bundle(fleet, "L001", keys, DAY, is_delivered=False).own["boot.lamp"], b"RLMP")[4] == 0
    assert list(bundle.own)[-1] == "boot.lamp"


def test_a_bundle_is_written_whole_and_for_its_owner_only(bundle, tmp_path):
    """Half a bundle on a stick is half a node on a pole; a bundle that all can read is a key for all. And a folder that
    holds anything else is left alone."""
    out = tmp_path / "out"
    for _ in range(2):
        write_bundle(bundle, out)
        manifest = json.loads((out / "bundle.json").read_bytes())
        found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        assert found == {"bundle.json", *(entry["path"] for entry in manifest["files"])}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert stat.S_IMODE((out / "files/data/store/secrets.0").stat().st_mode) == 0o600
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(BundleError, match="holds other files"):
        write_bundle(bundle, tmp_path / "photos")
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    with pytest.raises(KeysError, match="git repository"):
        write_bundle(bundle, tmp_path / "repository" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos", "repository"]


def test_keys_of_another_site_are_refused(fleet, tmp_path):
    """A node with a neighbour town's keys would obey the neighbour. So both names must be the same."""
    with pytest.raises(BundleError, match="the site is Ville-Exemple"):
        make_bundle(fleet, "L001", SiteKeys.create(tmp_path / "keys", "Elsewhere"), DAY)


@pytest.mark.parametrize("node", ["L001", "H001"])
def test_a_bundle_boots(node, fleet, keys, tmp_path):
    """All checks above could hold and the node still not start. So the unmodified bundle is put onto a virtual board,
    the application in ROM: it stays up, with its lamp lit from the launcher on.

    The board has twice the memory of an ESP32 here: this is about files. Whether the firmware fits is another test."""
    made = make_bundle(fleet, node, keys, DAY)
    chip = require_runtime("micropython32")
    with VirtualBoard(tmp_path / "board", chip, 2 * HEAP_BYTES, rate=10, rom_files=made.firmware) as board:
        board.install(made.own)
        board.start()
        # Nothing is written in the first 5 s; a node that is up then notes its boot.
        until = board.street.now_s + 14
        while board.street.now_s < until:
            time.sleep(0.1)
        board.power_cut()
        files = board.files()
        assert ([event for event in board.events if event["e"] == "reset"], files.get("/boot.err")) == ([], None)
        assert "/data/store/boots.0" in files
        if node == "L001":
            duties = [event["duty"] for event in board.events if event["e"] == "pwm" and event["n"] == 25]
            assert duties[0] == 65535 and min(duties) > 32768


@pytest.mark.soak
def test_a_nodes_own_journal_is_decided_again(fleet, keys, tmp_path):
    """The way from a pole to a desk has five hands: node, copy, layout, replay, core. So one bundle walks it whole, and
    the desk decides what the node decided, under the very configuration and plan of the bundle."""
    made = make_bundle(fleet, "L001", keys, DAY)
    chip = require_runtime("micropython32")
    with VirtualBoard(tmp_path / "board", chip, 2 * HEAP_BYTES, rate=100, rom_files=made.firmware) as board:
        board.install(made.own)
        board.start()
        # The journal is written every 10 min.
        until = board.street.now_s + 750
        while board.street.now_s < until:
            time.sleep(0.1)
        board.power_cut()
        files = board.files()
    for path, data in files.items():
        if path.startswith("/data/"):
            file = tmp_path / "copy" / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    laid = tmp_path / "laid"
    laid.mkdir()
    for name, data in journal_files(tmp_path / "copy" / "data").items():
        (laid / name).write_bytes(data)
    outcomes = replay_folder(laid)
    assert outcomes and outcomes[0].decisions > 0
    assert all(not outcome.skipped and outcome.difference is None for outcome in outcomes)


def test_what_was_copied_from_a_node_is_laid_out_for_a_replay(fleet, keys, bundle, tmp_path):
    """A night nobody understands is decided again on a desk, which needs the files of that time byte for byte, and none
    of the node's secrets."""
    copy = tmp_path / "data"
    for path, data in bundle.own.items():
        if path.startswith("data/"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
    with pytest.raises(JournalBundleError, match="no journal"):
        journal_files(copy)
    (copy / "journal").mkdir()
    (copy / "journal" / "00000001.jnl").write_bytes(b"segment")
    Store(str(copy / "store")).write("config", b'{"format": 1}')
    found = journal_files(copy)
    assert found == {
        "00000001.jnl": b"segment",
        "config-0.json": fleet.data("L001", DAY),
        "config-1.json": b'{"format": 1}',
        "plan0-0.bin": fleet.site.plan_bytes("L001"),
    }


def test_a_tree_is_not_changed_by_what_is_made_of_it(fleet, keys):
    """Two bundles of one fleet must not leak into each other. So the fleet is after a bundle what it was before."""
    before = copy.deepcopy(fleet.kinds)
    make_bundle(fleet, "L003", keys, DAY)
    assert fleet.kinds == before
