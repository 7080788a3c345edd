"""What becomes of deliveries when their stream ends: it is nobody's failure, and nothing comes twice to a client that
resumes."""
import subprocess
import unittest

import grpc
from google.protobuf import duration_pb2, empty_pb2

from tests.chaos.proxy import Proxy
from tests.integration.gateway import COMMAND, Service, TestCase, earliest
from mmsmo.v1 import subscription_pb2, subscription_service_pb2

HEARTBEAT = duration_pb2.Duration(nanos=100_000_000)
SOON = subscription_pb2.RetryPolicy(minimum_backoff=duration_pb2.Duration(nanos=10_000_000))


class ResumeTest(TestCase):
    FLAGS = ()

    def setUp(self):
        super().setUp()
        self.server = self.gateway(*self.FLAGS)
        self.rpc = self.service(self.server)
        self.admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")
        self.proxy = Proxy(self.server.grpc)
        self.addCleanup(self.proxy.close)

    def create(self, **settings):
        self.admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            **{"name": "orders", "start_position": earliest(), **settings}))

    def stream(self, rpc=None, **fields):
        """The stream, and what it says at its start."""
        stream = (rpc or self.rpc).subscribe(subscription="orders", heartbeat_interval=HEARTBEAT, **fields)
        self.addCleanup(stream.cancel)
        return stream, next(stream).started

    def through_proxy(self):
        channel = grpc.insecure_channel(self.proxy.address, [("grpc.max_reconnect_backoff_ms", 100)])
        self.addCleanup(channel.close)
        return Service(channel)

    def take(self, stream, count):
        """The deliveries, and in how many frames they came."""
        deliveries, frames = [], 0
        while len(deliveries) < count:
            frames += 1
            deliveries += next(stream).batch.deliveries
        return deliveries, frames

    def ids(self, deliveries):
        return [(d.event.mms_mo.tracking_id, d.attempt) for d in deliveries]

    def acknowledge(self, deliveries):
        answer = self.rpc.call("Acknowledge", subscription="orders", ack_ids=[d.ack_id for d in deliveries])
        self.assertEqual(list(answer.failures), [])

    def modify(self, delivery, **change):
        answer = self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=[delivery.ack_id], **change)
        self.assertEqual(list(answer.failures), [])

    def gets_nothing(self, stream):
        """Heartbeats come, and no deliveries."""
        for _ in range(3):
            frame = next(stream)
            while not frame.HasField("heartbeat"):
                self.assertEqual(self.ids(frame.batch.deliveries), [])
                frame = next(stream)

    def dead_letters(self):
        page = self.admin.call("ListDeadLetters", subscription="orders", page_size=1000)
        return [(d.event.mms_mo.tracking_id, d.reason) for d in page.dead_letters]

    def in_flight(self):
        return self.server.metric('mmsmo_subscription_in_flight{subscription="orders"}')

    def streams(self):
        return self.server.metric('mmsmo_grpc_calls{kind="stream"}')

    def cut(self, stream):
        self.proxy.cut()
        with self.assertRaises(grpc.RpcError) as raised:
            for _ in stream:
                pass
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)


