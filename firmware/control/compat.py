"""The one place that knows which interpreter runs this package."""

try:
    from micropython import const as const
except ImportError:  # CPython: the compiler hint does nothing there

    def const(value):
        """Return ``value``: MicroPython folds ``const(1)`` at compile time, CPython needs no help."""
        return value
