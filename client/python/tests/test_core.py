"""What has no I/O: the clock is an argument, and nothing sleeps."""

from __future__ import annotations

import math
import os
import tempfile
import unittest

import mmsmo
from mmsmo import defaults
from mmsmo._backoff import Backoff
from mmsmo._connection import check_token, is_local
from mmsmo._deliveries import Deliveries
from mmsmo._outbox import ACK, RELEASE, RETRY, Kind, Outbox, Update, update_of
from mmsmo._session import Session, request_of
from mmsmo.errors import error_of
from mmsmo.v1 import event_pb2
from mmsmo.v1 import mms_mo_service_pb2 as pb

LINGER = defaults.ACK_LINGER_MS / 1000
TRANSIENT, EXPIRED, INVALID = 3, 2, 1


def outbox():
    return Outbox(Backoff(1, 8, draw=lambda: 1.0))


def ids(count, prefix="a"):
    return [f"{prefix}{number}" for number in range(count)]


def failure(ack_id, reason):
    return pb.AckFailure(ack_id=ack_id, reason=reason)


class BackoffTest(unittest.TestCase):
    def test_doubles_its_ceiling_up_to_the_most(self):
        backoff = Backoff(1, 5, draw=lambda: 1.0)
        self.assertEqual([backoff.next() for _ in range(5)], [1, 2, 4, 5, 5])
        backoff.reset()
        self.assertEqual(backoff.next(), 1)

    def test_draws_from_all_below_it(self):
        draws = iter([0.0, 0.25, 0.5])
        backoff = Backoff(4, 100, draw=lambda: next(draws))
        self.assertEqual([backoff.next() for _ in range(3)], [0, 2, 8])


class OutboxTest(unittest.TestCase):
    def test_waits_for_others_and_not_for_ever(self):
        box = outbox()
        self.assertTrue(box.add(ACK, "a", 5))
        self.assertFalse(box.add(ACK, "b", 5.001))
        self.assertIsNone(box.take(5))
        self.assertEqual(box.due(), 5 + LINGER)
        self.assertEqual(box.take(5 + LINGER).ack_ids, ["a", "b"])
        self.assertEqual((box.due(), bool(box)), (math.inf, False))

    def test_a_batch_does_not_wait(self):
        box = outbox()
        for ack_id in ids(defaults.ACK_BATCH - 1):
            box.add(ACK, ack_id, 0)
        self.assertIsNone(box.take(0))
        self.assertTrue(box.add(ACK, "last", 0))
        self.assertEqual(len(box.take(0).ack_ids), defaults.ACK_BATCH)

    def test_a_call_has_at_most_a_thousand(self):
        box = outbox()
        box.add_all(RELEASE, ids(defaults.MAX_ACK_IDS + 1), 0)
        self.assertEqual([len(box.take(0).ack_ids) for _ in range(2)], [defaults.MAX_ACK_IDS, 1])

    def test_one_kind_does_not_crowd_out_another(self):
        box = outbox()
        box.add_all(RETRY, ["r"], 1)
        box.add_all(ACK, ids(2000), 0)
        self.assertEqual([box.take(1).update.kind for _ in range(2)], [Kind.ACK, Kind.ACK])
        self.assertEqual(box.take(1).update.kind, Kind.RETRY)

    def test_different_delays_and_reasons_are_different_calls(self):
        box = outbox()
        for number, verdict in enumerate([mmsmo.RetryAfter(1), mmsmo.RetryAfter(2), mmsmo.DeadLetter("x")]):
            box.add(update_of(verdict), str(number), 0)
        calls = [box.take(1) for _ in range(3)]
        self.assertEqual([call.ack_ids for call in calls], [["0"], ["1"], ["2"]])

    def test_what_may_pass_is_tried_again_after_a_wait(self):
        box = outbox()
        box.add_all(ACK, ["a", "b"], 0)
        self.assertEqual(box.on_answer(box.take(0), mmsmo.Error("", "UNAVAILABLE"), (), 10), [])
        self.assertIsNone(box.take(10.9))
        again = box.take(11)
        self.assertEqual(again.ack_ids, ["a", "b"])
        self.assertEqual(box.on_answer(again, None, [failure("a", TRANSIENT)], 11), [])
        self.assertEqual(box.due(), 13)  # the backoff has grown
        self.assertEqual(box.take(13).ack_ids, ["a"])

    def test_waits_as_long_as_it_is_asked_to(self):
        box = outbox()
        box.add_all(ACK, ["a"], 0)
        box.on_answer(box.take(0), mmsmo.Error("", "UNAVAILABLE", retry_delay=30), (), 0)
        self.assertEqual(box.due(), 30)

    def test_calls_that_fail_together_are_one_failure(self):
        box = outbox()
        box.add_all(ACK, ids(2000), 0)
        calls = [box.take(0), box.take(0)]
        for call in calls:
            box.on_answer(call, mmsmo.Error("", "UNAVAILABLE"), (), 0)
        self.assertEqual((box.due(), len(box)), (1, 2000))

    def test_reports_what_had_no_effect(self):
        box = outbox()
        box.add_all(ACK, ["a", "b", "c"], 0)
        failed = box.on_answer(box.take(0), None, [failure("a", EXPIRED), failure("b", INVALID)], 0)
        self.assertEqual([(one.ack_id, one.why) for one in failed], [("a", "EXPIRED"), ("b", "INVALID")])
        box.add_all(Update(Kind.DEAD_LETTER, reason="x"), ["d"], 0)
        failed = box.on_answer(box.take(0), mmsmo.NotFound("gone"), (), 0)
        self.assertEqual([(one.ack_id, one.why) for one in failed], [("d", "NOT_FOUND")])

    def test_a_retry_without_effect_harms_nobody(self):
        box = outbox()
        box.add_all(RETRY, ["a"], 0)
        self.assertEqual(box.on_answer(box.take(0), None, [failure("a", EXPIRED)], 0), [])
        self.assertFalse(box)

    def test_hurries(self):
        box = outbox()
        box.add(ACK, "a", 0)
        box.hurry(0)
        self.assertEqual(box.take(0).ack_ids, ["a"])
        box.add(ACK, "b", 0)
        self.assertEqual(box.take(0).ack_ids, ["b"])


