"""What D4i gear says of itself, as a report. Loaded where it is used, and forgotten: who has none has no use."""

from firmware.links import codec
from firmware.links.codec_fields import GEAR
from firmware.links.outbox import ROUTINE


def teller(box, number):
    """Return what `D4iMeter.listener` calls: it puts a report of the gear of lamp ``number`` into the outbox."""

    def tell(meter):
        values = [number]
        for seconds, starts in ((meter.operating_s, meter.starts), (meter.light_s, meter.light_starts)):
            values.append(codec.known(seconds // 3600 if seconds >= 0 else seconds))
            values.append(codec.known(starts))
        values.append(min(max(meter.energy_wh, 0), 0x3FFFFFFE))
        values.append((meter.gtin & 0xFFFFFFFFFFFF).to_bytes(6, "big"))
        values.append((meter.identification & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big"))
        box.put(ROUTINE, "event", codec.encode(GEAR, values), 1, "gear%d" % number)

    return tell
