"""Nobody waits for anybody else: neither for his disk, nor for his lock."""
import os
import subprocess
import threading
import time

from tests.chaos.disk import Disk
from tests.chaos.watch import Watch
from tests.integration.gateway import COMMAND, SANITIZED, Service, TestCase, earliest, latest, xml
from mmsmo.v1 import subscription_pb2, subscription_service_pb2
from google.protobuf import duration_pb2, field_mask_pb2

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

    def test_what_is_acknowledged_in_time_counts_however_long_the_disk_takes(self):
        disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])
        gateway = self.gateway(environment=disk.environment())
        rpc = self.service(gateway)
        count = 100
        for i in range(count):
            self.accepted(gateway, f"S{i}")
        self.create(rpc, "orders", ack_deadline=duration_pb2.Duration(seconds=1))
        disk.settings.sync_delay_micros = 3_000_000
        delivered, expired = [], []

        def acknowledge(ack_ids):
            expired.extend(rpc.call("Acknowledge", subscription="orders", ack_ids=ack_ids).failures)

        for frame in rpc.subscribe(subscription="orders", heartbeat_interval=HEARTBEAT, max_batch_size=10):
            deliveries = frame.batch.deliveries
            delivered += [delivery.event.mms_mo.tracking_id for delivery in deliveries]
            if deliveries:
                self.in_background(lambda ids=[delivery.ack_id for delivery in deliveries]: acknowledge(ids))
            if len(set(delivered)) == count and frame.HasField("heartbeat"):
                break
        disk.heal()
        self.assertEqual(len(delivered), count)
        self.assertEqual(expired, [])

    def test_an_update_is_not_undone_by_who_connects_meanwhile(self):
        disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])
        gateway = self.gateway(environment=disk.environment())
        rpc = self.service(gateway)
        self.create(rpc, "orders", max_attempts=1, expiration_ttl=duration_pb2.Duration(seconds=86400))
        admin = Service(rpc.channel, subscription_service_pb2, "SubscriptionService")
        disk.settings.sync_delay_micros = 1_000_000
        update = threading.Thread(target=lambda: admin.call(
            "UpdateSubscription", subscription=subscription_pb2.Subscription(name="orders", max_attempts=7),
            update_mask=field_mask_pb2.FieldMask(paths=["max_attempts"])))
        update.start()
        while update.is_alive():  # consumers come and go
            stream = rpc.subscribe(subscription="orders", heartbeat_interval=HEARTBEAT)
            self.assertEqual(next(stream).WhichOneof("content"), "started")
            stream.cancel()
        disk.heal()
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            name="other", start_position=latest()))  # after what was to be written
        gateway.kill()
        gateway.start()
        found = Service(self.service(gateway).channel, subscription_service_pb2, "SubscriptionService").call(
            "GetSubscription", name="orders")
        self.assertEqual(found.subscription.max_attempts, 7)

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
