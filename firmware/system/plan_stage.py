"""Plans and configurations come in chunks, are verified whole, and only then take the place of what was in force.

Chunks wait in RAM: one thing at a time for the whole node (`Pieces`), so at most ``PLAN_MAX_BYTES`` whatever is sent;
they are gone at a start, and are then to be sent again. What is verified goes into the store, which keeps two
generations of each name and loses neither at a cut:

========= =========================================================================================================
``plan0`` the plan in force of output 0 (``plan1`` … ``plan3`` likewise)
``next0`` a plan that has been accepted, and when it is to be in force: format (1), day (4), second (4), the plan. Day
          0 is "at once". Writing it is the moment of no return: before it nothing has changed, after it the switch is
          carried out, by the next start if need be.
``config`` the configuration of the next start
========= =========================================================================================================

A switch is: write ``next0``; when its moment has come write ``plan0``, remove ``next0``, hand the plan over. A cut
anywhere leaves the old plan in force and the new one due, or the new one in force. There is one ``next0``: a switch
replaces one that was to come, and one to the plan in force itself is how a switch that was to come is called off.

The lamp goes on by its old plan all the while. A write of 8 kB holds up all tasks for about 100 ms (`Store`).
"""

import hashlib

from firmware.control.clock import get, put
from firmware.control.compat import const
from firmware.control.inputs import UNKNOWN
from firmware.control.plan import Plan
from firmware.control.plan_format import PLAN_MAX_BYTES
from firmware.control.plan_verify import PlanError
from firmware.links.codec import PURPOSE_PLAN
from firmware.links.codec_fields import (
    DONE,
    PLAN_INVALID,
    REFUSED,
    SIGNATURE_WRONG,
    STAGED,
    STORE_FAILED,
)

from . import node_config
from .store import StoreError

HASH_BYTES = const(8)
# 8192 bytes in chunks of 128; a radio with shorter ones carries shorter plans.
PIECES_MAX = const(64)
# The same day for whoever could not know it: before any date that a plan may start on.
AT_ONCE = const(0)

_FORMAT = const(1)
_HEAD_BYTES = const(9)


class Pieces:
    """Chunks of one thing on its way in, in any order; ``key`` says of what. A chunk of another thing begins anew."""

    def __init__(self):
        self.key = b""
        self._chunks: list = []

    def add(self, key, offset: int, chunk) -> bool:
        """Keep a chunk; False where it would end too late, overlap another one, or be one too many.

        The same place and length again is a repetition, and replaces what was there.
        """
        if key != self.key:
            self.clear()
            self.key = key
        end = offset + len(chunk)
        if offset < 0 or end > PLAN_MAX_BYTES or not chunk:
            return False
        chunks = self._chunks
        at = 0
        while at < len(chunks) and chunks[at][0] < offset:
            at += 1
        if at > 0 and chunks[at - 1][0] + len(chunks[at - 1][1]) > offset:
            return False
        if at < len(chunks) and chunks[at][0] == offset and len(chunks[at][1]) == len(chunk):
            chunks[at] = (offset, bytes(chunk))
            return True
        if (at < len(chunks) and chunks[at][0] < end) or len(chunks) >= PIECES_MAX:
            return False
        chunks.insert(at, (offset, bytes(chunk)))
        return True

    def length(self, key) -> int:
        """Return how many bytes of ``key`` are there from the first on, up to the first hole."""
        end = 0
        for offset, chunk in self._chunks if key == self.key else ():
            if offset != end:
                break
            end += len(chunk)
        return end

    def whole(self, key, length: int):
        """Return all ``length`` bytes, None unless all of them are here and none beyond."""
        if length == 0 or self.length(key) != length or self._chunks[-1][0] >= length:
            return None
        return b"".join([chunk for _, chunk in self._chunks])

    def clear(self) -> None:
        """Give the memory back."""
        self.key = b""
        self._chunks = []


