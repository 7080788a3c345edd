"""The libraries of all languages at once, for long: soak.py NAME=RUNNER…

Each has a subscription and a proxy of its own. Every ten seconds all connections are cut, every third time frozen
instead; every minute the gateway is started again, by turns after SIGTERM and SIGKILL. What was answered 200 has to be
handled by each, none may stand still, and their memory may not grow. Prints a line for each, and exits with 1 where
that is not so. MMSMO_SOAK_MINUTES says how long, by default one minute."""
import collections
import contextlib
import http.client
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from google.protobuf import duration_pb2
from mmsmo.v1 import event_pb2, subscription_pb2, subscription_service_pb2

from tests.chaos.proxy import Proxy
from tests.integration.gateway import PATH, Gateway, Service, xml

RATE = 100  # postbacks a second
CUT_EVERY, FREEZE_EVERY, RESTART_EVERY = 10, 3, 60  # seconds, cuts, seconds
OPTIONS = {"concurrency": 4, "heartbeat_interval_ms": 1000, "min_backoff_ms": 50, "max_backoff_ms": 1000}
STALL_SECONDS = 30
CATCH_UP_SECONDS = 60
JUDGED_MINUTES = 10  # memory takes so long to show what it does
GROWTH, GROWTH_MIB = 1.1, 8
# Heaps that are not cleared before they are large say nothing about what is held.
SMALL_HEAPS = {"JAVA_TOOL_OPTIONS": "-Xmx48m", "NODE_OPTIONS": "--max-old-space-size=48"}


class Consumer:
    def __init__(self, name, command, gateway):
        self.name = name
        self.proxy = Proxy(gateway.grpc)
        self.handled = collections.Counter()  # tracking ids
        self.said = collections.Counter()
        self.last_at, self.longest = None, 0.0
        self.memory = []
        self.ended = threading.Event()
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env={**os.environ, **SMALL_HEAPS})
        threading.Thread(target=self._read, daemon=True).start()
        self.do(do="run", subscription=name, target=self.proxy.address, plan=[], options=OPTIONS)

    def do(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.said[said["event"]] += 1
            if said["event"] == "end" and said["verdict"] == "ack":
                self.handled[said["id"]] += 1
                self._went_on()
            elif said["event"] == "ended":
                self.ended.set()

    def _went_on(self):
        now = time.monotonic()
        if self.last_at:
            self.longest = max(self.longest, now - self.last_at)
        self.last_at = now

    def look(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            self.memory.append(int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024)

    def growth(self):
        """Its memory in the second quarter of the time, and in the last."""
        quarter = max(1, len(self.memory) // 4)
        return statistics.median(self.memory[quarter:2 * quarter] or self.memory), statistics.median(self.memory[-quarter:])

    def close(self):
        self.do(do="stop", mode="finish", timeout_ms=10_000)
        in_order = self.ended.wait(20)
        self.process.stdin.close()
        try:
            in_order = self.process.wait(20) == 0 and in_order
        except subprocess.TimeoutExpired:
            self.process.kill()
            in_order = False
        self.proxy.close()
        return in_order

    def lost(self, posted):
        return sum(f"s{number}" not in self.handled for number in range(posted))

    def faults(self, posted, judges_memory):
        lost = self.lost(posted)
        early, late = self.growth()
        if lost:
            yield f"{lost} lost"
        if self.longest > STALL_SECONDS:
            yield f"it stood still for {self.longest:.1f} s"
        if judges_memory and late > early * GROWTH + GROWTH_MIB:
            yield f"its memory grew from {early:.0f} to {late:.0f} MiB"


class Poster(threading.Thread):
    """Posts at a steady rate, each until it is answered 200."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.posted, self.stopping = gateway, 0, threading.Event()

    def run(self):
        begin = time.monotonic()
        while not self.stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._post_over_one_connection(begin)
            time.sleep(0.05)

    def _post_over_one_connection(self, begin):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.http, timeout=10)
        with contextlib.closing(connection):
            while not self.stopping.wait(max(0, begin + self.posted / RATE - time.monotonic())):
                connection.request("POST", PATH, xml(f"s{self.posted}"), {"Content-Type": "application/xml"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    return
                self.posted += 1


def create(gateway, name):
    with gateway.channel() as channel:
        Service(channel, subscription_service_pb2, "SubscriptionService").call(
            "CreateSubscription", subscription=subscription_pb2.Subscription(
                name=name, ack_deadline=duration_pb2.Duration(seconds=10),
                start_position=event_pb2.StartPosition(boundary=event_pb2.BOUNDARY_EARLIEST)))


def disturb(gateway, consumers, until):
    begin, cuts, restarts = time.monotonic(), 0, 0
    while time.monotonic() < until:
        time.sleep(max(0, min(begin + (cuts + 1) * CUT_EVERY, until) - time.monotonic()))
        cuts += 1
        for consumer in consumers:
            consumer.look()
            consumer.proxy.freeze() if cuts % FREEZE_EVERY == 0 else consumer.proxy.cut()
        if time.monotonic() - begin >= (restarts + 1) * RESTART_EVERY:
            restarts += 1
            gateway.kill() if restarts % 2 == 0 else gateway.stop()
            gateway.start()
    return cuts, restarts


def soak(gateway, commands, minutes):
    for name in commands:
        create(gateway, name)
    consumers = [Consumer(name, command, gateway) for name, command in commands.items()]
    poster = Poster(gateway)
    poster.start()
    cuts, restarts = disturb(gateway, consumers, time.monotonic() + minutes * 60)
    poster.stopping.set()
    poster.join()
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while any(consumer.lost(poster.posted) for consumer in consumers) and time.monotonic() < deadline:
        time.sleep(0.1)
    print(f"{poster.posted} postbacks in {minutes:g} minutes; {cuts} cuts, {restarts} restarts")
    failed = False
    for consumer in consumers:
        faults = list(consumer.faults(poster.posted, minutes >= JUDGED_MINUTES))
        if not consumer.close():
            faults.append("it did not end in order")
        twice = sum(count - 1 for count in consumer.handled.values())
        early, late = consumer.growth()
        print(f"{consumer.name}: {len(consumer.handled)} handled, {twice} once more, {consumer.said['connected']} streams, "
              f"{consumer.said['ack_failed']} acknowledgements without effect, at most {consumer.longest:.1f} s without an "
              f"event, {early:.0f} → {late:.0f} MiB: {'; '.join(faults) or 'ok'}", flush=True)
        failed = failed or bool(faults)
    return failed


def main():
    commands = dict(runner.split("=", 1) for runner in sys.argv[1:])
    directory = tempfile.mkdtemp(prefix="mmsmo-")
    gateway = Gateway(directory)
    try:
        gateway.start()
        return soak(gateway, commands, float(os.environ.get("MMSMO_SOAK_MINUTES", 1)))
    finally:
        gateway.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
