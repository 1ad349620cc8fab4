"""The configuration of the next start, as it comes. Loaded where it is used, and forgotten with `plan_switch`."""

from firmware.control.plan_format import PLAN_MAX_BYTES
from firmware.links.codec_fields import DONE, REFUSED, STAGED, STORE_FAILED

from .node_config import STORE_NAME, ConfigError, controller_config, load
from .plan_stage import HASH_BYTES, NEXT_HEAD_BYTES, hash8_of, pieces_in
from .store import StoreError


class ConfigStage:
    """The configuration of the next start, in chunks. ``own_id``: the node's, which it must keep; None for any.

    ``tray``: for chunks, shared with the plans. ``what``: why the last one was refused.
    """

    def __init__(self, store, tray=None, own_id=None):
        self._store = store
        self._tray = [None] if tray is None else tray
        self._own_id = own_id
        self.what = ""

    def write(self, offset: int, length: int, hash8, chunk) -> int:
        """Keep a chunk: `STAGED`; with the last one, in whatever order, check and store the whole: `DONE`.

        `REFUSED`: it does not fit, or is no configuration (``what``). `STORE_FAILED`: flash; send the last one again.
        """
        self.what = ""
        key = b"c" + bytes(hash8)
        try:
            pieces = pieces_in(self._tray)
            if offset + len(chunk) > length or not pieces.add(key, offset, chunk):
                return REFUSED
            data = pieces.whole(key, length)
            if data is None:
                return STAGED
            data = data[NEXT_HEAD_BYTES:]
            self.what = self._objection(data, bytes(hash8))
        except MemoryError:
            self.what = "there is no memory for it now"
        if self.what:
            self._tray[0] = None
            return REFUSED
        try:
            self._store.write(STORE_NAME, data)
        except (OSError, StoreError) as error:
            self.what = str(error)
            return STORE_FAILED
        self._tray[0] = None
        return DONE

    def read(self, offset: int, most: int):
        """Return (length, hash, chunk) of what is stored; all zero and empty where nothing is."""
        data = self._store.read(STORE_NAME) or b""
        if len(data) > PLAN_MAX_BYTES:
            # Longer than a command could have brought: put there by a serial line, and to be read by it.
            data = b""
        return len(data), hash8_of(data) if data else bytes(HASH_BYTES), data[offset : offset + most]

    def _objection(self, data, hash8) -> str:
        """Return why ``data`` cannot be the configuration, "" if it can."""
        if hash8_of(data) != hash8:
            return "is not what its hash says"
        try:
            tree = load(data)
            if self._own_id is not None and tree["id"] != self._own_id:
                return "is that of node %d" % tree["id"]
            for lamp in tree["lamps"]:
                controller_config(tree, lamp)
        except ConfigError as error:
            return str(error)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, UnicodeError) as error:  # names: outside
            return "a value of the wrong kind: %s" % error
        return ""