class PlanStage:
    """The plan of one output (``lamp``, 0 … 3): in force, on its way in, and to come.

    ``pieces``: shared by all outputs of the node. ``hash8``: the first bytes of the SHA-256 of the plan in force, zeros
    without one; ``is_next``: one is to come. ``what``: why the last one was refused.
    """

    def __init__(self, store, lamp: int, pieces=None):
        self._store = store
        self.lamp = lamp
        self._key = bytes((lamp,))
        self._pieces = pieces or Pieces()
        self._name = "plan%d" % lamp
        self._next_name = "next%d" % lamp
        self.hash8 = bytes(HASH_BYTES)
        self.is_next = False
        self.what = ""
        self._next_day = AT_ONCE
        self._next_s = 0
        # What ``next`` holds was verified in this run, and what was in force before the last `install`.
        self._is_verified = False
        self._former: bytes | None = None

    def load(self):
        """Return the plan in force as bytes, None without one, and find what is to come; at the start."""
        plan = self._store.read(self._name)
        self.hash8 = hash8_of(plan) if plan else bytes(HASH_BYTES)
        self._find_next(self._store.read(self._next_name))
        return plan

    def stage(self, offset: int, hash8, chunk) -> int:
        """Keep a chunk of the plan whose SHA-256 begins with ``hash8``: `STAGED`, or `REFUSED` where it does not fit
        those that are here."""
        return STAGED if self._pieces.add(self._key + bytes(hash8), offset, chunk) else REFUSED

    def switch_steps(self, length: int, hash8, signature, verify=None, start_day: int = UNKNOWN, start_s: int = 0):
        """Verify what was staged and have it take over: ``verdict = yield from switch_steps(…)``.

        `STAGED`: it is stored, and `is_due` says when to `install` it (``start_day`` `UNKNOWN`: now). `REFUSED`: there
        are holes. `PLAN_INVALID`: not what ``hash8`` says, or not a plan for this firmware. `SIGNATURE_WRONG`.
        `STORE_FAILED`: flash; send the switch again. `DONE`: it is in force already. But for the first and the last,
        nothing has changed.

        ``verify(message, signature)``: a generator that returns whether the site has signed (`ed25519.verify_steps`),
        None on a node that was given no site's key. It rests often; so does this one.
        """
        self.what = ""
        hash8 = bytes(hash8)
        if hash8 == self.hash8 and start_day == UNKNOWN:
            return DONE if self._call_off() else STORE_FAILED
        key = self._key + hash8
        plan = self._pieces.whole(key, length)
        if plan is None:
            self.what = "%d bytes of %d are here" % (self._pieces.length(key), length)
            return REFUSED
        digest = hashlib.sha256(plan).digest()
        if digest[:HASH_BYTES] != hash8:
            self._pieces.clear()
            self.what = "is not what its hash says"
            return PLAN_INVALID
        yield
        if not self._is_plan(plan):
            self._pieces.clear()
            return PLAN_INVALID
        yield
        if verify is not None and not (yield from verify(PURPOSE_PLAN + b"\0" + digest, bytes(signature))):
            self.what = "not signed by the site"
            return SIGNATURE_WRONG
        data = bytearray(_HEAD_BYTES)
        data[0] = _FORMAT
        put(data, put(data, 1, AT_ONCE if start_day == UNKNOWN else start_day), start_s)
        data += plan
        try:
            self._store.write(self._next_name, bytes(data))
        except (OSError, StoreError) as error:
            self.what = str(error)
            return STORE_FAILED
        if self._pieces.key == key:
            self._pieces.clear()
        self._find_next(data)
        self._is_verified = True
        yield
        return STAGED

    def is_due(self, is_known: bool, day: int, second: int) -> bool:
        """Tell whether the plan to come is to be in force at this moment; without a clock, only one for "at once"."""
        if not self.is_next or self._next_day == AT_ONCE:
            return self.is_next
        return is_known and (day, second) >= (self._next_day, self._next_s)

    def install(self):
        """Make the plan to come the one in force; return its bytes, None where there is nothing to be handed over.

        That is: it was in force already, it is no plan for this firmware (any more) and is dropped, or the flash
        refused; then ``is_next`` still holds, and it is to be tried again. The old plan stands in both latter cases.
        """
        self.what = ""
        data = self._store.read(self._next_name)
        self._find_next(data)
        if not self.is_next:
            return None
        plan = bytes(data[_HEAD_BYTES:])
        former = self._store.read(self._name)
        is_good = self._is_verified or self._is_plan(plan)
        try:
            if is_good and plan != former:
                self._store.write(self._name, plan)
                self.hash8 = hash8_of(plan)
            self._store.remove(self._next_name)
        except (OSError, StoreError) as error:
            self.what = str(error)
            if self.hash8 == hash8_of(plan) and plan != former:
                # In force, and still noted as to come: removed at the next try.
                self._former = former
                return plan
            return None
        self._find_next(None)
        if not is_good or plan == former:
            return None
        self._former = former
        return plan

    def settle(self) -> None:
        """The plan that `install` returned works: forget the one before."""
        self._former = None

    def roll_back(self):
        """The plan that `install` returned does not work: make the one before the plan in force, and return it."""
        former = self._former
        self._former = None
        try:
            if former is None:
                self._store.remove(self._name)
            else:
                self._store.write(self._name, former)
        except (OSError, StoreError) as error:
            # The next start will find the new one, and it was verified.
            self.what = str(error)
        self.hash8 = hash8_of(former) if former else bytes(HASH_BYTES)
        return former

    def _call_off(self) -> bool:
        """Forget the plan to come; False where the flash refused."""
        if not self.is_next:
            return True
        try:
            self._store.remove(self._next_name)
        except (OSError, StoreError) as error:
            self.what = str(error)
            return False
        self._find_next(None)
        return True

    def _find_next(self, data) -> None:
        """Note what ``next`` holds. Something that it cannot hold is nothing."""
        self._is_verified = False
        # The highest byte first: a larger number would not fit 30 bits.
        self.is_next = bool(data) and len(data) > _HEAD_BYTES and data[0] == _FORMAT and data[4] < 64 and data[8] < 64
        if self.is_next:
            self._next_day = get(data, 1)
            self._next_s = get(data, 5)

    def _is_plan(self, plan) -> bool:
        try:
            Plan(plan)
        except PlanError as error:
            self.what = str(error)
            return False
        return True


