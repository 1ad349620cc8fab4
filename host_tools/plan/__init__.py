"""The one compiler of plans: what people write becomes the integers and bytes that the control core reads.

It touches no device and no file but the tz database, so that the simulator may use it too.
"""
