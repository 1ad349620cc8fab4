"""What an operation makes of a level (TALQ 2.7.1, EffectOperation)."""

from .plan_format import EFFECT_ADD, EFFECT_MAX, EFFECT_MIN, EFFECT_MUL, EFFECT_SET, EFFECT_SUB, LEVEL_MAX


def apply_effect(operation: int, level: int, value: int) -> int:
    """Return what ``operation`` makes of ``level`` with ``value`` (both 0 … 1000 permille), in 0 … 1000 permille.

    For a multiplication the value is a factor: 50 % halves the level. TALQ is silent on the scale.
    """
    if operation == EFFECT_SET:
        level = value
    elif operation == EFFECT_MAX:
        level = value if value > level else level
    elif operation == EFFECT_MIN:
        level = value if value < level else level
    elif operation == EFFECT_ADD:
        level += value
    elif operation == EFFECT_SUB:
        level -= value
    elif operation == EFFECT_MUL:
        level = level * value // 1000
    if level < 0:
        return 0
    return LEVEL_MAX if level > LEVEL_MAX else level
