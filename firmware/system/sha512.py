"""SHA-512 (FIPS 180-4) in steps: the ESP32's hashlib has no sha512, and Ed25519 needs it.

A block of 128 bytes takes some 2,000 additions of 64-bit numbers, which MicroPython keeps on its heap. So it is a
generator that rests after every 4 rounds; short messages only (a signature's are one or two blocks).

Loaded where it is used, and forgotten with `ed25519` (`once`).
"""

import struct

from firmware.control.compat import const

_MASK = 0xFFFFFFFFFFFFFFFF
_ROUNDS = const(80)
_WORD = const(8)
_REST = const(3)

# FIPS 180-4, 4.2.3: the first 64 bits of the fractional parts of the cube roots of the first 80 primes; and 5.3.5: of
# X


def sha512_steps(data):
    """Return the 64 bytes of SHA-512 of ``data``: ``digest = yield from sha512_steps(data)``. Yields None between."""
    constants = bytearray(_WORD * (_ROUNDS + 8))
    yield from _constants_steps(constants)
    length = len(data)
    padded = bytes(data) + b"\x80" + bytes((111 - length) % 128) + bytes(8) + struct.pack(">Q", 8 * length)
    state = list(struct.unpack_from(">8Q", constants, _WORD * _ROUNDS))
    for at in range(0, len(padded), 128):
        yield from _block_steps(state, constants, struct.unpack_from(">16Q", padded, at))
    return struct.pack(">8Q", *state)


def sha512(data) -> bytes:
    """Return the 64 bytes of SHA-512 of ``data`` in one go: for the host and for tests; on the chip it holds up all."""
    return run_to_end(sha512_steps(data))


def run_to_end(steps):
    """Run a generator to its end; return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _block_steps(state, constants, words):
    a, b, c, d, e, f, g, h = state
    # The last 16 words of the schedule, round and round: all 80 would be 3 kB of heap.
    w = list(words)
    for i in range(_ROUNDS):
        word = w[i & 15]
        if i >= 16:
            x = w[i + 1 & 15]
            y = w[i + 14 & 15]
            # Rotations: the lower bits come in from above; what is above 64 bits is masked once, at the end.
            x = ((x >> 1) | (x << 63)) ^ ((x >> 8) | (x << 56)) ^ (x >> 7)
            y = ((y >> 19) | (y << 45)) ^ ((y >> 61) | (y << 3)) ^ (y >> 6)
            word = ((x & _MASK) + w[i + 9 & 15] + (y & _MASK) + word) & _MASK
            w[i & 15] = word
        constant = int.from_bytes(constants[_WORD * i : _WORD * i + _WORD], "big")
        x = ((e >> 14) | (e << 50)) ^ ((e >> 18) | (e << 46)) ^ ((e >> 41) | (e << 23))
        one = h + (x & _MASK) + (g ^ (e & (f ^ g))) + constant + word
        x = ((a >> 28) | (a << 36)) ^ ((a >> 34) | (a << 30)) ^ ((a >> 39) | (a << 25))
        two = (x & _MASK) + ((a & b) | (c & (a | b)))
        h = g
        g = f
        f = e
        e = (d + one) & _MASK
        d = c
        c = b
        b = a
        a = (one + two) & _MASK
        if i & _REST == _REST:
            yield
    done = (a, b, c, d, e, f, g, h)
    for i in range(8):
        state[i] = (state[i] + done[i]) & _MASK


def _constants_steps(into):
    """Put the constants of FIPS 180-4 into a buffer: of each number the first 64 bits of the fractional part.

    4.2.3: of the cube roots of the first 80 primes; 5.3.5: of the square roots of the first eight. Worked out by
    integer roots each time, for it is done once in a season; as bytes, since 88 numbers are 3 kB of heap.
    """
    prime = 1
    for i in range(_ROUNDS):
        prime = _next_prime(prime)
        yield
        _put(into, i, _root(prime, 3))
        yield
        if i < 8:
            _put(into, _ROUNDS + i, _root(prime, 2))
            yield


def _put(into, i: int, root: int) -> None:
    into[_WORD * i : _WORD * i + _WORD] = (root & _MASK).to_bytes(_WORD, "big")


def _next_prime(number: int) -> int:
    while True:
        number += 1
        divisor = 2
        while divisor * divisor <= number and number % divisor:
            divisor += 1
        if divisor * divisor > number:
            return number


def _root(number: int, power: int) -> int:
    """Return the integer part of 2^64 times the root of ``number`` (2 … 409)."""
    target = number << (64 * power)
    # Newton's method from above: it falls until it has the integer part.
    root = 1 << 69
    while True:
        lower = ((power - 1) * root + target // root ** (power - 1)) // power
        if lower >= root:
            return root
        root = lower
