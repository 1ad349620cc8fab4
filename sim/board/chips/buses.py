"""Doubles of ESP32's bus classes, over register-level models of the devices: no hardware, and none of its timing.

The method names and signatures are those of MicroPython's ``machine.I2C``, ``machine.UART``, ``machine.ADC``,
``machine.Pin``, ``machine.Counter`` and of micropython-lib's ``onewire`` (documentation of MicroPython 1.26,
library/machine.*; ports/esp32). They run on CPython and on MicroPython.

========================== ===================================
`model`                    what all models of devices share
`i2c_bus`                  I2C, and models with registers
`serial_lines`             UART and 1-Wire
`pins`                     ADC input, pin, pulse counter
========================== ===================================

Every model has ``fault``, set from outside, and misbehaves on purpose:

============= ==========================================================================================
none          as the datasheet says
no_answer     the wire is cut: no acknowledge, no byte, no pulse
noise         what is read is changed at random (a fixed sequence: the same run gives the same bytes)
stuck         the device answers, and its reading does not change any more
wrong_id      another part is fitted (models without an identity behave as with ``none``)
brown_out     the supply dips: registers are as after power-on from the next access on; clears itself
late          the device is slower than its datasheet: I2C times out, a UART holds its bytes back
============= ==========================================================================================

Time reaches a model by ``tick(now_ms)`` and by nothing else: a test is as long as its arithmetic.
"""

from .i2c_bus import I2CBus as I2CBus
from .i2c_bus import I2CModel as I2CModel
from .i2c_bus import RegisterModel as RegisterModel
from .model import ENODEV as ENODEV
from .model import ETIMEDOUT as ETIMEDOUT
from .model import FAULTS as FAULTS
from .model import Model as Model
from .pins import IRQ_FALLING as IRQ_FALLING
from .pins import IRQ_RISING as IRQ_RISING
from .pins import AdcInput as AdcInput
from .pins import AdcModel as AdcModel
from .pins import PinLine as PinLine
from .pins import PulseCounter as PulseCounter
from .serial_lines import OneWireBus as OneWireBus
from .serial_lines import OneWireModel as OneWireModel
from .serial_lines import UartLine as UartLine
from .serial_lines import UartModel as UartModel
