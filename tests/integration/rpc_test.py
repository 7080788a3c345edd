"""The gRPC side: streams, reads, errors, health, reflection, unix sockets, draining."""
import os
import shutil
import threading
import time
import unittest

from tests.integration.gateway import Service, TestCase, after, earliest, event_pb2, grpc, latest, xml

from google.protobuf import duration_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2
from mmsmo.v1 import mms_mo_pb2, subscription_pb2, subscription_service_pb2


def ids(events):
    return [event.mms_mo.tracking_id for event in events]


class RpcTest(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.gateway()
        self.rpc = self.service(self.server)

    def fails(self, code, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception

    def subscribe_fails(self, code, text, **fields):
        error = self.fails(code, lambda: list(self.rpc.subscribe(**fields)))
        self.assertIn(text, error.details())
        return error

    def test_starts_delivers_catches_up_and_goes_on_live(self):
        self.accepted(self.server, "A1")
        self.accepted(self.server, "A2")
        stream = self.rpc.subscribe(start_position=earliest(), client_id="test")
        first = next(stream)
        self.assertEqual(first.WhichOneof("content"), "started")
        self.assertEqual(len(first.started.stream_id), 32)
        self.assertEqual(first.started.heartbeat_interval.seconds, 15)
        self.assertEqual(first.cursor, first.started.earliest_cursor)
        batch = next(stream)
        self.assertEqual(ids(d.event for d in batch.batch.deliveries), ["A1", "A2"])
        self.assertEqual(batch.cursor, batch.batch.deliveries[1].event.cursor)
        self.assertEqual([d.attempt for d in batch.batch.deliveries], [0, 0])
        caught_up = next(stream)
        self.assertEqual((caught_up.WhichOneof("content"), caught_up.cursor), ("caught_up", batch.cursor))
        cursor = self.accepted(self.server, "A3")
        live = next(stream)
        self.assertEqual((live.WhichOneof("content"), live.cursor), ("batch", cursor))
        self.assertEqual(self.server.metric("mmsmo_streams"), 1)
        stream.cancel()

    def test_starts_where_it_is_asked_to(self):
        cursors = [self.accepted(self.server, f"S{i}") for i in range(4)]
        events = self.rpc.events(earliest())
        self.assertEqual(ids(events), ["S0", "S1", "S2", "S3"])
        self.assertEqual([event.cursor for event in events], cursors)
        self.assertEqual(ids(self.rpc.events(after(cursors[1]))), ["S2", "S3"])
        self.assertEqual(ids(self.rpc.events(after(cursors[3]))), [])
        self.assertEqual(ids(self.rpc.events(latest())), [])
        self.assertEqual(ids(self.rpc.events(event_pb2.StartPosition(accept_time=events[2].accept_time))), ["S2", "S3"])

    def test_goes_on_from_the_cursor_of_started(self):
        self.accepted(self.server, "O1")
        stream = self.rpc.subscribe(start_position=latest())
        cursor = next(stream).cursor
        stream.cancel()
        self.accepted(self.server, "O2")
        self.assertEqual(ids(self.rpc.events(after(cursor))), ["O2"])

    def test_filters(self):
        self.accepted(self.server, "F1", keyword="STOP")
        self.accepted(self.server, "F2", keyword="win")
        last = self.accepted(self.server, "F3", keyword="stop", to="12345")
        self.accepted(self.server, "F4", **{"from": "18005551234"})
        kinds = mms_mo_pb2.MEDIA_KIND_IMAGE, mms_mo_pb2.MEDIA_KIND_VIDEO
        for fields, wanted in (
                ({"keywords": ["Stop"]}, ["F1", "F3"]), ({"keywords": ["stop"], "recipients": ["12345"]}, ["F3"]),
                ({"recipients": ["28444", "12345"]}, ["F1", "F2", "F3", "F4"]),
                ({"senders": ["+18005551234"]}, ["F4"]), ({"senders": ["18005551234"]}, ["F4"]),
                ({"operator_ids": ["31002"]}, []),
                ({"media_kinds": [kinds[0]]}, ["F1", "F2", "F3", "F4"]), ({"media_kinds": [kinds[1]]}, [])):
            with self.subTest(fields):
                self.assertEqual(ids(self.rpc.events(earliest(), filter=event_pb2.Filter(**fields))), wanted)
        stream = self.rpc.subscribe(start_position=earliest(), filter=event_pb2.Filter(recipients=["12345"]))
        frames = [next(stream) for _ in range(3)]
        self.assertGreater(frames[-1].cursor, last)  # caught up beyond what did not match
        stream.cancel()

    def test_respects_max_batch_size(self):
        for i in range(7):
            self.accepted(self.server, f"B{i}")
        stream = self.rpc.subscribe(start_position=earliest(), max_batch_size=3)
        self.assertEqual([len(next(stream).batch.deliveries) for _ in range(4)], [0, 3, 3, 1])
        stream.cancel()

    def test_sends_heartbeats(self):
        stream = self.rpc.subscribe(start_position=latest(),
                                    heartbeat_interval=duration_pb2.Duration(nanos=100_000_000))
        kinds = [next(stream).WhichOneof("content") for _ in range(4)]
        self.assertEqual(kinds, ["started", "caught_up", "heartbeat", "heartbeat"])
        stream.cancel()

    def test_refuses_bad_requests_by_field(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        self.subscribe_fails(invalid, "source")
        self.subscribe_fails(invalid, "after_cursor", start_position=after("no cursor"))
        self.subscribe_fails(invalid, "start_position", start_position=event_pb2.StartPosition())
        self.subscribe_fails(invalid, "max_batch_size", start_position=earliest(), max_batch_size=-1)
        self.subscribe_fails(invalid, "heartbeat_interval", start_position=earliest(),
                             heartbeat_interval=duration_pb2.Duration(nanos=1))
        self.subscribe_fails(invalid, "heartbeat_interval", start_position=earliest(),
                             heartbeat_interval=duration_pb2.Duration(seconds=3601))
        self.subscribe_fails(invalid, "start_position.boundary", start_position=event_pb2.StartPosition(boundary=99))
        self.subscribe_fails(invalid, "max_outstanding_messages", subscription="a", max_outstanding_messages=-1)
        self.subscribe_fails(invalid, "max_outstanding_bytes", subscription="a", max_outstanding_bytes=-1)
        self.subscribe_fails(invalid, "filter", subscription="a", filter=event_pb2.Filter(keywords=["a"]))
        self.subscribe_fails(invalid, "client_id", start_position=earliest(), client_id="x" * 1000)
        self.fails(invalid, lambda: self.rpc.call("ListEvents", page_size=-1))

    def test_refuses_times_that_are_none_and_filters_that_it_does_not_know(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")
        milliseconds = event_pb2.StartPosition(accept_time=timestamp_pb2.Timestamp(seconds=1795639083667))
        named = subscription_pb2.Subscription(name="ms", start_position=milliseconds)
        negative = duration_pb2.Duration(nanos=-1)
        unknown = event_pb2.Filter.FromString(b"\x0a\x01a\x7a\x01x")  # recipients and field 15
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(name="s", start_position=earliest()))
        for path, service, method, fields in (
                ("subscription.start_position.accept_time", admin, "CreateSubscription", {"subscription": named}),
                ("subscription.start_position.accept_time", admin, "UpdateSubscription", {"subscription": named}),
                ("target.accept_time", admin, "SeekSubscription", {"name": "s", "target": milliseconds}),
                ("start_position.accept_time", self.rpc, "ListEvents", {"start_position": milliseconds}),
                ("extend_by", self.rpc, "ModifyAckDeadline", {"subscription": "s", "extend_by": negative}),
                ("redeliver_after", self.rpc, "ModifyAckDeadline", {"subscription": "s", "redeliver_after": negative}),
                ("filter", self.rpc, "ListEvents", {"filter": unknown}),
                ("subscription.filter", admin, "CreateSubscription",
                 {"subscription": subscription_pb2.Subscription(name="f", start_position=earliest(), filter=unknown)})):
            with self.subTest(path=path, method=method):
                error = self.fails(invalid, lambda: service.call(method, **fields))
                self.assertTrue(error.details().startswith(path + ": "), error.details())
        self.subscribe_fails(invalid, "start_position.accept_time: ", start_position=milliseconds)
        self.subscribe_fails(invalid, "heartbeat_interval: ", start_position=earliest(), heartbeat_interval=negative)
        self.subscribe_fails(invalid, "filter: ", start_position=earliest(), filter=unknown)
        self.subscribe_fails(invalid, "filter.endpoints: ", start_position=earliest(),
                             filter=event_pb2.Filter(endpoints=["e"] * 1001))

    def test_names_the_field_of_what_is_no_position(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")
        bad, none, unknown = after("x"), event_pb2.StartPosition(), event_pb2.StartPosition(boundary=99)
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(name="s", start_position=earliest()))
        for service, method, path, wanted in (
                (admin, "CreateSubscription", "subscription.start_position",
                 lambda start: {"subscription": subscription_pb2.Subscription(name="n", start_position=start)}),
                (admin, "SeekSubscription", "target", lambda start: {"name": "s", "target": start}),
                (self.rpc, "ListEvents", "start_position", lambda start: {"start_position": start})):
            for start, text in ((bad, ".after_cursor: not a cursor"), (unknown, ".boundary: 99 "), (none, ": one of ")):
                if start == none and method == "ListEvents":
                    continue  # begins at the earliest
                with self.subTest(method=method, text=text):
                    error = self.fails(invalid, lambda: service.call(method, **wanted(start)))
                    self.assertTrue(error.details().startswith(path + text), error.details())
        for service, method, path, fields in (
                (self.rpc, "GetEvent", "cursor", {"cursor": "x"}),
                (admin, "ReplayDeadLetters", "cursors", {"subscription": "s", "cursors": ["x"]}),
                (admin, "DiscardDeadLetters", "cursors", {"subscription": "s", "cursors": ["x"]})):
            with self.subTest(method=method):
                error = self.fails(invalid, lambda: service.call(method, **fields))
                self.assertTrue(error.details().startswith(path + ": not a cursor"), error.details())

    def test_page_tokens_are_good_for_their_request_only(self):
        for i in range(3):
            self.accepted(self.server, f"T{i}")
        one = event_pb2.Filter(endpoints=["mms-mo"])
        token = self.rpc.call("ListEvents", filter=one, page_size=1).next_page_token
        page = self.rpc.call("ListEvents", filter=one, page_size=2, page_token=token)
        self.assertEqual(ids(page.events), ["T1", "T2"])
        for fields in ({}, {"filter": event_pb2.Filter(endpoints=["other"])}, {"filter": one, "start_position": earliest()}):
            error = self.fails(grpc.StatusCode.INVALID_ARGUMENT,
                               lambda: self.rpc.call("ListEvents", page_token=token, **fields))
            self.assertTrue(error.details().startswith("page_token: "), error.details())

    def test_says_where_to_begin_when_a_cursor_is_not_retained(self):
        self.accepted(self.server, "C1")
        self.server.stop()
        data, copy = (os.path.join(self.directory, name) for name in ("data", "copy"))
        shutil.copytree(data, copy)
        self.server.start()
        beyond_head = self.accepted(self.server, "C2")
        self.server.stop()
        shutil.rmtree(data)
        self.server.start()
        another_log = self.accepted(self.server, "C1")
        self.server.stop()
        shutil.rmtree(data)
        os.rename(copy, data)
        self.server.start()
        for bad in (another_log, beyond_head):
            error = self.subscribe_fails(grpc.StatusCode.OUT_OF_RANGE, "", start_position=after(bad))
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            status = status_pb2.Status.FromString(details)
            info = error_details_pb2.ErrorInfo()
            self.assertTrue(status.details[0].Unpack(info))
            self.assertEqual((info.reason, info.domain), ("CURSOR_EXPIRED", "mmsmo.v1"))
            self.assertEqual(ids(self.rpc.events(after(info.metadata["earliest_cursor"]))), ["C1"])

    def test_gets_one_event_and_its_raw_body(self):
        cursor = self.accepted(self.server, "G1")
        self.assertEqual(self.rpc.call("GetEvent", cursor=cursor).event.mms_mo.tracking_id, "G1")
        raw = self.rpc.call("GetRawPostback", cursor=cursor)
        self.assertEqual((raw.body, raw.content_type), (xml("G1"), "application/xml"))
        for method in ("GetEvent", "GetRawPostback"):
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda m=method: self.rpc.call(m, cursor="?"))
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda m=method: self.rpc.call(m))

    def test_lists_events_by_page(self):
        for i in range(5):
            self.accepted(self.server, f"L{i}", keyword="odd" if i % 2 else "even")
        token, pages = "", []
        while True:
            page = self.rpc.call("ListEvents", page_size=2, page_token=token)
            pages.append(ids(page.events))
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(sum(pages, []), [f"L{i}" for i in range(5)])
        self.assertTrue(all(len(page) <= 2 for page in pages))
        odd = self.rpc.call("ListEvents", filter=event_pb2.Filter(keywords=["odd"]))
        self.assertEqual(ids(odd.events), ["L1", "L3"])

    def test_serves_health_and_reflection(self):
        health = self.rpc.channel.unary_unary("/grpc.health.v1.Health/Check")
        names = (b"", b"mmsmo.v1.MmsMoService", b"mmsmo.v1.SubscriptionService", b"mmsmo.v1.QuarantineService")
        for name in names:  # HealthCheckRequest.service is field 1
            self.assertEqual(health(b"\x0a%c%s" % (len(name), name), timeout=10), b"\x08\x01", name)  # SERVING
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: health(b"\x0a\x01x", timeout=10))
        # ServerReflectionRequest.list_services is field 7.
        reflect = self.rpc.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(reflect(iter([b"\x3a\x01*"]), timeout=10))
        for service in (b"mmsmo.v1.MmsMoService", b"mmsmo.v1.SubscriptionService", b"mmsmo.v1.QuarantineService",
                        b"grpc.health.v1.Health"):
            self.assertIn(service, answer)

    def test_survives_requests_that_are_no_messages(self):
        subscribe = self.rpc.channel.unary_stream("/mmsmo.v1.MmsMoService/Subscribe")
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(subscribe(b"\xff\xff", timeout=10)))

    def test_survives_many_streams_that_come_and_go(self):
        self.accepted(self.server, "M1")
        for _ in range(5):
            streams = [self.rpc.subscribe(start_position=earliest()) for _ in range(50)]
            for i, stream in enumerate(streams):
                for _ in range(i % 3):
                    next(stream)
                stream.cancel()
        deadline = time.monotonic() + 20
        while self.server.metric("mmsmo_streams") > 0:
            self.assertLess(time.monotonic(), deadline, "streams leak")
        self.assertEqual(ids(self.rpc.events(earliest())), ["M1"])

    def test_drains_its_streams(self):
        stream = self.rpc.subscribe(start_position=latest())
        self.assertEqual([next(stream).WhichOneof("content") for _ in range(2)], ["started", "caught_up"])
        cursor = self.accepted(self.server, "D1")
        ending = threading.Thread(target=self.server.stop)
        ending.start()
        kinds, last = [], ""
        error = None
        try:
            for frame in stream:
                kinds.append(frame.WhichOneof("content"))
                last = frame.cursor
        except grpc.RpcError as raised:
            error = raised
        ending.join()
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        retry = error_details_pb2.RetryInfo()
        self.assertTrue(status_pb2.Status.FromString(details).details[1].Unpack(retry))
        self.assertEqual(retry.retry_delay.seconds, 1)
        self.assertEqual(sorted(kinds), ["batch", "draining"])
        self.assertEqual(last, cursor)
        self.assertEqual(self.server.process.returncode, 0)


class UnixSocketTest(TestCase):
    def test_serves_a_unix_socket_also_after_a_kill(self):
        path = os.path.join(self.directory, "gateway.sock")
        gateway = self.gateway(grpc_listen=f"unix:{path}")
        self.accepted(gateway, "U1")
        with gateway.channel() as channel:
            self.assertEqual(ids(Service(channel).events(earliest())), ["U1"])
        gateway.kill()
        self.assertTrue(os.path.exists(path))
        gateway.start()
        self.assertEqual(ids(self.service(gateway).events(earliest())), ["U1"])
        self.assertEqual(gateway.mmsmo("tail", "--from", "earliest", "--count", "1").returncode, 0)


if __name__ == "__main__":
    unittest.main()
