"""Verify Ed25519 signatures (RFC 8032) on the stock image, without holding up the lamp.

Pure integers of 255 bits, and a generator that rests after every point operation: a few multiplications, some
milliseconds on an ESP32 (reasoned from 0.2 to 0.4 ms a multiplication, not measured on one). A task drives it with
``await asyncio.sleep_ms(0)`` between steps, so that no other waits longer. Only public data is handled here: nothing
has to take constant time. Nothing signs on a node.

Strict where RFC 8032 leaves room: S below the order, and coordinates below the prime (5.1.7, step 1; OpenSSL takes a
key's coordinate beyond it); the equation is checked without the cofactor, as OpenSSL does, by comparing encodings; and
keys of small order, under which one signature fits many messages, are refused.

Loaded where it is used, and forgotten (`once`).
"""

from firmware.control.compat import const

from .sha512 import run_to_end, sha512_steps

KEY_BYTES = const(32)
SIGNATURE_BYTES = const(64)

_P = (1 << 255) - 19
# The order of the base point, and d, sqrt(-1) and the base point of RFC 8032, 5.1.
_L = (1 << 252) + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_ROOT = 19681161376707505956807079304988542015446066515923890162744021073123829784752
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960


def verify_steps(public_key, message, signature):
    """Return whether ``signature`` is that of ``message``: ``is_good = yield from verify_steps(…)``.

    ``public_key``: 32 bytes, ``signature``: 64, ``message``: short; hash what is long. Never raises for any bytes.
    """
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _L:
        return False
    point = yield from _decode_steps(bytes(public_key))
    if point is None:
        return False
    yield
    small = point
    for _ in range(3):
        small = _double(small)
        yield
    if small[0] == 0:
        # Eight times it is the neutral point.
        return False
    digest = yield from sha512_steps(bytes(signature[:32]) + bytes(public_key) + bytes(message))
    factor = int.from_bytes(digest, "little") % _L
    yield
    # R must be S·B - k·A: both products at once, bit by bit, with the sum of both points made beforehand.
    base = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
    minus = (_P - point[0], point[1], 1, (_P - point[3]) % _P)
    both = _add(base, minus)
    yield
    found = (0, 1, 1, 0)
    for bit in range(252, -1, -1):
        found = _double(found)
        yield
        pick = (scalar >> bit & 1) | (factor >> bit & 1) << 1
        if pick:
            found = _add(found, base if pick == 1 else minus if pick == 2 else both)
            yield
    encoded = yield from _encode_steps(found)
    return encoded == bytes(signature[:32])


def verify(public_key, message, signature) -> bool:
    """Return the same in one go: for the host, tests, and a node that has nothing else to do."""
    return run_to_end(verify_steps(public_key, message, signature))


def _double(p):
    """Return 2·p in extended coordinates (RFC 8032, 5.1.4)."""
    x, y, z, _ = p
    a = x * x % _P
    b = y * y % _P
    c = 2 * z * z
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _add(p, q):
    """Return p + q in extended coordinates (RFC 8032, 5.1.4); complete, so p may be q."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] % _P * _D % _P
    d = 2 * p[2] * q[2] % _P
    e = b - a
    f = d - c
    g = d + c
    h = b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decode_steps(data):
    """Return the point of an encoding (RFC 8032, 5.1.3), or None for what is none."""
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= _P:
        return None
    yy = y * y % _P
    u = yy - 1
    v = (_D * yy + 1) % _P
    v3 = v * v % _P * v % _P
    yield
    # x = u·v^3·(u·v^7)^((p-5)/8)
    x = u * v3 % _P * (yield from _power_steps(u * v3 % _P * v3 % _P * v % _P)) % _P
    yield
    vxx = v * x % _P * x % _P
    if vxx != u % _P:
        if vxx != -u % _P:
            return None
        x = x * _ROOT % _P
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _power_steps(x):
    """Return x^((p - 5) / 8): the exponent is 2^252 - 3, all ones but the second bit from below."""
    found = x
    for bit in range(250, -1, -1):
        found = found * found % _P
        if bit != 1:
            found = found * x % _P
        if bit & 3 == 0:
            yield
    return found


def _encode_steps(p):
    """Return the 32 bytes of a point. 1/z = z^(p-2), and p - 2 = 8·(2^252 - 3) + 3."""
    z = p[2]
    power = yield from _power_steps(z)
    for _ in range(3):
        power = power * power % _P
    inverse = power * z % _P * z % _P * z % _P
    yield
    x = p[0] * inverse % _P
    y = p[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
