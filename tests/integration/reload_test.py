"""SIGHUP takes a changed configuration over as a whole or not at all; SIGTERM gives balancers time to notice."""
import json
import os
import signal
import socket
import threading
import time
import unittest

from tests.integration.gateway import Service, TestCase, earliest, xml
from mmsmo.v1 import subscription_service_pb2


def endpoint(name):
    return f'[[endpoint]]\nname = "{name}"\npath = "/{name}"\n'


def subscription(name, extra=""):
    return f'[[subscription]]\nname = "{name}"\nstart = "earliest"\n{extra}'


class ReloadTest(TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.directory, "gateway.toml")

    def write(self, *parts):
        with open(self.path + ".new", "w") as file:
            file.write("\n".join(parts))
        os.rename(self.path + ".new", self.path)

    def serve(self, *flags):
        self.server = self.gateway("--config", self.path, *flags)
        return self.server

    def reload(self, result="ok"):
        series = f'mmsmo_reloads_total{{result="{result}"}}'
        before = self.server.metric(series)
        self.server.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.server.metric(series) == before + 1)

    def logs(self, text):
        self.until(lambda: text in self.server.log_text())

    def statuses(self, *paths):
        return [self.server.post(xml("A"), path=path)[0] for path in paths]

    def subscriptions(self):
        admin = Service(self.service(self.server).channel, subscription_service_pb2, "SubscriptionService")
        return [one.name for one in admin.call("ListSubscriptions").subscriptions]

    def test_endpoints_subscriptions_and_the_level_of_the_log_change(self):
        self.write('log-level = "error"', endpoint("a"), subscription("s1"))
        self.serve()
        self.assertEqual(self.statuses("/a", "/b"), [200, 404])
        self.write('log-level = "info"', endpoint("b"), subscription("s1"), subscription("s2"))
        self.reload()
        self.until(lambda: self.statuses("/a", "/b") == [404, 200])
        self.assertEqual(self.subscriptions(), ["s1", "s2"])
        self.logs("the configuration was read again")
        self.write('log-level = "warning"\nmax-connections = 7\nretention-age = "1h"', endpoint("b"))
        self.reload()
        self.logs("only a new start changes max-connections, retention-age")
        self.assertEqual(self.subscriptions(), ["s1", "s2"], "what is left out is not deleted")
        self.assertEqual(self.statuses("/b"), [200])

    def test_what_the_file_changes_is_on_record(self):
        self.write(subscription("s1"))
        self.serve()
        self.write(subscription("s1", "max-attempts = 3"), subscription("s2"))
        self.reload()
        self.reload()  # which changes nothing
        records = [json.loads(line) for line in self.server.mmsmo("audit", "--json").stdout.splitlines()]
        self.assertEqual([(one["method"], one["subscription"], one["peer"]) for one in records],
                         [(method, name, "configuration") for method, name in (
                             ("CreateSubscription", "s1"), ("UpdateSubscription", "s1"), ("CreateSubscription", "s2"))])

    def test_a_mistake_changes_nothing(self):
        self.write('log-level = "info"', endpoint("a"), subscription("s1"))
        self.serve()
        for mistake in ("colour = 1", 'http-threads = "x"', '[[endpoint]]\nname = "c"\npath = "c"',
                        '[[endpoint]]\nname = "c"\npath = "/c"\nbearer = { token-file = ["/no/such"] }',
                        subscription("s1", "order-by-sender = true"),
                        subscription("s0") + subscription("s1", "order-by-sender = true"), "[[endpoint"):
            self.write(mistake, endpoint("b") if mistake.startswith("[[endpoint]]") else "", subscription("s2"))
            self.reload("failed")
            self.logs("the configuration stays as it was: ")
            self.assertEqual(self.statuses("/a", "/b"), [200, 404], mistake)
            self.assertEqual(self.subscriptions(), ["s1"], mistake)
        os.remove(self.path)
        self.reload("failed")
        self.assertEqual(self.statuses("/a"), [200])
        self.assertEqual(self.server.metric('mmsmo_reloads_total{result="ok"}'), 0)

    def test_requests_under_way_end_as_they_began(self):
        self.write(endpoint("a"))
        self.serve()
        connection = self.server.connect()
        self.addCleanup(connection.close)
        body = xml("SLOW")
        connection.sendall(f"POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode())
        self.until(lambda: self.server.metric('mmsmo_http_in_flight_bytes{server="postbacks"}') > 0)
        self.write(endpoint("b"))
        self.reload()
        self.until(lambda: self.statuses("/a", "/b") == [404, 200])
        connection.sendall(body)
        self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200 OK"))
        events = self.service(self.server).events(earliest())
        self.assertIn(("a", "SLOW"), [(event.endpoint, event.mms_mo.tracking_id) for event in events])

    def test_under_load_nothing_is_answered_but_200(self):
        self.write(endpoint("a"), endpoint("b"))
        self.serve()
        answers, end = [], threading.Event()
        def load(number):
            i = 0
            while not end.is_set():
                answers.append(self.server.post(xml(f"L{number}-{i}"), path="/a")[0])
                i += 1
        threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for i in range(10):
            self.write(endpoint("a"), endpoint(f"b{i}"))
            self.reload()
        end.set()
        for thread in threads:
            thread.join()
        self.assertEqual(set(answers), {200})
        self.assertEqual(len(self.service(self.server).events(earliest())), len(answers))


class GraceTest(TestCase):
    def test_serves_as_before_until_balancers_have_noticed(self):
        server = self.gateway("--drain-grace", "2s")
        stream = self.service(server).subscribe(start_position=earliest())
        next(stream)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        self.until(lambda: server.get("/readyz")[0] == 503)
        self.assertEqual(server.get("/healthz")[0], 200)
        self.accepted(server, "DURING")
        frames = (frame for frame in stream if frame.WhichOneof("content") == "batch")
        self.assertEqual(next(frames).batch.deliveries[0].event.mms_mo.tracking_id, "DURING")
        self.assertEqual(server.process.wait(30), 0)
        self.assertGreater(time.monotonic() - begin, 2)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", server.http))

    def test_a_second_signal_ends_at_once(self):
        server = self.gateway("--drain-grace", "5m")
        server.process.send_signal(signal.SIGTERM)
        self.until(lambda: server.get("/readyz")[0] == 503)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(30), -signal.SIGTERM)
        server.process = None


if __name__ == "__main__":
    unittest.main()
