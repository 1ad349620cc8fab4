"""A delivered node's serial line on a real interpreter: standard input is the cable. Ends with "open" when it opens."""

import asyncio
import sys

from firmware.links.timing import ticks_ms
from firmware.system.keys import hmac_sha256
from firmware.system.serial_door import SerialDoor
from firmware.system.service import ServiceDoor


class Opened(BaseException):
    """The door is open."""


def opened():
    raise Opened()


def main():
    """Serve the line; the key is in hexadecimal on the command line."""
    log = []
    door = ServiceDoor(
        "L001", bytes.fromhex(sys.argv[1]), hmac_sha256, lambda count: bytes(range(count)), ticks_ms, log.append
    )
    line = SerialDoor(lambda: door, opened, 5, 0)
    try:
        asyncio.run(asyncio.wait_for(line.run(lambda: None), 2))
    except Opened:
        print("open", log)
    except asyncio.TimeoutError:  # noqa: UP041 - on MicroPython it is another class
        print("closed", log)


main()
