"""Reading an ADC input so that one spike changes nothing, and looking the voltage up. A part of two drivers."""

from .contract import NoAnswer


def median_uv(adc, samples, name):
    """Return the median of ``len(samples)`` readings in microvolts: one spike of the radio changes nothing."""
    try:
        for i in range(len(samples)):
            samples[i] = adc.read_uv()
    except OSError:
        raise NoAnswer(name, "ADC cannot read")
    samples.sort()
    return samples[len(samples) // 2]


def interpolate(curve, x):
    """Return y at ``x`` on a curve x0, y0, x1, y1 … with rising x; before and after its ends, the end's y."""
    if x <= curve[0]:
        return curve[1]
    for i in range(2, len(curve), 2):
        if x <= curve[i]:
            span = curve[i] - curve[i - 2]
            return curve[i - 1] + ((curve[i + 1] - curve[i - 1]) * (x - curve[i - 2]) + span // 2) // span
    return curve[len(curve) - 1]
