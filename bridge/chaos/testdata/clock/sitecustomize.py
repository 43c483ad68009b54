"""Read by Python at its start: moves supervisord's clock by the seconds in a file."""
import mmap
import os
import struct
import time

name = os.environ.get("CHAOS_CLOCK")
if name:
    with open(name, "rb") as f:
        offset = mmap.mmap(f.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time
    time.time = lambda: real() + struct.unpack_from("<q", offset)[0]
