"""From the first instruction to `/main.py`: the board's modules take their places, the flash is mounted.

Order as on the chip: reset cause and RTC are known, the file system is mounted (a blank one is formatted, a corrupted
one stops here, as ports/esp32/modules/inisetup.py does), /main.py is executed. When it ends or raises, the board is at
the prompt: the host is told, time goes on, and a watchdog that was started bites.
"""

import gc
import sys

import uctypes
import vfs

from . import clock as clock_module
from . import flash as flash_module
from . import (
    console,
    idle,
    irq,
    layout,
    libc,
    machine_pin,
    machine_rtc,
    vasyncio,
    vesp32,
    vespnow,
    vmachine,
    vmicropython,
    vnetwork,
    vonewire,
    vselect,
    vsocket,
    vtime,
)
from . import query as query_module
from . import wire
from . import wiring as wiring_module

_PATH = ("", ".frozen", "/rom", "/rom/lib", "/lib")
_SMALLEST_BYTES = 64
_NAMES_MAX = 2600


def run(settings):
    """Never returns: the process ends by reset, power cut or the host's word."""
    try:
        heap_bytes = _build(settings)
        ballast = _bind_heap(heap_bytes)
    except MemoryError:
        libc.leave(layout.EXIT_MORE_HEAP)
    wire.post("boot", ',"cause":%d,"epoch":%d%s' % (machine_rtc.cause(), idle.clock.slot.epoch, query_module.heap()))
    _main(ballast)


def _build(settings):
    """Build the board from the one entry of ``settings``, which is taken out; return how much heap the program has."""
    settings = settings.pop()
    libc.die_with_parent()
    rtc = machine_rtc.attach(libc.map_file(settings["rtc"], layout.RTC_BYTES))
    street = libc.map_file(settings["street"], layout.STREET_BYTES)
    clock = clock_module.Clock(street, settings["slot"])
    wire.attach(settings["fd"], clock)
    irq.attach(clock.slot)
    vespnow.attach(settings["radio_fd"], clock, uctypes.bytearray_at(street, layout.STREET_BYTES))
    console.attach(settings.get("console_fd", -1))
    idle.attach(clock)
    _start_ticks(clock, rtc)
    vmachine.resume_watchdog(rtc.cause)
    vmachine.attach(rtc, bytes(int(settings["mac"][at : at + 2], 16) for at in range(0, 12, 2)))
    vnetwork.attach(settings.get("wifi", {}))
    vesp32.attach(libc.bytes_of(settings["nvs"], vesp32.NVS_BYTES))
    _take_places()
    machine_pin.make_pins()
    wiring_module.hang(settings.get("wiring", {}))
    if console.is_there():
        sys.modules["sys"] = console.Sys()
    path, length = settings["flash"]
    tape = libc.append_to(settings["tape"]) if settings.get("tape") else -1
    flash = flash_module.Flash(libc.bytes_of(path, length), clock.slot, tape)
    app_rom = settings.get("app_rom")
    script = settings.get("script")
    heap_bytes = settings["heap_bytes"]
    if settings["names_outside"]:
        _grow_names()
    if app_rom:
        app_rom = libc.bytes_of(app_rom[0], app_rom[1])
    if script:
        idle.load_script(libc.map_file(script[0], script[1]), script[1])
    vfs.umount("/board-rom")
    vfs.umount("/")
    sys.path[:] = _PATH
    sys.argv[:] = [""]
    for name in ("__main__",):
        names = sys.modules[name].__dict__ if name in sys.modules else {}
        for one in list(names):
            if not one.startswith("__"):
                del names[one]
    _mount(flash, app_rom)
    return heap_bytes


def _start_ticks(clock, rtc):
    """The chip's ticks begin at 0 at power on and at every reset but the soft one."""
    if rtc.cause != layout.SOFT_RESET:
        passed = clock.passed_us()
        rtc.on_ms30 = clock.world_ms30()
        rtc.on_us30 = clock_module.add30(clock.shared.v_us30, passed)
    clock.start_ticks(rtc.on_ms30, rtc.on_us30)


def _take_places():
    import tls

    places = sys.modules
    places["micropython"] = vmicropython
    places["time"] = vtime
    places["select"] = vselect
    places["socket"] = vsocket
    places["_asyncio"] = vasyncio
    places["machine"] = vmachine
    places["network"] = vnetwork
    places["esp32"] = vesp32
    places["espnow"] = vespnow
    places["onewire"] = vonewire
    places["ssl"] = tls


def _mount(flash, app_rom):
    try:
        try:
            vfs.mount(vfs.VfsLfs2(flash), "/")
        except OSError:
            start = bytearray(64)
            flash.readblocks(0, start)
            if start != b"\xff" * 64:
                raise
            vfs.VfsLfs2.mkfs(flash)
            vfs.mount(vfs.VfsLfs2(flash), "/")
    except OSError as error:
        wire.post("fs_corrupted", ',"errno":%d' % error.errno)
        _prompt()
    if app_rom is not None:
        vfs.mount(vfs.VfsRom(app_rom), "/rom")


def _grow_names():
    """Make the interpreter's next index of names now, outside the bound, with room for some 2,500 of the program's.

    The index doubles each time it is full, in one block. The board's own names have filled it to where the program
    would need a block of 15 to 30 KB; on the chip, with its own names only, the blocks are half as large or less.
    """
    place = idle.clock
    before = gc.mem_alloc()
    index_bytes = 25000 if sys.maxsize > 0x7FFFFFFF else 12000
    for number in range(_NAMES_MAX):
        getattr(place, "_n%d" % number, None)
        if number % 20 == 0:
            gc.collect()
            now = gc.mem_alloc()
            if now - before > index_bytes:
                return
            before = now


def _bind_heap(heap_bytes):
    """Fill the heap around one free stretch of `heap_bytes`: the application has that much in one piece, and no more.

    The stretch is held by a list while the rest is filled; `clear()` gives a list's memory back at once, without the
    collector, which might still find a stale pointer to it on the C stack.
    """
    gc.collect()
    gc.collect()
    query_module.start()
    stretch = [None] * (heap_bytes // (8 if sys.maxsize > 0x7FFFFFFF else 4))
    ballast = None
    size = gc.mem_free()
    while size > _SMALLEST_BYTES:
        try:
            ballast = (bytearray(size), ballast)
        except MemoryError:
            size = size * 7 // 8
    try:
        while True:
            ballast = (ballast,)  # a block each: the smallest holes too
    except MemoryError:
        stretch.clear()
    query_module.bound()
    return ballast


def _execute():
    execfile("/main.py", console.names())  # noqa: F821 - a builtin of MicroPython


def _main(ballast):
    import os

    slot = idle.clock.slot
    why = "ended"
    try:
        os.stat("/main.py")
    except OSError:
        why = "no main.py"
    is_raw = bool(slot.stay_raw)
    slot.stay_raw = 0
    if is_raw:
        why = "raw"
    if why == "ended":
        try:
            console.run(_execute)
        except SystemExit:
            idle.end(layout.EXIT_SOFT_RESET)
        except BaseException as error:  # whatever it was, the chip prints it and shows its prompt
            sys.print_exception(error)
            why = type(error).__name__
    wire.post("repl", ',"why":"%s"' % why)
    _prompt(is_raw)
    return ballast


def _prompt(is_raw=False):
    if console.is_there():
        console.prompt(is_raw)
    while True:
        idle.nap(None)
