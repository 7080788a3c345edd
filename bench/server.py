"""What the benchmarks share: a server on a core of its own, and what the system says of it."""
import http.client
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "release")
SERVER_CORE, LOAD_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def sync_micros(directory):
    """The median of fdatasync after 4 KiB, in microseconds."""
    times = []
    with open(os.path.join(directory, "sync"), "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


class Server:
    """A process pinned to its core; ready once it answers at `ready_path`. Its log goes into `directory`."""

    def __init__(self, command, ready_port, ready_path, directory):
        begin = time.perf_counter()
        log = os.path.join(directory, "log")
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], cwd=directory, stderr=out)
        while True:
            try:
                get(ready_port, ready_path)
                break
            except OSError:
                if self.process.poll() is not None:
                    with open(log) as text:
                        sys.exit(text.read())
                time.sleep(0.001)
        self.ready_ms = (time.perf_counter() - begin) * 1000

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _mib(self, field):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(field + r":\s+(\d+)", status.read()).group(1)) / 1024

    def peak_mib(self):
        return self._mib("VmHWM")

    def resident_mib(self):
        return self._mib("VmRSS")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
