"""What is tried by those who mean harm, with the answer that it must get, while others go on."""
import hashlib
import hmac
import json
import os
import re
import resource
import socket
import struct
import threading
import time
import unittest

from tests.integration.gateway import PATH, Service, earliest, grpc, xml
from tests.integration.http_test import Connection, chunked, request
from tests.integration.proxy_test import InFrontTest, ProxyTestCase, v1

from mmsmo.v1 import subscription_pb2, subscription_service_pb2

# Of a well-behaved client's request, on a machine that does something else, too.
SECONDS = 5


class AttackTestCase(ProxyTestCase):
    def setUp(self):
        super().setUp()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.count = 0

    def goes_on(self, connection, times=20):
        """Whoever behaves well is answered as ever."""
        for _ in range(times):
            self.count += 1
            begin = time.monotonic()
            self.assertEqual(connection.send(request(xml(f"WELL{self.count}"))).answer()[0], 200)
            self.assertLess(time.monotonic() - begin, SECONDS)

    def open(self, gateway):
        connection = Connection(gateway)
        self.addCleanup(connection.close)
        return connection

    def half(self, port, data):
        """A connection that has sent that, and nothing more."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection


class SlowTest(AttackTestCase):
    def test_thousands_of_connections_that_send_half_a_request(self):
        gateway = self.gateway()
        well = self.open(gateway)
        before = gateway.resident_bytes()
        for i in range(2000):
            self.half(gateway.http, request(xml("SLOW"))[:20 + i % 100])
            if i % 200 == 0:
                self.goes_on(well, 1)
        self.goes_on(well)
        self.goes_on(self.open(gateway), 1)
        self.assertLess(gateway.resident_bytes() - before, 100 << 20)

    def test_they_make_room_at_the_ceiling(self):
        gateway = self.gateway("--max-connections", "100")
        well = self.open(gateway)
        self.goes_on(well, 1)
        for _ in range(300):
            self.half(gateway.http, request(xml("SLOW"))[:50])
        self.goes_on(well)
        self.until(lambda: gateway.post(xml("NEW"))[0] == 200)

    def test_half_open_handshakes_keep_nobody_out(self):
        gateway = self.gateway(*self.mount.flags("http"))
        for _ in range(500):
            self.half(gateway.http, b"\x16\x03\x01\x02\x00\x01")
        for i in range(5):
            begin = time.monotonic()
            post = (b"", request(xml(f"WELL{i}"), Connection="close"))
            self.assertEqual(self.status(gateway.http, post, context=self.context()), 200)
            self.assertLess(time.monotonic() - begin, SECONDS)
        self.assertGreater(gateway.metric('mmsmo_http_accept_pauses_total{server="postbacks"}'), 0)
        before = gateway.metric("process_cpu_seconds_total")
        begin = time.monotonic()
        while time.monotonic() - begin < 0.5:  # they wait, and nobody turns for them
            gateway.get("/healthz")
            threading.Event().wait(0.1)
        self.assertLess(gateway.metric("process_cpu_seconds_total") - before, 0.4)

    def test_probes_are_answered_at_the_administration_ports_ceiling(self):
        gateway = self.gateway()
        over = threading.Event()

        def attack():
            connections = []
            while not over.is_set():
                for data in (b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 7000):
                    try:
                        connections.append(socket.create_connection(("127.0.0.1", gateway.admin), timeout=30))
                        connections[-1].sendall(data)
                    except OSError:
                        pass
                while len(connections) > 200:
                    connections.pop(0).close()
                over.wait(0.002)
            for connection in connections:
                connection.close()

        attacker = threading.Thread(target=attack)
        attacker.start()
        try:
            self.until(lambda: gateway.metric('mmsmo_http_made_room_total{server="admin"}') > 100)
            for _ in range(40):
                begin = time.monotonic()
                self.assertEqual(gateway.get("/healthz")[0], 200)
                self.assertLess(time.monotonic() - begin, SECONDS)
        finally:
            over.set()
            attacker.join()


class HeaderTest(AttackTestCase):
    def test_a_hundred_thousand_fields(self):
        gateway = self.gateway()
        well = self.open(gateway)
        before = gateway.resident_bytes()
        fields = b"".join(b"X-%d: y\r\n" % i for i in range(100_000))
        for _ in range(5):
            data = b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"
            answer = self.answers(gateway.http, (b"", data))
            self.assertIn(answer[:12], (b"HTTP/1.1 431", b""))  # it may be cut off while it sends on
        self.goes_on(well)
        self.assertEqual(gateway.metric('mmsmo_http_refused_total{limit="header_bytes",server="postbacks"}'), 5)
        self.assertLess(gateway.resident_bytes() - before, 50 << 20)

    def test_a_proxys_word_where_none_is_asked_for(self):
        gateway = self.gateway()
        self.assertEqual(self.status(gateway.http, (v1("10.0.0.1"), request(xml("NEVER"), Connection="close"))), 505)

    def test_names_with_control_characters(self):
        gateway = self.gateway("--log-format", "json", "--log-level", "debug")
        for name in (b"a\0b", b"a\x1b[31mb", b"a\rb", b"a\x7fb"):
            for head in (b"POST /%s HTTP/1.1\r\nHost: h\r\n", b"POST %s HTTP/1.1\r\nHost: h\r\n" % PATH.encode() + b"X: %s\r\n",
                         b"POST /p HTTP/1.1\r\nHost: %s\r\n", b"POST /p HTTP/1.1\r\nHost: h\r\n%s: x\r\n",
                         b"%s /p HTTP/1.1\r\nHost: h\r\n"):
                data = (b"", head % name + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
                self.assertIn(self.status(gateway.http, data), (400, 404, 405), data)
        self.assertEqual(gateway.post(xml("A"), path="/%0a%1b[31m")[0], 404)
        rpc = Service(self.service(gateway).channel, subscription_service_pb2, "SubscriptionService")
        for name in ("a\nb", "a\x1b[31mb", "a\u202eb", "a\u0000b", "\u2028"):
            with self.assertRaises(grpc.RpcError) as caught:
                rpc.call("CreateSubscription",
                         subscription=subscription_pb2.Subscription(name=name, start_position=earliest()))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, name)
            list_of = self.service(gateway).subscribe(start_position=earliest(), client_id=name)
            try:
                self.assertEqual(next(list_of).WhichOneof("content"), "started")
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
            list_of.cancel()
        for line in gateway.log_text().splitlines():
            json.loads(line)
            self.assertNotRegex(line, "[\x00-\x1f\x7f]")
        self.assertNotRegex(gateway.get("/metrics")[1].replace("\n", ""), "[\x00-\x1f\x7f]")


class ReplayTest(AttackTestCase):
    def test_a_signature_that_is_used_again(self):
        path = os.path.join(self.directory, "key")
        with open(path, "w") as file:
            file.write("hmac-key")
        os.chmod(path, 0o600)
        table = (f'name = "us"\npath = "/hooks"\nhmac = {{ header = "X-Signature", secret-file = ["{path}"], '
                 'timestamp-header = "X-Time", tolerance = "1m" }\n')
        gateway = self.gateway("--config", self.configure(table))

        def signed(at):
            text = str(int(at)).encode() + b"." + xml("A")
            return {"X-Time": str(int(at)), "X-Signature": hmac.new(b"hmac-key", text, hashlib.sha256).hexdigest()}
        now = signed(time.time())
        outcomes = [gateway.post(xml("A"), path="/hooks", **now)[1]["outcome"] for _ in range(3)]
        self.assertEqual(outcomes, ["accepted", "duplicate", "duplicate"])
        self.assertEqual(gateway.post(xml("A"), path="/hooks", **signed(time.time() - 90))[0], 401)
        self.assertEqual(len(self.service(gateway).events(earliest())), 1)


def smuggled():
    """Requests that two programs might read differently; each is one, or two, or none."""
    inner = request(xml("SMUGGLED"))
    def post(*fields, body=b""):
        return b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: h\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body
    length = b"Content-Length: %d"
    yield "CL.TE", post(length % (len(inner) + 5), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + inner)
    yield "TE.CL", post(b"Transfer-Encoding: chunked", length % 4, body=chunked(inner))
    for te in (b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\x0bchunked",
               b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
               b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding:\r\n chunked", b"X: y\nTransfer-Encoding: chunked",
               b"transfer_encoding: chunked", b"Transfer-Encoding: chunked\0"):
        yield f"TE.TE {te}", post(te, length % (len(inner) + 5), body=b"0\r\n\r\n" + inner)
    yield "two TE", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", body=b"0\r\n\r\n" + inner)
    yield "CL.CL", post(length % 0, length % len(inner), body=inner)
    yield "CL list", post(b"Content-Length: 0, %d" % len(inner), body=inner)
    for number in (b"+%d", b"-%d", b"0x%x", b"%d ,", b"%d.0", b" %d\t", b"\x0b%d", b"00%d", b"%d\0"):
        yield f"CL {number}", post(b"Content-Length: " + number % len(inner), body=inner)
    yield "obs-fold", post(b"X: a", b" Content-Length: %d" % len(inner), b"Content-Length: 0", body=inner)
    yield "space before colon", post(b"Content-Length : %d" % len(inner), body=inner)
    yield "bare LF", post(b"X: y\nContent-Length: %d" % len(inner), b"Content-Length: 0", body=inner)
    yield "bare CR", post(b"X: y\rContent-Length: %d" % len(inner), b"Content-Length: 0", body=inner)
    for chunk in (b"0;a=b\r\n\r\n", b"0;\n\r\n\r\n", b"0\n\n", b"0 \r\n\r\n", b"0x0\r\n\r\n", b"-0\r\n\r\n", b"00000000000000000\r\n\r\n",
                  b"0\r\nContent-Length: 9\r\n\r\n", b"0\r\n\n", b"ffffffffffffffff0\r\n\r\n", b"1\r\nxx0\r\n\r\n", b"2;\nxx\r\n0\r\n\r\n"):
        yield f"chunks {chunk}", post(b"Transfer-Encoding: chunked", body=chunk + inner)


class SmugglingTest(InFrontTest, AttackTestCase):
    """Behind nginx as much is answered as was read, and by whom: else there were two readings."""

    def counted(self, gateway):
        text = gateway.get("/metrics")[1]
        return sum(float(value) for value in
                   re.findall(r'^mmsmo_http_answers_total\{[^}]*server="postbacks"[^}]*\} (\S+)$', text, re.MULTILINE))

    def read(self, port, data):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        with connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while more := connection.recv(65536):
                    received += more
            except ConnectionError:
                pass
        return received

    def test_directly_and_behind_nginx(self):
        gateway = self.gateway("--header-timeout", "500ms", "--body-timeout", "500ms")
        port = self.nginx(self.upstream(gateway))
        for name, data in smuggled():
            with self.subTest(name):
                before = self.counted(gateway)
                direct = self.read(gateway.http, data)
                own = direct.count(b"HTTP/1.1 ")
                self.assertLessEqual(own, 2)
                self.assertEqual(self.counted(gateway) - before, own)
                before = self.counted(gateway)
                through = self.read(port, data)
                ours = len(re.findall(rb"Content-Type: application/(?:problem\+)?json", through))
                self.assertEqual(self.counted(gateway) - before, ours, (direct, through))
                self.count += 1
                after = self.status(port, (b"", request(xml(f"WELL{self.count}"), Connection="close")))
                self.assertEqual(after, 200)
        self.assertGreater(self.count, 30)

    # Those are InFrontTest's.
    test_nginx = test_nginx_with_tls_and_a_certificate = test_haproxy = test_haproxy_passes_tls_through = None


class Http2FloodTest(AttackTestCase):
    BYTES = 1 << 20
    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def frame(self, kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def headers(self):
        def literal(name, value):
            return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        return b"".join(literal(*field) for field in (
            (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"h"),
            (b":path", b"/mmsmo.v1.MmsMoService/GetEvent"), (b"te", b"trailers"),
            (b"content-type", b"application/grpc")))

    def flood(self, gateway, frames):
        """Sends frames, and reads nothing, until so many bytes, an end, or nobody who reads."""
        host, _, port = gateway.grpc.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=1)
        self.addCleanup(connection.close)
        try:
            connection.sendall(self.PREFACE + self.frame(4, 0, 0))
            sent = 0
            while sent < self.BYTES:
                block = b"".join(next(frames) for _ in range(500))
                connection.sendall(block)
                sent += len(block)
        except (OSError, StopIteration):
            pass

    def survives(self, make_frames):
        gateway = self.gateway()
        well = self.open(gateway)
        self.goes_on(well, 5)
        before = gateway.resident_bytes()
        floods = [threading.Thread(target=self.flood, args=(gateway, make_frames())) for _ in range(3)]
        for flood in floods:
            flood.start()
        while any(flood.is_alive() for flood in floods):
            self.goes_on(well, 1)
        self.goes_on(well)
        grown = gateway.resident_bytes() - before
        print(f"{self.id().rpartition('.')[2]}: {grown / 2**20:.1f} MiB")
        self.assertLess(grown, 256 << 20)
        self.assertGreater(len(self.service(gateway).events(earliest())), 0)  # others are served

    def repeat(self, frame):
        while True:
            yield frame

    def answers_to_pings(self, gateway, count, pause):
        """Whether each of so many is answered, without any call, or the connection "ended"."""
        ping, goaway = 6, 7
        host, _, port = gateway.grpc.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection, connection.makefile("rb") as answers:
            connection.sendall(self.PREFACE + self.frame(4, 0, 0))
            for _ in range(count):
                connection.sendall(self.frame(ping, 0, 0, b"12345678"))
                kind = None
                while kind != ping:
                    header = answers.read(9)
                    kind = header[3] if len(header) == 9 else goaway
                    if kind == goaway:
                        return "ended"
                    answers.read(int.from_bytes(header[:3], "big"))
                time.sleep(pause)  # what is tried is a pace
            return "served"

    def test_pings_at_the_pace_that_clients_are_told(self):
        gateway = self.gateway()
        self.assertEqual(self.answers_to_pings(gateway, 6, 0.2), "ended")
        self.assertEqual(self.answers_to_pings(gateway, 6, 5.1), "served")

    def test_settings(self):
        self.survives(lambda: self.repeat(self.frame(4, 0, 0, b"\0\4\0\0\xff\xff")))

    def test_pings(self):
        self.survives(lambda: self.repeat(self.frame(6, 0, 0, b"12345678")))

    def test_rapid_resets(self):
        def frames():
            for i in range(1, 1 << 30, 2):
                yield self.frame(1, 4, i, self.headers()) + self.frame(3, 0, i, b"\0\0\0\x08")
        self.survives(frames)

    def test_continuations(self):
        def frames():
            yield self.frame(1, 0, 1, self.headers())
            while True:
                yield self.frame(9, 0, 1, b"\x00\x01x\x7f\x01" + b"y" * 128)
        self.survives(frames)

    def test_empty_frames(self):
        def frames():
            yield self.frame(1, 4, 1, self.headers())
            while True:
                yield self.frame(0, 0, 1)
        self.survives(frames)


if __name__ == "__main__":
    unittest.main()
