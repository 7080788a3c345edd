"""The command over TLS."""
import json
import os
import subprocess
import unittest

from tests.integration.certificates import Authority
from tests.integration.gateway import COMMAND, PATH, xml
from tests.integration.tls_test import TlsTestCase


class ClientTlsTest(TlsTestCase):
    def setUp(self):
        super().setUp()
        self.started = self.gateway(*self.mount.flags("http", ca=True), *self.mount.flags("grpc", ca=True))

    def mmsmo(self, *arguments, trusts=None, **environment):
        """Runs the command with what it needs over TLS; with `trusts` of another authority, or of none where empty."""
        ca = ["--ca", trusts or self.authority.path] if trusts != "" else []
        return subprocess.run([COMMAND, "--grpc", self.started.grpc, *ca, *arguments], capture_output=True, text=True,
                              timeout=60, env={**os.environ, **environment})

    def url(self):
        return f"https://127.0.0.1:{self.started.http}{PATH}"

    def test_sends_and_reads(self):
        sent = self.mmsmo("send", "--url", self.url(), "--tracking-id", "C1")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        cursor = json.loads(sent.stdout.split(" ", 1)[1])["cursor"]
        self.assertIn("C1", self.mmsmo("get", cursor).stdout)
        tail = self.mmsmo("tail", "--from", "earliest", "--until-caught-up", "--json")
        self.assertEqual(json.loads(tail.stdout)["mmsMo"]["trackingId"], "C1", tail.stderr)
        self.assertEqual(self.mmsmo("subscription", "create", "s", "--from", "earliest").returncode, 0)
        self.assertIn("C1", self.mmsmo("subscribe", "s", "--count", "1").stdout)

    def test_sends_many_over_kept_connections(self):
        sent = self.mmsmo("send", "--url", self.url(), "--count", "500", "--connections", "4")
        self.assertIn("answered 200: 500 ", sent.stdout, sent.stderr)
        self.assertEqual(self.started.metric('mmsmo_tls_handshakes_total{listener="http"}'), 4)

    def test_takes_its_settings_from_the_environment(self):
        listed = self.mmsmo("subscription", "list", trusts="", MMSMO_TLS="true", MMSMO_CA=self.authority.path)
        self.assertEqual(listed.returncode, 0, listed.stderr)

    def test_shows_its_certificate(self):
        cert, key = self.clients.issue("billing")
        self.assertEqual(self.mmsmo("--cert", cert, "--key", key, "subscription", "list").returncode, 0)
        self.assertEqual(self.mmsmo("--cert", cert, "--key", key, "send", "--url", self.url()).returncode, 0)
        cert, key = Authority(self.directory, "stranger").issue()
        for command in (["subscription", "list"], ["send", "--url", self.url()]):
            refused = self.mmsmo("--cert", cert, "--key", key, *command)
            self.assertEqual(refused.returncode, 1)
        self.assertIn("does not trust who signed this client's certificate", refused.stderr)

    def test_says_what_does_not_verify_and_what_helps(self):
        stranger = Authority(self.directory, "stranger").path
        refused = self.mmsmo("subscription", "list", trusts=stranger)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("certificate verify failed", refused.stderr)
        self.assertIn("give its authority as ca", refused.stderr)
        refused = self.mmsmo("send", "--url", self.url(), trusts=stranger)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, "does not verify: .*; give the authority that signed it with --ca")

    def test_the_name_counts(self):
        self.mount.put(*self.authority.issue(names="DNS:gateway.example"), self.clients.path)
        reloads = 'mmsmo_tls_reloads_total{listener="%s",result="ok"}'
        self.until(lambda: all(self.started.metric(reloads % listener) == 1 for listener in ("http", "grpc")))
        refused = self.mmsmo("send", "--url", self.url())
        self.assertIn("--server-name", refused.stderr)
        self.assertEqual(refused.returncode, 1)
        refused = self.mmsmo("subscription", "list")
        self.assertIn("give that as server name", refused.stderr)
        self.assertEqual(refused.returncode, 1)
        name = ("--server-name", "gateway.example")
        self.assertEqual(self.mmsmo(*name, "send", "--url", self.url()).returncode, 0)
        self.assertEqual(self.mmsmo(*name, "subscription", "list").returncode, 0)

    def test_where_there_is_no_tls(self):
        plain = f"http://127.0.0.1:{self.started.http}{PATH}"
        self.assertIn("400", self.mmsmo("send", "--url", plain).stdout)
        self.started.grpc = f"127.0.0.1:{self.started.admin}"
        self.assertIn("nothing speaks TLS at this port", self.mmsmo("subscription", "list").stderr)
        refused = self.mmsmo("send", "--url", f"https://127.0.0.1:{self.started.admin}/")
        self.assertIn("nothing speaks TLS at this port", refused.stderr)

    def test_files_that_cannot_be_used(self):
        missing = os.path.join(self.directory, "none")
        for command in (["subscription", "list"], ["send", "--url", self.url()]):
            refused = self.mmsmo(*command, trusts=missing)
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn(f"--ca: '{missing}' cannot be read", refused.stderr)
            self.assertEqual(self.mmsmo("--cert", self.authority.path, *command).returncode, 2)


if __name__ == "__main__":
    unittest.main()
