"""Dead letters have budgets, can be discarded, and leave by a late acknowledgement."""
import unittest

import grpc
from google.protobuf import duration_pb2, empty_pb2

from tests.integration.gateway import Service, TestCase, earliest
from mmsmo.v1 import mms_mo_service_pb2 as service_pb2, subscription_pb2, subscription_service_pb2


class DeadLettersTest(TestCase):
    def start(self, *flags, **settings):
        self.server = self.gateway(*flags)
        self.rpc = self.service(self.server)
        self.admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")
        self.admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            name="orders", start_position=earliest(),
            retry_policy=subscription_pb2.RetryPolicy(minimum_backoff=duration_pb2.Duration(nanos=10_000_000)), **settings))
        self.stream = self.rpc.subscribe(subscription="orders")
        self.addCleanup(self.stream.cancel)

    def deliver(self, *tracking_ids, **fields):
        for tracking_id in tracking_ids:
            self.accepted(self.server, tracking_id, **fields)
        return self.take(len(tracking_ids))

    def take(self, count):
        deliveries = []
        while len(deliveries) < count:
            deliveries += next(self.stream).batch.deliveries
        return deliveries

    def modify(self, delivery, **change):
        answer = self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=[delivery.ack_id], **change)
        return [failure.reason for failure in answer.failures]

    def give_up(self, delivery):
        return self.modify(delivery, dead_letter_reason="unwanted")

    def dead_letters(self):
        return self.admin.call("ListDeadLetters", subscription="orders").dead_letters

    def names(self):
        return [letter.event.mms_mo.tracking_id for letter in self.dead_letters()]

    def discard(self, **which):
        return self.admin.call("DiscardDeadLetters", subscription="orders", **which).discarded_count

    def metric(self, name):
        return self.server.metric('mmsmo_subscription_%s{subscription="orders"}' % name)

    def test_discards_by_cursor_or_all(self):
        self.start()
        for delivery in self.deliver("A", "B", "C"):
            self.assertEqual(self.give_up(delivery), [])
        first = self.dead_letters()[0].event.cursor
        self.assertEqual(self.discard(cursors=[first, first]), 1)
        self.assertEqual(self.discard(cursors=[first]), 0)
        self.assertEqual(self.names(), ["B", "C"])
        for which in ({}, {"cursors": [first], "all": True}):
            with self.assertRaises(grpc.RpcError) as raised:
                self.discard(**which)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.discard(all=True), 2)
        self.server.kill()
        self.server.start()
        self.assertEqual(self.names(), [])
        self.assertEqual(self.metric("backlog"), 0)

    def test_at_the_budget_nothing_is_lost_and_nothing_promised(self):
        self.start("--dead-letters-count", "2", max_attempts=1)
        *first, third, fourth = self.deliver("A", "B", "C", "D")
        for delivery in first:
            self.assertEqual(self.give_up(delivery), [])
        self.assertEqual(self.give_up(third), [service_pb2.ACK_FAILURE_REASON_TRANSIENT])
        self.assertEqual(self.modify(fourth, retry=empty_pb2.Empty()), [])  # its last
        self.until(lambda: self.metric("waiting_dead_letters") == 1)
        self.assertEqual(self.names(), ["A", "B"])
        self.until(lambda: "dead letter" in self.server.log_text())
        self.server.kill()
        self.server.start()
        self.assertEqual(self.names(), ["A", "B"])
        self.assertEqual(self.discard(all=True), 2)
        self.stream = self.rpc.subscribe(subscription="orders")
        again, = self.take(1)
        self.assertEqual(again.event.mms_mo.tracking_id, "C")
        self.assertEqual(self.give_up(again), [])
        self.until(lambda: sorted(self.names()) == ["C", "D"])

    def test_has_a_budget_of_bytes_for_all_subscriptions(self):
        self.start("--dead-letters-bytes", "10000")
        first, second = self.deliver("A", "B", note="x" * 9_000)
        self.assertEqual(self.give_up(first), [])
        self.assertEqual(self.give_up(second), [service_pb2.ACK_FAILURE_REASON_TRANSIENT])
        # By its cursor: "all" may meet the second, which follows as soon as there is room.
        self.assertEqual(self.discard(cursors=[first.event.cursor]), 1)
        self.assertEqual(self.give_up(second), [])
        self.assertEqual(self.names(), ["B"])

    def test_a_late_acknowledgement_takes_a_dead_letter_away(self):
        self.start(max_attempts=1)
        delivery, = self.deliver("LATE")
        self.assertEqual(self.modify(delivery, retry=empty_pb2.Empty()), [])
        self.until(lambda: self.names() == ["LATE"])
        answer = self.rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id])
        self.assertEqual(list(answer.failures), [])
        self.assertEqual(self.names(), [])


if __name__ == "__main__":
    unittest.main()
