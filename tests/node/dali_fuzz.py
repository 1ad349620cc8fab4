"""Any times between edges, into the DALI decoder. Runs under MicroPython too; the soak run calls it a million times."""

from firmware.drivers.dali_frames import CORRUPT, NOTHING, decode


def fuzz_decode(data):
    """Read bytes as pairs (time in us, little endian), decode them as 8 and 16 bits, return the two results.

    Raises ValueError for a result that no caller expects: anything but a value of that many bits, NOTHING or CORRUPT.
    """
    count = len(data) // 2
    times = [data[2 * i] | data[2 * i + 1] << 8 for i in range(count)]
    results = []
    for bits in (8, 16):
        result = decode(times, count, bits)
        if result not in (NOTHING, CORRUPT) and not 0 <= result < 1 << bits:
            raise ValueError("decoded to " + str(result))
        if (result == NOTHING) != (count < 1):
            raise ValueError("nothing and something mixed up")
        if result >= 0 and not bits + 1 <= count <= 2 * bits + 1:
            raise ValueError(str(bits) + " bits out of " + str(count) + " times")
        if times != [data[2 * i] | data[2 * i + 1] << 8 for i in range(count)]:
            raise ValueError("the times were changed")
        results.append(result)
    return results
