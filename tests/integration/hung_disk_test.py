"""A disk that hangs holds nobody who does not need it, and no more memory than there is a budget for."""
import contextlib
import os
import signal
import time
import unittest

from tests.chaos.disk import Disk
from tests.integration.gateway import PATH, SANITIZED, Service, TestCase, earliest, grpc, latest, xml

from google.protobuf import duration_pb2, timestamp_pb2
from mmsmo.v1 import (event_pb2, mms_mo_service_pb2, quarantine_service_pb2, subscription_pb2,
                      subscription_service_pb2)

SECOND = duration_pb2.Duration(seconds=1)
HOUR = 3_600_000_000  # microseconds
MIB = 1 << 20


class HungDiskTest(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(os.path.join(self.directory, "data"))
        self.disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])

    def serve(self, *flags):
        self.server = self.gateway(*flags, environment=self.disk.environment())
        self.addCleanup(self.disk.heal)
        self.connect()

    def connect(self):
        self.rpc = self.service(self.server)
        self.admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")

    def create(self, name="orders", start=None, timeout=60, **settings):
        self.admin.call("CreateSubscription", timeout=timeout, subscription=subscription_pb2.Subscription(
            name=name, start_position=start or earliest(), **settings))

    def post_without_waiting(self):
        body = xml("HUNG")
        connection = self.server.connect()
        self.addCleanup(connection.close)
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/xml\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def deliver(self, count):
        for i in range(count):
            self.accepted(self.server, f"H{i}")
        stream = self.rpc.subscribe(subscription="orders")
        self.addCleanup(stream.cancel)
        deliveries = []
        while len(deliveries) < count:
            deliveries += next(stream).batch.deliveries
        return deliveries

    def ends(self, call, code):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception)

    def fill_files(self):
        """A log that lies in files. Its beginning is not in memory: the start reads all of it, which is several times what each
        part of the cache holds."""
        cursors = [self.accepted(self.server, f"C{i}", note=os.urandom(60_000).hex()) for i in range(600)]
        self.server.stop()
        self.server.start()
        self.connect()
        return cursors

    def test_a_read_that_hangs_delays_nobody_but_who_reads(self):
        self.serve()
        cursors = self.fill_files()
        self.create(start=latest())
        delivery, = self.deliver(1)
        self.disk.settings.reads_hang = 1
        cold = event_pb2.StartPosition(after_cursor=cursors[5])
        for _ in range(2):
            self.ends(lambda: self.create("other", cold, timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
        begin = time.monotonic()
        answer = self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=[delivery.ack_id], extend_by=SECOND)
        self.assertEqual(list(answer.failures), [])
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(self.server.get(path)[0], 200)
        self.assertEqual(next(self.rpc.subscribe(subscription="orders")).WhichOneof("content"), "started")
        answer = self.rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id])
        self.assertEqual(list(answer.failures), [])
        self.assertLess(time.monotonic() - begin, 3)
        self.disk.heal()
        self.create("other", cold)

    def test_a_start_that_is_looked_for_by_time_delays_no_acknowledgement(self):
        self.serve()
        self.fill_files()
        self.create(start=latest())
        delivery, = self.deliver(1)
        self.disk.settings.reads_hang = 1
        long_ago = event_pb2.StartPosition(accept_time=timestamp_pb2.Timestamp(seconds=int(time.time()) - 1))
        self.ends(lambda: self.create("other", long_ago, timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id], timeout=3)

    def test_is_not_ready_while_acknowledgements_hang(self):
        self.serve()
        self.create()
        delivery, = self.deliver(1)
        calls = []  # which nobody cancels
        self.is_not_ready_once(lambda: calls.append(self.acknowledging(delivery.ack_id)))

    def test_is_not_ready_while_postbacks_hang(self):
        self.serve()
        self.is_not_ready_once(self.post_without_waiting)

    def is_not_ready_once(self, happens):
        self.assertEqual(self.server.get("/readyz")[0], 200)
        self.disk.settings.sync_delay_micros = HOUR
        happens()
        self.until(lambda: self.server.get("/readyz")[0] == 503)
        health = self.rpc.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(self.server.metric("mmsmo_ready"), 0)
        self.until(lambda: health(b"") == b"\x08\x02")  # NOT_SERVING
        self.assertEqual(self.server.get("/healthz")[0], 200)
        self.server.kill()

    def test_a_signal_ends_a_start_that_hangs(self):
        self.serve()
        self.assertEqual(self.server.stop(), 0)
        self.disk.settings.sync_delay_micros = HOUR
        self.server.start(wait=False)
        self.until(self.is_opening)
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(10), -signal.SIGTERM)
        self.disk.heal()
        self.server.start()

    def is_opening(self):
        """Whether it has the data directory, which it begins with a sync."""
        descriptors = f"/proc/{self.server.process.pid}/fd"
        with contextlib.suppress(OSError):
            return any(os.readlink(os.path.join(descriptors, name)).endswith("/LOCK") for name in os.listdir(descriptors))
        return False

    def test_clients_that_have_gone_leave_their_places(self):
        self.serve("--max-calls", "10", "--max-streams", "5")
        self.create()
        deliveries = self.deliver(2)
        self.disk.settings.sync_delay_micros = HOUR
        for _ in range(30):
            self.ends(lambda: self.rpc.call("Acknowledge", subscription="orders", ack_ids=[deliveries[0].ack_id],
                                            timeout=0.05), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.until(lambda: self.server.metric('mmsmo_grpc_calls{kind="unary"}') == 0)
        calls = [self.acknowledging(deliveries[0].ack_id) for _ in range(10)]
        self.until(lambda: self.server.metric('mmsmo_grpc_calls{kind="unary"}') == 10)
        self.ends(lambda: self.admin.call("GetSubscription", name="orders"), grpc.StatusCode.RESOURCE_EXHAUSTED)
        answer = self.rpc.call("ModifyAckDeadline", subscription="orders", ack_ids=[deliveries[1].ack_id],
                               extend_by=SECOND)
        self.assertEqual(list(answer.failures), [])
        for call in calls:
            call.cancel()
        self.until(lambda: self.server.metric('mmsmo_grpc_calls{kind="unary"}') == 0)
        self.server.kill()

    def acknowledging(self, *ack_ids):
        call = self.rpc.channel.unary_unary(
            "/mmsmo.v1.MmsMoService/Acknowledge",
            request_serializer=mms_mo_service_pb2.AcknowledgeRequest.SerializeToString,
            response_deserializer=mms_mo_service_pb2.AcknowledgeResponse.FromString)
        return call.future(mms_mo_service_pb2.AcknowledgeRequest(subscription="orders", ack_ids=ack_ids))

    def test_streams_that_are_not_open_leave_their_places(self):
        self.serve("--max-streams", "2")
        self.fill_files()
        self.disk.settings.reads_hang = 1
        long_ago = event_pb2.StartPosition(accept_time=timestamp_pb2.Timestamp(seconds=int(time.time()) - 1))
        for _ in range(6):
            self.ends(lambda: next(self.rpc.subscribe(start_position=long_ago, timeout=0.1)),
                      grpc.StatusCode.DEADLINE_EXCEEDED)
            self.until(lambda: self.server.metric('mmsmo_grpc_calls{kind="stream"}') == 0)
        self.assertEqual(next(self.rpc.subscribe(start_position=latest())).WhichOneof("content"), "started")

    def test_acknowledgements_that_wait_stay_within_their_budget(self):
        self.serve("--max-call-bytes", "8MiB")
        self.create()
        delivery, = self.deliver(1)
        before = self.server.resident_bytes()
        self.disk.settings.sync_delay_micros = HOUR
        nonsense = self.acknowledging(*["x" * 4000] * 900)
        self.assertEqual([failure.reason for failure in nonsense.result(10).failures],
                         [mms_mo_service_pb2.ACK_FAILURE_REASON_INVALID] * 900)
        calls = [self.acknowledging(delivery.ack_id, *["x" * 4000] * 900) for _ in range(60)]
        self.until(lambda: sum(call.done() for call in calls) > 50)
        codes = {call.code() for call in calls if call.done()}
        self.assertEqual(codes, {grpc.StatusCode.RESOURCE_EXHAUSTED})
        self.assertGreater(self.server.metric('mmsmo_grpc_refused_total{limit="call_bytes"}'), 50)
        self.assertLessEqual(self.server.metric("mmsmo_call_bytes"), 8 * MIB)
        grown = self.server.resident_bytes() - before
        print(f"60 calls of 3.6 MB: {grown / MIB:.0f} MiB")
        if not SANITIZED:
            self.assertLess(grown, 100 * MIB)
        self.server.kill()

    def test_reprocessing_stays_within_the_budget_of_postbacks(self):
        self.serve("--max-in-flight-bytes", "8MiB")
        for i in range(8):
            self.accepted(self.server, f"K{i}")
            answer = self.server.post(xml(f"K{i}", note=os.urandom(60_000).hex()))[1]
            self.assertEqual(answer["reason"], "id_conflict")
        before = self.server.resident_bytes()
        self.disk.settings.sync_delay_micros = HOUR
        reprocess = self.rpc.channel.unary_stream(
            "/mmsmo.v1.QuarantineService/ReprocessQuarantined",
            request_serializer=quarantine_service_pb2.ReprocessQuarantinedRequest.SerializeToString,
            response_deserializer=quarantine_service_pb2.ReprocessQuarantinedResponse.FromString)
        request = quarantine_service_pb2.ReprocessQuarantinedRequest(all=True, publish_conflicts=True)
        calls = [reprocess(request) for _ in range(120)]
        self.until(lambda: sum(call.done() for call in calls) > 104)
        codes = [call.code() for call in calls if call.done()]
        self.assertEqual(set(codes), {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE})
        self.assertEqual(codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED), 104)
        self.until(lambda: 0 < self.server.metric('mmsmo_http_in_flight_bytes{server="postbacks"}') <= 8 * MIB)
        grown = self.server.resident_bytes() - before
        print(f"120 ReprocessQuarantined: {grown / MIB:.0f} MiB")
        if not SANITIZED:
            self.assertLess(grown, 8 * MIB + 32 * MIB)
        self.server.kill()


if __name__ == "__main__":
    unittest.main()
