"""Subscribers over TLS."""
import json
import shutil
import socket
import subprocess
import time
import unittest

from tests.integration.certificates import Authority
from tests.integration.gateway import Service, earliest, grpc, latest
from tests.integration.tls_test import TlsTestCase

def read(path):
    with open(path, "rb") as file:
        return file.read()


class GrpcTlsTestCase(TlsTestCase):
    def channel(self, gateway, identity=None, trusts=None, options=()):
        cert, key = map(read, identity or ()) if identity else (None, None)
        credentials = grpc.ssl_channel_credentials(read(trusts or self.authority.path), key, cert)
        # Channels that are alike would share a connection.
        channel = grpc.secure_channel(gateway.grpc, credentials,
                                      [("grpc.max_reconnect_backoff_ms", 100), ("grpc.use_local_subchannel_pool", 1),
                                       *options])
        self.addCleanup(channel.close)
        return channel


class GrpcTlsTest(GrpcTlsTestCase):
    def refusal(self, channel):
        """What a call over the channel fails with."""
        with self.assertRaises(grpc.RpcError) as caught:
            Service(channel).events(earliest(), timeout=10)
        return caught.exception

    def port(self, gateway):
        return int(gateway.grpc.rpartition(":")[2])

    def certificate_of(self, gateway):
        context = self.context()
        context.set_alpn_protocols(["h2"])
        return self.connect(gateway, context, self.port(gateway)).getpeercert(binary_form=True)

    def s_client(self, gateway, *arguments, send=""):
        return subprocess.run(["openssl", "s_client", "-connect", gateway.grpc, *arguments], input=send,
                              capture_output=True, text=True, errors="replace", timeout=60)

    def test_serves_calls_and_streams(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        cursor = self.accepted(gateway, "G1")
        rpc = Service(self.channel(gateway))
        self.assertEqual([event.cursor for event in rpc.events(earliest())], [cursor])
        self.assertEqual(rpc.call("GetEvent", cursor=cursor).event.mms_mo.tracking_id, "G1")
        self.assertGreater(gateway.metric('mmsmo_tls_certificate_expiry_days{listener="grpc"}'), 0.9)

    def test_serves_health_and_reflection(self):
        channel = self.channel(self.gateway(*self.mount.flags("grpc")))
        self.assertEqual(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30), b"\x08\x01")
        reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        list_services = b"\x3a\x00"
        self.assertIn(b"mmsmo.v1.MmsMoService", next(reflection(iter([list_services]), timeout=30)))

    def test_a_new_certificate_is_for_new_connections(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        stream = Service(self.channel(gateway)).subscribe(start_position=latest())
        self.assertEqual(next(stream).WhichOneof("content"), "started")
        before = self.certificate_of(gateway)

        failed = 'mmsmo_tls_reloads_total{listener="grpc",result="failed"}'
        self.mount.put(self.authority.issue()[0], self.mount.path("key"))
        self.until(lambda: gateway.metric(failed) == 1)
        self.assertEqual(self.certificate_of(gateway), before)
        self.mount.put(*self.authority.issue())
        self.until(lambda: self.certificate_of(gateway) != before)
        self.assertEqual(Service(self.channel(gateway)).events(earliest()), [])

        cursor = self.accepted(gateway, "KEPT")
        for frame in stream:
            if frame.batch.deliveries:
                break
        self.assertEqual(frame.batch.deliveries[0].event.cursor, cursor)
        stream.cancel()

    def test_clients_are_verified_where_they_have_a_certificate(self):
        gateway = self.gateway(*self.mount.flags("grpc", ca=True))
        identity = self.clients.issue("billing")
        for good in (None, identity):
            self.assertEqual(Service(self.channel(gateway, good)).events(earliest()), [])
        for bad in (Authority(self.directory, "stranger").issue(), self.clients.issue(begins=-7200, ends=-3600),
                    self.clients.issue(begins=3600)):
            self.assertEqual(self.refusal(self.channel(gateway, bad)).code(), grpc.StatusCode.UNAVAILABLE)
        others = Authority(self.directory, "others")
        self.mount.put(self.mount.path("cert"), self.mount.path("key"), others.path)
        self.until(lambda: gateway.metric('mmsmo_tls_reloads_total{listener="grpc",result="ok"}') == 1)
        self.assertEqual(self.refusal(self.channel(gateway, identity)).code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(Service(self.channel(gateway, others.issue())).events(earliest()), [])

    def test_clients_verify_the_gateway(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        stranger = Authority(self.directory, "stranger")
        self.assertEqual(self.refusal(self.channel(gateway, trusts=stranger.path)).code(), grpc.StatusCode.UNAVAILABLE)
        self.mount.put(*self.authority.issue(names="DNS:elsewhere.example"))
        self.until(lambda: gateway.metric('mmsmo_tls_reloads_total{listener="grpc",result="ok"}') == 1)
        self.assertEqual(self.refusal(self.channel(gateway)).code(), grpc.StatusCode.UNAVAILABLE)

    def test_what_is_no_tls_1_2(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        old = self.s_client(gateway, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertIn("Cipher is (NONE)", old.stdout)
        again = self.s_client(gateway, "-tls1_2", "-alpn", "h2", send="R\n")
        self.assertRegex(again.stderr, "no renegotiation|handshake failure|unexpected record")
        self.assertEqual(self.refusal(gateway.channel()).code(), grpc.StatusCode.UNAVAILABLE)
        for garbage in (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", b"\0" * 100):
            with socket.create_connection(("127.0.0.1", self.port(gateway)), timeout=30) as plain:
                plain.sendall(garbage)
                while plain.recv(4096):
                    pass
        self.assertEqual(Service(self.channel(gateway)).events(earliest()), [])

    def test_each_port_refuses_what_is_for_another(self):
        gateway = self.gateway(*self.mount.flags("http"))
        over_tls = self.channel(gateway)  # to a port without it
        self.assertEqual(self.refusal(over_tls).code(), grpc.StatusCode.UNAVAILABLE)
        gateway.grpc, grpc_port = f"127.0.0.1:{gateway.http}", gateway.grpc
        self.assertEqual(self.refusal(self.channel(gateway)).code(), grpc.StatusCode.UNAVAILABLE)
        self.until(lambda: self.failures(gateway, "nothing_shared") == 1)
        gateway.grpc = grpc_port
        self.assertEqual(Service(gateway.channel()).events(earliest()), [])

    @unittest.skipUnless(shutil.which("go"), "grpcurl is built with Go")
    def test_serves_grpcurl(self):
        gateway = self.gateway(*self.mount.flags("grpc", ca=True))
        cursor = self.accepted(gateway, "G2")

        def grpcurl(*arguments):
            return subprocess.run(["script/grpcurl", *arguments], capture_output=True, text=True, timeout=300)

        trusting = "-cacert", self.authority.path
        listed = grpcurl(*trusting, "-d", '{"startPosition": {"boundary": "BOUNDARY_EARLIEST"}}', gateway.grpc,
                         "mmsmo.v1.MmsMoService/ListEvents")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual([event["cursor"] for event in json.loads(listed.stdout)["events"]], [cursor])
        cert, key = self.clients.issue("billing")
        services = grpcurl(*trusting, "-cert", cert, "-key", key, gateway.grpc, "list")
        self.assertIn("mmsmo.v1.SubscriptionService", services.stdout.split(), services.stderr)
        self.assertIn("certificate", grpcurl(gateway.grpc, "list").stderr)

    def test_a_handshake_has_its_time(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port(gateway)), timeout=60) as half_open:
            half_open.sendall(b"\x16\x03\x01")
            try:
                while half_open.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        self.assertLess(time.monotonic() - begin, 20)

    def test_streams_are_told_that_the_gateway_ends(self):
        gateway = self.gateway(*self.mount.flags("grpc"))
        stream = Service(self.channel(gateway)).subscribe(start_position=latest())
        self.assertEqual(next(stream).WhichOneof("content"), "started")
        self.assertEqual(gateway.stop(), 0)
        frames = []
        with self.assertRaises(grpc.RpcError) as caught:
            for frame in stream:
                frames.append(frame)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("draining", [frame.WhichOneof("content") for frame in frames])


if __name__ == "__main__":
    unittest.main()
