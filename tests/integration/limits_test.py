"""What gRPC clients can have at once, and what it costs."""
import os
import unittest

from tests.chaos.disk import Disk
from tests.integration.gateway import SANITIZED, Service, TestCase, earliest, grpc, latest

from google.rpc import error_details_pb2, status_pb2
from mmsmo.v1 import subscription_pb2, subscription_service_pb2


class LimitsTest(TestCase):
    def too_many(self, call):
        """Whether the call was refused as one too many."""
        try:
            call()
            return False
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, error)
            status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
            info = error_details_pb2.ErrorInfo()
            self.assertTrue(status.details[0].Unpack(info))
            self.assertEqual(info.reason, "TOO_MANY_CALLS")
            return True

    def test_limits_streams(self):
        gateway = self.gateway("--max-streams", "2")
        rpc = self.service(gateway)
        streams = [rpc.subscribe(start_position=latest()) for _ in range(2)]
        for stream in streams:
            self.assertEqual(next(stream).WhichOneof("content"), "started")
        self.assertTrue(self.too_many(lambda: next(rpc.subscribe(start_position=latest()))))
        self.assertEqual(gateway.metric('mmsmo_grpc_calls{kind="stream"}'), 2)
        self.assertEqual(gateway.metric("mmsmo_grpc_connection_streams"), 2)
        self.assertEqual(gateway.metric('mmsmo_grpc_refused_total{limit="stream"}'), 1)
        streams[0].cancel()
        self.until(lambda: not self.too_many(lambda: next(rpc.subscribe(start_position=latest()))))

    def test_a_connection_waits_with_more_streams_than_its_limit(self):
        rpc = self.service(self.gateway("--max-streams-per-connection", "1"))
        first = rpc.subscribe(start_position=latest())
        self.assertEqual(next(first).WhichOneof("content"), "started")
        with self.assertRaises(grpc.RpcError) as caught:
            next(rpc.subscribe(start_position=latest(), timeout=0.2))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        first.cancel()
        self.assertEqual(next(rpc.subscribe(start_position=latest())).WhichOneof("content"), "started")

    def test_limits_unary_calls(self):
        disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])
        gateway = self.gateway("--max-calls", "1", environment=disk.environment())
        rpc = Service(self.service(gateway).channel, subscription_service_pb2, "SubscriptionService")
        disk.settings.sync_delay_micros = 60_000_000
        wanted = subscription_pb2.Subscription(name="s", start_position=earliest())
        create = rpc.channel.unary_unary(
            "/mmsmo.v1.SubscriptionService/CreateSubscription",
            request_serializer=subscription_service_pb2.CreateSubscriptionRequest.SerializeToString,
            response_deserializer=subscription_service_pb2.CreateSubscriptionResponse.FromString)
        slow = create.future(subscription_service_pb2.CreateSubscriptionRequest(subscription=wanted))
        self.until(lambda: gateway.metric('mmsmo_grpc_calls{kind="unary"}') == 1)
        self.assertTrue(self.too_many(lambda: rpc.call("GetSubscription", name="s")))
        disk.heal()
        slow.cancel()
        gateway.kill()

    def test_closes_connections_over_the_limit(self):
        gateway = self.gateway("--max-grpc-connections", "1")
        first = self.service(gateway)
        self.assertEqual(next(first.subscribe(start_position=latest())).WhichOneof("content"), "started")
        # A channel with other arguments has a connection of its own.
        second = grpc.insecure_channel(gateway.grpc, [("grpc.max_reconnect_backoff_ms", 100), ("test", 2)])
        self.addCleanup(second.close)
        with self.assertRaises(grpc.RpcError) as caught:
            next(Service(second).subscribe(start_position=latest()))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertGreaterEqual(gateway.metric('mmsmo_grpc_refused_total{limit="connections"}'), 1)
        self.until(lambda: gateway.metric("mmsmo_grpc_connections") == 1)
        first.channel.close()
        grpc.channel_ready_future(second).result(timeout=30)

    def test_names_at_most_1000_subscriptions_in_metrics(self):
        gateway = self.gateway()
        rpc = Service(self.service(gateway).channel, subscription_service_pb2, "SubscriptionService")
        self.accepted(gateway, "BACKLOG")
        for i in range(1003):
            wanted = subscription_pb2.Subscription(name=f"s{i:04}", start_position=earliest())
            rpc.call("CreateSubscription", subscription=wanted)
        series = [line for line in gateway.get("/metrics")[1].splitlines() if line.startswith("mmsmo_subscription_backlog{")]
        self.assertEqual(len(series), 1001)
        self.assertEqual(gateway.metric('mmsmo_subscription_backlog{subscription="s0999"}'), 1)
        self.assertEqual(gateway.metric('mmsmo_subscription_backlog{subscription="(others)"}'), 3)

    def test_labels_nothing_with_what_a_client_calls_itself(self):
        gateway = self.gateway()
        stream = self.service(gateway).subscribe(start_position=earliest(), client_id="call-me-thus")
        self.assertEqual([next(stream).WhichOneof("content") for _ in range(2)], ["started", "caught_up"])
        self.assertNotIn("call-me-thus", gateway.get("/metrics")[1])
        self.assertEqual(gateway.metric("mmsmo_stream_lag_events"), 0)
        self.assertIn("\nmmsmo_stream_lag_events 0\n", gateway.get("/metrics")[1])

    def test_stalled_streams_cost_the_budget_and_one_event_each(self):
        gateway = self.gateway("--max-frame-bytes", "2MiB")
        for i in range(100):
            self.accepted(gateway, f"L{i}", note="x" * 20_000)
        before = gateway.resident_bytes()
        count = 300
        channels = [grpc.insecure_channel(gateway.grpc, [("test", i), ("grpc.http2.bdp_probe", 0)]) for i in range(10)]
        for channel in channels:
            self.addCleanup(channel.close)
        streams = [Service(channels[i % 10]).subscribe(start_position=earliest()) for i in range(count)]
        for stream in streams:
            self.assertEqual(next(stream).WhichOneof("content"), "started")
        self.until(lambda: gateway.metric("mmsmo_frame_bytes") >= 1 << 20)
        highest = gateway.resident_bytes()
        print(f"{count} stalled streams cost {(highest - before) / count / 1024:.0f} KiB each, "
              f"{gateway.metric('mmsmo_frame_bytes') / 1024:.0f} KiB of frames")
        if not SANITIZED:
            self.assertLess(highest - before, (2 << 20) + count * ((25 << 10) + 20_000) + (8 << 20))
        self.assertEqual(len(self.service(gateway).events(earliest())), 100)  # others go on


if __name__ == "__main__":
    unittest.main()
