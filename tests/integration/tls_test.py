"""Postbacks and administration over TLS."""
import http.client
import json
import os
import re
import select
import socket
import ssl
import subprocess
import threading
import time
import unittest

from tests.integration.certificates import Authority, Mount
from tests.integration.gateway import PATH, Gateway, TestCase, run, xml
from tests.integration.http_test import Connection, request


class TlsTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.directory)
        self.clients = Authority(self.directory, "clients")
        self.mount = Mount(self.directory).put(*self.authority.issue(), self.clients.path)

    def context(self, identity=None, trusts=None, version=None):
        """Of a client; `identity` are the paths of a certificate and its key."""
        context = ssl.create_default_context(cafile=trusts or self.authority.path)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if identity is not None:
            context.load_cert_chain(*identity)
        return context

    def connect(self, gateway, context=None, port=None):
        plain = socket.create_connection(("127.0.0.1", port or gateway.http), timeout=30)
        secured = (context or self.context()).wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secured.close)
        return secured

    def open(self, gateway, context=None):
        """A connection that reads answers, as http_test's."""
        connection = Connection.__new__(Connection)
        connection.socket = self.connect(gateway, context)
        connection.stream = connection.socket.makefile("rb")
        return connection

    def certificate_of(self, gateway):
        """What a new connection is shown, in DER."""
        return self.connect(gateway).getpeercert(binary_form=True)

    def handshake_fails(self, gateway, context):
        """Why, in OpenSSL's words; None where it does not."""
        try:
            connection = self.connect(gateway, context)
            connection.sendall(request(xml("NEVER")))
            return None if connection.recv(1) else "closed"
        except (ssl.SSLError, ConnectionError) as error:
            return str(error)

    def failures(self, gateway, reason):
        return gateway.metric(f'mmsmo_tls_handshake_failures_total{{listener="http",reason="{reason}"}}')


