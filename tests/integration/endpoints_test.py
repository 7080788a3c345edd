"""Endpoints let in who shows what they ask for, and tell the others apart from nobody."""
import base64
import hashlib
import hmac
import json
import os
import signal
import time
import unittest

from tests.integration.gateway import PATH, Service, TestCase, earliest, run, xml
from mmsmo.v1 import quarantine_service_pb2

SECRETS = {"password": "new-password", "old-password": "old-password", "token": "bearer-token-0123456789",
           "value": "header-value", "key": "hmac-key", "segment": "path-secret-42"}


class EndpointsTestCase(TestCase):
    def secret(self, name, content=None):
        path = os.path.join(self.directory, name)
        with open(path + ".new", "w") as file:
            file.write((SECRETS[name] if content is None else content) + "\n")
        os.chmod(path + ".new", 0o600)
        os.rename(path + ".new", path)
        return path

    def configure(self, *tables, settings=""):
        path = os.path.join(self.directory, "gateway.toml")
        with open(path, "w") as file:
            file.write(settings + "\n" + "\n".join("[[endpoint]]\n" + table for table in tables))
        return path

    def serve(self, *tables, flags=(), settings=""):
        for name in SECRETS:
            self.secret(name)
        return self.gateway("--config", self.configure(*tables, settings=settings), *flags)

    def table(self, text):
        """With DIR for where the secrets are."""
        return text.replace("DIR", self.directory)


