"""How a plan that was staged takes over: verified, stored, put in force, or taken back. A part of `PlanStage`.

Loaded where it is used, and forgotten (`once`): plans come a few times a year.
"""

import gc
import hashlib

from firmware.control.clock import put
from firmware.control.inputs import UNKNOWN
from firmware.control.plan import Plan, PlanError
from firmware.links.codec import PURPOSE_PLAN
from firmware.links.codec_fields import DONE, PLAN_INVALID, REFUSED, SIGNATURE_WRONG, STAGED, STORE_FAILED

from .plan_stage import AT_ONCE, HASH_BYTES, NEXT_FORMAT, NEXT_HEAD_BYTES, hash8_of, pieces_in
from .store import StoreError


def switch_steps(stage, length, hash8, signature, verify, start_day, start_s):
    """See `PlanStage.switch_steps`."""
    stage.what = ""
    hash8 = bytes(hash8)
    if hash8 == stage.hash8 and start_day == UNKNOWN:
        return DONE if _call_off(stage) else STORE_FAILED
    key = bytes((stage.lamp,)) + hash8
    pieces = pieces_in(stage.tray)
    # What goes to the store, and the plan is a part of it: each is up to 8 kB.
    data = pieces.whole(key, length)
    if data is None:
        stage.what = "%d bytes of %d are here" % (pieces.length(key), length)
        return REFUSED
    data[0] = NEXT_FORMAT
    put(data, put(data, 1, AT_ONCE if start_day == UNKNOWN else start_day), start_s)
    plan = memoryview(data)[NEXT_HEAD_BYTES:]
    digest = hashlib.sha256(plan).digest()
    if digest[:HASH_BYTES] != hash8:
        stage.tray[0] = None
        stage.what = "is not what its hash says"
        return PLAN_INVALID
    yield
    if not _is_plan(stage, plan):
        stage.tray[0] = None
        return PLAN_INVALID
    yield
    if verify is not None and not (yield from verify(PURPOSE_PLAN + b"\0" + digest, bytes(signature))):
        stage.what = "not signed by the site"
        return SIGNATURE_WRONG
    # The buffer is still the one that chunks come into: what is stored is what was judged.
    if hashlib.sha256(plan).digest() != digest:
        stage.what = "was changed while it was judged"
        return REFUSED
    try:
        stage.store.write(stage.next_name, data)
    except (OSError, StoreError) as error:
        stage.what = str(error)
        return STORE_FAILED
    if stage.tray[0] is pieces and pieces.key == key:
        stage.tray[0] = None
    stage.find_next(data)
    yield
    return STAGED


def install(stage):
    """See `PlanStage.install`."""
    stage.what = ""
    if not stage.is_next:
        return None
    # Without a copy, and swept before: old plan, new plan and both controllers are most of what the heap has left, and
    # what lives for months goes into the lowest gap, so that what is above stays in one piece.
    gc.collect()
    plan = stage.store.read(stage.next_name, NEXT_HEAD_BYTES)
    if not plan:
        stage.find_next(None)
        return None
    hash8 = hash8_of(plan)
    is_news = hash8 != stage.hash8 and _is_plan(stage, plan)
    try:
        if is_news:
            stage.store.write(stage.name, plan)
            stage.former_hash8 = stage.hash8
            stage.hash8 = hash8
        stage.store.remove(stage.next_name)
        stage.find_next(None)
    except (OSError, StoreError, MemoryError) as error:
        # What is in force may still be noted as to come: removed at the next try.
        stage.what = str(error)
    return plan if is_news and stage.hash8 == hash8 else None


def roll_back(stage):
    """See `PlanStage.roll_back`."""
    try:
        stage.store.revert(stage.name)
    except (OSError, StoreError) as error:
        # The next start will find the new one, and it was verified.
        stage.what = str(error)
    stage.hash8 = stage.former_hash8


def _call_off(stage) -> bool:
    """Forget the plan to come; False where the flash refused."""
    if not stage.is_next:
        return True
    try:
        stage.store.remove(stage.next_name)
    except (OSError, StoreError) as error:
        stage.what = str(error)
        return False
    stage.find_next(None)
    return True


def _is_plan(stage, plan) -> bool:
    try:
        Plan(plan)
    except PlanError as error:
        stage.what = str(error)
        return False
    return True