class HttpsTest(TlsTestCase):
    def test_takes_postbacks_over_tls(self):
        gateway = self.gateway(*self.mount.flags("http"))
        self.until(lambda: f"postbacks: https://127.0.0.1:{gateway.http}{PATH}" in gateway.log_text())
        for i, version in enumerate((ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)):
            connection = self.open(gateway, self.context(version=version))
            self.assertEqual(connection.send(request(xml(f"V{i}"))).answer()[0], 200)
            self.assertEqual(connection.send(request(xml(f"V{i}"))).answer()[0], 200)  # it is kept
        self.assertEqual(gateway.metric('mmsmo_tls_handshakes_total{listener="http"}'), 2)
        self.assertEqual(gateway.metric('mmsmo_tls_handshakes{listener="http"}'), 0)
        days = gateway.metric('mmsmo_tls_certificate_expiry_days{listener="http"}')
        self.assertTrue(0.9 < days < 1.1, days)

    def test_old_versions_and_weak_ciphers_are_refused(self):
        gateway = self.gateway(*self.mount.flags("http"))
        for arguments in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"]):
            done = self.s_client(gateway, *arguments)
            self.assertIn("alert", done.stdout + done.stderr)
            self.assertNotEqual(done.returncode, 0)
        self.until(lambda: self.failures(gateway, "nothing_shared") == 2)

    def s_client(self, gateway, *arguments, send=""):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.http}", "-CAfile",
                               self.authority.path, *arguments], input=send, capture_output=True, text=True, timeout=60)

    def test_serves_curl_and_s_client(self):
        gateway = self.gateway(*self.mount.flags("http", ca=True))
        cert, key = self.clients.issue("provider")
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--cacert", self.authority.path, "--cert", cert,
                               "--key", key, "-H", "Content-Type: application/xml", "--data-binary", xml("CURL").decode(),
                               f"https://localhost:{gateway.http}{PATH}", "--resolve", f"localhost:{gateway.http}:127.0.0.1"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(json.loads(done.stdout or "{}").get("outcome"), "accepted", done.stderr)
        done = self.s_client(gateway, "-alpn", "http/1.1", "-verify_return_error", "-ign_eof",
                             send=request(xml("S_CLIENT"), Connection="close").decode())
        self.assertIn("ALPN protocol: http/1.1", done.stdout)
        self.assertIn("HTTP/1.1 200 OK", done.stdout, done.stderr)

    def test_a_renegotiation_is_refused(self):
        gateway = self.gateway(*self.mount.flags("http"))
        done = self.s_client(gateway, "-tls1_2", send="R\n")
        self.assertIn("no renegotiation", done.stderr)
        self.assertEqual(self.open(gateway).send(request(xml("AFTER"))).answer()[0], 200)

    def test_large_bodies_and_many_requests_at_once(self):
        gateway = self.gateway(*self.mount.flags("http"))
        connection = self.open(gateway)
        large = xml("LARGE", note="x" * (250 << 10))
        self.assertEqual(connection.send(request(large)).answer()[0], 200)
        connection.send(b"".join(request(xml(f"P{i}")) for i in range(200)))
        outcomes = [json.loads(connection.answer()[2])["outcome"] for _ in range(200)]
        self.assertEqual(outcomes, ["accepted"] * 200)
        connection.send(request(b"", Content_Length=str(1 << 20)))
        status, headers, _ = connection.answer()
        self.assertEqual((status, headers["connection"]), (413, "close"))
        self.assertTrue(connection.is_closed())  # by close_notify: an end without it would be an error

    def test_continues_and_trickles(self):
        gateway = self.gateway(*self.mount.flags("http"))
        connection = self.open(gateway)
        body = xml("CONTINUED")
        connection.send(request(body, Expect="100-continue")[:-len(body)])
        self.assertEqual(connection.stream.readline(), b"HTTP/1.1 100 Continue\r\n")
        connection.stream.readline()
        for byte in body:
            connection.send(bytes([byte]))
        self.assertEqual(connection.answer()[0], 200)

    def test_what_is_no_tls(self):
        gateway = self.gateway(*self.mount.flags("http"))
        status, answer, _ = gateway.post(xml("PLAIN"))
        self.assertEqual((status, answer["reason"]), (400, "tls_required"))
        self.assertIn("HTTPS", answer["detail"])
        with gateway.connect() as plain:
            plain.sendall(b"\x00" * 100)
            while plain.recv(4096):
                pass
        self.until(lambda: self.failures(gateway, "plain_http") == 1)
        self.until(lambda: self.failures(gateway, "other") == 1)
        self.assertEqual(gateway.metric('mmsmo_http_answers_total{reason="tls_required",server="postbacks",status="400"}'), 1)

    def test_tls_where_there_is_none(self):
        gateway = self.gateway()
        self.assertIsNotNone(self.handshake_fails(gateway, self.context()))
        self.assertEqual(gateway.post(xml("AFTER"))[0], 200)

    def test_a_handshake_has_its_time(self):
        gateway = self.gateway(*self.mount.flags("http"), "--header-timeout", "300ms")
        begin = time.monotonic()
        half_open = gateway.connect()
        hello = ssl.MemoryBIO()
        client = self.context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
        half_open.sendall(hello.read())
        self.until(lambda: gateway.metric('mmsmo_tls_handshakes{listener="http"}') == 1)
        while half_open.recv(4096):
            pass
        self.assertLess(time.monotonic() - begin, 5)
        self.until(lambda: self.failures(gateway, "broken_off") == 1)
        self.assertEqual(gateway.metric('mmsmo_tls_handshakes{listener="http"}'), 0)

    def test_half_open_handshakes_make_room(self):
        gateway = self.gateway(*self.mount.flags("http"), "--max-connections", "20", "--header-timeout", "60s")
        half_open = [gateway.connect() for _ in range(20)]
        for connection in half_open:
            connection.sendall(b"\x16\x03\x01")
        self.until(lambda: gateway.metric('mmsmo_tls_handshakes{listener="http"}') == 20)
        self.until(lambda: self.is_served(gateway, "ROOM"))
        self.assertGreater(gateway.metric('mmsmo_http_made_room_total{server="postbacks"}'), 0)
        for connection in half_open:
            connection.close()

    def is_served(self, gateway, tracking_id):
        answer = self.open(gateway).send(request(xml(tracking_id), Connection="close")).answer()
        self.assertIn(answer[0], (200, 503))
        return answer[0] == 200

    def test_kept_connections_end_with_the_gateway(self):
        gateway = self.gateway(*self.mount.flags("http"))
        kept = [self.open(gateway) for _ in range(5)]
        for i, connection in enumerate(kept):
            self.assertEqual(connection.send(request(xml(f"K{i}"))).answer()[0], 200)
        begin = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - begin, 4)
        for connection in kept:
            self.assertTrue(connection.is_closed())

    def test_a_stop_under_load_cuts_nobody_off(self):
        gateway = self.gateway(*self.mount.flags("http"))
        statuses, errors = [], []

        def post(worker):
            for i in range(100_000):
                try:
                    connection = self.open(gateway)
                except (ConnectionRefusedError, ConnectionResetError):
                    return  # the listener is closed
                try:
                    for k in range(3):
                        answer = connection.send(request(xml(f"L{worker}-{i}-{k}"))).answer()
                        if answer is None:
                            break
                        statuses.append(answer[0])
                        if answer[1].get("connection") == "close":
                            break
                except OSError as error:
                    errors.append(error)

        workers = [threading.Thread(target=post, args=(i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        self.until(lambda: len(statuses) > 200)
        self.assertEqual(gateway.stop(), 0)
        for worker in workers:
            worker.join()
        self.assertLessEqual(set(statuses), {200, 503})
        # A kept connection that is idle at that moment may be found closed, as always in HTTP/1.1.
        self.assertLessEqual(len(errors), 4, errors)


class RotationTest(TlsTestCase):
    def test_a_new_certificate_is_for_new_connections(self):
        gateway = self.gateway(*self.mount.flags("http"))
        kept = self.open(gateway)
        self.assertEqual(kept.send(request(xml("R1"))).answer()[0], 200)
        before = self.certificate_of(gateway)
        self.mount.put(*self.authority.issue(ends=30 * 86400))
        self.until(lambda: self.certificate_of(gateway) != before)
        self.assertEqual(kept.send(request(xml("R2"))).answer()[0], 200)
        self.assertEqual(gateway.metric('mmsmo_tls_reloads_total{listener="http",result="ok"}'), 1)
        self.assertGreater(gateway.metric('mmsmo_tls_certificate_expiry_days{listener="http"}'), 29)

    def test_a_broken_file_changes_nothing(self):
        gateway = self.gateway(*self.mount.flags("http"))
        before = self.certificate_of(gateway)
        cert, _ = self.authority.issue()
        self.mount.put(cert, self.authority.issue()[1])
        failed = 'mmsmo_tls_reloads_total{listener="http",result="failed"}'
        self.until(lambda: gateway.metric(failed) == 1)
        self.assertEqual(self.certificate_of(gateway), before)
        self.until(lambda: f"http-tls-key: '{self.mount.path('key')}': it is not the key of the certificate" in gateway.log_text())
        self.assertNotIn("PRIVATE", gateway.log_text())
        self.mount.put(*self.authority.issue())
        self.until(lambda: self.certificate_of(gateway) != before)
        self.assertEqual(gateway.metric(failed), 1)


class ClientCertificateTest(TlsTestCase):
    def test_clients_are_verified_where_they_have_a_certificate(self):
        gateway = self.gateway(*self.mount.flags("http", ca=True))
        self.assertEqual(self.open(gateway).send(request(xml("NONE"))).answer()[0], 200)
        good = self.context(self.clients.issue("provider"))
        self.assertEqual(self.open(gateway, good).send(request(xml("GOOD"))).answer()[0], 200)
        stranger = Authority(self.directory, "stranger").issue()
        for identity, why in ((stranger, "unknown ca"), (self.clients.issue(begins=-7200, ends=-3600), "expired"),
                              (self.clients.issue(begins=3600), "bad certificate|not yet valid")):
            self.assertRegex(self.handshake_fails(gateway, self.context(identity)), why)
        # A client may see that it is refused before that is counted.
        self.until(lambda: self.failures(gateway, "certificate") == 3)

    def test_a_withdrawn_certificate_ends_its_connections(self):
        gateway = self.gateway(*self.mount.flags("http", ca=True))
        identity = self.clients.issue("provider")
        withdrawn, nameless = self.open(gateway, self.context(identity)), self.open(gateway)
        for i, connection in enumerate((withdrawn, nameless)):
            self.assertEqual(connection.send(request(xml(f"W{i}"))).answer()[0], 200)
        others = Authority(self.directory, "others")
        self.mount.put(self.mount.path("cert"), self.mount.path("key"), others.path)
        readable, _, _ = select.select([withdrawn.socket], [], [], 8)
        self.assertTrue(readable)
        self.assertTrue(withdrawn.is_closed())
        self.assertEqual(nameless.send(request(xml("W3"))).answer()[0], 200)
        self.assertRegex(self.handshake_fails(gateway, self.context(identity)), "unknown ca")
        good = self.context(others.issue("provider"))
        self.assertEqual(self.open(gateway, good).send(request(xml("W4"))).answer()[0], 200)


class AdminTest(TlsTestCase):
    def get(self, gateway, path, identity=None):
        connection = http.client.HTTPSConnection("localhost", gateway.admin, timeout=30, context=self.context(identity))
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def test_certificates_guard_the_metrics_only(self):
        gateway = self.gateway_over_tls(*self.mount.flags("admin", ca=True))
        identity = self.clients.issue("prometheus")
        self.assertEqual([self.get(gateway, path) for path in ("/healthz", "/readyz", "/metrics")], [200, 200, 403])
        self.assertEqual(self.get(gateway, "/metrics", identity), 200)

    def test_metrics_are_open_without_an_authority(self):
        gateway = self.gateway_over_tls(*self.mount.flags("admin"))
        self.assertEqual([self.get(gateway, path) for path in ("/healthz", "/readyz", "/metrics")], [200, 200, 200])

    def test_a_slow_reader_gets_every_answer(self):
        gateway = self.gateway_over_tls(*self.mount.flags("admin"))
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", gateway.admin))
        connection = Connection.__new__(Connection)
        connection.socket = self.context().wrap_socket(plain, server_hostname="localhost")
        connection.stream = connection.socket.makefile("rb")
        count = 500  # answers of tens of KiB, far more than the sockets hold
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n" * count)
        for _ in range(count):
            status, _, body = connection.answer()
            self.assertEqual(status, 200)
            self.assertIn(b"mmsmo_tls_handshakes_total", body)
        connection.close()

    def gateway_over_tls(self, *flags):
        """Whose readiness is asked for over TLS."""
        context = self.context()

        def get(path):
            connection = http.client.HTTPSConnection("localhost", gateway.admin, timeout=10, context=context)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()
            finally:
                connection.close()

        gateway = Gateway(self.directory, *flags)
        gateway.get = get
        self.addCleanup(lambda: self.assertEqual(gateway.stop(), 0))
        return gateway.start()


class SettingsTest(TlsTestCase):
    def refused(self, *flags, **environment):
        done = run("--data-dir", os.path.join(self.directory, "data"), *flags, **environment)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_what_goes_together(self):
        cert, key, ca = (self.mount.path(name) for name in ("cert", "key", "ca"))
        for listener in ("http", "grpc", "admin"):
            flag = f"--{listener}-tls-"
            for given in ([flag + "cert", cert], [flag + "key", key]):
                error = self.refused(*given)
                self.assertIn(flag + "cert", error)
                self.assertIn(flag + "key", error)
            self.assertIn(flag + "client-ca", self.refused(flag + "client-ca", ca))
            unix = self.refused(f"--{listener}-listen", f"unix:{self.directory}/socket", flag + "cert", cert, flag + "key", key)
            self.assertIn(f"--{listener}-listen", unix)
            self.assertIn(flag + "cert", unix)

    def test_files_that_are_not_what_they_should_be(self):
        cert, key, ca = (self.mount.path(name) for name in ("cert", "key", "ca"))
        empty = os.path.join(self.directory, "empty")
        open(empty, "w").close()
        for wrong, setting in (((cert, self.authority.issue()[1], ca), "key"), ((key, key, ca), "cert"),
                               ((cert, key, empty), "client-ca")):
            error = self.refused(*(part for name, path in zip(("cert", "key", "client-ca"), wrong)
                                   for part in (f"--http-tls-{name}", path)))
            self.assertIn(f"http-tls-{setting}: '", error)
            self.assertNotIn("BEGIN", error)

    def test_from_the_environment_and_a_file(self):
        path = os.path.join(self.directory, "config.toml")
        with open(path, "w") as config:
            config.write(f"http-tls-cert = '{self.mount.path('cert')}'\n")
        done = run("--config", path, "--print-config", MMSMO_HTTP_TLS_KEY=self.mount.path("key"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("cert", "key"):
            self.assertRegex(done.stdout, re.escape(f"http-tls-{name}=") + "." + re.escape(self.mount.path(name)))

    def test_an_expired_certificate_is_served_with_a_warning(self):
        self.mount.put(*self.authority.issue(begins=-7200, ends=-3600))
        gateway = self.gateway(*self.mount.flags("http"))
        self.until(lambda: "has expired: clients will refuse it" in gateway.log_text())
        self.assertIn("expired", self.handshake_fails(gateway, self.context()))
        self.assertLess(gateway.metric('mmsmo_tls_certificate_expiry_days{listener="http"}'), 0)

    def test_a_key_that_everybody_can_read_is_told(self):
        os.chmod(self.mount.path("key"), 0o644)
        gateway = self.gateway(*self.mount.flags("http"))
        self.until(lambda: "http-tls-key: everybody on this machine can read" in gateway.log_text())


if __name__ == "__main__":
    unittest.main()
