"""Nobody waits for anybody else: neither for his disk, nor for his lock."""
import os
import subprocess
import threading
import time

from tests.chaos.disk import Disk
from tests.chaos.watch import Watch
from tests.integration.gateway import COMMAND, SANITIZED, Service, TestCase, earliest, latest, xml
from mmsmo.v1 import subscription_pb2, subscription_service_pb2
from google.protobuf import duration_pb2

HEARTBEAT = duration_pb2.Duration(nanos=100_000_000)


class IsolationTest(TestCase):
    def create(self, rpc, name, **settings):
        Service(rpc.channel, subscription_service_pb2, "SubscriptionService").call(
            "CreateSubscription",
            subscription=subscription_pb2.Subscription(name=name, start_position=earliest(), **settings))

    def in_background(self, work):
        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)

    def test_metrics_are_read_while_streams_are_woken(self):
        gateway = self.gateway()
        rpc = self.service(gateway)
        self.create(rpc, "orders")
        count = 2_000 if SANITIZED else 4_000
        over = threading.Event()

        def scrape():
            while not over.is_set():
                gateway.get("/metrics")

        for _ in range(3):
            self.in_background(scrape)
        self.addCleanup(over.set)
        sending = subprocess.Popen([COMMAND, "send", "--url", gateway.url(), "--tracking-id", "M", "--count", str(count),
                                    "--connections", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        streams = [rpc.subscribe(subscription="orders", max_batch_size=20, heartbeat_interval=HEARTBEAT) for _ in range(4)]
        handled = [0] * len(streams)

        def consume(i):
            for frame in streams[i]:
                ids = [delivery.ack_id for delivery in frame.batch.deliveries]
                if ids:
                    rpc.call("Acknowledge", subscription="orders", ack_ids=ids, timeout=30)
                handled[i] += len(ids)
                if sum(handled) == count:
                    return

        for i in range(len(streams)):
            self.in_background(lambda i=i: consume(i))
        self.assertEqual(sending.wait(60), 0)
        deadline = time.monotonic() + 60
        while sum(handled) < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_sync_that_hangs_delays_nobody_else(self):
        disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])
        gateway = self.gateway(environment=disk.environment())
        rpc = self.service(gateway)
        for i in range(100):
            self.accepted(gateway, f"H{i}")
        self.create(rpc, "orders")
        self.create(rpc, "moved")
        admin = Service(rpc.channel, subscription_service_pb2, "SubscriptionService")
        with Watch(gateway, latest()) as watch:
            disk.settings.sync_delay_micros = 3_000_000
            self.in_background(lambda: admin.call("SeekSubscription", name="moved", target=earliest()))
            self.in_background(lambda: gateway.post(xml("HUNG")))
            end = time.monotonic() + 3
            while time.monotonic() < end:  # consumers come and go
                stream = rpc.subscribe(subscription="orders", heartbeat_interval=HEARTBEAT)
                self.assertEqual(next(stream).WhichOneof("content"), "started")
                next(stream)
                stream.cancel()
                self.assertEqual(gateway.get("/metrics")[0], 200)
            disk.heal()
        print(watch.report())
        self.assertGreater(watch.heartbeat, 0)
        self.assertLess(watch.slowest, 1)


if __name__ == "__main__":
    import unittest
    unittest.main()
