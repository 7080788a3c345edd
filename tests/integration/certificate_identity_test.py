"""Who may do what over gRPC by a certificate, and what becomes of calls and connections once it is good no more."""
import os
import subprocess
import time
import unittest

import grpc
from grpc._cython import cygrpc

from tests.integration.certificates import Authority
from tests.integration.gateway import SANITIZED, Service, earliest, latest
from tests.integration.grpc_tls_test import GrpcTlsTestCase
from mmsmo.v1 import subscription_pb2, subscription_service_pb2

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
# How long what was taken away may go on to work, and a little.
REVOKED_WITHIN = 15 if SANITIZED else 7
BILLING = "billing.example"


def identity(name, san, allow=("read",)):
    return f'[[identity]]\nname = "{name}"\nsan = ["{san}"]\nallow = {list(allow)}\n'


class CertificateIdentityTest(GrpcTlsTestCase):
    def write(self, *identities):
        self.path = os.path.join(self.directory, "gateway.toml")
        with open(self.path + ".new", "w") as file:
            file.write("\n".join(identities))
        os.rename(self.path + ".new", self.path)

    def start(self, *identities):
        self.write(*identities)
        self.server = self.gateway("--config", self.path, *self.mount.flags("grpc", ca=True))
        return self.server

    def reload(self, *identities):
        self.write(*identities)
        self.server.process.send_signal(1)

    def certificate(self, name=BILLING, **options):
        return self.clients.issue(name="client", names="DNS:" + name, **options)

    def rpc(self, certificate):
        return Service(self.channel(self.server, certificate))

    def stream(self, rpc, **fields):
        stream = rpc.subscribe(**(fields or {"start_position": latest()}))
        self.assertEqual(next(stream).WhichOneof("content"), "started")
        return stream

    def code(self, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        return caught.exception.code()

    def ends(self, rpc, stream, within=REVOKED_WITHIN):
        """The stream, and the next call over its connection, which is kept."""
        begin = time.monotonic()
        self.assertEqual(self.code(lambda: list(stream)), UNAUTHENTICATED)
        self.assertLess(time.monotonic() - begin, within)
        self.assertEqual(self.code(lambda: rpc.call("ListEvents")), UNAUTHENTICATED)

    def test_a_name_of_its_certificate_is_who_a_client_is(self):
        self.start(identity("billing", BILLING), identity("others", "*.teams.example", ["admin"]),
                   identity("mesh", "spiffe://mesh/reader"))
        rpc = self.rpc(self.certificate())
        self.assertEqual(rpc.events(earliest()), [])
        admin = Service(rpc.channel, subscription_service_pb2, "SubscriptionService")
        self.assertEqual(self.code(lambda: admin.call("ListSubscriptions")), DENIED)
        other = Service(self.rpc(self.certificate("one.teams.example")).channel, subscription_service_pb2,
                        "SubscriptionService")
        other.call("ListSubscriptions")
        self.assertEqual(self.rpc(self.clients.issue(names="URI:spiffe://mesh/reader")).events(earliest()), [])
        for name in ("else.example", "one.two.teams.example", BILLING + ".evil.example"):
            self.assertEqual(self.code(lambda: self.rpc(self.certificate(name)).call("ListEvents")), UNAUTHENTICATED)
        self.assertEqual(self.code(lambda: self.rpc(None).call("ListEvents")), UNAUTHENTICATED)
        named = self.clients.issue(name=BILLING, names="DNS:else.example")  # a common name is none
        self.assertEqual(self.code(lambda: self.rpc(named).call("ListEvents")), UNAUTHENTICATED)

    def test_a_certificate_below_another_is_good_with_it(self):
        self.start(identity("billing", BILLING))
        below = Authority(self.directory, "below", by=self.clients)
        certificate, key = below.issue(names="DNS:" + BILLING)
        with open(certificate, "a") as chain, open(below.path) as between:
            chain.write(between.read())
        sessions = cygrpc.SSLSessionCacheLRU(1)  # one that is resumed says nothing of what is between
        for _ in range(3):
            channel = self.channel(self.server, (certificate, key), options=[("grpc.ssl_session_cache", sessions)])
            self.assertEqual(Service(channel).events(earliest()), [])
            channel.close()

    def test_a_name_that_is_removed_ends_what_its_clients_have(self):
        self.start(identity("billing", BILLING))
        rpc = self.rpc(self.certificate())
        stream = self.stream(rpc)
        self.reload(identity("billing", "billing.elsewhere.example"))
        self.ends(rpc, stream)

    def test_an_identity_that_is_removed_ends_what_its_clients_have(self):
        self.start(identity("billing", BILLING), identity("other", "other.example", ["consume", "manage"]))
        other = self.rpc(self.certificate("other.example"))
        admin = Service(other.channel, subscription_service_pb2, "SubscriptionService")
        admin.call("CreateSubscription", subscription=subscription_pb2.Subscription(
            name="orders", start_position=earliest()))
        kept = self.stream(other, subscription="orders")
        rpc = self.rpc(self.certificate())
        stream = self.stream(rpc)
        self.reload(identity("other", "other.example", ["consume", "manage"]))
        self.ends(rpc, stream)
        admin.call("ListSubscriptions")
        cursor = self.accepted(self.server, "KEPT")
        delivery = next(frame.batch.deliveries[0] for frame in kept if frame.batch.deliveries)
        self.assertEqual(delivery.event.cursor, cursor)
        kept.cancel()

    def test_an_authority_that_is_exchanged_ends_what_its_clients_have(self):
        self.start(identity("billing", BILLING, ["read", "consume", "manage"]))
        rpc = self.rpc(self.certificate())
        Service(rpc.channel, subscription_service_pb2, "SubscriptionService").call(
            "CreateSubscription", subscription=subscription_pb2.Subscription(name="a", start_position=earliest()))
        streams = [self.stream(rpc), self.stream(rpc, subscription="a")]
        # Another certificate of the gateway's is none of their concern.
        self.mount.put(*self.authority.issue(), self.clients.path)
        self.until(lambda: self.server.metric('mmsmo_tls_reloads_total{listener="grpc",result="ok"}') == 1)
        self.assertEqual(rpc.events(earliest()), [])
        others = Authority(self.directory, "others")
        self.mount.put(self.mount.path("cert"), self.mount.path("key"), others.path)
        for stream in streams:
            self.ends(rpc, stream)
        self.assertEqual(Service(self.channel(self.server, others.issue(names="DNS:" + BILLING))).events(earliest()), [])
        refused = self.server.metric('mmsmo_grpc_access_refused_total{reason="unknown"}')
        self.assertGreaterEqual(refused, 4)

    def test_a_certificate_whose_time_is_up_ends_what_its_client_has(self):
        self.start(identity("billing", BILLING))
        rpc = self.rpc(self.certificate(ends=8))
        self.ends(rpc, self.stream(rpc), within=8 + 2 * REVOKED_WITHIN)

    def test_a_session_is_not_resumed_past_the_authority(self):
        self.start(identity("billing", BILLING))
        session = os.path.join(self.directory, "session")
        certificate, key = self.certificate()

        def handshake(*arguments):
            return subprocess.run(
                ["openssl", "s_client", "-connect", self.server.grpc, "-alpn", "h2", "-cert", certificate, "-key", key,
                 "-ign_eof", *arguments], input="PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" + "\0\0\0\7" + "\0" * 5,
                capture_output=True, text=True, errors="replace", timeout=60).stdout

        handshake("-sess_out", session)
        self.assertIn("Reused, TLS", handshake("-sess_in", session))
        self.mount.put(self.mount.path("cert"), self.mount.path("key"), Authority(self.directory, "others").path)
        self.until(lambda: self.server.metric('mmsmo_tls_reloads_total{listener="grpc",result="ok"}') == 1)
        self.assertIn("New, ", handshake("-sess_in", session))


if __name__ == "__main__":
    unittest.main()