def messages(*ack_ids, attempt=1):
    return [pb.Delivery(ack_id=ack_id, attempt=attempt, event=event_pb2.Event(cursor=ack_id)) for ack_id in ack_ids]


class DeliveriesTest(unittest.TestCase):
    def setUp(self):
        self.deliveries = Deliveries()

    def test_hands_out_in_order_and_holds_until_finished(self):
        self.deliveries.push(messages("a", "b"))
        first = self.deliveries.take()
        self.assertEqual(first.event.cursor, "a")
        self.assertEqual(self.deliveries.held_ack_ids(), ["a", "b"])
        self.assertEqual(self.deliveries.finish(first), "a")
        self.assertEqual(self.deliveries.held_ack_ids(), ["b"])

    def test_what_is_disowned_is_not_finished_again(self):
        self.deliveries.push(messages("a"))
        first = self.deliveries.take()
        self.assertEqual(self.deliveries.disown(first), "a")
        self.assertEqual(self.deliveries.held_ack_ids(), [])
        self.assertEqual(self.deliveries.finish(first), "")

    def test_what_is_dropped_is_not_handled_and_what_runs_stays(self):
        self.deliveries.push(messages("a", "b"))
        self.deliveries.take()
        self.deliveries.drop_waiting()
        self.assertIsNone(self.deliveries.take())
        self.assertEqual(self.deliveries.held_ack_ids(), ["a"])

    def test_drains_and_closes(self):
        self.deliveries.push(messages("a", "b"))
        self.deliveries.drain()
        self.deliveries.push(messages("late"))
        self.assertFalse(self.deliveries.is_over())
        self.deliveries.take()
        self.deliveries.close()
        self.assertTrue(self.deliveries.is_over())
        self.assertIsNone(self.deliveries.take())
        self.assertEqual(self.deliveries.take_back(), ["b"])


