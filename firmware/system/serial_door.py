"""The delivered node's serial line: it answers the service challenge and nothing else (`service`).

The prompt is closed (main.py), so what is typed stays in the line's buffer until it is read here, at most ``_TAKE``
characters a look. A line that is too long is dropped whole.
"""

import select
import sys

from firmware.control.compat import const
from firmware.links.timing import sleep_ms, ticks_ms, turn_ms

from .service import LINE_MAX

SILENCE_MS = const(60000)
# In the first seconds of a start nothing can be written (`BootGuard`), and what is not logged is not opened.
_DEAF_MS = const(6000)
# Twice a second is soon enough for a person with a cable, and costs the lamp nothing.
_LOOK_MS = const(500)
_TAKE = const(256)
_REST_MS = const(10000)


class SerialDoor:
    """Feeds a `ServiceDoor` from the serial line; ``opened()`` is called when it opens, and may not return.

    ``make_door()``: returns the `ServiceDoor`. It is made when somebody first speaks to it, and not before.
    """

    def __init__(self, make_door, opened, look_ms=_LOOK_MS, deaf_ms=_DEAF_MS):
        self._make_door = make_door
        self._door = None
        self._opened = opened
        self._look_ms = look_ms
        self._deaf_ms = deaf_ms
        self._line = bytearray()
        self._is_too_long = False
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    async def run(self, beat):
        """Listen for ever; for the supervisor. A line that has ended (there is no cable) is not listened to again."""
        await sleep_ms(self._deaf_ms)
        while self._deaf_ms and self._poll.poll(0) and sys.stdin.read(1):
            pass  # What was typed before would be answered too late.
        while True:
            beat()
            if not self.look():
                await self._rest(beat)
            await sleep_ms(self._look_ms)

    def look(self):
        """Take what was typed; False when the line has ended."""
        for _ in range(_TAKE):
            if not self._poll.poll(0):
                return True
            letter = sys.stdin.read(1)
            if not letter:
                return False
            self._take(letter)
        return True

    def _take(self, letter):
        if letter not in "\r\n":
            if len(self._line) < LINE_MAX:
                # What is no ASCII is no line of ours, and is refused as such.
                self._line.append(ord(letter) & 255)
            else:
                self._is_too_long = True
            return
        line = bytes(self._line)
        is_whole = line and not self._is_too_long
        self._line = bytearray()
        self._is_too_long = False
        if not is_whole:
            return
        door = self._door
        if door is None:
            if line.strip()[:5] not in (b"servi", b"open "):
                # A door would not answer either.
                return
            door = self._door = self._make_door()
        answer = door.line(line)
        if answer:
            print(answer.decode().strip())
        if door.is_open:
            self._opened()

    async def _rest(self, beat):
        while True:
            beat()
            await sleep_ms(turn_ms(ticks_ms(), _REST_MS))
