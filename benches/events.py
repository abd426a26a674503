#!/usr/bin/env python3
"""Measures how many events a second one echo listener gets: events.py DAEMON [COUNT].

A program says COUNT passages in capture mode at once; each is a PROCESS_COMMUNICATION_STDOUT event to one listener
that answers at once and does nothing else. The first and the last event are timed where they arrive. DAEMON is visord.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time

LISTENER = r'''
import sys, time
read, write = sys.stdin.buffer, sys.stdout.buffer
wanted, count, first = int(sys.argv[1]), 0, 0.0
write.write(b"READY\n"); write.flush()
while count < wanted:
    head = read.readline()
    read.read(int(head.rsplit(b":", 1)[1]))
    count += 1
    if count == 1:
        first = time.monotonic()
    write.write(b"RESULT 2\nOKREADY\n"); write.flush()
with open(sys.argv[2] + ".new", "w") as result:
    result.write(str((count - 1) / (time.monotonic() - first)))
import os
os.rename(sys.argv[2] + ".new", sys.argv[2])
read.readline()
'''

TALKER = r'''
import sys, time
time.sleep(2)
message = b"<!--XSUPERVISOR:BEGIN-->a message of some forty bytes, as usual.<!--XSUPERVISOR:END-->\n"
sys.stdout.buffer.write(message * int(sys.argv[1]))
sys.stdout.buffer.flush()
time.sleep(1000)
'''

CONFIG = """[supervisord]
nodaemon=true
silent=true
logfile={here}/daemon.log
pidfile={here}/pid
childlogdir={here}

[program:talker]
command={python} {here}/talker.py {count}
stdout_capture_maxbytes=1000
stdout_logfile=NONE

[eventlistener:echo]
command={python} {here}/listener.py {count} {here}/result
events=PROCESS_COMMUNICATION
buffer_size={size}
stdout_logfile=NONE
"""


def main():
    daemon, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    with tempfile.TemporaryDirectory() as here:
        for name, text in (("listener.py", LISTENER), ("talker.py", TALKER)):
            with open(os.path.join(here, name), "w") as file:
                file.write(text)
        config = os.path.join(here, "supervisord.conf")
        with open(config, "w") as file:
            file.write(CONFIG.format(here=here, python=sys.executable, count=count, size=count + 10))
        process = subprocess.Popen([daemon, "-n", "-c", config], stdin=subprocess.DEVNULL)
        result, end = os.path.join(here, "result"), time.monotonic() + 300
        try:
            while not os.path.exists(result):
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit("no result: " + open(os.path.join(here, "daemon.log")).read()[-2000:])
                time.sleep(0.1)
            with open(result) as file:
                print(f"{float(file.read()):.0f} events/s to one listener ({count} events)")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()


main()