class SessionTest(unittest.TestCase):
    """What a driver is told to do, in an order of events that a gateway would take minutes for."""

    def setUp(self):
        self.now = 100.0
        self.session = self.make()

    def make(self, **options):
        return Session("billing", mmsmo.Options("localhost:1", **options), clock=lambda: self.now)

    def start(self, stream_id="s1", resumed=False):
        started = pb.Started(stream_id=stream_id, resumed=resumed)
        started.ack_deadline.FromSeconds(30)
        self.session.on_frame(pb.SubscribeResponse(started=started))

    def push(self, *ack_ids):
        return self.session.on_frame(pb.SubscribeResponse(batch=pb.DeliveryBatch(deliveries=messages(*ack_ids))))

    def calls(self):
        return [(call.update.kind, call.ack_ids) for call in self.session.poll().calls]

    def test_prolongs_what_waits_and_what_is_handled_three_times_in_each_deadline(self):
        self.start()
        self.push("a", "b")
        self.session.take()
        self.assertEqual(self.session.due(), 110)
        self.now = 110
        self.assertEqual(self.calls(), [(Kind.EXTEND, ["a", "b"])])
        self.assertEqual(self.session.due(), 120)

    def test_resumes_with_the_frames_that_arrived(self):
        self.start()
        self.push("a")
        self.session.on_frame(pb.SubscribeResponse(heartbeat=pb.Heartbeat()))
        request = self.session.next_request()
        self.assertEqual((request.resume_stream_id, request.received_frames), ("s1", 3))

    def test_a_frame_of_an_unknown_kind_counts(self):
        self.start()
        self.session.on_frame(pb.SubscribeResponse())
        self.assertEqual(self.session.next_request().received_frames, 2)

    def test_keeps_what_waits_over_a_stream_that_is_resumed_only(self):
        self.start()
        self.push("a", "b")
        self.session.on_stream_end()
        self.start("s2", resumed=True)
        self.now += 60
        self.assertEqual(self.session.take().event.cursor, "a")
        self.session.on_stream_end()
        self.start("s3", resumed=False)
        self.assertIsNone(self.session.take())

    def test_drops_what_waits_two_seconds_after_a_stream_without_a_next(self):
        self.start()
        self.push("a", "b")
        self.session.on_stream_end()
        self.now += 1.9
        self.assertEqual(self.session.take().event.cursor, "a")
        self.now += 0.2
        self.assertIsNone(self.session.take())

    def test_a_handler_has_its_time_and_then_its_delivery_is_a_retry(self):
        self.session = self.make(max_handler_time=5)
        self.start()
        self.push("a")
        delivery = self.session.take()
        self.assertEqual(self.session.due(), 105)
        self.now = 105
        work = self.session.poll()
        self.assertEqual(work.told, [delivery])
        self.assertEqual([(call.update.kind, call.ack_ids) for call in work.calls], [(Kind.RETRY, ["a"])])
        self.session.finish(delivery, mmsmo.Ack)
        self.now = 106
        self.assertEqual(self.calls(), [])

    def test_at_most_four_calls_are_under_way(self):
        self.start()
        names = ids(4500)
        self.push(*names)
        self.session.stop(mmsmo.StopMode.RELEASE, 0)
        calls = self.session.poll().calls
        self.assertEqual([call.update.kind for call in calls], [Kind.LEAVE] + [Kind.RELEASE] * 4)
        self.session.on_answer(calls[1], None)
        self.assertEqual([len(call.ack_ids) for call in self.session.poll().calls], [500])

    def test_a_stop_that_finishes_leaves_and_handles_what_arrived(self):
        self.start()
        self.push("a", "b")
        running = self.session.take()
        self.session.stop(mmsmo.StopMode.FINISH, 10)
        self.assertEqual(self.push("late"), 0)
        [leave] = self.session.poll().calls
        self.assertEqual((leave.update.kind, leave.stream_id, leave.received_frames), (Kind.LEAVE, "s1", 2))
        self.session.on_answer(leave, None)
        self.session.finish(running, mmsmo.Ack)
        second = self.session.take()
        self.assertFalse(self.session.is_over())
        self.session.finish(second, mmsmo.Ack)
        self.assertIsNone(self.session.take())
        self.assertTrue(self.session.handlers_are_over())
        [ack] = self.session.poll().calls
        self.assertFalse(self.session.is_over())
        self.session.on_answer(ack, None)
        self.assertEqual(ack.ack_ids, ["a", "b"])
        self.assertTrue(self.session.is_over())

    def test_a_stop_that_finishes_hands_back_at_its_time_and_tells(self):
        self.start()
        self.push("a", "b")
        running = self.session.take()
        self.session.stop(mmsmo.StopMode.FINISH, 10)
        self.session.poll()
        self.now += 10
        work = self.session.poll()
        self.assertEqual(work.told, [running])
        self.assertIn((Kind.RELEASE, ["b"]), [(call.update.kind, call.ack_ids) for call in work.calls])
        self.assertIsNone(self.session.take())

    def test_a_leave_is_tried_until_it_is_answered(self):
        self.start()
        self.session.stop(mmsmo.StopMode.FINISH, 10)
        [leave] = self.session.poll().calls
        self.session.on_answer(leave, mmsmo.Error("", "UNAVAILABLE", retry_delay=2))
        self.assertEqual(self.calls(), [])
        self.assertFalse(self.session.is_over())
        self.now += 2.2
        [again] = self.session.poll().calls
        self.assertEqual(again, leave)

    def test_a_stream_that_replaces_the_one_that_was_left_is_left_too(self):
        self.start()
        self.push("a")
        self.session.take()
        self.session.stop(mmsmo.StopMode.FINISH, 10)
        [leave] = self.session.poll().calls
        self.session.on_answer(leave, None)
        self.session.on_stream_end()
        self.start("s2", resumed=True)
        [leave] = self.session.poll().calls
        self.assertEqual((leave.stream_id, leave.received_frames), ("s2", 1))

    def test_a_stop_is_over_though_nothing_is_answered(self):
        self.session = self.make(stop_timeout=7)
        self.start()
        self.session.stop(mmsmo.StopMode.RELEASE, 0)
        self.session.poll()
        self.assertFalse(self.session.is_over())
        self.now += 7
        self.assertTrue(self.session.is_over())

    def test_requests(self):
        self.start()
        for update, wanted in (
            (RETRY, "retry"),
            (RELEASE, "release"),
            (Update(Kind.EXTEND, seconds=1.5), "extend_by"),
            (Update(Kind.REDELIVER), "redeliver_after"),
            (Update(Kind.DEAD_LETTER), "dead_letter_reason"),
        ):
            call = self.session.poll().calls
            self.assertEqual(call, [])
            method, request = request_of("billing", _call(update))
            self.assertEqual((method, request.WhichOneof("change")), ("ModifyAckDeadline", wanted))
        method, request = request_of("billing", _call(ACK))
        self.assertEqual((method, list(request.ack_ids)), ("Acknowledge", ["x"]))


