"""How a plan that was staged takes over: verified, stored, put in force, or taken back. A part of `PlanStage`.

Loaded where it is used, and forgotten (`once`): plans come a few times a year.
"""

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
    head = bytearray(NEXT_HEAD_BYTES)
    head[0] = NEXT_FORMAT
    put(head, put(head, 1, AT_ONCE if start_day == UNKNOWN else start_day), start_s)
    key = bytes((stage.lamp,)) + hash8
    pieces = pieces_in(stage.tray)
    # What goes to the store is made once, and the plan is a part of it: each is up to 8 kB.
    data = pieces.whole(key, length, head)
    if data is None:
        stage.what = "%d bytes of %d are here" % (pieces.length(key), length)
        return REFUSED
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
    data = stage.store.read(stage.next_name)
    stage.find_next(data)
    if not stage.is_next:
        return None
    plan = bytes(memoryview(data)[NEXT_HEAD_BYTES:])
    data = None
    former = stage.store.read(stage.name)
    is_good = _is_plan(stage, plan)
    try:
        if is_good and plan != former:
            stage.store.write(stage.name, plan)
            stage.hash8 = hash8_of(plan)
        stage.store.remove(stage.next_name)
    except (OSError, StoreError) as error:
        stage.what = str(error)
        if stage.hash8 == hash8_of(plan) and plan != former:
            # In force, and still noted as to come: removed at the next try.
            stage.former = former
            return plan
        return None
    stage.find_next(None)
    if not is_good or plan == former:
        return None
    stage.former = former
    return plan


def roll_back(stage):
    """See `PlanStage.roll_back`."""
    former = stage.former
    stage.former = None
    try:
        if former is None:
            stage.store.remove(stage.name)
        else:
            stage.store.write(stage.name, former)
    except (OSError, StoreError) as error:
        # The next start will find the new one, and it was verified.
        stage.what = str(error)
    stage.hash8 = hash8_of(former) if former else bytes(HASH_BYTES)
    return former


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
