"""How long others wait while something happens to a gateway."""
import contextlib
import threading
import time

import grpc

from tests.integration.gateway import Service
from google.protobuf import duration_pb2
from mmsmo.v1 import event_pb2

EVERY = 0.1  # seconds


class Latencies:
    def __init__(self):
        self.seconds = []

    @contextlib.contextmanager
    def measure(self):
        begin = time.monotonic()
        yield
        self.seconds.append(time.monotonic() - begin)

    def report(self, chaos, what, at_most):
        """The 99th percentile; a finding where it is more than so many seconds."""
        ordered = sorted(self.seconds)
        if not ordered:
            return
        p99 = ordered[len(ordered) * 99 // 100]
        chaos.measured.append(f"{what}: p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms of "
                              f"{len(ordered)}")
        if p99 > at_most:
            chaos.findings.add("waiting", chaos.measured[-1])


class Watch:
    """Asks /healthz, and listens to a stream to which nothing happens but heartbeats, as long as the block runs."""

    def __init__(self, gateway, start):
        self.gateway, self.start = gateway, start
        self.health = self.heartbeat = self.lag = 0.0  # the longest, in seconds
        self.over = threading.Event()

    def __enter__(self):
        self.channel = self.gateway.channel()
        self.stream = Service(self.channel).subscribe(
            timeout=None, start_position=self.start, filter=event_pb2.Filter(senders=["19995550199"]),
            heartbeat_interval=duration_pb2.Duration(nanos=int(EVERY * 1e9)))
        next(self.stream)
        self.threads = [threading.Thread(target=work) for work in (self._ask, self._listen)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.stream.cancel()
        for thread in self.threads:
            thread.join()
        self.channel.close()

    def _ask(self):
        while not self.over.is_set():
            begin = time.monotonic()
            with contextlib.suppress(OSError):  # no answer at all
                self.gateway.get("/healthz")
            answered = time.monotonic()
            self.health = max(self.health, answered - begin)
            self.over.wait(EVERY)
            self.lag = max(self.lag, time.monotonic() - answered - EVERY)  # this process's own

    def _listen(self):
        last = time.monotonic()
        with contextlib.suppress(grpc.RpcError):
            for _ in self.stream:
                now = time.monotonic()
                self.heartbeat = max(self.heartbeat, now - last)
                last = now
        self.heartbeat = max(self.heartbeat, time.monotonic() - last)

    @property
    def slowest(self):
        return max(self.health, self.heartbeat) - self.lag

    def report(self):
        return (f"/healthz within {self.health * 1000:.0f} ms, a stream silent for {self.heartbeat * 1000:.0f} ms "
                f"(the watch itself {self.lag * 1000:.0f} ms)")
