"""A disk that fails for a moment, and descriptors that run out: it goes on by itself afterwards, in the same process."""
import base64
import collections
import os
import resource
import threading
import time
import unittest

import grpc

from tests.chaos.disk import BROKEN, FULL, Disk
from tests.integration.certificates import Authority, Mount
from tests.integration.gateway import PATH, SANITIZED, Service, TestCase, earliest, xml
from mmsmo.v1 import subscription_pb2, subscription_service_pb2


class DiskTest(TestCase):
    BUDGET = 8 << 20

    def start(self, *arguments):
        disk = Disk(self.directory, os.path.join(self.directory, "data"), os.environ["MMSMO_FAULTS_LIBRARY"])
        return disk, self.gateway(*arguments, environment=disk.environment())

    def goes_on_after(self, setting, error, restarted=False):
        disk, gateway = self.start()
        cursors = [self.accepted(gateway, "BEFORE")]
        if restarted:
            gateway.stop()
            gateway.start()
        process = gateway.process.pid
        setattr(disk.settings, setting, error)
        status, answer, headers = gateway.post(xml("MEANWHILE"))
        self.assertEqual((status, answer["reason"]), (503, "not_durable"))
        self.assertIn("Retry-After", headers)
        self.assertEqual(gateway.get("/readyz")[0], 503)
        health = self.service(gateway).channel.unary_unary("/grpc.health.v1.Health/Check")
        for name in (b"", b"mmsmo.v1.MmsMoService"):
            while health(b"\x0a%c%s" % (len(name), name), timeout=10) != b"\x08\x02":  # NOT_SERVING
                time.sleep(0.01)
        disk.heal()
        gateway.wait_until_ready()
        status, answer, _ = gateway.post(xml("MEANWHILE"))
        self.assertEqual(status, 200)  # accepted, or a duplicate of what was kept after all
        cursors += [answer["cursor"], self.accepted(gateway, "AFTER")]
        self.assertEqual([event.cursor for event in self.service(gateway).events(earliest())], cursors)
        self.assertEqual(gateway.process.pid, process)

    def test_a_sync_that_fails(self):
        self.goes_on_after("sync_error", BROKEN)

    def test_files_that_are_broken_when_everything_is_opened_anew_change_nothing(self):
        authority = Authority(self.directory)
        mount = Mount(self.directory).put(*authority.issue())
        paths = {name: os.path.join(self.directory, name) for name in ("config", "password", "token")}

        def write(name, text):
            with open(paths[name], "w") as file:
                file.write(text)

        write("config", f"""
            endpoint = [{{ name = "a", path = "/a", basic = {{ user = "u", password-file = ["{paths['password']}"] }} }}]
            identity = [{{ name = "b", token-file = ["{paths['token']}"], allow = ["read"] }}]
            """)
        write("password", "secret")
        write("token", "a-token-of-some-length")
        disk, gateway = self.start("--config", paths["config"], *mount.flags("grpc"))
        process = gateway.process.pid
        disk.settings.sync_error = BROKEN
        basic = {"Authorization": "Basic " + base64.b64encode(b"u:secret").decode()}
        self.assertEqual(gateway.post(xml("MEANWHILE"), path="/a", **basic)[0], 503)
        os.remove(paths["password"])
        write("token", "")
        mount.put(*[paths["token"]] * 2)
        disk.heal()
        self.until(lambda: "opened anew" in gateway.log_text())
        self.until(lambda: self.posted(gateway, xml("AFTER"), path="/a", **basic) == 200)
        self.assertEqual(gateway.post(xml("AFTER"), path="/a")[0], 401)
        with open(authority.path, "rb") as trusted:
            channel = grpc.secure_channel(gateway.grpc, grpc.ssl_channel_credentials(trusted.read()))
        self.addCleanup(channel.close)
        events = channel.unary_unary("/mmsmo.v1.MmsMoService/ListEvents")
        events(b"", metadata=[("authorization", "Bearer a-token-of-some-length")], timeout=10)
        with self.assertRaises(grpc.RpcError) as raised:
            events(b"", timeout=10)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(gateway.process.pid, process)
        self.assertIsNone(gateway.process.poll())

    def posted(self, gateway, *arguments, **options):
        """The status, None without an answer."""
        try:
            return gateway.post(*arguments, **options)[0]
        except OSError:
            return None

    def test_a_sync_of_an_acknowledgement_that_fails(self):
        disk, gateway = self.start()
        rpc = self.service(gateway)
        admin = Service(rpc.channel, subscription_service_pb2, "SubscriptionService")
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            name="orders", start_position=earliest()))
        self.accepted(gateway, "BEFORE")
        stream = rpc.subscribe(subscription="orders")
        delivery = next(frame.batch.deliveries[0] for frame in stream if frame.batch.deliveries)
        disk.settings.sync_error = BROKEN
        with self.assertRaises(grpc.RpcError) as raised:
            rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id])
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(gateway.get("/readyz")[0], 503)
        disk.heal()
        gateway.wait_until_ready()  # though no postback comes
        answer = rpc.call("Acknowledge", subscription="orders", ack_ids=[delivery.ack_id])
        self.assertEqual(list(answer.failures), [])

    def test_a_write_that_fails(self):
        self.goes_on_after("write_error", BROKEN)

    def test_a_clock_that_is_far_off_for_seconds_removes_nothing_and_dates_nothing(self):
        disk, gateway = self.start()  # with the default retention
        cursors = [self.accepted(gateway, "BEFORE")]
        for days in (8, -8, 30, -30):
            begin = time.monotonic()
            disk.settings.clock_offset_micros = days * 24 * 3600 * 1_000_000
            while time.monotonic() < begin + 2.5:  # what runs every second must have run
                cursors.append(self.accepted(gateway, f"MEANWHILE{len(cursors)}"))
            disk.settings.clock_offset_micros = 0
            cursors.append(self.accepted(gateway, f"AFTER{days}"))
        events = self.service(gateway).events(earliest())
        self.assertEqual([event.cursor for event in events], cursors)
        times = [event.accept_time.ToMicroseconds() / 1e6 for event in events]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], time.time() - 60)
        self.assertLess(times[-1], time.time() + 1)
        self.assertEqual(gateway.post(xml("BEFORE"))[1], {"outcome": "duplicate", "cursor": cursors[0]})

    def test_a_disk_that_is_stuck_for_good_does_not_keep_it_from_ending(self):
        disk, gateway = self.start("--drain-timeout", "0s")
        disk.settings.sync_delay_micros = 100_000_000
        with gateway.connect() as waiting:
            body = xml("STUCK")
            waiting.sendall(b"POST %b HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%b"
                            % (PATH.encode(), len(body), body))
            while not gateway.metric("mmsmo_decode_seconds_count"):
                time.sleep(0.01)
            self.assertEqual(gateway.stop(), 1)
        gateway.process = None  # an end that is looked at already
        self.assertIn("closing takes too long", gateway.log_text())

    def test_a_disk_that_hangs_costs_no_more_memory_than_the_budget(self):
        disk, gateway = self.start("--max-in-flight-bytes", f"{self.BUDGET >> 20}MiB")
        body = xml("HUNG", note="x" * 200_000)
        for i in range(200):  # what the newest events and RocksDB's buffers take anyway
            self.assertEqual(gateway.post(body.replace(b"HUNG", b"WARM-%d" % i))[0], 200)
        before = gateway.resident_bytes()
        disk.settings.sync_delay_micros = 10_000_000
        until = time.monotonic() + 12  # past the 503 for what is not durable in time
        answers = []

        def client(number):
            count = 0
            while time.monotonic() < until:
                count += 1
                try:
                    answers.append(gateway.post(body.replace(b"HUNG", b"HUNG-%d-%d" % (number, count)))[1].get("reason"))
                except OSError:
                    pass  # refused before it had sent everything

        clients = [threading.Thread(target=client, args=[i]) for i in range(100)]
        for thread in clients:
            thread.start()
        highest = 0
        while any(thread.is_alive() for thread in clients):
            highest = max(highest, gateway.resident_bytes())
            clients[0].join(0.05) if clients[0].is_alive() else clients.pop(0)
        disk.heal()
        gateway.wait_until_ready()
        self.accepted(gateway, "AFTER")
        highest = max(highest, gateway.resident_bytes())
        print(f"{(highest - before) >> 20} MiB more; {collections.Counter(answers)}")
        self.assertIn("not_durable", answers)
        self.assertIn("overloaded", answers)
        for reason in ("not_durable", "overloaded"):
            counted = gateway.metric(f'mmsmo_http_answers_total{{reason="{reason}",server="postbacks",status="503"}}')
            self.assertGreaterEqual(counted, answers.count(reason))
            self.assertEqual(gateway.metric(f'mmsmo_postbacks_total{{outcome="unavailable",reason="{reason}"}}'), counted)
        if not SANITIZED:
            self.assertLess(highest - before, self.BUDGET + (32 << 20))

    def test_a_disk_that_is_full(self):
        self.goes_on_after("write_error", FULL)

    def test_a_disk_that_is_full_before_anything_is_in_memory(self):
        self.goes_on_after("write_error", FULL, restarted=True)

    @unittest.skipIf(SANITIZED, "a sanitizer needs descriptors itself")
    def test_without_descriptors_connections_wait(self):
        gateway = self.gateway()
        pid = gateway.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.addCleanup(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
        waiting = self.service(gateway).subscribe(start_position=earliest())
        postback = gateway.connect()
        self.addCleanup(postback.close)
        deadline = time.monotonic() + 30
        for server in ("subscribers", "postbacks"):
            while f"{server}: a connection could not be accepted" not in gateway.log_text():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.assertEqual(next(waiting).WhichOneof("content"), "started")
        self.accepted(gateway, "AFTER")


if __name__ == "__main__":
    unittest.main()
