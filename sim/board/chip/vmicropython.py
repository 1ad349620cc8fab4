"""`micropython` with a `kbd_intr` that means the virtual serial line; all else is the interpreter's."""

from micropython import *  # all of the interpreter's names, then ours over one

from . import console


def kbd_intr(character):
    """Let Ctrl-C interrupt the program (3), or not (-1)."""
    console.may_interrupt[0] = character == 3
