"""Events forwarded to an HTTP server, and bodies that came posted elsewhere, against the real gateway."""
import contextlib
import fcntl
import gzip
import http.server
import json
import os
import pty
import queue
import signal
import socket
import subprocess
import termios
import threading
import unittest

from tests.integration.gateway import COMMAND, TestCase, xml
from tests.integration.ports import free_port


class Hook:
    """An HTTP server that keeps what it is sent, and answers with the next of `statuses`, then 200; before each it says
    `interim`."""

    def __init__(self, *statuses, interim=b""):
        self.requests = queue.Queue()
        statuses = list(statuses)
        requests = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.wfile.write(interim)
                self.send_response(statuses.pop(0) if statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                requests.put((self.path, self.headers, body))

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.requests.get(timeout=30)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ForwardTest(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.gateway()

    def hook(self, *statuses, **options):
        hook = Hook(*statuses, **options)
        self.addCleanup(hook.close)
        return hook

    def forward(self, url, *arguments):
        return self.server.mmsmo("forward", url, "--subscription", "dev", *arguments)

    def start(self, url, *arguments, **options):
        process = subprocess.Popen([COMMAND, "--grpc", self.server.grpc, "forward", url, "--subscription", "dev", *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_forwards_the_original_body_since_an_hour_ago_and_goes_on(self):
        hook = self.hook()
        cursor = self.accepted(self.server, "F1")
        process = self.start(hook.url, "--since", "1h")
        path, headers, body = hook.next()
        self.assertEqual((path, body, headers["Content-Type"]), ("/hook", xml("F1"), "application/xml"))
        self.assertEqual((headers["Mmsmo-Cursor"], headers["Mmsmo-Attempt"]), (cursor, "1"))
        self.accepted(self.server, "F2")
        self.assertEqual(hook.next()[2], xml("F2"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, err)
        self.assertRegex(out, rf"^\d\d:\d\d:\d\d  200 .* ms  F1  {cursor}\n.*200.*F2.*\n$")
        again = self.forward(hook.url, "--since", "1h")
        self.assertEqual(again.returncode, 1)
        self.assertIn("subscription dev exists", again.stderr)

    def test_what_was_not_taken_comes_again_and_is_told(self):
        hook = self.hook(500)
        self.accepted(self.server, "F1")
        result = self.forward(hook.url, "--since", "1h", "--json", "--quiet", "--count", "2")
        self.assertEqual(result.returncode, 1, "one post failed")
        self.assertEqual(result.stdout, "", "quiet")
        self.assertRegex(result.stderr, r"  500 .* F1  ")
        first, second = hook.next(), hook.next()
        self.assertEqual([r[1]["Mmsmo-Attempt"] for r in (first, second)], ["1", "2"])
        self.assertEqual(json.loads(second[2])["mmsMo"]["trackingId"], "F1")
        self.accepted(self.server, "F2")
        result = self.forward(hook.url, "--count", "1")
        self.assertEqual((result.returncode, hook.next()[2]), (0, xml("F2")), result.stderr)

    def test_a_server_that_is_not_there_is_told_and_waited_for(self):
        port = free_port()
        self.accepted(self.server, "F1")
        result = self.forward(f"http://127.0.0.1:{port}/", "--since", "1h", "--count", "1")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"  --- .* F1 .*cannot connect to 127.0.0.1")
        usage = self.forward("localhost:3000", "--count", "1")
        self.assertEqual(usage.returncode, 2, usage.stderr)

    def test_r_posts_the_last_one_again(self):
        hook = self.hook()
        self.accepted(self.server, "F1")
        process, terminal, _ = self.start_at_a_terminal(hook.url)
        self.assertEqual(hook.next()[2], xml("F1"))
        os.write(terminal, b"xr")
        self.assertEqual(hook.next()[2], xml("F1"))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, "r posts the last one again" in err), (0, True), err)
        self.assertTrue(hook.requests.empty())

    def start_at_a_terminal(self, url):
        """The process, its terminal, and the end of that which it reads."""
        terminal, keys = pty.openpty()
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.close, keys)
        process = self.start(url, "--since", "1h", stdin=keys, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        return process, terminal, keys

    def test_the_terminal_is_as_it_was_when_it_is_told_twice_to_end(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        self.accepted(self.server, "F1")
        process, _, keys = self.start_at_a_terminal(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        connection, _ = silent.accept()
        self.addCleanup(connection.close)
        self.assertFalse(termios.tcgetattr(keys)[3] & termios.ECHO)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertTrue(termios.tcgetattr(keys)[3] & termios.ECHO)

    def test_an_interim_answer_is_none(self):
        hook = self.hook(200, 500, interim=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        for name in ("F1", "F2"):
            self.accepted(self.server, name)
        result = self.forward(hook.url, "--since", "1h", "--count", "3")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"(?s)^\S+  200 .*  F1  .*\n\S+  200 .*  F2  .*  attempt 2\n$")
        self.assertRegex(result.stderr, r"  500 .*  F2  ")

    def test_what_was_taken_is_acknowledged_also_where_it_cannot_be_told(self):
        hook = self.hook()
        for name in ("F1", "F2"):
            self.accepted(self.server, name)
        with open("/dev/full", "w") as full:
            result = subprocess.run([COMMAND, "--grpc", self.server.grpc, "forward", hook.url, "--subscription", "dev",
                                     "--since", "1h"], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((result.returncode, hook.next()[2], hook.requests.empty()), (1, xml("F1"), True))
        self.assertEqual(self.forward(hook.url, "--count", "1").returncode, 0)
        self.assertEqual(hook.next()[2], xml("F2"), "the first one is done with")

    def test_posts_a_body_that_came_elsewhere(self):
        hook = self.hook(200, 404)
        body = gzip.compress(xml("F1"))
        _, answer, _ = self.server.post(body, **{"Content-Encoding": "gzip"})
        sent = self.server.mmsmo("send", "--from-event", answer["cursor"], "--url", hook.url)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        _, headers, came = hook.next()
        self.assertEqual((came, headers["Content-Encoding"], headers["Content-Type"]), (body, "gzip", "application/xml"))
        self.assertEqual(self.server.mmsmo("send", "--from-event", answer["cursor"], "--url", hook.url).returncode, 1)
        self.assertEqual(self.server.mmsmo("send", "--from-event", "nonsense", "--url", hook.url).returncode, 1)
        both = self.server.mmsmo("send", "--from-event", answer["cursor"], "--tracking-id", "X", "--url", hook.url)
        self.assertEqual(both.returncode, 2)


if __name__ == "__main__":
    unittest.main()
