"""Sockets, signals, users, proxies and outputs that are not as one would wish."""
import http.client
import os
import signal
import socket
import stat
import subprocess
import unittest

from tests.integration.gateway import PATH, TestCase, earliest, grpc, run, xml


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gateway", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(self.path)
        except OSError:
            self.close()
            raise


class UnixSocketTest(TestCase):
    def path(self, name):
        return os.path.join(self.directory, name)

    def listen(self, http="127.0.0.1:0", grpc_listen="127.0.0.1:0", admin="127.0.0.1:0", data="other"):
        return run("--http-listen", http, "--grpc-listen", grpc_listen, "--admin-listen", admin, "--data-dir",
                   self.path(data))

    def leave_socket(self, path):
        """What a killed process leaves."""
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)

    def test_lets_a_group_in(self):
        path = self.path("grpc.sock")
        self.leave_socket(path)
        gateway = self.gateway(grpc_listen="unix:" + path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        self.accepted(gateway, "U1")
        self.assertEqual([event.mms_mo.tracking_id for event in self.service(gateway).events(earliest())], ["U1"])
        self.assertEqual(gateway.stop(), 0)
        self.assertFalse(os.path.lexists(path))
        gateway.flags = ("--grpc-socket-mode", "0606")
        gateway.start()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o606)
        gateway.kill()
        gateway.start()  # where the kill left its own

    def test_serves_postbacks_and_administration_on_sockets(self):
        http_path, admin_path = self.path("http.sock"), self.path("admin.sock")
        gateway = self.gateway("--http-threads", "4")
        self.assertEqual(gateway.stop(), 0)
        gateway.flags += ("--http-listen", "unix:" + http_path, "--admin-listen", "unix:" + admin_path)
        command = gateway.command()
        for flag in ("--http-listen", "--admin-listen"):
            at = command.index(flag)
            del command[at:at + 2]
        gateway.command = lambda: command

        def ask(socket_path, *request):
            connection = UnixConnection(socket_path)
            try:
                connection.request(*request)
                response = connection.getresponse()
                return response.status, response.read().decode()
            finally:
                connection.close()

        gateway.get = lambda path: ask(admin_path, "GET", path)
        gateway.start()
        for i in range(20):
            answer = ask(http_path, "POST", PATH, xml(f"U{i}"), {"Content-Type": "application/xml"})
            self.assertEqual(answer[0], 200)
        self.assertEqual(stat.S_IMODE(os.stat(http_path).st_mode), 0o660)
        self.assertEqual(gateway.stop(), 0)
        self.assertIn(f"http://unix:{http_path}:{PATH}", gateway.log_text())
        self.assertNotIn("other machines", gateway.log_text())
        self.assertFalse(os.path.lexists(http_path) or os.path.lexists(admin_path))

    def test_takes_nothing_else_for_a_socket_that_was_left(self):
        for listen in ("http", "grpc_listen", "admin"):
            path = self.path(listen)
            with open(path, "w") as file:
                file.write("precious")
            result = self.listen(**{listen: "unix:" + path})
            self.assertEqual(result.returncode, 1, result)
            self.assertIn(listen.split("_")[0] + f"-listen: {path} is there, and is no socket", result.stderr)
            with open(path) as file:
                self.assertEqual(file.read(), "precious")

    @unittest.skipIf(os.geteuid() != 0, "only root can give files away")
    def test_leaves_another_users_socket(self):
        path = self.path("theirs.sock")
        self.leave_socket(path)
        os.chown(path, 65534, 65534)
        result = self.listen(grpc_listen="unix:" + path)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("another user (uid 65534, this one is 0)", result.stderr)
        self.assertTrue(os.path.lexists(path))

    def test_removes_only_its_own(self):
        path = self.path("grpc.sock")
        gateway = self.gateway(grpc_listen="unix:" + path)
        os.remove(path)
        self.leave_socket(path)
        self.assertEqual(gateway.stop(), 0)
        self.assertTrue(os.path.lexists(path))

    def test_modes_are_octal(self):
        for mode in ("660", "0o660", "01000", "0680", "rw"):
            result = run("--grpc-socket-mode", mode)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn("--grpc-socket-mode", result.stderr)
            self.assertIn("octal, such as 0660", result.stderr)
        self.assertIn('\ngrpc-socket-mode="0660"\n', run("--print-config").stdout)


