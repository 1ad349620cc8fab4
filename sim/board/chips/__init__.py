"""Register-level models of the devices that firmware/drivers speaks to, and doubles of the buses between them.

Each cites the datasheet it was written from. No hardware was used: a model shows that a driver keeps to the datasheet,
and not that the datasheet keeps to the device.
"""
