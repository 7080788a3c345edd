"""What HTTP/1.1 asks of a server, and what it must survive."""
import json
import select
import socket
import threading
import time
import unittest

from tests.integration.gateway import PATH, TestCase, earliest, xml


def request(body=b"", method="POST", path=PATH, **headers):
    """The bytes of a request; a keyword argument becomes a header, its underscores hyphens."""
    fields = {"Host": "gateway", "Content-Type": "application/xml", "Content-Length": str(len(body))}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def chunked(*chunks):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


class Connection:
    """A socket that reads answers."""

    def __init__(self, gateway):
        self.socket = gateway.connect()
        self.stream = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)
        return self

    def answer(self, method="POST"):
        """Status, headers in lower case, body; None at the end of the connection."""
        line = self.stream.readline()
        if not line:
            return None
        headers = {}
        while (header := self.stream.readline().strip()):
            name, value = header.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        return int(line.split()[1]), headers, self.stream.read(length)

    def is_closed(self):
        return self.stream.read(1) == b""

    def close(self):
        self.stream.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class HttpTestCase(TestCase):
    # Settings of the gateway under test.
    flags = ("--max-body-bytes", "64KiB")

    def connect(self):
        connection = Connection(self.server)
        self.addCleanup(connection.close)
        return connection

    def ask(self, data):
        """The answer to the bytes on a new connection."""
        return self.connect().send(data).answer()

    def problem(self, data, status):
        got, headers, body = self.ask(data)
        self.assertEqual(got, status, body)
        self.assertEqual(headers["content-type"], "application/problem+json")
        problem = json.loads(body)
        self.assertEqual(problem["status"], status)
        self.assertIn("detail", problem)
        return headers, problem

    def outcome(self, answer):
        self.assertEqual(answer[0], 200, answer)
        return json.loads(answer[2])["outcome"]

    def setUp(self):
        super().setUp()
        self.server = self.gateway(*self.flags)


