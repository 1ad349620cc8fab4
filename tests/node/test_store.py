"""Plans, keys, counters and clocks live in small files, and the feeder is cut in the middle of writing them."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.system import store as module
from firmware.system.store import DATA_MAX, NAMES_MAX, BootGuard, Store, StoreError
from tests.node.journal_main import Clock

CUTS = "tests/node/cuts_main.py"


def figures(done) -> dict[str, int]:
    """Return the last line of a run of cuts_main as numbers."""
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].split()
    return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}


@given(st.lists(st.tuples(st.sampled_from(["plan", "keys", "a-b_c9"]), st.binary(max_size=700)), max_size=12))
def test_the_newest_of_each_name_is_read(tmp_path_factory, writes):
    """A node reads at boot what it wrote before. So after any writes each name has its newest data, also for a store
    that was opened anew, and names() knows them all."""
    folder = str(tmp_path_factory.mktemp("store") / "s")
    store = Store(folder)
    expected = {}
    for name, data in writes:
        store.write(name, data)
        expected[name] = data
    for each in (store, Store(folder)):
        assert each.names() == sorted(expected)
        assert {name: each.read(name) for name in each.names()} == expected
        assert each.corrupt == 0
    assert store.read("none") is None


def test_every_flipped_bit_is_found(tmp_path):
    """Flash rots. So with any one bit of the newest generation changed the one before is read, and it is counted; never
    anything that nobody has written."""
    store = Store(str(tmp_path))
    store.write("plan", b"old plan")
    store.write("plan", b"new plan")
    file = tmp_path / "plan.1"
    data = bytearray(file.read_bytes())
    assert b"new plan" in data
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        reader = Store(str(tmp_path))
        assert reader.read("plan") == b"old plan", bit
        assert reader.corrupt == 1
        data[bit // 8] ^= 1 << bit % 8
    for size in range(len(data)):
        file.write_bytes(data[:size])
        assert Store(str(tmp_path)).read("plan") == b"old plan"
    file.write_bytes(bytes(data) + b"x")
    assert Store(str(tmp_path)).read("plan") == b"old plan"


def test_a_damaged_newest_is_what_is_written_over(tmp_path):
    """After damage one whole generation is left. So the next write goes over the damaged one, never over that."""
    store = Store(str(tmp_path))
    store.write("plan", b"one")
    store.write("plan", b"two")
    (tmp_path / "plan.1").write_bytes(b"rubbish")
    after = Store(str(tmp_path))
    after.write("plan", b"three")
    assert b"one" in (tmp_path / "plan.0").read_bytes()
    assert Store(str(tmp_path)).read("plan") == b"three"


@given(st.binary(max_size=400), st.integers(0, 500))
def test_a_part_is_read_without_the_whole(tmp_path_factory, data, skip):
    """A plan of 8 kB with what stands before it is twice in the heap if that is cut off afterwards. So a reader says
    how much it does not want, and what it gets was checked as a whole."""
    folder = tmp_path_factory.mktemp("store")
    store = Store(str(folder))
    store.write("plan", data)
    assert store.read("plan", skip) == data[skip:]
    file = folder / "plan.0"
    spoilt = bytearray(file.read_bytes())
    spoilt[min(16 + skip // 2, len(spoilt) - 1)] ^= 1
    file.write_bytes(spoilt)
    assert store.read("plan", skip) is None


def test_the_same_again_costs_no_write_unless_it_has_rotted(tmp_path):
    """Flash wears, so the same data is not written again, and it rots, so that is judged by what lies there now."""
    store = Store(str(tmp_path))
    data = bytes(range(256)) * 2
    store.write("plan", data)
    store.write("plan", data)
    assert store.writes == 1
    for at in (4, 16, 300, 527):
        file = tmp_path / "plan.0"
        spoilt = bytearray(file.read_bytes())
        spoilt[at] ^= 1
        file.write_bytes(spoilt)
        again = Store(str(tmp_path))
        assert again.read("plan") is None
        again.write("plan", data)
        assert file.read_bytes()[16:] == data
    for other in (data[:-1], data + b"x", data[:300] + b"\0" + data[301:]):
        store = Store(str(tmp_path))
        store.write("plan", other)
        assert store.writes == 1 and store.read("plan") == other


def test_a_generation_can_be_taken_back(tmp_path):
    """What was written and does not work must not be found at the next start. So the one before is the newest again;
    where there was none, there is nothing; and the next write goes on from there."""
    store = Store(str(tmp_path))
    store.revert("plan")
    store.write("plan", b"one")
    store.write("plan", b"two")
    store.revert("plan")
    for each in (store, Store(str(tmp_path))):
        assert each.read("plan") == b"one"
    store.write("plan", b"three")
    assert Store(str(tmp_path)).read("plan") == b"three"
    store.revert("plan")
    store.revert("plan")
    for each in (store, Store(str(tmp_path))):
        assert each.read("plan") is None and each.names() == []


def test_a_file_of_another_name_is_no_generation(tmp_path):
    """A copy by hand under another name must not become a key. So the name is under the checksum."""
    store = Store(str(tmp_path))
    store.write("keys", b"secret")
    (tmp_path / "plan.0").write_bytes((tmp_path / "keys.0").read_bytes())
    assert Store(str(tmp_path)).read("plan") is None


def test_the_same_again_costs_no_flash(tmp_path):
    """Wear is counted in writes. So the same data is not written again."""
    store = Store(str(tmp_path))
    store.write("plan", b"one")
    store.write("plan", b"one")
    assert store.writes == 1


@pytest.mark.parametrize("name", ["", "a" * 25, "A", "a.b", "../x", "a/b", "é", "~"])
def test_odd_names_are_refused(tmp_path, name):
    """A name may come from a message. So what is no name touches no file."""
    store = Store(str(tmp_path / "s"))
    for call in (lambda: store.write(name, b""), lambda: store.read(name), lambda: store.remove(name)):
        with pytest.raises(StoreError):
            call()
    assert not (tmp_path / "s").exists()


def test_everything_is_bounded(tmp_path):
    """A flash that one writer fills is lost for all. So a file and their number have a limit, and the limit is held."""
    store = Store(str(tmp_path))
    with pytest.raises(StoreError, match="at most"):
        store.write("plan", bytes(DATA_MAX + 1))
    store.write("plan", bytes(DATA_MAX))
    for number in range(NAMES_MAX - 1):
        store.write(f"n{number}", b"x")
    with pytest.raises(StoreError, match="no more"):
        store.write("one-more", b"x")
    store.write("plan", b"x")
    store.remove("n1")
    store.write("one-more", b"x")


def test_nothing_is_written_in_the_first_five_seconds(tmp_path):
    """A contactor that chatters boots the node a hundred times at dusk. So the guard is closed for 5 s, over the ring's
    end too, and stays open ever after."""
    clock = Clock(0x3FFFFFFF - 1000)
    guard = BootGuard(clock)
    store = Store(str(tmp_path / "s"), guard)
    for ahead in (0, 4999):
        clock.tick = (0x3FFFFFFF - 1000 + ahead) & 0x3FFFFFFF
        with pytest.raises(StoreError, match="too soon"):
            store.write("plan", b"x")
        with pytest.raises(StoreError, match="too soon"):
            store.remove("plan")
    assert not (tmp_path / "s").exists()
    clock.tick = 4000
    store.write("plan", b"x")
    clock.tick = 0x3FFFFFFF - 1000
    store.write("plan", b"y")


@pytest.mark.parametrize("call", ["open", "write", "close", "rename", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_any_refusal_leaves_what_was(tmp_path, monkeypatch, call, number):
    """A full or failing flash must not cost the plan that is there. So whatever call fails, it is a StoreError with its
    errno, and the old data is read, by this store and by a new one."""
    store = Store(str(tmp_path))
    store.write("plan", b"old")

    def fail(*arguments):
        raise OSError(number, "double")

    def opened(path, mode):
        file = open(path, mode)  # noqa: SIM115
        if mode != "wb":
            return file
        if call == "open":
            file.close()
            fail()

        class Failing:
            def write(self, data):
                return fail() if call == "write" else file.write(data)

            def close(self):
                file.close()
                if call == "close":
                    fail()

        return Failing()

    monkeypatch.setattr(module, "open", opened, raising=False)
    if call in ("rename", "mkdir"):
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError) as caught:
        store.write("plan", b"new")
    assert caught.value.errno == number
    monkeypatch.undo()
    assert store.read("plan") == Store(str(tmp_path)).read("plan") == b"old"
    assert not (tmp_path / "~").exists()
    store.write("plan", b"new")
    assert Store(str(tmp_path)).read("plan") == b"new"


def test_a_newest_that_cannot_be_read_now_is_not_written_over(tmp_path, monkeypatch):
    """An error of the bus is not a hole in the flash. So a reader takes the older generation meanwhile, and a writer
    refuses: else the new data would count as older than what cannot be read."""
    store = Store(str(tmp_path))
    store.write("plan", b"one")
    store.write("plan", b"two")
    after = Store(str(tmp_path))

    def opened(path, mode):
        if path.endswith("plan.1"):
            raise OSError(errno.EIO, "double")
        return open(path, mode)

    monkeypatch.setattr(module, "open", opened, raising=False)
    assert after.read("plan") == b"one"
    with pytest.raises(StoreError, match="cannot be read"):
        after.write("plan", b"three")
    monkeypatch.undo()
    assert after.read("plan") == b"two"


def test_what_is_removed_stays_away(tmp_path):
    """A key that was revoked must not come back with the older generation. So that goes first."""
    store = Store(str(tmp_path))
    for data in (b"1", b"2", b"3"):
        store.write("keys", data)
    gone = []
    good = os.remove
    os.remove = lambda path: (gone.append(path), good(path))
    try:
        store.remove("keys")
    finally:
        os.remove = good
    assert [path[-1] for path in gone] == ["1", "0"]
    assert store.read("keys") is None and store.names() == []
    store.remove("keys")


# --- power cuts ------------------------------------------------------------------------------------------------------


def test_no_cut_costs_a_key_a_counter_or_a_plan(micropython_runtime, record_property):
    """Feeders are cut at dawn, in the middle of anything. So the power is cut at every operation of the flash, in four
    ways of tearing: after each the old or the new data is there, in the order in which it was written, and the update
    then comes through."""
    found = figures(micropython_runtime.run([CUTS, "sweep", "store"]))
    record_property("cuts", found["cuts"])
    assert found["cuts"] >= 80 and found["lost"] == 0 and found["completed"] == found["cuts"]


def test_the_knife_cuts(micropython_runtime, record_property):
    """A sweep that loses nothing may be one that cuts nothing. So a writer that removes and writes in place is swept
    too, and most of the cuts cost it something."""
    found = figures(micropython_runtime.run([CUTS, "sweep", "naive"]))
    record_property("lost", found["lost"])
    assert found["lost"] > found["cuts"] // 2


def test_a_full_flash_refuses_whole(micropython_runtime):
    """Flash runs full one day. So with any room that is left a write is done or refused, and what was stored stands."""
    found = figures(micropython_runtime.run([CUTS, "full", "store"]))
    assert found["lost"] == 0 and found["refused"] > 0 and found["completed"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_thousand_cuts_in_a_row(micropython_runtime, seed, record_property):
    """One cut is a test, a feeder's lifetime is many in a row. So 20,000 random cuts on each runtime, one to six in a
    row before an update may come through, lose nothing."""
    found = figures(micropython_runtime.run([CUTS, "nested", "store", str(seed), "20000"], timeout_s=280))
    record_property("cuts", found["cuts"])
    assert found["cuts"] >= 20_000 and found["lost"] == 0