class SignalTest(TestCase):
    def test_a_hangup_does_not_end_it(self):
        gateway = self.gateway()
        gateway.process.send_signal(signal.SIGHUP)
        self.accepted(gateway, "H1")
        self.assertEqual(gateway.stop(), 0)
        self.assertNotIn("SIGHUP", gateway.log_text())


@unittest.skipIf(os.geteuid() != 0, "only root can be another user")
class OtherUserTest(TestCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.data = os.path.join(self.directory, "data")

    def refuses(self, uid, *parts):
        try:
            result = run("--http-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                         "--data-dir", self.data, user=uid)
        except PermissionError:
            self.skipTest("another user cannot run the gateway from where it was built")
        self.assertEqual(result.returncode, 1, result)
        for part in ("data-dir: ", *parts):
            self.assertIn(part, result.stderr)

    def test_names_the_file_that_another_user_made_and_the_remedy(self):
        gateway = self.gateway()
        self.assertEqual(gateway.stop(), 0)
        self.refuses(1234, f"{self.data} belongs to uid 0", "by this one (uid 1234)", "run the gateway as that user",
                     f"chown -R 1234 {self.data}")
        os.chown(self.data, 1234, 1234)
        self.refuses(1234, f"{self.data}/", "belongs to uid 0", f"chown -R 1234 {self.data}")
        for name in os.listdir(self.data):
            os.chown(os.path.join(self.data, name), 1234, 1234)
        # One that was written while the gateway ran as root once.
        left = next(name for name in os.listdir(self.data) if name.startswith("MANIFEST"))
        os.chown(os.path.join(self.data, left), 0, 0)
        self.refuses(1234, f"{self.data}/{left} belongs to uid 0")
        os.chown(os.path.join(self.data, left), 1234, 1234)
        os.chmod(os.path.join(self.data, left), 0o400)
        self.refuses(1234, f"{self.data}/{left}", f"chmod -R u+rwX {self.data}")


class OutputTest(TestCase):
    def test_says_that_its_output_cannot_be_written(self):
        for flag in ("--help", "--version", "--print-config"):
            with open("/dev/full", "w") as full:
                result = subprocess.run([os.environ["MMSMO_GATEWAY"], flag], stdout=full, stderr=subprocess.PIPE,
                                        text=True, timeout=60)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("standard output: No space left on device", result.stderr)

    def test_takes_no_file_of_the_journal_for_a_standard_stream_that_is_closed(self):
        gateway = self.gateway()
        self.assertEqual(gateway.stop(), 0)
        command = gateway.command()
        gateway.command = lambda: ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
        gateway.start()
        for number in (0, 1, 2):
            self.assertNotIn(self.directory, os.readlink(f"/proc/{gateway.process.pid}/fd/{number}"))
        self.accepted(gateway, "C1")
        self.assertEqual(gateway.stop(), 0)


class MetadataTest(TestCase):
    def test_takes_32_kib_of_metadata(self):
        gateway = self.gateway()
        get = self.service(gateway).channel.unary_unary("/mmsmo.v1.MmsMoService/GetEvent")
        for size, code in ((32 << 10, grpc.StatusCode.INVALID_ARGUMENT), (64 << 10, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            with self.assertRaises(grpc.RpcError) as caught:
                get(b"", timeout=30, metadata=[("token", "x" * (size - len("token") - 32))])
            self.assertEqual(caught.exception.code(), code, size)


if __name__ == "__main__":
    unittest.main()
