"""Writes numbered lines of changing length until SIGTERM, then leaves their number in NAME.count."""
import os
import signal
import sys
import time

name, mode, pause_ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
BLOCK = 65536
ending = False


def end(*_):
    global ending
    ending = True


def put(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


signal.signal(signal.SIGTERM, end)
number = 0
pending = bytearray()
while not ending:
    for _ in range(50):
        line = b"%s %d %s\n" % (name.encode(), number, b"x" * (number % 90))
        number += 1
        if mode == "line":
            put(line)
        else:
            pending += line
    while len(pending) >= BLOCK:
        put(pending[:BLOCK])
        del pending[:BLOCK]
    if pause_ms:
        time.sleep(pause_ms / 1000)
put(pending)
with open(name + ".count.new", "w") as f:
    f.write("%d\n" % number)
os.rename(name + ".count.new", name + ".count")