def _call(update):
    from mmsmo._outbox import Call

    return Call(update, ["x"])


def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def packed(kind, value):
    """A google.rpc.Status with one detail."""
    detail = field(1, b"type.googleapis.com/google.rpc." + kind) + field(2, value)
    return [("grpc-status-details-bin", field(3, detail))]


class ErrorsTest(unittest.TestCase):
    def test_codes_that_are_final_and_those_that_are_not(self):
        for code, kind in (("NOT_FOUND", mmsmo.NotFound), ("UNIMPLEMENTED", mmsmo.Unimplemented)):
            self.assertIs(type(error_of(code, "why")), kind)
        for code in ("UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED", "UNKNOWN"):
            self.assertNotIsInstance(error_of(code, "why"), mmsmo.FinalError)

    def test_an_expired_cursor_names_the_earliest(self):
        info = field(1, b"CURSOR_EXPIRED") + field(3, field(1, b"earliest_cursor") + field(2, b"c7"))
        error = error_of("OUT_OF_RANGE", "why", packed(b"ErrorInfo", info))
        self.assertIsInstance(error, mmsmo.CursorExpired)
        self.assertEqual(error.earliest_cursor, "c7")

    def test_a_delay_is_honoured_up_to_a_minute(self):
        for seconds, wanted in ((3, 3.5), (100, 60)):
            duration = bytes([1 << 3, seconds, 2 << 3]) + b"\x80\xca\xb5\xee\x01"  # and 500,000,000 ns
            error = error_of("UNAVAILABLE", "why", packed(b"RetryInfo", field(1, duration)))
            self.assertEqual(error.retry_delay, wanted)

    def test_details_that_cannot_be_read_are_none(self):
        for data in (b"\xff", b"\x1a\x05x", b"\x1b", b"\x1a\x02\x0a\xff"):
            self.assertEqual(error_of("UNAVAILABLE", "why", [("grpc-status-details-bin", data)]).retry_delay, 0)


class ConnectionTest(unittest.TestCase):
    def test_what_stays_on_this_machine(self):
        for target in ("localhost:1", "127.8.0.1:1", "[::1]:1", "unix:/x", "dns:///localhost:1", "ipv4:127.0.0.1:1"):
            self.assertTrue(is_local(target), target)
        for target in ("example.com:1", "10.0.0.1:1", "[2001:db8::1]:1", "localhost.example.com:1", "dns:///gateway:1"):
            self.assertFalse(is_local(target), target)

    def test_a_token_is_not_shown_to_everybody(self):
        with self.assertRaises(mmsmo.InvalidArgument):
            mmsmo.Subscriber("example.com:1", token="t").run("billing", lambda _: mmsmo.Ack)
        check_token(mmsmo.Options("example.com:1", token="t", send_token_unencrypted=True))
        check_token(mmsmo.Options("example.com:1", token="t", tls=mmsmo.Tls()))
        check_token(mmsmo.Options("localhost:1", token="t"))

    def test_a_certificate_needs_its_key(self):
        with self.assertRaises(ValueError):
            mmsmo.Tls(cert="cert.pem")


class TokenTest(unittest.TestCase):
    def test_a_file_is_read_again_when_it_changes(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "token")
            self.write(path, "one\n")
            token = mmsmo.TokenFile(path)
            self.assertEqual(token(), "one")
            self.write(path, "another")
            self.assertEqual(token(), "another")
            self.write(path, "is broken now")
            self.assertEqual(token(), "another")
            os.unlink(path)
            self.assertEqual(token(), "another")
            with self.assertRaises(OSError):
                mmsmo.TokenFile(path)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)


if __name__ == "__main__":
    unittest.main()
