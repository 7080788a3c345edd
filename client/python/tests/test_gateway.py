"""Against a real gateway, by threads and by asyncio: MMSMO_GATEWAY is its path."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures

import grpc
from google.protobuf import duration_pb2

import mmsmo
import mmsmo.aio
from mmsmo.testing import Gateway
from mmsmo.v1 import subscription_pb2
from mmsmo.v1 import subscription_service_pb2 as pb

# The one of the gateway's own tests.
sys.path.append(os.path.join(os.path.dirname(__file__), "../../../tests/chaos"))
from proxy import Proxy  # noqa: E402

WAIT = 30
QUICK = {"min_backoff": 0.01, "max_backoff": 0.1}


def milliseconds(count):
    return duration_pb2.Duration(nanos=count * 1_000_000)


class Heard(mmsmo.Observer):
    def __init__(self):
        self.connections, self.errors, self.failures, self.raised, self.acks = 0, [], [], [], 0
        self.arrived = 0

    def connected(self):
        self.connections += 1

    def disconnected(self, error):
        self.errors.append(error.code)

    def received(self, count):
        self.arrived += count

    def handled(self, delivery, verdict, seconds, error):
        if error:
            self.raised.append(error)

    def acknowledged(self, count):
        self.acks += count

    def ack_failed(self, failure):
        self.failures.append(failure)


class Consumer:
    """A run on a thread. Its handler waits until `held` is set, then returns what `decide` says."""

    def __init__(self, target, decide=lambda delivery: mmsmo.Ack, held=False, name="billing", **options):
        self.heard, self.decide, self.go = Heard(), decide, threading.Event()
        self.begun, self.ended, self.told, self.error = [], [], [], None
        if not held:
            self.go.set()
        options = {**QUICK, "observer": self.heard, **options}
        self.name = name
        self._thread = threading.Thread(target=self._run, args=(target, options))
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait(WAIT)

    def note(self, delivery):
        self.begun.append(delivery.event.mms_mo.tracking_id)

    def verdict(self, delivery):
        verdict = self.decide(delivery)
        self.ended.append(delivery.event.mms_mo.tracking_id)
        return verdict

    def join(self):
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the run has not ended"
        return self.error


class Threads(Consumer):
    def _run(self, target, options):
        self.subscriber = mmsmo.Subscriber(target, **options)
        self._ready.set()
        try:
            self.subscriber.run(self.name, self._handle)
        except Exception as error:
            self.error = error

    def _handle(self, delivery):
        self.note(delivery)
        while not self.go.wait(0.005):
            if delivery.cancelled.is_set():
                self.told.append(delivery.event.mms_mo.tracking_id)
                break
        return self.verdict(delivery)

    def stop(self, *arguments):
        self.subscriber.stop(*arguments)


# Where everything of asyncio runs: gRPC has one poller for all loops of a process.
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def on_loop(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result(WAIT)


class Asyncio(Consumer):
    def _run(self, target, options):
        asyncio.run_coroutine_threadsafe(self._run_here(target, options), LOOP).result()

    async def _run_here(self, target, options):
        self.subscriber = mmsmo.aio.Subscriber(target, **options)
        self._ready.set()
        try:
            await self.subscriber.run(self.name, self._handle)
        except Exception as error:
            self.error = error

    async def _handle(self, delivery):
        self.note(delivery)
        try:
            while not self.go.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.told.append(delivery.event.mms_mo.tracking_id)
            raise
        return self.verdict(delivery)

    def stop(self, *arguments):
        LOOP.call_soon_threadsafe(self.subscriber.stop, *arguments)


class GatewayTests:
    def setUp(self):
        self.gateway = Gateway()
        self.addCleanup(self.gateway.close)

    def consume(self, *arguments, **options):
        consumer = self.kind(*arguments, **options)

        def end():
            consumer.go.set()
            consumer.stop()
            consumer.join()

        self.addCleanup(end)
        return consumer

    def until(self, holds, what):
        deadline = time.monotonic() + WAIT
        while not holds():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.005)

    def post(self, count, prefix="m"):
        for number in range(count):
            self.gateway.post(f"{prefix}{number}")
        return [f"{prefix}{number}" for number in range(count)]

    def described(self):
        with mmsmo.Subscriber(self.gateway.grpc).services() as services:
            return services.subscriptions.GetSubscription(pb.GetSubscriptionRequest(name="billing")).subscription

    def done_with_all(self):
        self.until(lambda: self.described().backlog_count == 0, "there is a backlog")

    def test_acknowledges(self):
        self.gateway.subscribe("billing")
        consumer = self.consume(self.gateway.grpc)
        posted = self.post(20)
        self.until(lambda: len(consumer.ended) == 20, "not handled")
        self.done_with_all()
        self.assertEqual(consumer.ended, posted)
        consumer.stop()
        self.assertIsNone(consumer.join())
        self.assertEqual(consumer.heard.acks, 20)

    def test_resumes_a_connection_that_was_cut(self):
        self.gateway.subscribe("billing", max_attempts=1)
        proxy = Proxy(self.gateway.grpc)
        self.addCleanup(proxy.close)
        consumer = self.consume(proxy.address, held=True, concurrency=2)
        posted = self.post(10)
        self.until(lambda: consumer.heard.arrived == 10 and len(consumer.begun) == 2, "not arrived")
        proxy.cut()
        self.until(lambda: consumer.heard.connections == 2, "not connected again")
        consumer.go.set()
        self.done_with_all()
        self.assertEqual(sorted(consumer.ended), posted)
        self.assertEqual(consumer.heard.arrived, 10)
        self.assertEqual(self.described().dead_letter_count, 0)

    def test_notices_a_black_hole(self):
        self.gateway.subscribe("billing")
        proxy = Proxy(self.gateway.grpc)
        self.addCleanup(proxy.close)
        consumer = self.consume(proxy.address, heartbeat_interval=0.2)
        self.until(lambda: consumer.heard.connections == 1, "not connected")
        begin = time.monotonic()
        proxy.freeze()
        self.post(1)
        self.until(lambda: consumer.heard.connections == 2, "not connected again")
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(consumer.heard.errors, ["DEADLINE_EXCEEDED"])
        self.done_with_all()
        self.assertEqual(consumer.ended, ["m0"])

    def a_stop_with_a_thousand(self, mode):
        self.gateway.subscribe("billing", max_attempts=1)
        posted = self.post(1000)
        first = self.consume(self.gateway.grpc, held=True, max_outstanding_messages=1000)
        self.until(lambda: first.heard.arrived == 1000, "not arrived")
        second = self.consume(self.gateway.grpc)
        self.until(lambda: second.heard.connections == 1, "not connected")
        begin = time.monotonic()
        first.stop(mode)
        return posted, first, second, begin

    def test_a_stop_that_finishes_handles_what_is_in_hand(self):
        posted, first, second, _ = self.a_stop_with_a_thousand(mmsmo.StopMode.FINISH)
        more = self.post(10, "later")
        self.until(lambda: len(second.ended) == 10, "the other has nothing of what came later")
        first.go.set()
        self.assertIsNone(first.join())
        self.done_with_all()
        self.assertEqual((first.ended, sorted(second.ended)), (posted, sorted(more)))

    def test_a_stop_that_releases_gives_it_to_others_at_once(self):
        posted, first, second, begin = self.a_stop_with_a_thousand(mmsmo.StopMode.RELEASE)
        self.until(lambda: second.heard.arrived > 0, "the other has nothing")
        self.assertLess(time.monotonic() - begin, 1)
        self.until(lambda: len(second.ended) == 999, "the other has not all")
        first.go.set()
        self.assertIsNone(first.join())
        self.done_with_all()
        self.assertEqual(sorted(first.ended + second.ended), sorted(posted))
        self.assertEqual(self.described().dead_letter_count, 0)

    def test_a_stop_that_finishes_is_over_at_its_time(self):
        self.gateway.subscribe("billing")
        consumer = self.consume(self.gateway.grpc, held=True)
        self.post(2)
        self.until(lambda: consumer.heard.arrived == 2, "not arrived")
        consumer.stop(mmsmo.StopMode.FINISH, 0.1)
        self.assertIsNone(consumer.join())
        self.assertEqual((consumer.begun, consumer.told), (["m0"], ["m0"]))

    def test_a_handler_over_its_time_is_told_and_tried_again(self):
        retry_policy = subscription_pb2.RetryPolicy(minimum_backoff=milliseconds(10))
        self.gateway.subscribe("billing", retry_policy=retry_policy)
        consumer = self.consume(self.gateway.grpc, held=True, max_handler_time=0.1)
        self.post(1)
        self.until(lambda: consumer.told == ["m0"], "not told")
        consumer.go.set()
        self.done_with_all()
        self.assertEqual(consumer.ended[-1:], ["m0"])
        self.assertGreaterEqual(len(consumer.begun), 2)

    def test_leases_are_prolonged(self):
        self.gateway.subscribe("billing", ack_deadline=milliseconds(200), max_attempts=1)
        consumer = self.consume(self.gateway.grpc, held=True)
        posted = self.post(3)
        self.until(lambda: consumer.begun, "not begun")
        time.sleep(0.8)  # four deadlines; what is proven is that nothing happens
        consumer.go.set()
        self.done_with_all()
        self.assertEqual((consumer.ended, self.described().dead_letter_count), (posted, 0))

    def test_what_raises_is_a_retry_and_counted(self):
        def decide(delivery):
            if delivery.attempt == 1:
                raise KeyError("as planned")
            return mmsmo.Ack if delivery.attempt == 3 else "no verdict"

        retry_policy = subscription_pb2.RetryPolicy(minimum_backoff=milliseconds(10))
        self.gateway.subscribe("billing", retry_policy=retry_policy)
        with self.assertLogs("mmsmo", "WARNING") as logs:
            consumer = self.consume(self.gateway.grpc, decide)
            self.post(1)
            self.until(lambda: consumer.ended.count("m0") == 2, "not handled again")
            self.done_with_all()
        self.assertEqual([type(error) for error in consumer.heard.raised], [KeyError, TypeError])
        self.assertIn("as planned", logs.output[0])

    def test_an_acknowledgement_without_effect_is_told(self):
        self.gateway.subscribe("billing")
        consumer = self.consume(self.gateway.grpc, held=True)
        self.post(1)
        self.until(lambda: consumer.begun, "not begun")
        with mmsmo.Subscriber(self.gateway.grpc).services() as services:
            services.subscriptions.SeekSubscription(
                pb.SeekSubscriptionRequest(name="billing", target=mmsmo.from_earliest())
            )
        consumer.go.set()
        self.until(lambda: consumer.heard.failures, "nothing is told")
        self.assertIn(consumer.heard.failures[0].why, ("EXPIRED", "INVALID"))
        self.assertEqual(consumer.subscriber.failed_acks, len(consumer.heard.failures))
        self.done_with_all()

    def test_an_unknown_subscription_ends_it(self):
        self.assertIsInstance(self.consume(self.gateway.grpc, name="nobody").join(), mmsmo.NotFound)

    def test_a_stop_before_it_begins(self):
        self.gateway.subscribe("billing")
        unreachable = self.consume("127.0.0.1:1")
        unreachable.stop()
        self.assertIsNone(unreachable.join())


class ThreadsTest(GatewayTests, unittest.TestCase):
    kind = Threads

    def test_a_handler_that_fails_ends_what_follows_with_its_own_failure(self):
        self.post(3)
        seen = []

        def handle(delivery):
            if len(seen) == 1:
                raise grpc.RpcError("of another service")
            seen.append(delivery.event.mms_mo.tracking_id)

        subscriber = mmsmo.Subscriber(self.gateway.grpc)
        with self.assertRaisesRegex(grpc.RpcError, "of another service"):
            subscriber.follow(mmsmo.from_earliest(), handle)
        following = mmsmo.Subscriber(self.gateway.grpc)
        rest = []

        def take(delivery):
            rest.append(delivery.event.mms_mo.tracking_id)
            if len(rest) == 2:
                following.stop()

        following.follow(mmsmo.after_cursor(subscriber.cursor), take)
        self.assertEqual((seen, rest), (["m0"], ["m1", "m2"]))

    def test_sigterm_finishes_and_sigint_after_it_releases(self):
        self.gateway.subscribe("billing")
        self.post(3)
        for signals, wanted in (([signal.SIGTERM], ["m0", "m1", "m2"]), ([signal.SIGTERM, signal.SIGINT], ["n0"])):
            program = (
                "import mmsmo, sys\n"
                "def handle(delivery):\n"
                "    print(delivery.event.mms_mo.tracking_id, flush=True)\n"
                "    sys.stdin.readline()\n"
                "    return mmsmo.Ack\n"
                "subscriber = mmsmo.Subscriber(sys.argv[1])\n"
                "with mmsmo.stop_on_signals(subscriber):\n"
                "    subscriber.run('billing', handle)\n"
            )
            process = subprocess.Popen(
                [sys.executable, "-c", program, self.gateway.grpc],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.addCleanup(process.kill)
            first = process.stdout.readline().strip()
            time.sleep(0.1)  # until the rest of the three, posted before, has arrived
            for number in signals:
                process.send_signal(number)
                time.sleep(0.1)  # so that signals stay in their order
            output, _ = process.communicate("\n\n\n", timeout=WAIT)
            self.assertEqual([first, *output.split()], wanted)
            self.assertEqual(process.returncode, 0)
            self.post(3, "n")


class AsyncioTest(GatewayTests, unittest.TestCase):
    kind = Asyncio

    def test_a_handler_that_never_waits_does_not_stop_the_rest(self):
        def decide(delivery):
            deadline = time.monotonic() + 0.002
            while time.monotonic() < deadline:
                pass
            return mmsmo.Ack

        # All take two deadlines together.
        self.gateway.subscribe("billing", ack_deadline=milliseconds(900), max_attempts=1)
        self.post(1000)
        consumer = self.consume(self.gateway.grpc, decide)
        self.done_with_all()
        self.assertEqual((len(consumer.ended), self.described().dead_letter_count), (1000, 0))

    def test_cancelling_it_cancels_its_handlers(self):
        self.gateway.subscribe("billing")
        self.post(1)

        async def main():
            begun, cancelled = asyncio.Event(), asyncio.Event()

            async def handle(delivery):
                begun.set()
                try:
                    await asyncio.sleep(WAIT)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            run = asyncio.ensure_future(mmsmo.aio.Subscriber(self.gateway.grpc).run("billing", handle))
            await begun.wait()
            run.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await run
            return cancelled.is_set()

        self.assertTrue(on_loop(main()))

    def test_services(self):
        self.gateway.subscribe("billing")

        async def main():
            async with mmsmo.aio.Subscriber(self.gateway.grpc, token="t").services() as services:
                return await services.subscriptions.ListSubscriptions(pb.ListSubscriptionsRequest())

        self.assertEqual([one.name for one in on_loop(main()).subscriptions], ["billing"])


class _Busy(grpc.GenericRpcHandler):
    """A gateway that asks to be left alone for a while, or refuses what is not the token."""

    def __init__(self, wanted=None):
        self.times, self.tokens, self._wanted = [], [], wanted

    def service(self, details):
        def subscribe(request, context):
            self.times.append(time.monotonic())
            self.tokens.append(dict(context.invocation_metadata()).get("authorization"))
            if self._wanted and self.tokens[-1] != self._wanted:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")
            duration = milliseconds(400).SerializeToString()
            info = bytes([10, len(duration)]) + duration
            kind = b"type.googleapis.com/google.rpc.RetryInfo"
            detail = bytes([10, len(kind)]) + kind + bytes([18, len(info)]) + info
            context.set_trailing_metadata((("grpc-status-details-bin", bytes([26, len(detail)]) + detail),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
            yield b""

        return grpc.unary_stream_rpc_method_handler(subscribe) if details.method.endswith("Subscribe") else None


class BusyTests:
    def serve(self, handler):
        server = grpc.server(futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers([handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        return f"127.0.0.1:{port}"

    def until(self, holds):
        deadline = time.monotonic() + WAIT
        while not holds():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def test_waits_as_long_as_the_gateway_asks(self):
        busy = _Busy()
        consumer = self.kind(self.serve(busy))
        self.until(lambda: len(busy.times) == 2)
        consumer.stop()
        self.assertIsNone(consumer.join())
        self.assertGreaterEqual(busy.times[1] - busy.times[0], 0.4)

    def test_a_token_that_is_refused_is_final_unless_there_is_another(self):
        tokens = ["first", "first", "second"]
        busy = _Busy("Bearer second")
        consumer = self.kind(self.serve(busy), token=lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])
        self.until(lambda: len(busy.tokens) == 2)
        consumer.stop()
        self.assertIsNone(consumer.join())
        self.assertEqual(busy.tokens, ["Bearer first", "Bearer second"])
        refused = self.kind(self.serve(_Busy("Bearer second")), token="first")
        self.assertIsInstance(refused.join(), mmsmo.Unauthenticated)


class ThreadsBusyTest(BusyTests, unittest.TestCase):
    kind = Threads


class AsyncioBusyTest(BusyTests, unittest.TestCase):
    kind = Asyncio


class TlsTest(unittest.TestCase):
    """Encryption both ways, and the name that a certificate must have."""

    def test_mutual(self):
        with tempfile.TemporaryDirectory() as directory:
            cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
            command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway"
            subprocess.run(
                [*command.split(), "-addext", "subjectAltName=DNS:gateway", "-keyout", key, "-out", cert],
                check=True,
                capture_output=True,
            )
            with open(cert, "rb") as cert_file, open(key, "rb") as key_file:
                certificate, private = cert_file.read(), key_file.read()
            credentials = grpc.ssl_server_credentials([(private, certificate)], certificate, True)
            busy, server = _Busy(), grpc.server(futures.ThreadPoolExecutor(4))
            server.add_generic_rpc_handlers([busy])
            port = server.add_secure_port("127.0.0.1:0", credentials)
            server.start()
            self.addCleanup(server.stop, None)
            tls = mmsmo.Tls(ca=cert, cert=cert, key=key)
            for kind in (Threads, Asyncio):
                seen = len(busy.times)
                consumer = kind(f"127.0.0.1:{port}", tls=tls, server_name="gateway", token="t")
                deadline = time.monotonic() + WAIT
                while len(busy.times) == seen:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.005)
                consumer.stop()
                self.assertIsNone(consumer.join())
            self.assertEqual(set(busy.tokens), {"Bearer t"})


if __name__ == "__main__":
    unittest.main()