class EndpointsTest(EndpointsTestCase):
    def status(self, server, tracking_id="A", path="/hooks", **headers):
        return server.post(xml(tracking_id), path=path, **headers)[0]

    def verified_by(self, server):
        events = self.service(server).events(earliest())
        return [(event.endpoint, event.mms_mo.tracking_id, list(event.verified_by)) for event in events]

    def test_basic(self):
        server = self.serve(self.table('name = "us"\npath = "/hooks"\nbasic = { user = "sinch", '
                                       'password-file = ["DIR/password", "DIR/old-password"] }\n'))
        def authorization(user, password):
            return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        begin = time.monotonic()
        for i, password in enumerate(("new-password", "old-password")):
            self.assertEqual(self.status(server, f"A{i}", **authorization("sinch", password)), 200)
        self.assertLess(time.monotonic() - begin, 0.5, "who has the right one does not wait")
        begin = time.monotonic()
        status, answer, headers = server.post(xml("B"), path="/hooks", **authorization("sinch", "wrong"))
        self.assertGreater(time.monotonic() - begin, 0.4)
        self.assertEqual((status, answer["reason"]), (401, "unauthenticated"))
        self.assertEqual(headers["WWW-Authenticate"], 'Basic realm="postbacks"')
        alike = [server.post(xml("B"), path="/hooks", **headers)[1] for headers in
                 ({}, authorization("other", "new-password"), authorization("sinch", ""), {"Authorization": "Basic !"})]
        self.assertEqual(alike, [answer] * 4, "nothing says what was wrong")
        self.assertEqual(self.verified_by(server), [("us", "A0", ["basic"]), ("us", "A1", ["basic"])])
        self.assertEqual(server.mmsmo("quarantine", "list").stdout.strip(), "", "what is refused is not kept")
        self.assertEqual(server.metric('mmsmo_endpoint_refused_total{check="basic",endpoint="us"}'), 5)
        self.assertEqual(
            server.metric('mmsmo_endpoint_answers_total{endpoint="us",reason="unauthenticated",status="401"}'), 5)
        self.assertEqual(server.metric('mmsmo_endpoint_answers_total{endpoint="us",reason="",status="200"}'), 2)

    def test_ten_thousand_wrong_passwords_are_answered_alike(self):
        server = self.serve(self.table('name = "us"\npath = "/hooks"\nbasic = { user = "sinch", '
                                       'password-file = ["DIR/password"] }\n'))
        right = {"Authorization": "Basic " + base64.b64encode(b"sinch:new-password").decode()}
        bodies = set()
        for round in range(10):
            connections = [server.connect() for _ in range(1_000)]
            for i, connection in enumerate(connections):
                wrong = base64.b64encode(b"sinch:%d" % (round * 1_000 + i)).decode()
                connection.sendall(f"POST /hooks HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {wrong}\r\n"
                                   "Content-Length: 0\r\n\r\n".encode())
            self.assertEqual(self.status(server, f"R{round}", **right), 200)
            for connection in connections:
                with connection, connection.makefile("rb") as answer:
                    head, _, body = answer.read().partition(b"\r\n\r\n")
                    bodies.add((head.split(b" ", 2)[1], body))
        self.assertEqual([status for status, _ in bodies], [b"401"])
        self.assertEqual(len(self.verified_by(server)), 10)

    def test_a_secret_that_everybody_may_read_is_warned_of(self):
        for name in SECRETS:
            self.secret(name)
        os.chmod(os.path.join(self.directory, "token"), 0o644)
        server = self.gateway("--config", self.configure(
            self.table('name = "us"\npath = "/hooks"\nbearer = { token-file = ["DIR/token"] }\n')))
        self.until(lambda: f"everybody may read its secret in '{self.directory}/token'" in server.log_text())
        self.assertNotIn(SECRETS["token"], server.log_text())

    def test_each_endpoint_has_its_own_checks(self):
        server = self.serve(
            self.table('name = "bearer"\npath = "/hooks"\nbearer = { token-file = "DIR/token" }\n'),
            self.table('name = "header"\npath = "/hooks/more"\nheader = { name = "X-Token", value-file = ["DIR/value"] }\n'),
            self.table('name = "path"\npath = "/hidden"\npath-secret-file = ["DIR/segment"]\n'),
            self.table('name = "open"\npath = "/open"\n'))
        right = {"Authorization": "Bearer " + SECRETS["token"]}
        self.assertEqual(self.status(server, "A", **right), 200)
        self.assertEqual(self.status(server, "B", path="/hooks/more", **right), 401)
        self.assertEqual(self.status(server, "B", path="/hooks/more", **{"X-Token": SECRETS["value"]}), 200)
        self.assertEqual(self.status(server, "C", path="/hidden/" + SECRETS["segment"]), 200)
        self.assertEqual(self.status(server, "D", path="/open"), 200)
        self.assertEqual(self.verified_by(server), [("bearer", "A", ["bearer"]), ("header", "B", ["bearer"]),
                                                    ("path", "C", ["path"]), ("open", "D", [])])
        unknown = server.post(xml("E"), path="/nothing")[:2]
        self.assertEqual(unknown[0], 404)
        for path in ("/hidden", "/hidden/wrong", f"/hidden/{SECRETS['segment']}/x", PATH):
            self.assertEqual(server.post(xml("E"), path=path)[:2], unknown, path)
        for secret in SECRETS.values():
            self.assertNotIn(secret, server.log_text())
            self.assertNotIn(secret, server.get("/metrics")[1])

    def test_hmac_is_of_the_body_as_received(self):
        server = self.serve(self.table(
            'name = "signed"\npath = "/hooks"\nhmac = { header = "X-Signature", secret-file = ["DIR/key"], '
            'prefix = "sha256=", timestamp-header = "X-Time", tolerance = "1m" }\n'))
        def signed(body, timestamp, key=SECRETS["key"]):
            text = str(int(timestamp)).encode() + b"." + body
            return {"X-Time": str(int(timestamp)),
                    "X-Signature": "sha256=" + hmac.new(key.encode(), text, hashlib.sha256).hexdigest()}
        now = time.time()
        self.assertEqual(self.status(server, **signed(xml("A"), now)), 200)
        for headers in (signed(xml("B"), now), signed(xml("A"), now, key="other"), signed(xml("A"), now - 70),
                        signed(xml("A"), now + 70), {**signed(xml("A"), now), "X-Time": str(int(now) + 1)},
                        {"X-Time": str(int(now))}, {}):
            self.assertEqual(self.status(server, **headers), 401, headers)
        self.assertEqual(self.verified_by(server), [("signed", "A", ["hmac"])])

    def test_addresses_are_of_whom_a_trusted_proxy_names(self):
        server = self.serve('name = "us"\npath = "/hooks"\nallow-from = ["203.0.113.0/24", "2001:db8::/32"]\n',
                            flags=("--trusted-proxies", "127.0.0.1,10.0.0.0/8", "--trusted-proxies-header",
                                   "x-forwarded-for"))
        self.assertEqual(self.status(server, **{"X-Forwarded-For": "8.8.8.8, 203.0.113.5, 10.0.0.3"}), 200)
        self.assertEqual(self.status(server, **{"X-Forwarded-For": "[2001:db8::1]:99"}), 200)
        for spoofed in ({}, {"X-Forwarded-For": "203.0.113.5, 8.8.8.8"}, {"X-Forwarded-For": "203.0.113.5, x"},
                        {"Forwarded": "for=203.0.113.5"}):
            self.assertEqual(self.status(server, **spoofed), 403, spoofed)
        self.assertEqual(self.verified_by(server), [("us", "A", ["address"])])

    def test_nobody_is_a_proxy_who_is_not_trusted(self):
        server = self.serve('name = "us"\npath = "/hooks"\nallow-from = ["203.0.113.0/24"]\n',
                            flags=("--trusted-proxies-header", "forwarded"))
        self.assertEqual(self.status(server, **{"Forwarded": "for=203.0.113.5"}), 403)

    def test_a_rate_is_of_one_endpoint(self):
        server = self.serve('name = "slow"\npath = "/hooks"\nrate = 2\n', 'name = "fast"\npath = "/fast"\n')
        answers = [server.post(xml(f"A{i}"), path="/hooks") for i in range(5)]
        self.assertEqual([answer[0] for answer in answers][:2], [200, 200])
        status, answer, headers = answers[-1]
        self.assertEqual((status, answer["reason"], headers["Retry-After"]), (429, "rate_limited", "1"))
        self.assertEqual(self.status(server, path="/fast"), 200)
        self.until(lambda: self.status(server, "B") == 200)

    def test_sizes_are_of_one_endpoint(self):
        server = self.serve('name = "small"\npath = "/hooks"\nmax-body-bytes = "1KiB"\n',
                            'name = "large"\npath = "/large"\nmax-body-bytes = "1MiB"\n')
        body = xml("A", note="x" * 300_000)
        self.assertEqual(server.post(body, path="/hooks")[0], 413)
        self.assertEqual(server.post(body, path="/large")[0], 200)

    def test_the_access_log_has_a_sample_of_the_requests(self):
        server = self.serve(self.table('name = "us"\npath = "/hooks"\npath-secret-file = ["DIR/segment"]\n'),
                            flags=("--access-log-rate", "3"))
        def lines():
            parsed = [json.loads(line) for line in server.log_text().splitlines()]
            return [line["access"] for line in parsed if "access" in line]
        secret = "/hooks/" + SECRETS["segment"]
        body = xml("A")
        self.assertEqual(server.post(body, path=secret)[0], 200)
        self.assertEqual(self.status(server, path="/hooks/wrong-secret"), 404)
        self.until(lambda: len(lines()) == 2)
        first, second = lines()
        self.assertLess(first.pop("millis"), 60_000)
        self.assertEqual(first, {"server": "postbacks", "endpoint": "us", "method": "POST", "client": "127.0.0.1",
                                 "status": 200, "body_bytes": len(body), "left_out": 0})
        self.assertEqual((second["status"], second["reason"]), (404, "no_such_path"))
        self.assertNotIn("endpoint", second)
        for i in range(20):
            self.status(server, f"B{i}", path=secret)
        self.until(lambda: self.status(server, "C", path=secret) == 200 and lines()[-1]["left_out"] > 0)
        for hidden in (SECRETS["segment"], "wrong-secret", "14082257140"):
            self.assertNotIn(hidden, server.log_text())

    def test_secrets_are_read_again(self):
        server = self.serve(self.table('name = "us"\npath = "/hooks"\nbearer = { token-file = ["DIR/token"] }\n'))
        right = {"Authorization": "Bearer " + SECRETS["token"]}
        self.assertEqual(self.status(server, "A", **right), 200)
        self.secret("token", "another-token-0123")
        self.until(lambda: self.status(server, "B", Authorization="Bearer another-token-0123") == 200)
        self.assertEqual(self.status(server, "B", **right), 401)
        self.secret("token", "")
        os.kill(server.process.pid, signal.SIGHUP)
        self.until(lambda: "it keeps the secrets that it had" in server.log_text())
        self.assertEqual(self.status(server, "C", Authorization="Bearer another-token-0123"), 200)

    def test_the_path_of_the_settings_is_one_more_only_where_it_is_given(self):
        server = self.serve('name = "us"\npath = "/hooks"\n', flags=("--http-path", "/short", "--endpoint", "short"))
        self.assertEqual([self.status(server, path=path) for path in ("/hooks", "/short", PATH)], [200, 200, 404])
        self.assertEqual([event[0] for event in self.verified_by(server)], ["us", "short"])

    def test_what_was_kept_is_run_again_without_its_checks(self):
        server = self.serve(self.table('name = "us"\npath = "/hooks"\nheader = { name = "X", value-file = ["DIR/value"] }\n'))
        answer = server.post(xml("A"), path="/hooks", X=SECRETS["value"])[1]
        self.assertEqual(answer["outcome"], "accepted")
        answer = server.post(xml("A", note="other"), path="/hooks", X=SECRETS["value"])[1]
        self.assertEqual(answer["reason"], "id_conflict")
        admin = Service(self.service(server).channel, quarantine_service_pb2, "QuarantineService")
        kept = admin.call("GetQuarantined", id=answer["quarantineId"]).postback
        self.assertEqual((kept.endpoint, list(kept.verified_by)), ("us", ["bearer"]))
        self.assertEqual(server.mmsmo("quarantine", "reprocess", "--publish-conflicts", answer["quarantineId"]).returncode, 0)
        self.assertEqual([event[2] for event in self.verified_by(server)], [["bearer"], ["bearer"]])

    def refused(self, *arguments, **environment):
        result = run(*arguments, "--data-dir", os.path.join(self.directory, "refused"), **environment)
        self.assertEqual(result.returncode, 2, result.stderr)
        return result.stderr

    def test_a_mistake_is_named_at_the_start(self):
        for table, parts in (
                ('path = "/a"', ("endpoint '?'", "name")),
                ('name = "a"\npath = "a"', ("endpoint 'a'", "path", "begin with /")),
                ('name = "a\\u0000b"\npath = "/a"', ("name", "control character")),
                ('name = "a"\npath = "/a"\ncolour = 1', ("endpoint 'a'", "colour", "not a setting of an endpoint")),
                ('name = "a"\npath = "/a"\nbasic = { user = "u" }', ("basic", "password-file")),
                ('name = "a"\npath = "/a"\nbearer = { }', ("bearer", "token-file")),
                ('name = "a"\npath = "/a"\nbearer = { token-file = [] }', ("bearer", "token-file", "empty")),
                ('name = "a"\npath = "/a"\nbearer = { token-file = ["/no/such"] }', ("bearer", "'/no/such'")),
                ('name = "a"\npath = "/a"\nbearer = { token-env = "NOT_SET" }', ("bearer", "NOT_SET")),
                ('name = "a"\npath = "/a"\nhmac = { header = "X", secret-env = "HOME", algorithm = "md5" }',
                 ("hmac: algorithm", "sha256, sha512")),
                ('name = "a"\npath = "/a"\nallow-from = ["10.0.0.1/8"]', ("allow-from", "beyond its prefix")),
                ('name = "a"\npath = "/a"\nmax-body-bytes = "2MiB"', ("max-body-bytes", "2097152")),
                ('name = "a"\npath = "/a"\n[[endpoint]]\nname = "a"\npath = "/b"', ("endpoint 'a'", "twice")),
                ('name = "a"\npath = "/a"\n[[endpoint]]\nname = "b"\npath = "/a"', ("endpoint 'b'", "path"))):
            text = self.refused("--config", self.configure(table))
            for part in parts:
                self.assertIn(part, text)
        self.assertIn("--trusted-proxies", self.refused("--trusted-proxies", "10.0.0.0/99"))
        self.assertIn("x-forwarded-for", self.refused("--trusted-proxies-header", "x-real-ip"))

    def test_what_is_printed_is_a_configuration(self):
        for name in SECRETS:
            self.secret(name)
        path = self.configure(self.table(
            'name = "us"\npath = "/hooks"\nmax-body-bytes = "64KiB"\nrate = 500\npath-secret-file = ["DIR/segment"]\n'
            'basic = { user = "sinch", password-file = ["DIR/password", "DIR/old-password"] }\n'
            'header = { name = "X-Token", value-env = ["VALUE"] }\nallow-from = ["203.0.113.0/24"]\n'
            'hmac = { header = "X-Signature", secret-file = ["DIR/key"], algorithm = "sha512", encoding = "base64", '
            'timestamp-header = "X-Time" }\nclient-certificate = { san = ["*.provider.example"], issuer = "CN=ca" }\n'))
        printed = run("--config", path, "--print-config").stdout
        again = os.path.join(self.directory, "again.toml")
        with open(again, "w") as file:
            file.write(printed)
        self.assertEqual(run("--config", again, "--print-config").stdout, printed)
        for part in ("sinch", "old-password'", "*.provider.example", "rate = 500.0", "300000ms", "'VALUE'"):
            self.assertIn(part, printed)
        for secret in ("new-password", "hmac-key", "path-secret-42"):
            self.assertNotIn(secret, printed)

    def test_an_open_gateway_is_refused(self):
        text = self.refused("--http-listen", "0.0.0.0:0")
        for part in ("http-listen", "0.0.0.0:0", "endpoint 'mms-mo'", "--insecure=http", "unix:PATH"):
            self.assertIn(part, text)
        checked = ("--config", self.configure('name = "us"\npath = "/a"\nallow-from = "10.0.0.0/8"\n'))
        self.assertIn("--http-tls-cert", self.refused("--http-listen", "[::]:0", *checked))
        self.assertIn("[[identity]]", self.refused("--grpc-listen", "0.0.0.0:0"))
        known = ("--config", self.configure(settings='[[identity]]\nname = "a"\nallow = ["admin"]\nuid = [1]'))
        self.assertIn("--grpc-tls-cert", self.refused("--grpc-listen", "0.0.0.0:0", *known))
        self.assertIn("grpc-listen", self.refused("--grpc-listen", "0.0.0.0:0", "--insecure=http"))
        self.assertIn("http-listen", self.refused("--http-listen", "0.0.0.0:0", MMSMO_INSECURE="grpc"))
        self.assertIn("allowed are http, grpc", self.refused("--insecure=all"))
        for insecure in (("--insecure",), ("--insecure=http,grpc",), ("--insecure=http",)):
            self.assertEqual(run("--http-listen", "0.0.0.0:0", *insecure, "--print-config").returncode, 0)
        printed = run("--http-listen", "0.0.0.0:0", "--print-config", MMSMO_INSECURE="http")
        self.assertIn('insecure="http"', printed.stdout)
        self.assertEqual(run("--http-listen", "127.1.2.3:0", "--grpc-listen", "localhost:0", "--print-config").returncode, 0)


if __name__ == "__main__":
    unittest.main()