class ConfigStage:
    """The configuration of the next start, in chunks. ``own_id``: the node's, which it must keep; None for any.

    ``pieces``: shared with the plans. ``what``: why the last one was refused.
    """

    def __init__(self, store, pieces=None, own_id=None):
        self._store = store
        self._pieces = pieces or Pieces()
        self._own_id = own_id
        self.what = ""

    def write(self, offset: int, length: int, hash8, chunk) -> int:
        """Keep a chunk: `STAGED`; with the last one, in whatever order, check and store the whole: `DONE`.

        `REFUSED`: it does not fit, or is no configuration (``what``). `STORE_FAILED`: flash; send the last one again.
        """
        self.what = ""
        key = b"c" + bytes(hash8)
        if offset + len(chunk) > length or not self._pieces.add(key, offset, chunk):
            return REFUSED
        data = self._pieces.whole(key, length)
        if data is None:
            return STAGED
        self.what = self._objection(data, bytes(hash8))
        if self.what:
            self._pieces.clear()
            return REFUSED
        try:
            self._store.write(node_config.STORE_NAME, data)
        except (OSError, StoreError) as error:
            self.what = str(error)
            return STORE_FAILED
        self._pieces.clear()
        return DONE

    def read(self, offset: int, most: int):
        """Return (length, hash, chunk) of what is stored; all zero and empty where nothing is."""
        data = self._store.read(node_config.STORE_NAME) or b""
        if len(data) > PLAN_MAX_BYTES:
            # Longer than a command could have brought: put there by a serial line, and to be read by it.
            data = b""
        return len(data), hash8_of(data) if data else bytes(HASH_BYTES), data[offset : offset + most]

    def _objection(self, data, hash8) -> str:
        """Return why ``data`` cannot be the configuration, "" if it can."""
        if hash8_of(data) != hash8:
            return "is not what its hash says"
        try:
            tree = node_config.load(data)
            if self._own_id is not None and tree["id"] != self._own_id:
                return "is that of node %d" % tree["id"]
            for lamp in tree["lamps"]:
                node_config.controller_config(tree, lamp)
        except node_config.ConfigError as error:
            return str(error)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, UnicodeError) as error:  # names: outside
            return "a value of the wrong kind: %s" % error
        return ""


def hash8_of(data) -> bytes:
    """Return the first bytes of the SHA-256, by which host and node call a plan or a configuration."""
    return hashlib.sha256(data).digest()[:HASH_BYTES]
