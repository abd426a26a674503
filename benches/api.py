#!/usr/bin/env python3
"""Measures what it costs to ask for the state of one process: api.py VISORD [SUPERVISORD [PROGRAMS [SECONDS]]].

Starts VISORD (with visorctl beside it) and SUPERVISORD (with supervisorctl beside it) with PROGRAMS programs each (10)
and asks both in turn, three times over, for SECONDS seconds (2) on one connection: visord by JSON and by XML-RPC,
supervisord by XML-RPC. The client sends bytes that were made before and looks only for the end of the answer, so that
the daemon is what is measured. Then the wall time of `status` of either client. Prints the medians: requests a second
and the daemon's CPU time a request, from /proc, so on Linux only.
"""

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
STATUS_CALLS = 7
NAME = "p0"

CALL = (
    "<?xml version='1.0'?>\n<methodCall>\n<methodName>supervisor.getProcessInfo</methodName>\n<params>\n<param>\n"
    f"<value><string>{NAME}</string></value>\n</param>\n</params>\n</methodCall>\n"
)
REQUESTS = {
    "JSON": f"GET /v1/status?name={NAME} HTTP/1.1\r\nHost: here\r\n\r\n",
    "XML-RPC": "POST /RPC2 HTTP/1.1\r\nHost: here\r\nContent-Type: text/xml\r\n"
    f"Content-Length: {len(CALL)}\r\n\r\n{CALL}",
}


def configuration(place, programs):
    """A file that both daemons read."""
    text = f"""[supervisord]
logfile={place}/d.log
pidfile={place}/d.pid
childlogdir={place}
minfds={max(1024, 4 * programs + 200)}
loglevel=warn
[unix_http_server]
file={place}/s.sock
[supervisorctl]
serverurl=unix://{place}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    program = "[program:p{}]\ncommand=sleep 100000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    return text + "".join(program.format(number) for number in range(programs))


class Daemon:
    """One that runs in a directory of its own."""

    def __init__(self, binary, client, place, programs):
        self.binary, self.client, self.place = binary, client, place
        self.config = os.path.join(place, "d.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(configuration(place, programs))
        self.child = subprocess.Popen([binary, "-n", "-c", self.config], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while self.status().count("RUNNING") < programs:
            if time.monotonic() > end:
                sys.exit(f"api.py: {binary} does not run its programs:\n{self.status()[-500:]}")
            time.sleep(0.2)

    def status(self):
        """What the client says."""
        words = [self.client, "-c", self.config, "status"]
        return output(words)

    def cpu(self):
        """Seconds of CPU time so far of the daemon and of its child that runs the same program: visord's reactor."""
        pids = [self.child.pid]
        listed = output(["ps", "-o", "pid=,comm=", "--ppid", str(pids[0])])
        pids += [int(line.split()[0]) for line in listed.splitlines() if "visord" in line]
        total = 0.0
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0]) / 1e9
        return total

    def rate(self, request, seconds):
        """Requests a second, and the daemon's microseconds of each."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(os.path.join(self.place, "s.sock"))
        request, count = request.encode(), 0
        used, begin = self.cpu(), time.monotonic()
        while time.monotonic() - begin < seconds:
            client.sendall(request)
            answer(client)
            count += 1
        elapsed = time.monotonic() - begin
        used = self.cpu() - used
        client.close()
        return count / elapsed, used / count * 1e6

    def wall(self):
        """Milliseconds of one `status`."""
        begin = time.monotonic()
        self.status()
        return (time.monotonic() - begin) * 1e3

    def end(self):
        """Ends it with its programs."""
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(timeout=60)


def output(words):
    """What a command says; a client whose daemon is not there yet complains in vain."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout


def answer(client):
    """Reads one answer to its end."""
    data = b""
    while True:
        part = client.recv(65536)
        if not part:
            sys.exit(f"api.py: the connection was closed after {data!r}")
        data += part
        head = data.find(b"\r\n\r\n")
        if head < 0:
            continue
        if not data.startswith(b"HTTP/1.1 200"):
            sys.exit(f"api.py: {data!r}")
        length = int(re.search(rb"(?i)content-length: *(\d+)", data).group(1))
        if len(data) >= head + 4 + length:
            return


def beside(binary, client):
    """The client in the daemon's directory."""
    return os.path.join(os.path.dirname(os.path.abspath(binary)), client)


def main():
    """Measures and prints."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    given = sys.argv[1:] + [""] * 4
    programs, seconds = int(given[2] or 10), float(given[3] or 2)
    with tempfile.TemporaryDirectory() as place:
        rows, running = [], []
        for binary, client, kinds in (
            (given[0], "visorctl", ["JSON", "XML-RPC"]),
            (given[1], "supervisorctl", ["XML-RPC"]),
        ):
            if not binary:
                continue
            own = os.path.join(place, client)
            os.mkdir(own)
            daemon = Daemon(binary, beside(binary, client), own, programs)
            running.append((client, daemon))
            rows += [(os.path.basename(binary), kind, daemon, []) for kind in kinds]
        try:
            for _ in range(ROUNDS):
                for _, kind, daemon, found in rows:
                    found.append(daemon.rate(REQUESTS[kind], seconds))
            walls = [(client, [daemon.wall() for _ in range(STATUS_CALLS)]) for client, daemon in running]
        finally:
            for _, daemon in running:
                daemon.end()
    print(f"{programs} programs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    for name, kind, _, found in rows:
        rate, cost = (statistics.median(values) for values in zip(*found))
        print(f"{name:12} {kind:8} {rate:8.0f} requests/s {cost:8.1f} us of CPU each")
    for client, times in walls:
        print(f"{client:21} {statistics.median(times):8.1f} ms a status")


if __name__ == "__main__":
    main()
