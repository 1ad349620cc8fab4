"""Plans and configurations come in chunks, are verified whole, and only then take the place of what was in force.

Chunks wait in RAM: one thing at a time for the whole node (`Pieces`), so some ``PLAN_MAX_BYTES`` whatever is sent;
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

What is needed when a plan or a configuration comes, and not in between, is in `pieces`, `plan_switch`, `config_stage`.
"""

import hashlib

from firmware.control.clock import get
from firmware.control.compat import const
from firmware.control.inputs import UNKNOWN
from firmware.links.codec_fields import REFUSED, STAGED

HASH_BYTES = const(8)
# The same day for whoever could not know it: before any date that a plan may start on.
AT_ONCE = const(0)
NEXT_FORMAT = const(1)
NEXT_HEAD_BYTES = const(9)


def pieces_in(tray):
    """Return the `Pieces` in a tray, a list of one; an empty one gets some. Who has no more use for them empties it."""
    if tray[0] is None:
        from .pieces import Pieces

        tray[0] = Pieces(NEXT_HEAD_BYTES)
    return tray[0]


class PlanStage:
    """The plan of one output (``lamp``, 0 … 3): in force, on its way in, and to come.

    ``tray``: for chunks, shared by all outputs of the node. ``hash8``: the first bytes of the SHA-256 of the plan in
    force, zeros without one; ``is_next``: one is to come, at ``next_day`` and ``next_s``; ``former_hash8``: of what was
    in force before the last `install`. ``what``: why the last one was refused.
    """

    def __init__(self, store, lamp: int, tray=None):
        self.store = store
        self.lamp = lamp
        self.tray = [None] if tray is None else tray
        self.hash8 = bytes(HASH_BYTES)
        self.is_next = False
        self.what = ""
        self.next_day = AT_ONCE
        self.next_s = 0
        self.former_hash8 = self.hash8

    @property
    def name(self):
        """The name in the store of the plan in force; that of the one to come is `next_name`."""
        return "plan%d" % self.lamp

    @property
    def next_name(self):
        """The name in the store of the plan to come."""
        return "next%d" % self.lamp

    def load(self):
        """Return the plan in force as bytes, None without one, and find what is to come; at the start."""
        plan = self.store.read(self.name)
        self.hash8 = hash8_of(plan) if plan else bytes(HASH_BYTES)
        self.find_next(self.store.read(self.next_name))
        return plan

    def stage(self, offset: int, hash8, chunk) -> int:
        """Keep a chunk of the plan whose SHA-256 begins with ``hash8``: `STAGED`, or `REFUSED` where it does not fit
        those that are here, or the heap."""
        try:
            is_kept = pieces_in(self.tray).add(bytes((self.lamp,)) + bytes(hash8), offset, chunk)
        except MemoryError:
            is_kept = False
        return STAGED if is_kept else REFUSED

    def switch_steps(self, length: int, hash8, signature, verify=None, start_day: int = UNKNOWN, start_s: int = 0):
        """Verify what was staged and have it take over: ``verdict = yield from switch_steps(…)``.

        `STAGED`: it is stored, and `is_due` says when to `install` it (``start_day`` `UNKNOWN`: now). `REFUSED`: there
        are holes. `PLAN_INVALID`: not what ``hash8`` says, or not a plan for this firmware. `SIGNATURE_WRONG`.
        `STORE_FAILED`: flash; send the switch again. `DONE`: it is in force already. But for the first and the last,
        nothing has changed.

        ``verify(message, signature)``: a generator that returns whether the site has signed (`ed25519.verify_steps`),
        None on a node that was given no site's key. It rests often; so does this one.
        """
        from .plan_switch import switch_steps

        return switch_steps(self, length, hash8, signature, verify, start_day, start_s)

    def is_due(self, is_known: bool, day: int, second: int) -> bool:
        """Tell whether the plan to come is to be in force at this moment; without a clock, only one for "at once"."""
        if not self.is_next or self.next_day == AT_ONCE:
            return self.is_next
        return is_known and (day, second) >= (self.next_day, self.next_s)

    def install(self):
        """Make the plan to come the one in force; return its bytes, None where there is nothing to be handed over.

        That is: it was in force already, it is no plan for this firmware (any more) and is dropped, or the flash
        refused; then ``is_next`` still holds, and it is to be tried again. The old plan stands in both latter cases.
        """
        from .plan_switch import install

        return install(self)

    def roll_back(self) -> None:
        """The plan that `install` returned does not work: the one before, still in the store, is in force again."""
        from .plan_switch import roll_back

        roll_back(self)

    def find_next(self, data) -> None:
        """Note what ``next`` holds. Something that it cannot hold is nothing."""
        # The highest byte first: a larger number would not fit 30 bits.
        is_whole = bool(data) and len(data) > NEXT_HEAD_BYTES
        self.is_next = is_whole and data[0] == NEXT_FORMAT and data[4] < 64 and data[8] < 64
        if self.is_next:
            self.next_day = get(data, 1)
            self.next_s = get(data, 5)


def hash8_of(data) -> bytes:
    """Return the first bytes of the SHA-256, by which host and node call a plan or a configuration."""
    return hashlib.sha256(data).digest()[:HASH_BYTES]
