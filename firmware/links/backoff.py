"""When a node tries to reach its broker: spread at first, then with full jitter. Pure: no clock, no chance of its own.

After a feeder cut a whole district boots within two seconds. Ten thousand nodes that retry every 5 s at a broker that
can do 100 handshakes a second never get in (reliability.md, finding 3 and part F); spread and jitter bring all in at
the broker's own pace. Light never waits for any of this.
"""

from firmware.control.compat import const

WINDOW_DEFAULT_S = const(300)
WINDOW_MAX_S = const(3600)
_BASE_MS = const(5000)
_CAP_MS = const(900000)
# 5 s * 2^8 is beyond the cap already.
_DOUBLINGS_MAX = const(8)
# Only a link that has lasted this long proves that the way is free again.
_PROOF_MS = const(60000)
_MASK_30 = const(0x3FFFFFFF)


class Backoff:
    """Delays before connections, in ms.

    ``node_id``: text or bytes, its hash gives the place of the first connection in the window. ``random_below(n)``:
    returns 0 … n - 1, uniformly: ``random.randrange`` on an ESP32, which seeds it from its hardware (the unix ports
    do not: all processes would draw the same), an instance with a seed in a simulation.
    ``window_s``: 0 … 3600, set by the operator to about 1.5 × nodes / handshakes a second of the broker.

    `first_ms` once after power-on; then `failed_ms` after every attempt that came to nothing, and `lost_ms` after a
    connection that stood.
    """

    def __init__(self, node_id, random_below, window_s=WINDOW_DEFAULT_S):
        self._node_id = node_id.encode() if isinstance(node_id, str) else bytes(node_id)
        self._random_below = random_below
        self.set_window(window_s)
        self.failures = 0

    def set_window(self, window_s):
        """Take the operator's window; out of 0 … 3600 s the nearer bound is taken."""
        self.window_ms = 1000 * min(max(window_s, 0), WINDOW_MAX_S)

    def first_ms(self):
        """Return the delay of the first connection after power-on: 0 … window, always the same for the same node."""
        return spread(self._node_id, self.window_ms + 1)

    def failed_ms(self):
        """Return the delay after an attempt that failed: uniform in 0 … min(900 s, 5 s × 2^n)."""
        bound = min(_BASE_MS << min(self.failures, _DOUBLINGS_MAX), _CAP_MS)
        if self.failures < _DOUBLINGS_MAX:
            self.failures += 1
        return self._random_below(bound + 1)

    def lost_ms(self, lasted_ms, is_local):
        """Return the delay after losing a connection that stood for ``lasted_ms`` (any bound of the caller's).

        A link that did not last 60 s proves nothing: it counts as a failed attempt. After one that did, back-off is
        forgotten; if the cause was here (``is_local``: Wi-Fi was lost), few nodes share it: 0 … 5 s. Otherwise the
        broker may have lost all its nodes at once: 0 … window, or 5 s where the window is smaller.
        """
        if lasted_ms < _PROOF_MS:
            return self.failed_ms()
        self.failures = 0
        if is_local:
            return self.failed_ms()
        return self._random_below(max(self.window_ms, _BASE_MS) + 1)


def spread(data, bound):
    """Return a number in 0 … ``bound`` - 1 from ``data``, the same on every interpreter (FNV-1a, folded to 30 bits)."""
    value = 0x11C9DC5
    for byte in data:
        value = ((value ^ byte) * 16777619) & _MASK_30
    # FNV's low bits mix well, its high bits only slowly: two more rounds for ids that differ in their last letter.
    for shift in (15, 11):
        value = ((value ^ (value >> shift)) * 16777619) & _MASK_30
    value ^= value >> 15
    return value % bound
