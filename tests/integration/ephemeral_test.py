"""`mmsmo-gateway --ephemeral`: a gateway for somebody's tests."""
import http.client
import json
import os
import signal
import subprocess
import unittest

from tests.integration.gateway import PATH, TestCase, xml


GATEWAY = os.environ["MMSMO_GATEWAY"]


class EphemeralTest(TestCase):
    def start(self, *flags, **environment):
        process = subprocess.Popen([GATEWAY, "--ephemeral", *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL,
                                   env={**os.environ, "TMPDIR": self.directory, **environment})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        return process

    def left(self):
        return [name for name in os.listdir(self.directory) if name.startswith("mmsmo-gateway-")]

    def test_serves_until_standard_input_ends(self):
        process = self.start()
        addresses = json.loads(process.stdout.readline())
        self.assertEqual(set(addresses), {"http", "grpc", "admin"})
        for address in addresses.values():
            self.assertRegex(address, r"^127\.0\.0\.1:[1-9]\d*$")
        connection = http.client.HTTPConnection(addresses["admin"], timeout=30)
        connection.request("GET", "/readyz")
        self.assertEqual(connection.getresponse().status, 200)
        postback = http.client.HTTPConnection(addresses["http"], timeout=30)
        postback.request("POST", PATH, xml("E1"), {"Content-Type": "application/xml"})
        self.assertEqual(postback.getresponse().status, 200)
        postback.close()
        connection.close()
        self.assertEqual(len(self.left()), 1)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=30), 0)
        self.assertEqual(self.left(), [])

    def test_many_at_once(self):
        processes = [self.start() for _ in range(5)]
        ports = {address for process in processes for address in json.loads(process.stdout.readline()).values()}
        self.assertEqual(len(ports), 15)
        self.assertEqual(len(self.left()), 5)

    def test_ends_at_a_signal_too(self):
        process = self.start()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 0)
        self.assertEqual(self.left(), [])

    def test_where_standard_input_has_ended_before(self):
        done = subprocess.run([GATEWAY, "--ephemeral"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, env={**os.environ, "TMPDIR": self.directory})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertEqual(self.left(), [])

    def test_takes_other_settings(self):
        path = os.path.join(self.directory, "gateway.toml")
        with open(path, "w") as file:
            file.write('[[endpoint]]\nname = "other"\npath = "/other"\n')
        process = self.start("--config", path, MMSMO_GRPC_LISTEN=f"unix:{self.directory}/grpc.sock")
        addresses = json.loads(process.stdout.readline())
        self.assertEqual(addresses["grpc"], f"unix:{self.directory}/grpc.sock")
        connection = http.client.HTTPConnection(addresses["http"], timeout=30)
        connection.request("POST", "/other", xml("E2"), {"Content-Type": "application/xml"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_refuses_what_does_not_go_with_it(self):
        for flags, why in ((("--data-dir", "x"), "takes no --data-dir"),
                           (("--http-listen", "0.0.0.0:0"), "http-listen: 0.0.0.0:0 is not only for this machine"),
                           (("--grpc-listen", "0.0.0.0:0", "--insecure"), "grpc-listen: 0.0.0.0:0"),
                           (("--admin-listen", "[::]:0"), "admin-listen: [::]:0")):
            refused = subprocess.run([GATEWAY, "--ephemeral", *flags], stdin=subprocess.DEVNULL, capture_output=True,
                                     text=True, timeout=60)
            self.assertEqual((refused.returncode, refused.stdout), (2, ""))
            self.assertIn(why, refused.stderr)
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    unittest.main()