class HttpTest(HttpTestCase):
    def test_keeps_connections_alive_and_answers_pipelined_requests_in_order(self):
        connection = self.connect()
        for i in range(3):
            answer = connection.send(request(xml(f"K{i}"))).answer()
            self.assertEqual(self.outcome(answer), "accepted")
        connection.send(b"".join(request(xml(f"P{i}")) for i in (0, 1, 0, 2)))
        self.assertEqual([self.outcome(connection.answer()) for _ in range(4)],
                         ["accepted", "accepted", "duplicate", "accepted"])
        answer = connection.send(request(xml("L"), Connection="close")).answer()
        self.assertEqual(answer[1]["connection"], "close")
        self.assertTrue(connection.is_closed())
        events = self.service(self.server).events(earliest())
        self.assertEqual([e.mms_mo.tracking_id for e in events], ["K0", "K1", "K2", "P0", "P1", "P2", "L"])

    def test_takes_a_request_byte_by_byte(self):
        connection = self.connect()
        for byte in request(xml("SLOWLY")):
            connection.send(bytes([byte]))
        self.assertEqual(self.outcome(connection.answer()), "accepted")

    def test_takes_chunked_bodies(self):
        body = xml("CHUNKED")
        self.assertEqual(self.outcome(self.ask(
            request(Content_Length=None, Transfer_Encoding="chunked") + chunked(body[:10], body[10:]))), "accepted")

    def test_takes_targets_in_absolute_form(self):
        self.assertEqual(self.outcome(self.ask(request(xml("ABSOLUTE"), path="http://gw.example:8080" + PATH))), "accepted")

    def test_passes_over_an_empty_line_after_a_body(self):
        connection = self.connect().send(request(xml("E1")) + b"\r\n" + request(xml("E2")))
        self.assertEqual([self.outcome(connection.answer()) for _ in range(2)], ["accepted", "accepted"])

    def test_tells_http_10_whether_the_connection_stays(self):
        connection = self.connect()
        for i in range(2):
            connection.send(request(xml(f"T{i}"), Connection="Keep-Alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
            answer = connection.answer()
            self.assertEqual((self.outcome(answer), answer[1]["connection"]), ("accepted", "keep-alive"))
        connection.send(request(xml("T2")).replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertEqual(connection.answer()[1]["connection"], "close")
        self.assertTrue(connection.is_closed())

    def test_reads_nothing_behind_a_chunked_http_10_body(self):
        head = request(Content_Length=None, Transfer_Encoding="chunked", Connection="keep-alive")
        connection = self.connect().send(head.replace(b"HTTP/1.1", b"HTTP/1.0") + chunked(xml("C1")) + request(xml("C2")))
        self.assertEqual(self.outcome(connection.answer()), "accepted")
        self.assertTrue(connection.is_closed())

    def test_answers_expect_100_continue(self):
        connection = self.connect().send(request(xml("E"), Expect="100-continue")[:-len(xml("E"))])
        self.assertEqual(connection.answer()[0], 100)
        connection.send(xml("E"))
        self.assertEqual(self.outcome(connection.answer()), "accepted")
        self.problem(request(xml("E"), Expect="a-miracle"), 417)

    def test_does_not_ask_for_a_body_that_it_will_refuse(self):
        connection = self.connect().send(request(Content_Length=str(10 << 30), Expect="100-continue"))
        status, _, body = connection.answer()
        self.assertEqual((status, json.loads(body)["reason"]), (413, "body_too_large"))
        self.assertTrue(connection.is_closed())

    def test_refuses_what_it_does_not_serve(self):
        headers, _ = self.problem(request(method="GET"), 405)
        self.assertEqual(headers["allow"], "POST")
        self.problem(request(path="/other"), 404)
        self.problem(request(path="/"), 404)
        self.assertEqual(self.outcome(self.ask(request(xml("Q"), path=PATH + "?secret=1"))), "accepted")

    def test_compares_paths_as_they_mean(self):
        for i, path in enumerate((PATH + "/", PATH + "/?a=b", "/%70ostbacks/mms%2Dmo", PATH.replace("o", "%6f") + "/")):
            self.assertEqual(self.outcome(self.ask(request(xml(f"N{i}"), path=path))), "accepted", path)
        for path in (PATH + "//", PATH.upper(), PATH.replace("/mms", "%2Fmms"), "/" + PATH):
            self.problem(request(path=path), 404)

    def test_takes_no_trailer_for_a_header(self):
        head = request(Content_Length=None, Transfer_Encoding="chunked", Trailer="Content-Encoding")
        body = chunked(xml("TRAILER"))[:-2] + b"Content-Encoding: br\r\nContent-Type: image/png\r\n\r\n"
        self.assertEqual(self.outcome(self.ask(head + body)), "accepted")

    def test_counts_every_answer_and_tells_of_refusals(self):
        expected = [(200, "", request(xml("C1"))), (400, "bad_host", request(Host=None)),
                    (400, "unreadable", b"\x01\r\n\r\n"), (400, "bad_json", request(b"{", Content_Type="application/json")),
                    (404, "no_such_path", request(path="/my-secret")), (404, "no_such_path", request(path="/my-secret2")),
                    (405, "method_not_allowed", request(method="PUT")),
                    (411, "length_required", request(Content_Length=None)),
                    (413, "body_too_large", request(Content_Length="99999999")),
                    (417, "bad_expectation", request(Expect="a-miracle")),
                    (431, "header_too_large", request(X="y" * 9000)),
                    (501, "bad_transfer_coding", request(Content_Length=None, Transfer_Encoding="gzip")),
                    (505, "bad_version", request().replace(b"HTTP/1.1", b"HTTP/2.0"))]
        for status, _, data in expected:
            self.assertEqual(self.ask(data)[0], status, data)
        self.server.get("/no-such")
        for status, reason, _ in expected:
            series = f'mmsmo_http_answers_total{{reason="{reason}",server="postbacks",status="{status}"}}'
            self.assertEqual(self.server.metric(series), 2 if status == 404 else 1, series)
        self.assertEqual(self.server.metric(
            'mmsmo_http_answers_total{reason="no_such_path",server="admin",status="404"}'), 1)
        self.assertEqual(self.server.stop(), 0)
        log = self.server.log_text()
        told = [line for line in log.splitlines() if "404 no_such_path" in line and "postbacks:" in line]
        self.assertIn(len(told), (1, 2), log)
        self.assertRegex(told[-1], r"of the last one the path has 11 bytes")
        self.assertIn("a request was answered 405 method_not_allowed; of the last one the method is PUT", log)
        self.assertNotIn("my-secret", log)

    def test_needs_a_length(self):
        self.problem(request(Content_Length=None), 411)
        self.problem(request(Content_Length="x"), 400)
        self.problem(request(Content_Length="-1"), 400)
        self.problem(request(b"a", Content_Length="1\r\nContent-Length: 2"), 400)
        self.problem(request(Content_Length="5", Transfer_Encoding="chunked") + chunked(b"a"), 400)
        self.problem(request(Content_Length=None, Transfer_Encoding="gzip"), 501)
        self.problem(request(Content_Length=None, Transfer_Encoding="gzip, chunked") + chunked(b"a"), 501)

    def test_needs_one_host(self):
        self.problem(request(xml("H"), Host=None), 400)
        self.problem(request(xml("H"), Host="a\r\nHost: b"), 400)

    def test_limits_bodies(self):
        over = b"<a>" + b"x" * (64 << 10) + b"</a>"
        _, problem = self.problem(request(over), 413)
        self.assertEqual((problem["outcome"], problem["reason"]), ("rejected", "body_too_large"))
        self.problem(request(Content_Length=None, Transfer_Encoding="chunked") + chunked(over[:40000], over[40000:]), 413)
        self.assertEqual(self.server.metric('mmsmo_postbacks_total{outcome="rejected",reason="body_too_large"}'), 2)
        exact = xml("EXACT", note="x" * (64 << 10))
        exact = exact.replace(b"x", b"", len(exact) - (64 << 10))
        self.assertEqual(len(exact), 64 << 10)
        self.assertEqual(self.outcome(self.ask(request(exact))), "accepted")

    def test_limits_headers(self):
        self.problem(request(X="y" * 9000), 431)
        flood = "\r\n".join(f"X-{i}: y" for i in range(2000))
        self.problem(request(A="b\r\n" + flood), 431)

    def test_takes_a_client_that_leaves_before_its_answer(self):
        for i in range(50):
            connection = self.connect().send(request(xml(f"LEFT{i}")))
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()
        self.assertEqual(self.outcome(self.ask(request(xml("STILL")))), "accepted")

    def test_puts_a_trace_parent_into_the_event(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.ask(request(xml("T1"), traceparent=parent))
        self.ask(request(xml("T2"), traceparent="00-nonsense"))
        events = self.service(self.server).events(earliest())
        self.assertEqual([e.trace_parent for e in events], [parent, ""])

    def test_keeps_what_is_not_decodable(self):
        deep = b"<a>" * 5000 + b"</a>" * 5000
        bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 1000 + b'">]><a>' + b"&b;" * 1000 + b"</a>"
        cases = [(deep, "too_deep"), (bomb, "dtd_forbidden"), (b"[" * 10000, "too_deep"), (b"<a>\x00</a>", "bad_xml"),
                 (b"<a>\xff</a>", "bad_encoding"), (b'{"a":', "bad_json"), (b"  \r\n", "empty_body")]
        for body, reason in cases:
            status, headers, text = self.ask(request(body))
            answer = json.loads(text)
            self.assertEqual((status, answer["outcome"], answer["reason"]), (400, "rejected", reason))
            self.assertEqual(headers["content-type"], "application/problem+json")
            self.assertIn("quarantineId", answer)
        self.assertEqual(self.server.metric('mmsmo_quarantine_postbacks{shelf="rejected"}'), len(cases))

    def test_never_logs_numbers_or_bodies(self):
        self.ask(request(xml("SECRET", message_subject="my-secret-subject")))
        self.ask(request(b"<postback><from>14082257140</from>my-secret"))
        self.ask(request(xml("SECRET", message_subject="another-secret")))
        self.assertEqual(self.server.stop(), 0)
        for secret in ("14082257140", "28444", "secret", "a.example"):
            self.assertNotIn(secret, self.server.log_text())


class ImpatienceTest(HttpTestCase):
    """Requests that may never be whole."""
    flags = ("--header-timeout", "1s", "--body-timeout", "1s", "--idle-timeout", "1500ms")

    def test_gives_up_on_slow_requests(self):
        header = self.connect().send(b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: g\r\n")
        body = self.connect().send(request(xml("S"))[:-5])
        idle = self.connect().send(request(xml("S1")))
        self.assertEqual(self.outcome(idle.answer()), "accepted")
        self.assertEqual(header.answer()[0], 408)
        self.assertEqual(body.answer()[0], 408)
        self.assertTrue(idle.is_closed())
        self.assertEqual(self.server.metric('mmsmo_http_refused_total{limit="time",server="postbacks"}'), 2)

    def test_survives_what_is_no_http(self):
        for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, b"GET\r\n\r\n", b"\x00" * 5000, b"\r\n" * 5000,
                      b"POST " + PATH.encode() + b" HTTP/2.0\r\n\r\n", b"POST\x00 / HTTP/1.1\r\n\r\n"):
            with self.subTest(noise[:20]):
                connection = self.connect().send(noise)
                answer = connection.answer()
                self.assertTrue(answer is None or answer[0] in (400, 408, 431, 505), answer)
        half = self.connect().send(request(xml("HALF"))[:100])
        half.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(half.is_closed())
        self.assertEqual(self.outcome(self.ask(request(xml("STILL")))), "accepted")

    def test_survives_hostile_chunks(self):
        head = request(Content_Length=None, Transfer_Encoding="chunked")
        for chunks in (b"zz\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n", b"5\r\nab", b"5;" + b"x" * 100_000,
                       b"1\r\nab\r\n0\r\n\r\n"):
            with self.subTest(chunks[:20]):
                answer = self.connect().send(head + chunks).answer()
                self.assertTrue(answer is None or answer[0] in (400, 408, 413, 431), answer)
        self.assertEqual(self.outcome(self.ask(request(xml("STILL")))), "accepted")


class LimitsTest(TestCase):
    def test_refuses_connections_over_the_ceiling(self):
        gateway = self.gateway("--max-connections", "3", "--http-threads", "1")
        held = []
        for i in range(3):
            connection = Connection(gateway)
            self.addCleanup(connection.close)
            connection.send(request(xml(f"M{i}")))
            self.assertEqual(connection.answer()[0], 200)
            held.append(connection)
        with Connection(gateway) as refused:
            # Also when it has sent more than it would have read: a reset would take the answer away.
            status, headers, text = refused.send(request(xml("M4", note="x" * 100_000))).answer()
            self.assertEqual((status, headers["retry-after"], headers["connection"]), (503, "5", "close"))
            self.assertEqual(json.loads(text)["reason"], "overloaded")
        self.assertEqual(gateway.metric('mmsmo_http_refused_total{limit="connections",server="postbacks"}'), 1)
        held[0].send(request(xml("M0")))
        self.assertEqual(held[0].answer()[0], 200)

    def test_idle_and_slow_connections_make_room(self):
        gateway = self.gateway("--max-connections", "4", "--http-threads", "1")
        connections = [Connection(gateway) for _ in range(4)]
        for connection in connections:
            self.addCleanup(connection.close)
        idle, slow = connections[:2], connections[2:]
        for i, connection in enumerate(idle):
            connection.send(request(xml(f"I{i}")))
            self.assertEqual(connection.answer()[0], 200)
        for i, connection in enumerate(slow):
            connection.send(request(xml(f"S{i}"))[:-5])

        def begin(tracking_id):
            """A new connection with a request that arrives slowly, too, as soon as there is room for it."""
            body = request(xml(tracking_id), Expect="100-continue")
            while True:
                connection = Connection(gateway)
                connection.send(body[:body.index(b"\r\n\r\n") + 4])
                if connection.answer()[0] == 100:
                    self.addCleanup(connection.close)
                    return connection, body[body.index(b"\r\n\r\n") + 4:]
                connection.close()

        new = [begin(f"N{i}") for i in range(2)]
        self.assertTrue(all(connection.is_closed() for connection in idle))
        new += [begin(f"N{i}") for i in range(2, 4)]
        self.assertEqual([connection.answer()[0] for connection in slow], [408, 408])
        for connection, rest in new[2:]:
            self.assertEqual(connection.send(rest).answer()[0], 200)
        self.assertGreaterEqual(gateway.metric('mmsmo_http_made_room_total{server="postbacks"}'), 4)

    def test_limits_the_bodies_in_flight(self):
        gateway = self.gateway("--max-body-bytes", "1MiB", "--max-in-flight-bytes", "5MiB")
        bodies = [request(xml(f"F{i}", note="x" * 1_000_000)) for i in range(6)]  # together over the budget
        held = []
        for body in bodies:
            connection = Connection(gateway)
            self.addCleanup(connection.close)
            held.append(connection.send(body[:-10]))
        select.select([connection.socket for connection in held], [], [], 30)  # one was refused
        answers = []
        for connection, body in zip(held, bodies):
            try:
                connection.send(body[-10:])
            except OSError:
                pass  # refused, and its answer is there
            answers.append(connection.answer())
        self.assertEqual({status for status, _, _ in answers}, {200, 503})
        for status, headers, text in answers:
            if status == 503:
                self.assertEqual((headers["retry-after"], json.loads(text)["reason"]), ("5", "overloaded"))
        with Connection(gateway) as connection:  # the budget was given back
            self.assertEqual(connection.send(bodies[0] + bodies[1]).answer()[0], 200)
            self.assertEqual(connection.answer()[0], 200)
        deadline = time.monotonic() + 30
        while gateway.metric('mmsmo_http_in_flight_bytes{server="postbacks"}') > 0:
            self.assertLess(time.monotonic(), deadline, "bytes are held for good")


class DrainTest(TestCase):
    def test_answers_what_it_has_before_it_ends(self):
        gateway = self.gateway("--drain-timeout", "2s")
        half = Connection(gateway)
        idle = Connection(gateway)
        self.addCleanup(half.close)
        self.addCleanup(idle.close)
        idle.send(request(xml("IDLE")))
        self.assertEqual(idle.answer()[0], 200)
        body = request(xml("HALF"))
        half.send(body[:-5])
        waiter = threading.Thread(target=gateway.stop)
        waiter.start()
        self.assertTrue(idle.is_closed())
        half.send(body[-5:])
        status, headers, text = half.answer()
        self.assertEqual((status, json.loads(text)["reason"]), (503, "draining"))
        self.assertEqual((headers["retry-after"], headers["connection"]), ("5", "close"))
        waiter.join()
        self.assertEqual(gateway.process.returncode, 0)

    def test_answers_every_request_that_has_arrived(self):
        gateway = self.gateway()
        connections = []
        for i in range(100):
            connection = Connection(gateway)
            self.addCleanup(connection.close)
            connections.append(connection.send(request(xml(f"D{i}"))))
        gateway.process.terminate()
        for connection in connections:
            self.assertIn(connection.answer()[0], (200, 503))
        self.assertEqual(gateway.process.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