class CutTest(ResumeTest):
    def test_a_handler_goes_on_while_its_stream_is_cut_and_resumed(self):
        self.create(max_attempts=1)
        self.accepted(self.server, "WORK")
        stream, started = self.stream(self.through_proxy())
        deliveries, frames = self.take(stream, 1)
        self.cut(stream)
        stream, again = self.stream(self.through_proxy(), resume_stream_id=started.stream_id, received_frames=1 + frames)
        self.assertTrue(again.resumed)
        self.gets_nothing(stream)
        self.acknowledge(deliveries)
        self.gets_nothing(stream)
        self.assertEqual(self.dead_letters(), [])

    def test_what_cut_frames_held_comes_again_under_its_ack_id(self):
        self.create(max_attempts=1)
        for i in range(3):
            self.accepted(self.server, f"C{i}")
        stream, started = self.stream(self.through_proxy(), max_batch_size=1)
        before, frames = self.take(stream, 1)
        before += self.take(stream, 2)[0]
        self.cut(stream)
        # As if only the first delivery had arrived.
        stream, again = self.stream(self.through_proxy(), resume_stream_id=started.stream_id, received_frames=1 + frames)
        self.assertTrue(again.resumed)
        after, _ = self.take(stream, 2)
        self.assertEqual(self.ids(after), [("C1", 1), ("C2", 1)])
        self.assertEqual([d.ack_id for d in after], [d.ack_id for d in before[1:]])
        self.acknowledge(before[:1] + after)
        self.gets_nothing(stream)

    def test_an_acknowledgement_counts_after_the_end_of_its_stream(self):
        self.create()
        self.accepted(self.server, "LATE")
        stream, _ = self.stream(self.through_proxy())
        deliveries, _ = self.take(stream, 1)
        self.cut(stream)
        self.until(lambda: self.streams() == 0)
        self.acknowledge(deliveries)
        self.acknowledge(deliveries)
        self.gets_nothing(self.stream()[0])

    def test_a_half_open_predecessor_is_aborted(self):
        self.create()
        self.accepted(self.server, "HALF")
        stream, started = self.stream(self.through_proxy())
        self.take(stream, 1)
        self.proxy.freeze()
        successor, again = self.stream(resume_stream_id=started.stream_id, received_frames=1)
        self.assertTrue(again.resumed)
        self.assertEqual(self.ids(self.take(successor, 1)[0]), [("HALF", 1)])
        self.until(lambda: self.streams() == 1)

    def test_a_predecessor_that_reads_learns_that_it_was_resumed(self):
        self.create()
        stream, started = self.stream()
        self.assertTrue(self.stream(resume_stream_id=started.stream_id, received_frames=1)[1].resumed)
        with self.assertRaises(grpc.RpcError) as raised:
            for _ in stream:
                pass
        self.assertEqual(raised.exception.code(), grpc.StatusCode.ABORTED)

    def test_a_stream_is_resumed_while_it_is_delivered_to(self):
        self.create(max_outstanding_messages=100_000)
        sending = subprocess.Popen([COMMAND, "send", "--url", self.server.url(), "--tracking-id", "S", "--count", "100000",
                                    "--connections", "4", "--rate", "1500"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(sending.wait)
        self.addCleanup(sending.kill)
        attempts, last, frames = set(), "", 0
        for i in range(500):
            stream = self.rpc.subscribe(subscription="orders", resume_stream_id=last, received_frames=frames, timeout=20,
                                        max_batch_size=10, max_outstanding_messages=100_000)
            started = next(stream).started
            self.assertEqual(started.resumed, i > 0)
            last, frames = started.stream_id, 1
            for _ in range((i + 1) % 5):  # the first has something in hand, without which nothing is resumed
                frame = next(stream)
                frames += 1
                for delivery in frame.batch.deliveries:
                    attempts.add(delivery.attempt)
        self.assertEqual(attempts, {1})

    def test_resumes_only_streams_of_its_own_subscription(self):
        self.create()
        self.create(name="others")
        self.accepted(self.server, "OWN")
        stream, started = self.stream()
        self.take(stream, 1)
        other = self.rpc.subscribe(subscription="others", resume_stream_id=started.stream_id)
        self.assertFalse(next(other).started.resumed)
        other.cancel()
        self.assertFalse(self.stream(resume_stream_id="x" * 32)[1].resumed)
        self.gets_nothing(stream)


class DyingConsumerTest(ResumeTest):
    FLAGS = ("--resume-window", "100ms")
    COUNT = 2000

    def fill(self):
        subprocess.run([COMMAND, "send", "--url", self.server.url(), "--tracking-id", "D", "--count", str(self.COUNT),
                        "--connections", "32"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def handles_everything(self):
        stream, _ = self.stream(max_outstanding_messages=self.COUNT)
        handled = set()
        while len(handled) < self.COUNT:
            deliveries = next(stream).batch.deliveries
            if deliveries:
                self.acknowledge(deliveries)
            handled.update(d.event.mms_mo.tracking_id for d in deliveries)
        self.assertEqual(self.dead_letters(), [])

    def test_a_consumer_that_dies_five_times_buries_nothing(self):
        self.create(max_attempts=5)
        self.fill()
        for _ in range(5):
            stream, _ = self.stream(self.through_proxy(), max_outstanding_messages=self.COUNT)
            self.take(stream, 1)  # it may be alone by then
            self.cut(stream)
            self.until(lambda: self.in_flight() == 0)
        self.handles_everything()

    def test_a_restart_counts_for_nobody(self):
        self.create(max_attempts=1)
        self.fill()
        for away in (self.server.kill, self.server.stop):
            stream, _ = self.stream(max_outstanding_messages=self.COUNT)
            self.take(stream, self.COUNT)
            away()
            self.server.start()
        self.handles_everything()


class GiveBackTest(ResumeTest):
    def test_release_is_no_failure(self):
        self.create(max_attempts=1)
        self.accepted(self.server, "R")
        stream, _ = self.stream()
        for attempt in (1, 2, 3):
            delivery, = self.take(stream, 1)[0]
            self.assertEqual(delivery.attempt, attempt)
            self.modify(delivery, release=empty_pb2.Empty())
        self.acknowledge(self.take(stream, 1)[0])
        self.assertEqual(self.dead_letters(), [])

    def test_who_leaves_gives_back_what_is_on_its_way(self):
        self.create(max_attempts=1)
        self.accepted(self.server, "L")
        stream, started = self.stream()
        self.take(stream, 1)
        for again in range(2):
            self.rpc.call("ModifyAckDeadline", subscription="orders", release=empty_pb2.Empty(),
                          stream_id=started.stream_id, received_frames=1)
        other, _ = self.stream()
        delivery, = self.take(other, 1)[0]
        self.assertEqual(delivery.attempt, 2)
        stream.cancel()
        self.acknowledge([delivery])
        self.assertEqual(self.dead_letters(), [])

    def test_retry_is_a_failure_and_waits_for_the_backoff(self):
        self.create(max_attempts=2, retry_policy=SOON)
        self.accepted(self.server, "T")
        stream, _ = self.stream()
        for attempt in (1, 2):
            delivery, = self.take(stream, 1)[0]
            self.assertEqual(delivery.attempt, attempt)
            self.modify(delivery, retry=empty_pb2.Empty())
        self.until(lambda: self.dead_letters() == [("T", "max_attempts")])

    def test_an_acknowledgement_counts_while_its_event_waits(self):
        self.create(retry_policy=subscription_pb2.RetryPolicy(minimum_backoff=duration_pb2.Duration(seconds=60),
                                                              maximum_backoff=duration_pb2.Duration(seconds=60)))
        self.accepted(self.server, "W")
        stream, _ = self.stream()
        delivery, = self.take(stream, 1)[0]
        self.modify(delivery, retry=empty_pb2.Empty())
        self.acknowledge([delivery])
        self.assertEqual(self.server.metric('mmsmo_subscription_backlog{subscription="orders"}'), 0)


if __name__ == "__main__":
    unittest.main()
