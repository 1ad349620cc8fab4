"""What runs on a luminaire node (MicroPython 1.23 or later). It imports nothing from the host side."""
