"""`mmsmo send` to endpoints that check who posts."""
import os
import subprocess
import time
import unittest

from tests.integration.gateway import COMMAND
from tests.integration.endpoints_test import EndpointsTestCase


class SendTest(EndpointsTestCase):
    def send(self, server, *arguments, path="/hooks", url=None, **environment):
        return subprocess.run([COMMAND, "send", "--url", url or f"http://127.0.0.1:{server.http}{path}", *arguments],
                              capture_output=True, text=True, timeout=120, env={**os.environ, **environment})

    def passes(self, server, *arguments, **options):
        sent = self.send(server, *arguments, **options)
        self.assertEqual((sent.returncode, sent.stdout[:4]), (0, "200 "), sent)
        many = self.send(server, "--count", "5", *arguments, **options)
        self.assertEqual(many.returncode, 0, many)
        self.assertIn("answered 200: 5 (5 accepted", many.stdout)

    def fails(self, server, status, remedy, *arguments, **options):
        for more in ((), ("--count", "2")):
            sent = self.send(server, *arguments, *more, **options)
            self.assertEqual(sent.returncode, 1, sent)
            self.assertIn(remedy, sent.stderr)
            self.assertIn(f"{status} " if not more else "refused: ", sent.stdout)

    def file(self, name):
        return os.path.join(self.directory, name)

    def serve_hooks(self, check):
        return self.serve(self.table(f'name = "us"\npath = "/hooks"\n{check}\n'))

    def test_basic(self):
        server = self.serve_hooks('basic = { user = "sinch", password-file = ["DIR/password"] }')
        self.passes(server, "--user", "sinch", "--password-file", self.file("password"))
        self.passes(server, "--user", "sinch", MMSMO_PASSWORD="new-password")
        self.fails(server, 401, "give what it checks with --user")
        self.fails(server, 401, "--bearer-file", "--user", "sinch", MMSMO_PASSWORD="wrong")

    def test_bearer(self):
        server = self.serve_hooks('bearer = { token-file = ["DIR/token"] }')
        self.passes(server, "--bearer-file", self.file("token"))
        self.passes(server, MMSMO_BEARER="bearer-token-0123456789")
        self.fails(server, 401, "--bearer-file")

    def test_a_header_with_a_secret(self):
        server = self.serve_hooks('header = { name = "X-Token", value-file = ["DIR/value"] }')
        self.passes(server, "--secret-header", "X-Token", "--secret-header-file", self.file("value"))
        self.fails(server, 401, "--secret-header")

    def test_hmac(self):
        server = self.serve(
            self.table('name = "a"\npath = "/a"\nhmac = { header = "X-Signature", secret-file = ["DIR/key"], '
                       'prefix = "sha256=" }\n'),
            self.table('name = "b"\npath = "/b"\nhmac = { header = "X-Signature", secret-file = ["DIR/key"], '
                       'algorithm = "sha512", encoding = "base64", timestamp-header = "X-Time", tolerance = "1m" }\n'))
        key = ("--hmac-header", "X-Signature", "--hmac-secret-file", self.file("key"))
        self.passes(server, *key, "--hmac-prefix", "sha256=", path="/a")
        self.passes(server, "--json", *key, "--hmac-algorithm", "sha512", "--hmac-encoding", "base64",
                    "--hmac-timestamp-header", "X-Time", path="/b")
        self.fails(server, 401, "--hmac-header", *key, path="/a")

    def test_who_may_not_is_told_what_to_do(self):
        server = self.serve_hooks('allow-from = ["192.0.2.0/24"]')
        self.fails(server, 403, "takes nothing from this address")

    def test_over_the_rate_it_waits_for_as_long_as_it_may(self):
        server = self.serve_hooks("rate = 5")
        refused = self.send(server, "--count", "30")
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn("429: this is more than the endpoint's rate allows", refused.stderr)
        begin = time.monotonic()
        sent = self.send(server, "--count", "12", "--retry-for", "30")
        self.assertEqual(sent.returncode, 0, sent)
        self.assertGreater(time.monotonic() - begin, 0.5)

    def test_no_secret_goes_where_others_can_read_it(self):
        self.serve_hooks("rate = 5")
        elsewhere = ("--timeout", "1", "--bearer-file", self.file("token"))
        refused = self.send(None, *elsewhere, url="http://192.0.2.1:8080/")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--send-secret-unencrypted: the secret would go to '192.0.2.1' without", refused.stderr)
        self.assertNotIn("bearer-token", refused.stderr)

    def test_what_lacks_or_cannot_be_read(self):
        for arguments, what in ((["--user", "sinch"], "--user and --password-file go together"),
                                (["--password-file", "/no/such"], "--password-file: '/no/such' cannot be read"),
                                (["--bearer-file", "/dev/null"], "--bearer-file: '/dev/null': it is empty"),
                                (["--hmac-header", "X"], "--hmac-secret-file"),
                                (["--secret-header", "X"], "--secret-header-file")):
            refused = self.send(None, *arguments, url="http://127.0.0.1:1/")
            self.assertEqual(refused.returncode, 2, refused)
            self.assertIn(what, refused.stderr)


if __name__ == "__main__":
    unittest.main()
