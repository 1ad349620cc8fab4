"""What host and node share in mapped files: one header for the street's clock, one slot a node, one RTC file a board.

All fields are little-endian 32-bit words below 2^30 (small integers on a 32-bit interpreter: reading one allocates
nothing). The host's half is in sim/board/shared.py; a test compares the two.
"""

SLOT_BYTES = 128
SLOTS_AT = 128
SLOTS_MAX = 127
STREET_BYTES = SLOTS_AT + SLOT_BYTES * SLOTS_MAX

# The clock. seq is odd while it is being written.
CLOCK_FIELDS = (
    "seq",
    "v_s",  # virtual seconds since the street began
    "v_us",  # 0..999999
    "v_ms30",  # the same moment in ms, modulo 2^30
    "v_us30",  # and in us, modulo 2^30
    "r_us30",  # CLOCK_MONOTONIC in us modulo 2^30 at that moment
    "rate",  # virtual time passes so many times faster than real time; 0 stands still
    "limit_us",  # virtual time stands still this many us after the base, until the next writing
    "wanted",  # the rate while everybody is idle
    "is_jump",  # 1: a lone node owns this clock and jumps to its next deadline
    "answer_us",  # real us within which a peer answers what a board has sent
    "boards",  # how many slots are given out
    "world_s",  # UTC of the virtual world at v_s = 0, seconds since 2000
    "has_bell",  # 1: whoever's deadline has come is told by a byte at its radio's port, and need not look
)

# A node's slot.
SLOT_FIELDS = (
    "state",  # 0 absent, 1 busy, 2 waiting
    "deadline_ms30",  # what it waits for, virtual ms modulo 2^30
    "has_deadline",
    "slow_until_us30",  # real us until which its sockets want real time; 0 never
    "wdt_ms30",  # when its watchdog bites, virtual ms modulo 2^30
    "wdt_armed",
    "flash_ops",  # program, erase and sync operations since the host cleared it
    "cut_at",  # the operation at which the mains fail; 0 never
    "cut_mode",  # 1 before it, 2 after it, 3 half of its bytes, 4 half of its bytes in random places
    "was_cut",
    "irq_lost",
    "epoch",  # counts starts of the process
    "seed",  # of the random tear
    "service_ms30",  # virtual ms of its last call into the board
    "stay_raw",  # the next start goes to the raw REPL, without main.py
    "mac_high",  # its address, 24 bits and 24 bits
    "mac_low",
    "radio_port",  # UDP port on loopback where its ESP-NOW listens; 0 none
    "mail",  # a frame of the radio was sent to it that it has not taken yet
    "wakes",  # how often it has waited for time to pass, since its process was started
)

RTC_BYTES = 4096
RTC_MEMORY_AT = 64
RTC_MEMORY_BYTES = 2048
# What survives resets, and of which a power cut leaves only the cause.
RTC_FIELDS = (
    "cause",  # what machine.reset_cause() answers
    "memory_length",
    "is_set",  # RTC().datetime(...) was called since power on
    "set_s",  # the time it was set to, seconds since 2000
    "set_at_s",  # virtual second at which that was
    "on_ms30",  # virtual ms and us at which the ticks were 0
    "on_us30",
)

# What the process ends with: what the chip would do next.
EXIT_HOST_GONE = 40
EXIT_HARD_RESET = 41
EXIT_SOFT_RESET = 42
EXIT_WDT_RESET = 43
EXIT_DEEPSLEEP = 44
EXIT_MORE_HEAP = 45  # the board itself did not fit beside the program's heap: start it again with more

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
