"""What can happen to a gateway that takes a story to tell. Each is a function of a round; most have a gateway of their
own beside that of the round, which goes on under its load."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time

import grpc

from tests.chaos.proxy import Proxy
from tests.chaos.watch import Latencies, Watch
from tests.integration.gateway import COMMAND, SANITIZED, Gateway, Service, after, earliest, latest, xml
from google.protobuf import duration_pb2
from mmsmo.v1 import event_pb2, mms_mo_service_pb2 as service_pb2, subscription_pb2, subscription_service_pb2

NOTHING = event_pb2.Filter(senders=["19995550199"])  # nobody's number


class Side(Gateway):
    """A gateway beside that of the round."""

    def service(self):
        return Service(self.channel())

    def manage(self, method, **fields):
        with self.channel() as channel:
            return Service(channel, subscription_service_pb2, "SubscriptionService").call(method, **fields)

    def create(self, name, **settings):
        return self.manage("CreateSubscription", subscription=subscription_pb2.Subscription(
            name=name, **{"start_position": earliest(), **settings}))

    def fill(self, prefix, count):
        subprocess.run([COMMAND, "send", "--url", self.url(), "--tracking-id", prefix, "--count", str(count),
                        "--connections", "64", "--retry-for", "60"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def accept(self, tracking_id):
        """Returns its outcome and cursor."""
        answer = self.post(xml(tracking_id))[1]
        return answer["outcome"], answer["cursor"]


@contextlib.contextmanager
def side(chaos, *flags):
    gateway = Side(tempfile.mkdtemp(dir=chaos.directory), *flags)
    try:
        yield gateway.start()
    finally:
        gateway.kill()
        if not chaos.findings:
            shutil.rmtree(gateway.directory)


def expect(chaos, kind, wanted, found, what):
    if wanted != found:
        chaos.findings.add(kind, f"{what}: {found} instead of {wanted}")


def deliveries_of(stream, count):
    found = []
    while len(found) < count:
        found += next(stream).batch.deliveries
    return found


def code_of(call):
    try:
        call()
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def restore(chaos):
    """The data directory is copied while its gateway is away, goes on, and is replaced by the copy: what was given
    meanwhile names nothing any more, also once the log has grown past it."""
    away = chaos.chance.choice((Gateway.stop, Gateway.kill))
    with side(chaos) as gateway:
        data = os.path.join(gateway.directory, "data")
        kept = [gateway.accept(f"KEPT-{i}")[1] for i in range(20)]
        gateway.create("orders")
        away(gateway)
        shutil.copytree(data, data + ".copy")
        gateway.start()
        lost = [gateway.accept(f"LOST-{i}")[1] for i in range(20)]
        with gateway.channel() as channel:
            stream = Service(channel).subscribe(subscription="orders")
            ack_ids = [delivery.ack_id for delivery in deliveries_of(stream, 40)]
            stream.cancel()
        away(gateway)
        shutil.rmtree(data)
        os.rename(data + ".copy", data)
        gateway.start()
        for beyond in (0, 60):
            for i in range(beyond):
                expect(chaos, "duplicated", "accepted", gateway.accept(f"NEW-{i}")[0], "a new postback after a restore")
            check_restored(chaos, gateway, kept, lost, ack_ids)
        for i, cursor in enumerate(kept):
            expect(chaos, "duplicated", ("duplicate", cursor), gateway.accept(f"KEPT-{i}"), "what the copy has")
            expect(chaos, "lost", "accepted", gateway.accept(f"LOST-{i}")[0], "what the copy has not")
        with gateway.channel() as channel:
            stream = Service(channel).subscribe(subscription="orders")
            found = {delivery.event.mms_mo.tracking_id for delivery in deliveries_of(stream, 100)}
            expect(chaos, "lost", 100, len(found), "deliveries of a subscription after a restore")


def check_restored(chaos, gateway, kept, lost, ack_ids):
    with gateway.channel() as channel:
        rpc = Service(channel)
        for i, cursor in enumerate(kept):
            event = rpc.call("GetEvent", cursor=cursor).event
            expect(chaos, "misplaced", f"KEPT-{i}", event.mms_mo.tracking_id, "a cursor from before the copy")
        for cursor in lost:
            for call in (lambda: rpc.call("GetEvent", cursor=cursor),
                         lambda: next(rpc.subscribe(start_position=after(cursor)))):
                expect(chaos, "misplaced", grpc.StatusCode.OUT_OF_RANGE, code_of(call), "a cursor of the lost time")
        failures = rpc.call("Acknowledge", subscription="orders", ack_ids=ack_ids[20:]).failures
        expect(chaos, "misplaced", [(ack_id, service_pb2.ACK_FAILURE_REASON_EXPIRED) for ack_id in ack_ids[20:]],
               [(failure.ack_id, failure.reason) for failure in failures], "ack ids of the lost time")


def poison(chaos):
    """A consumer that dies on one event takes along what it has in hand: that one becomes a dead letter, and no other."""
    count, attempts = (3000, 5) if chaos.long else (500, 2)
    with side(chaos, "--resume-window", "2s" if chaos.long else "200ms") as gateway:
        gateway.fill("P", count)
        gateway.create("orders", max_attempts=attempts, ack_deadline=duration_pb2.Duration(seconds=60),
                       retry_policy=subscription_pb2.RetryPolicy(minimum_backoff=duration_pb2.Duration(nanos=10_000_000)))
        handled, lives = set(), 0
        end = time.monotonic() + 120
        while len(handled) < count - 1 or not dead_letters(gateway):
            lives += 1
            live(chaos, gateway, f"P-{count // 3}", handled, count)
            if time.monotonic() > end:
                chaos.findings.add("stuck", f"{len(handled)} of {count} handled in {lives} lives")
                return
        expect(chaos, "punished", [(f"P-{count // 3}", "max_attempts")],
               [(d.event.mms_mo.tracking_id, d.reason) for d in dead_letters(gateway)], "dead letters")
        chaos.measured.append(f"poison: one dead letter, {len(handled)} handled, in {lives} lives of the consumer")


def dead_letters(gateway):
    return gateway.manage("ListDeadLetters", subscription="orders", page_size=1000).dead_letters


def live(chaos, gateway, poisoned, handled, count):
    """A consumer's life, until it dies on that event or nothing has come for a while. It acknowledges after each frame,
    as far as it came."""
    proxy = Proxy(gateway.grpc)
    with grpc.insecure_channel(proxy.address) as channel:
        rpc = Service(channel)
        stream = rpc.subscribe(subscription="orders", max_outstanding_messages=2000, max_batch_size=500,
                               heartbeat_interval=duration_pb2.Duration(seconds=1))
        for frame in stream:
            if frame.HasField("heartbeat") and (len(handled) >= count - 1 or chaos.chance.random() < 0.1):
                break
            ids = [delivery.event.mms_mo.tracking_id for delivery in frame.batch.deliveries]
            if poisoned in ids:
                break
            if ids:
                rpc.call("Acknowledge", subscription="orders", ack_ids=[d.ack_id for d in frame.batch.deliveries])
                handled.update(ids)
        if chaos.chance.random() < 0.5:
            proxy.cut()  # as the kernel does for a process that was killed with data unread
    proxy.close()


def give_ups(chaos):
    """Very many events become dead letters at once, while another subscription acknowledges."""
    count = 100_000 if chaos.long else 20_000
    with side(chaos) as gateway, gateway.channel() as channel:
        gateway.fill("G", count)
        gateway.create("heavy", max_attempts=1, max_outstanding_messages=count,
                       ack_deadline=duration_pb2.Duration(seconds=3))
        gateway.create("light", start_position=latest())
        rpc = Service(channel)
        heavy = rpc.channel.unary_stream("/mmsmo.v1.MmsMoService/Subscribe",
                                         request_serializer=service_pb2.SubscribeRequest.SerializeToString)(
            service_pb2.SubscribeRequest(subscription="heavy", max_outstanding_messages=count,
                                         max_outstanding_bytes=1 << 30, max_batch_size=10_000))
        reader = threading.Thread(target=drain, args=[heavy])
        reader.start()
        light = rpc.subscribe(subscription="light")
        latencies, number, end = Latencies(), 0, time.monotonic() + 120
        series = 'mmsmo_subscription_dead_letters{subscription="heavy"}'
        while gateway.metric(series) < count and time.monotonic() < end:
            gateway.accept(f"LIGHT-{number}")
            number += 1
            delivery, = deliveries_of(light, 1)
            with latencies.measure():
                rpc.call("Acknowledge", subscription="light", ack_ids=[delivery.ack_id])
        heavy.cancel()
        reader.join()
        if time.monotonic() > end:
            chaos.findings.add("stuck", f"{gateway.metric(series)} of {count} are dead letters")
        latencies.report(chaos, f"give_ups: another's acknowledgements while {count} are given up", 5)


def drain(stream):
    with contextlib.suppress(grpc.RpcError):
        for _ in stream:
            pass


def cold_reads(chaos):
    """The whole log is read for nothing, again and again, beside a live stream."""
    count, seconds = (100_000, 10) if chaos.long else (20_000, 3)
    with side(chaos, "--newest-bytes", "1MiB") as gateway, gateway.channel() as channel:
        gateway.fill("C", count)
        live_stream = Service(channel).subscribe(start_position=latest())
        next(live_stream)
        over = threading.Event()
        readers = [threading.Thread(target=read_cold, args=[gateway, over, i]) for i in range(10)]
        for label in ("alone", "beside cold reads"):
            latencies, end, number = Latencies(), time.monotonic() + seconds, 0
            while time.monotonic() < end:
                number += 1
                with latencies.measure():
                    gateway.accept(f"{label[:2]}-{number}")
                    deliveries_of(live_stream, 1)
            latencies.report(chaos, f"cold_reads: from POST to delivery, {label}", 3)
            if label == "alone":
                for reader in readers:
                    reader.start()
        over.set()
        for reader in readers:
            reader.join()


def read_cold(gateway, over, number):
    """Most list what there is not; some read everything from the beginning."""
    with grpc.insecure_channel(gateway.grpc, [("reader", number)]) as channel:
        rpc = Service(channel)
        while not over.is_set():
            if number < 8:
                rpc.call("ListEvents", start_position=earliest(), filter=NOTHING, page_size=1000)
            else:
                stream = rpc.subscribe(start_position=earliest())
                for frame in stream:
                    if over.is_set() or frame.HasField("caught_up"):
                        break
                stream.cancel()


def hung_sync(chaos):
    """A sync hangs under clients with large bodies: it costs no more than the budget, and nobody whom it is nothing to."""
    seconds = 60 if chaos.long else 4
    budget = 64 << 20
    before = 0
    for i in range(300):  # what the newest events and RocksDB's buffers take anyway, at their fullest
        chaos.gateway.post(large_xml(i))
        before = max(before, chaos.gateway.resident_bytes())
    with Watch(chaos.gateway, latest()) as watch:
        chaos.disk.settings.sync_delay_micros = seconds * 1_000_000
        time.sleep(0.5)
        chaos.disk.heal()  # for the syncs that begin from now on
        end, held, highest = time.monotonic() + seconds, [], 0
        while time.monotonic() < end:
            if len(held) < 600:
                held.append(large_body(chaos, len(held)))
            else:
                time.sleep(0.02)
            highest = max(highest, chaos.gateway.resident_bytes())
        for connection in held:
            connection.close()
    chaos.expect_ready()
    chaos.measured.append(f"hung_sync: {seconds} s, {(highest - before) >> 20} MiB more, {watch.report()}")
    if highest - before > budget + (32 << 20) and not SANITIZED:
        chaos.findings.add("grown", f"{(highest - before) >> 20} MiB more while a sync hung")
    if watch.slowest > 1 and not SANITIZED:
        chaos.findings.add("waiting", f"while a sync hung: {watch.report()}")


def large_xml(number):
    return xml(f"LARGE-{time.monotonic_ns()}-{number}", note="x" * 200_000)


def large_body(chaos, number):
    """A connection that has sent one, as far as the gateway took it."""
    body = large_xml(number)
    connection = chaos.gateway.connect()
    connection.settimeout(0.2)
    with contextlib.suppress(OSError):
        connection.sendall(b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n"
                           b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    return connection


SCENARIOS = {scenario.__name__: scenario for scenario in (restore, poison, give_ups, cold_reads, hung_sync)}
