"""Named subscriptions as any client sees them: over gRPC, against the real gateway."""
import signal
import unittest

import grpc
from google.protobuf import duration_pb2, field_mask_pb2

from tests.integration.gateway import Service, TestCase, earliest, fill_disk, free_disk, latest
from mmsmo.v1 import event_pb2, mms_mo_service_pb2 as service_pb2, subscription_pb2, subscription_service_pb2


def seconds(value):
    return duration_pb2.Duration(seconds=int(value), nanos=round(value % 1 * 1_000_000_000))


class SubscriptionsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.gateway()
        self.rpc = self.service(self.server)
        self.admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")

    def create(self, name="orders", **settings):
        wanted = subscription_pb2.Subscription(name=name, **{"start_position": earliest(), **settings})
        return self.admin.call("CreateSubscription", subscription=wanted).subscription

    def fails(self, code, part, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        self.assertEqual(raised.exception.code(), code, raised.exception)
        self.assertIn(part, raised.exception.details())

    def stream(self, name="orders", **fields):
        stream = self.rpc.subscribe(subscription=name, **fields)
        self.addCleanup(stream.cancel)
        started = next(stream)
        self.assertEqual(started.WhichOneof("content"), "started")
        return stream, started.started

    def next_deliveries(self, stream, count):
        deliveries = []
        while len(deliveries) < count:
            deliveries += next(stream).batch.deliveries
        return deliveries

    def ids(self, deliveries):
        return [(d.event.mms_mo.tracking_id, d.attempt) for d in deliveries]

    def acknowledge(self, deliveries):
        answer = self.rpc.call("Acknowledge", subscription="orders", ack_ids=[d.ack_id for d in deliveries])
        self.assertEqual(list(answer.failures), [])

    def get(self, name="orders"):
        return self.admin.call("GetSubscription", name=name).subscription

    def test_one_person_is_one_sender_in_any_spelling(self):
        self.create(order_by_sender=True)
        spellings = ("14155550100", "+14155550100", "+1 (415) 555-0100", "1.415.555.0100/TYPE=PLMN")
        for i, sender in enumerate(spellings):
            self.accepted(self.server, f"S{i}", **{"from": sender})
        stream, _ = self.stream()
        for i in range(len(spellings)):
            deliveries = self.next_deliveries(stream, 1)
            self.assertEqual(self.ids(deliveries), [(f"S{i}", 1)])
            self.acknowledge(deliveries)

    def test_a_filter_knows_keywords_in_any_case_and_numbers_in_any_spelling(self):
        wanted = event_pb2.Filter(keywords=["arrêt"], senders=["+1 (408) 225-7140"], recipients=["2-8444"])
        self.create(filter=wanted)
        self.accepted(self.server, "other", keyword="stop")
        self.accepted(self.server, "upper", keyword="ARRÊT")
        self.accepted(self.server, "combined", keyword="Arre\u0302t")
        stream, _ = self.stream()
        self.assertEqual(self.ids(self.next_deliveries(stream, 2)), [("upper", 1), ("combined", 1)])

    def test_delivers_acknowledges_and_goes_on_after_a_kill(self):
        for i in range(3):
            self.accepted(self.server, f"N{i}")
        created = self.create(ack_deadline=seconds(20))
        self.assertEqual((created.backlog_count, created.max_outstanding_messages > 0), (3, True))
        stream, started = self.stream()
        self.assertEqual(started.ack_deadline.seconds, 20)
        self.assertGreater(started.max_outstanding_messages, 0)
        deliveries = self.next_deliveries(stream, 3)
        self.assertEqual(self.ids(deliveries), [("N0", 1), ("N1", 1), ("N2", 1)])
        self.assertEqual(next(stream).WhichOneof("content"), "caught_up")
        self.acknowledge(deliveries[:2])
        self.server.kill()
        self.server.start()
        stream, _ = self.stream()
        again = self.next_deliveries(stream, 1)
        self.assertEqual(self.ids(again), [("N2", 2)])
        self.acknowledge(again)
        self.assertEqual(self.get().backlog_count, 0)
        self.accepted(self.server, "N3")
        self.assertEqual(self.ids(self.next_deliveries(stream, 1)), [("N3", 1)], "live")

    def test_hands_back_extends_and_gives_up(self):
        self.create(ack_deadline=seconds(0.5), retry_policy=subscription_pb2.RetryPolicy(minimum_backoff=seconds(0.01)))
        stream, _ = self.stream()
        self.accepted(self.server, "H0")
        first = self.next_deliveries(stream, 1)[0]
        self.modify(first, redeliver_after=seconds(0))
        second = self.next_deliveries(stream, 1)[0]
        self.assertEqual(second.attempt, 2)
        third = self.next_deliveries(stream, 1)[0]
        self.assertEqual(third.attempt, 3, "the lease ended by itself")
        self.assertEqual(self.failures(second), [service_pb2.ACK_FAILURE_REASON_EXPIRED])
        self.modify(third, extend_by=seconds(60))
        self.modify(third, dead_letter_reason="never mind")
        page = self.admin.call("ListDeadLetters", subscription="orders")
        self.assertEqual([(d.event.mms_mo.tracking_id, d.attempts, d.reason) for d in page.dead_letters],
                         [("H0", 3, "never mind")])
        self.assertEqual(self.admin.call("ReplayDeadLetters", subscription="orders", all=True).replayed_count, 1)
        self.acknowledge(self.next_deliveries(stream, 1))
        subscription = self.get()
        self.assertEqual((subscription.backlog_count, subscription.dead_letter_count), (0, 0))

    def modify(self, delivery, **change):
        answer = self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=[delivery.ack_id], **change)
        self.assertEqual(list(answer.failures), [])

    def failures(self, delivery):
        answer = self.rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id])
        return [failure.reason for failure in answer.failures]

    def test_a_stream_that_ends_gives_back_what_it_has(self):
        self.create()
        gone, _ = self.stream()
        self.accepted(self.server, "G0")
        self.next_deliveries(gone, 1)
        other, _ = self.stream()
        gone.cancel()
        self.assertEqual(self.ids(self.next_deliveries(other, 1)), [("G0", 2)])

    def test_creates_lists_updates_seeks_and_deletes(self):
        self.accepted(self.server, "C0")
        self.create(start_position=latest(), max_attempts=3)
        self.create(start_position=latest(), max_attempts=3)
        self.fails(grpc.StatusCode.ALREADY_EXISTS, "max_attempts", lambda: self.create(start_position=latest()))
        self.create("a-first")
        self.assertEqual([s.name for s in self.admin.call("ListSubscriptions").subscriptions], ["a-first", "orders"])
        updated = self.admin.call(
            "UpdateSubscription", subscription=subscription_pb2.Subscription(name="orders", max_attempts=9),
            update_mask=field_mask_pb2.FieldMask(paths=["max_attempts"])).subscription
        self.assertEqual((updated.max_attempts, updated.ack_deadline.seconds), (9, 30))
        self.assertEqual(self.get().backlog_count, 0)
        moved = self.admin.call("SeekSubscription", name="orders", target=earliest()).subscription
        self.assertEqual(moved.backlog_count, 1)
        stream, _ = self.stream()
        self.assertEqual(self.ids(self.next_deliveries(stream, 1)), [("C0", 1)])
        self.admin.call("DeleteSubscription", name="orders")
        self.fails(grpc.StatusCode.NOT_FOUND, "orders", lambda: list(stream))
        self.fails(grpc.StatusCode.NOT_FOUND, "orders", self.get)

    def test_refuses_bad_requests_by_field(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        for part, name, settings in (("subscription.name", "Orders", {}), ("subscription.name", "a" * 64, {}),
                                     ("subscription.name", "", {}), ("start_position", "a", {"start_position": None}),
                                     ("after_cursor", "a", {"start_position": event_pb2.StartPosition(after_cursor="x")}),
                                     ("ack_deadline", "a", {"ack_deadline": seconds(0.01)}),
                                     ("maximum_backoff", "a", {"retry_policy": subscription_pb2.RetryPolicy(
                                         minimum_backoff=seconds(5), maximum_backoff=seconds(1))}),
                                     ("max_attempts", "a", {"max_attempts": -1}),
                                     ("max_outstanding_messages", "a", {"max_outstanding_messages": -1}),
                                     ("filter.media_kinds", "a", {"filter": event_pb2.Filter(media_kinds=[99])}),
                                     ("expiration_ttl", "a", {"expiration_ttl": seconds(0.5)})):
            with self.subTest(part):
                self.fails(invalid, part, lambda: self.create(name, **settings))
        self.create()
        for path in ("name", "order_by_sender", "backlog_count", "no_such"):
            self.fails(invalid, "update_mask", lambda: self.admin.call(
                "UpdateSubscription", subscription=subscription_pb2.Subscription(name="orders"),
                update_mask=field_mask_pb2.FieldMask(paths=[path])))
        self.fails(invalid, "page_token", lambda: self.admin.call("ListSubscriptions", page_token="?"))
        self.fails(invalid, "page_size", lambda: self.admin.call("ListSubscriptions", page_size=-1))
        self.fails(invalid, "ack_ids", lambda: self.rpc.call("Acknowledge", subscription="orders",
                                                              ack_ids=["x"] * 1001))
        self.fails(invalid, "change", lambda: self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=["x"]))
        self.fails(invalid, "extend_by", lambda: self.rpc.call("ModifyAckDeadline", subscription="orders",
                                                                ack_ids=["x"], extend_by=seconds(-1)))
        for field, value in (("extend_by", seconds(3601)), ("redeliver_after", seconds(8 * 86400)),
                             ("dead_letter_reason", "x" * 1025)):
            self.fails(invalid, field, lambda: self.rpc.call("ModifyAckDeadline", subscription="orders",
                                                             ack_ids=["x"], **{field: value}))
        for field, fields in (("stream_id", {"stream_id": "s", "extend_by": seconds(1)}),
                              ("ack_ids", {"stream_id": "s", "ack_ids": ["x"], "release": {}}),
                              ("received_frames", {"stream_id": "s", "received_frames": -1, "release": {}}),
                              ("received_frames", {"received_frames": 1, "release": {}})):
            self.fails(invalid, field, lambda: self.rpc.call("ModifyAckDeadline", subscription="orders", **fields))
        for method in ("Acknowledge", "ModifyAckDeadline"):
            change = {} if method == "Acknowledge" else {"extend_by": seconds(1)}
            self.fails(grpc.StatusCode.NOT_FOUND, "nobody",
                       lambda m=method, c=change: self.rpc.call(m, subscription="nobody", **c))
        self.fails(grpc.StatusCode.NOT_FOUND, "nobody", lambda: list(self.rpc.subscribe(subscription="nobody")))

    def test_drains_without_handing_back_what_is_acknowledged_in_time(self):
        self.create()
        stream, _ = self.stream()
        self.accepted(self.server, "D0")
        deliveries = self.next_deliveries(stream, 1)
        self.server.process.terminate()
        while next(stream).WhichOneof("content") != "draining":
            pass
        self.acknowledge(deliveries)
        self.fails(grpc.StatusCode.UNAVAILABLE, "", lambda: list(stream))
        self.assertEqual(self.server.process.wait(30), 0)
        self.server.start()
        self.assertEqual(self.get().backlog_count, 0)

    def stream_with_one_delivery(self, tracking_id, *flags):
        """Of a gateway that was started with those flags."""
        self.server.stop()
        self.server.flags = flags
        self.server.start()
        self.create()
        stream, _ = self.stream()
        self.accepted(self.server, tracking_id)
        self.assertEqual(self.ids(self.next_deliveries(stream, 1)), [(tracking_id, 1)])
        return stream

    def test_a_second_signal_ends_it_at_once_and_loses_nothing(self):
        stream = self.stream_with_one_delivery("S0", "--drain-timeout", "600s")
        self.server.process.terminate()
        while next(stream).WhichOneof("content") != "draining":
            pass
        self.server.process.terminate()
        self.assertEqual(self.server.process.wait(30), -signal.SIGTERM)
        self.server.start()
        stream, _ = self.stream()
        self.assertEqual(self.ids(self.next_deliveries(stream, 1)), [("S0", 2)])

    def test_drains_no_longer_than_it_may_and_delivers_again_what_was_not_acknowledged(self):
        stream = self.stream_with_one_delivery("D0", "--drain-timeout", "500ms")
        self.server.process.terminate()
        self.fails(grpc.StatusCode.UNAVAILABLE, "shutting down", lambda: list(stream))
        self.assertEqual(self.server.process.wait(30), 0)
        self.server.start()
        stream, _ = self.stream()
        self.assertEqual(self.ids(self.next_deliveries(stream, 1)), [("D0", 2)])


class FullDiskTest(TestCase):
    def test_keeps_what_cannot_be_acknowledged_and_goes_on(self):
        path = self.mount_small_disk("32m")
        gateway = self.gateway()
        rpc = self.service(gateway)
        admin = Service(rpc.channel, subscription_service_pb2, "SubscriptionService")
        for i in range(2):
            self.accepted(gateway, f"F{i}")
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            name="orders", start_position=earliest(), ack_deadline=seconds(600)))
        stream = rpc.subscribe(subscription="orders")
        self.addCleanup(stream.cancel)
        deliveries = []
        while len(deliveries) < 2:
            deliveries += next(stream).batch.deliveries
        fill_disk(path)
        self.post_until_refused(gateway)

        def acknowledge():
            return rpc.call("Acknowledge", subscription="orders", ack_ids=[d.ack_id for d in deliveries[:1]])
        with self.assertRaises(grpc.RpcError) as raised:
            acknowledge()
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        free_disk(path)
        gateway.wait_until_ready()
        self.assertEqual(list(acknowledge().failures), [])
        gateway.kill()
        gateway.start()
        again = next(frame.batch.deliveries[0] for frame in rpc.subscribe(subscription="orders") if frame.HasField("batch"))
        self.assertEqual(again.event.mms_mo.tracking_id, "F1", "the first is done with")


if __name__ == "__main__":
    unittest.main()
