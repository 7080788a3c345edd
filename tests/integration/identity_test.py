"""Who may do what over gRPC: identities, their permissions and limits, and what becomes of both while it runs."""
import base64
import json
import os
import subprocess
import threading
import time
import unittest

import grpc

from tests.integration.gateway import COMMAND, SANITIZED, Service, TestCase, after, earliest, latest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from mmsmo.v1 import event_pb2, quarantine_service_pb2, subscription_pb2, subscription_service_pb2

UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
# How long what was taken away may go on to work, and a little.
REVOKED_WITHIN = 15 if SANITIZED else 7

READ = [("MmsMoService", "GetEvent", {"cursor": "x"}), ("MmsMoService", "ListEvents", {}),
        ("MmsMoService", "GetRawPostback", {"cursor": "x"})]
CONSUME = [("MmsMoService", "Acknowledge", {"subscription": "missing"}),
           ("MmsMoService", "ModifyAckDeadline", {"subscription": "missing",
                                                  "extend_by": duration_pb2.Duration(seconds=1)}),
           ("SubscriptionService", "GetSubscription", {"name": "missing"})]
MANAGE = [("SubscriptionService", "CreateSubscription", {}), ("SubscriptionService", "ListSubscriptions", {}),
          ("SubscriptionService", "UpdateSubscription", {}),
          ("SubscriptionService", "DeleteSubscription", {"name": "missing"}),
          ("SubscriptionService", "SeekSubscription", {"name": "missing"}),
          ("SubscriptionService", "ListDeadLetters", {"subscription": "missing"}),
          ("SubscriptionService", "ReplayDeadLetters", {"subscription": "missing", "all": True}),
          ("SubscriptionService", "DiscardDeadLetters", {"subscription": "missing", "all": True})]
QUARANTINE = [("QuarantineService", "ListQuarantined", {}), ("QuarantineService", "GetQuarantined", {"id": "x"}),
              ("QuarantineService", "DiscardQuarantined", {"ids": ["x"]})]
MODULES = {"SubscriptionService": subscription_service_pb2, "QuarantineService": quarantine_service_pb2}


def bearer(token):
    return (("authorization", "Bearer " + token),)


class WithMetadata(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends these with every call."""

    def __init__(self, metadata):
        self.metadata = metadata

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(details._replace(metadata=self.metadata), request)

    intercept_unary_stream = intercept_unary_unary


class IdentityTest(TestCase):
    def identity(self, name, allow, token=None, **keys):
        """The table of an identity, and the file of its token."""
        lines = ["[[identity]]", f'name = "{name}"', "allow = " + repr(allow)]
        if token is not None:
            self.write(name, token)
            lines.append("token-file = " + repr([os.path.join(self.directory, name)]))
        lines += [f"{key} = {value!r}" for key, value in keys.items()]
        return "\n".join(lines) + "\n"

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path + ".new", "w") as file:
            os.chmod(path + ".new", 0o600)
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def start(self, *identities, flags=(), **options):
        self.config = self.write("config.toml", "\n".join(identities))
        return self.gateway("--config", self.config, *flags, **options)

    def as_token(self, gateway, token, name="MmsMoService"):
        return self.with_metadata(gateway, bearer(token), name)

    def with_metadata(self, gateway, metadata, name="MmsMoService"):
        channel = gateway.channel()
        self.addCleanup(channel.close)
        intercepted = grpc.intercept_channel(channel, WithMetadata(metadata))
        return Service(intercepted, *((MODULES[name], name) if name in MODULES else ()))

    def code(self, call):
        return self.error(call).code()

    def error(self, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        return caught.exception

    def code_or_ok(self, call):
        try:
            call()
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def create(self, gateway, token, name, endpoints=()):
        subscription = subscription_pb2.Subscription(name=name, start_position=earliest(),
                                                     filter=event_pb2.Filter(endpoints=endpoints))
        return self.as_token(gateway, token, "SubscriptionService").call("CreateSubscription", subscription=subscription)

    def take(self, service, name, count):
        """The first deliveries of a subscription, and their stream."""
        stream, deliveries = service.subscribe(subscription=name), []
        for frame in stream:
            deliveries += frame.batch.deliveries
            if len(deliveries) >= count:
                return deliveries, stream

    def other_endpoints(self, *identities, endpoint):
        """Starts the gateway of this directory again, under another endpoint's name."""
        return self.start(*identities, flags=("--endpoint", endpoint))


class PermissionsTest(IdentityTest):
    def test_each_permission_allows_its_calls_and_no_others(self):
        kinds = {"read": READ, "consume": CONSUME, "manage": MANAGE, "quarantine": QUARANTINE}
        gateway = self.start(*(self.identity(kind, [kind], f"token-of-{kind}-1234") for kind in [*kinds, "admin"]))
        for holder in [*kinds, "admin"]:
            for kind, calls in kinds.items():
                for service, method, fields in calls:
                    code = self.code_or_ok(lambda: self.as_token(gateway, f"token-of-{holder}-1234", service).call(
                        method, **fields))
                    if holder in (kind, "admin"):
                        self.assertNotIn(code, (DENIED, UNAUTHENTICATED), (holder, method))
                    else:
                        self.assertEqual(code, DENIED, (holder, method))
        error = self.error(lambda: self.as_token(gateway, "token-of-read-1234", "SubscriptionService").call(
            "DeleteSubscription", name="missing"))
        self.assertEqual(error.details(), "identity 'read' lacks the permission 'manage'")
        for holder, source, code in (("read", {"subscription": "missing"}, DENIED),
                                     ("consume", {"start_position": earliest()}, DENIED),
                                     ("consume", {"subscription": "missing"}, NOT_FOUND),
                                     ("admin", {"subscription": "missing"}, NOT_FOUND)):
            stream = self.as_token(gateway, f"token-of-{holder}-1234").subscribe(**source)
            self.assertEqual(self.code(lambda: list(stream)), code, (holder, source))
        reprocess = self.as_token(gateway, "token-of-read-1234").channel.unary_stream(
            "/mmsmo.v1.QuarantineService/ReprocessQuarantined")
        self.assertEqual(self.code(lambda: list(reprocess(b"\x10\x01"))), DENIED)
        self.assertGreater(gateway.metric('mmsmo_grpc_access_refused_total{reason="permission"}'), 0)

    def test_who_shows_no_credential_that_is_known_is_unauthenticated(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        good = self.as_token(gateway, "a-token-of-the-reader")
        self.accepted(gateway, "A")
        self.assertEqual(len(good.call("ListEvents").events), 1)
        for metadata in ((), (("authorization", "Basic YTpi"),), (("authorization", "a-token-of-the-reader"),),
                         (("authorization", ""),), (("authorization", "Bearer "),),
                         (("authorization", "Bearer a-token-of-the-readeR"),),
                         (("authorization", "Bearer a-token-of-the-reader2"),),
                         (("x-authorization", "Bearer a-token-of-the-reader"),),
                         bearer("a-token-of-the-reader") + bearer("a-token-of-the-reader"),
                         bearer("another") + bearer("a-token-of-the-reader")):
            service = self.with_metadata(gateway, metadata)
            self.assertEqual(self.code(lambda: service.call("ListEvents")), UNAUTHENTICATED, metadata)
            self.assertEqual(self.code(lambda: list(service.subscribe(start_position=earliest()))), UNAUTHENTICATED,
                             metadata)
        for scheme in ("bearer", "BEARER", "Bearer  "):
            metadata = (("authorization", f"{scheme} a-token-of-the-reader"),)
            self.assertEqual(len(self.with_metadata(gateway, metadata).call("ListEvents").events), 1)
        self.assertNotIn("a-token", gateway.log_text())
        for reason in ("missing", "unknown", "malformed"):
            self.assertGreater(gateway.metric('mmsmo_grpc_access_refused_total{reason="%s"}' % reason), 0)

    def test_without_identities_everybody_may_do_everything(self):
        gateway = self.start()
        self.accepted(gateway, "A")
        self.assertEqual(len(self.as_token(gateway, "whatever").call("ListEvents").events), 1)

    def test_a_token_may_be_declared_by_its_digest_or_stand_in_the_environment(self):
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
        gateway = self.start('[[identity]]\nname = "a"\nallow = ["read"]\ntoken-sha256 = ["%s"]\n'
                             'token-env = ["READER_TOKEN"]\n' % digest,
                             environment={"READER_TOKEN": "from-the-environment"})
        for token in ("abc", "from-the-environment"):
            self.as_token(gateway, token).call("ListEvents")
        self.assertEqual(self.code(lambda: self.as_token(gateway, digest).call("ListEvents")), UNAUTHENTICATED)

    def test_health_is_open_and_reflection_is_not(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        channel = gateway.channel()
        self.addCleanup(channel.close)
        self.assertEqual(channel.unary_unary("/grpc.health.v1.Health/Check")(b""), b"\x08\x01")
        for method in ("v1alpha", "v1"):
            reflection = channel.stream_stream(f"/grpc.reflection.{method}.ServerReflection/ServerReflectionInfo")
            self.assertEqual(self.code(lambda: list(reflection(iter([b"\x3a\x01*"])))), grpc.StatusCode.UNIMPLEMENTED)


    def test_health_can_be_closed_and_reflection_opened(self):
        gateway = self.start(self.identity("manager", ["manage"], "a-token-of-the-manager"),
                             flags=("--health-open", "false", "--reflection-open", "true"))
        channel = gateway.channel()
        self.addCleanup(channel.close)
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(self.code(lambda: check(b"")), UNAUTHENTICATED)
        for service in (b"", b"mmsmo.v1.MmsMoService"):
            request = b"\x0a" + bytes([len(service)]) + service
            self.assertEqual(check(request, metadata=bearer("a-token-of-the-manager")), b"\x08\x01")
        self.assertEqual(self.code(lambda: check(b"\x0a\x01x", metadata=bearer("a-token-of-the-manager"))), NOT_FOUND)
        reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        self.assertTrue(list(reflection(iter([b"\x3a\x01*"]))))


class SubscriptionLimitsTest(IdentityTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(
            self.identity("operator", ["admin"], "token-of-the-operator"),
            self.identity("billing", ["consume", "manage"], "token-of-billing-1", subscriptions=["billing-*", "shared"]),
            self.identity("orders", ["consume"], "token-of-orders-12", subscriptions=["orders-*"]))
        for name in ("billing-a", "billing-b", "orders-a", "shared", "zebra"):
            self.create(self.server, "token-of-the-operator", name)

    def test_denies_the_names_of_others_whether_they_are_there_or_not(self):
        billing = "token-of-billing-1"
        errors = set()
        for name in ("orders-a", "orders-missing", "billing", "", "x\ny\x00\x1b[31m", "x" * 10_000, "zebra/../billing-a",
                     "BILLING-A"):
            for service, method, fields in CONSUME + MANAGE:
                fields = {key: name if value == "missing" else value for key, value in fields.items()}
                if method == "ListSubscriptions":
                    continue
                if method in ("CreateSubscription", "UpdateSubscription"):
                    fields = {"subscription": subscription_pb2.Subscription(name=name)}
                error = self.error(lambda: self.as_token(self.server, billing, service).call(method, **fields))
                self.assertEqual(error.code(), DENIED, (name, method))
                errors.add(error.details())
            stream = self.as_token(self.server, billing).subscribe(subscription=name)
            self.assertEqual(self.code(lambda: list(stream)), DENIED, name)
        self.assertEqual(errors, {"identity 'billing' lacks a pattern that this subscription's name matches"})
        self.assertEqual(self.code(lambda: self.as_token(self.server, billing, "SubscriptionService").call(
            "GetSubscription", name="billing-missing")), NOT_FOUND)
        for line in self.server.log_text().splitlines():
            self.assertNotIn("\x1b[31m", line)

    def test_lists_only_those_within_its_patterns(self):
        service = self.as_token(self.server, "token-of-billing-1", "SubscriptionService")
        for page_size in (1, 2, 100):
            names, token = [], ""
            while True:
                page = service.call("ListSubscriptions", page_size=page_size, page_token=token)
                self.assertLessEqual(len(page.subscriptions), page_size)
                names += [subscription.name for subscription in page.subscriptions]
                token = page.next_page_token
                self.assertFalse(token.startswith(("orders", "zebra")), token)
                if not token:
                    break
            self.assertEqual(names, ["billing-a", "billing-b", "shared"])

    def test_a_token_for_one_subscription_gets_nothing_of_another(self):
        self.accepted(self.server, "A")
        orders = self.as_token(self.server, "token-of-orders-12")
        billing = self.as_token(self.server, "token-of-billing-1")
        deliveries, stream = self.take(orders, "orders-a", 1)
        self.addCleanup(stream.cancel)
        taken, billing_stream = self.take(billing, "billing-a", 1)
        self.addCleanup(billing_stream.cancel)
        ack_id, own_id = deliveries[0].ack_id, taken[0].ack_id
        # Under the other's name it is denied, under one's own name the ack id is another's.
        self.assertEqual(self.code(lambda: billing.call("Acknowledge", subscription="orders-a", ack_ids=[ack_id])), DENIED)
        self.assertEqual(self.code(lambda: billing.call("ModifyAckDeadline", subscription="orders-a", ack_ids=[ack_id],
                                                        dead_letter_reason="x")), DENIED)
        forged = bytearray(base64.urlsafe_b64decode(ack_id + "=" * (-len(ack_id) % 4)))
        forged[-1] ^= 1
        forged = base64.urlsafe_b64encode(bytes(forged)).decode().rstrip("=")
        for name in ("billing-a", "billing-b"):
            failures = billing.call("Acknowledge", subscription=name, ack_ids=[ack_id, forged, "x", ""]).failures
            self.assertEqual(len(failures), 4, name)
        failures = billing.call("Acknowledge", subscription="billing-b", ack_ids=[own_id]).failures
        self.assertEqual(len(failures), 1, "it is billing-a's")
        self.assertEqual(len(billing.call("Acknowledge", subscription="billing-a", ack_ids=[own_id]).failures), 0)
        # A replayed one changes nothing any more.
        billing.call("Acknowledge", subscription="billing-a", ack_ids=[own_id])
        self.assertEqual(len(orders.call("Acknowledge", subscription="orders-a", ack_ids=[ack_id]).failures), 0)
        admin = self.as_token(self.server, "token-of-the-operator", "SubscriptionService")
        for name, backlog in (("orders-a", 0), ("billing-a", 0), ("billing-b", 1)):
            self.assertEqual(admin.call("GetSubscription", name=name).subscription.backlog_count, backlog, name)


class EndpointLimitsTest(IdentityTest):
    """Events of the endpoints "us" and "eu", where one identity has "eu" only."""

    def setUp(self):
        super().setUp()
        self.identities = (
            self.identity("operator", ["admin"], "token-of-the-operator"),
            self.identity("eu", ["read", "consume", "manage", "quarantine"], "token-of-europe-1", endpoints=["eu"]))
        first = self.other_endpoints(*self.identities, endpoint="us")
        self.us = [self.accepted(first, f"US{i}") for i in range(3)]
        self.us_quarantined = first.post(b"<x/>")[1]["quarantineId"]
        self.assertEqual(first.stop(), 0)
        self.server = self.other_endpoints(*self.identities, endpoint="eu")
        self.eu = [self.accepted(self.server, f"EU{i}") for i in range(2)]
        self.eu_quarantined = self.server.post(b"<x/>")[1]["quarantineId"]
        self.reader = self.as_token(self.server, "token-of-europe-1")
        self.operator = self.as_token(self.server, "token-of-the-operator")

    def test_position_reads_give_nothing_of_another_endpoint(self):
        for start in (earliest(), after(self.us[0]), after(self.us[2])):
            self.assertEqual([event.mms_mo.tracking_id for event in self.reader.events(start)], ["EU0", "EU1"])
            page = self.reader.call("ListEvents", start_position=start)
            self.assertEqual([event.endpoint for event in page.events], ["eu", "eu"])
        self.assertEqual(len(self.operator.events(earliest())), 5)
        page = self.operator.call("ListEvents", page_size=1)
        self.assertEqual(self.code(lambda: self.reader.call(
            "ListEvents", page_size=1, page_token=page.next_page_token,
            filter=event_pb2.Filter(endpoints=["us"]))), DENIED)
        page = self.reader.call("ListEvents", page_size=1, page_token=page.next_page_token)
        self.assertEqual([event.mms_mo.tracking_id for event in page.events], ["EU0"])

    def test_its_own_filter_narrows_and_never_widens(self):
        for endpoints, code in ((["us"], DENIED), (["eu", "us"], DENIED), (["missing"], DENIED), (["EU"], DENIED)):
            wanted = event_pb2.Filter(endpoints=endpoints)
            error = self.error(lambda: self.reader.call("ListEvents", filter=wanted))
            self.assertEqual(error.code(), code)
            self.assertIn(f"lacks the endpoint '{endpoints[-1]}'", error.details())
            self.assertEqual(self.code(lambda: self.reader.caught_up(earliest(), filter=wanted)), code)
        for wanted, count in ((event_pb2.Filter(endpoints=["eu"]), 2), (event_pb2.Filter(recipients=["28444"]), 2),
                              (event_pb2.Filter(keywords=["missing"]), 0)):
            self.assertEqual(len(self.reader.events(earliest(), filter=wanted)), count)

    def test_an_event_of_another_endpoint_is_not_there(self):
        for method in ("GetEvent", "GetRawPostback"):
            self.reader.call(method, cursor=self.eu[0])
            errors = [self.error(lambda: self.reader.call(method, cursor=cursor)) for cursor in self.us]
            self.assertEqual({error.code() for error in errors}, {NOT_FOUND})
            self.assertEqual({error.details() for error in errors}, {"cursor: there is no event that you may read"})
            self.operator.call(method, cursor=self.us[0])

    def test_a_live_stream_gives_nothing_of_another_endpoint(self):
        stream = self.reader.subscribe(start_position=after(self.us[0]))
        events = []
        for frame in stream:
            events += [delivery.event.endpoint for delivery in frame.batch.deliveries]
            if frame.WhichOneof("content") == "caught_up":
                break
        stream.cancel()
        self.assertEqual(events, ["eu", "eu"])

    def test_subscriptions_must_lie_within_its_endpoints(self):
        operator = self.as_token(self.server, "token-of-the-operator", "SubscriptionService")
        manager = self.as_token(self.server, "token-of-europe-1", "SubscriptionService")
        for name, endpoints in (("all", ()), ("us", ["us"]), ("both", ["eu", "us"])):
            self.assertEqual(self.code(lambda: self.create(self.server, "token-of-europe-1", name, endpoints)), DENIED)
            self.create(self.server, "token-of-the-operator", name, endpoints)
            for service, method, fields in CONSUME + MANAGE:
                if method in ("CreateSubscription", "ListSubscriptions"):
                    continue
                fields = {key: name if value == "missing" else value for key, value in fields.items()}
                if method == "UpdateSubscription":
                    fields = {"subscription": subscription_pb2.Subscription(
                        name=name, filter=event_pb2.Filter(endpoints=["eu"]))}
                self.assertEqual(self.code(lambda: self.as_token(self.server, "token-of-europe-1", service).call(
                    method, **fields)), DENIED, (name, method))
            self.assertEqual(self.code(lambda: list(self.reader.subscribe(subscription=name))), DENIED, name)
        self.create(self.server, "token-of-europe-1", "eu", ["eu"])
        self.assertEqual(self.code(lambda: list(self.reader.subscribe(subscription="missing"))), NOT_FOUND)
        self.assertEqual([one.name for one in manager.call("ListSubscriptions").subscriptions], ["eu"])
        self.assertEqual(len(operator.call("ListSubscriptions").subscriptions), 4)
        deliveries, stream = self.take(self.reader, "eu", 2)
        self.assertEqual({delivery.event.endpoint for delivery in deliveries}, {"eu"})
        wider = subscription_pb2.Subscription(name="eu", filter=event_pb2.Filter(endpoints=["eu", "us"]))
        self.assertEqual(self.code(lambda: manager.call("UpdateSubscription", subscription=wider)), DENIED)
        everything = subscription_service_pb2.UpdateSubscriptionRequest(subscription={"name": "eu"})
        everything.update_mask.paths.append("filter")
        self.assertEqual(self.code(lambda: manager.call(
            "UpdateSubscription", subscription=everything.subscription, update_mask=everything.update_mask)), DENIED)
        # The operator may, which ends the streams of those who then get too much.
        operator.call("UpdateSubscription", subscription=wider)
        self.assertEqual(self.code(lambda: list(stream)), DENIED)

    def test_quarantine_shows_its_own_endpoints_only(self):
        mine = self.as_token(self.server, "token-of-europe-1", "QuarantineService")
        everyones = self.as_token(self.server, "token-of-the-operator", "QuarantineService")
        self.assertEqual([one.id for one in mine.call("ListQuarantined").postbacks], [self.eu_quarantined])
        self.assertEqual(len(everyones.call("ListQuarantined").postbacks), 2)
        unknown = self.error(lambda: mine.call("GetQuarantined", id=self.us_quarantined))
        self.assertEqual((unknown.code(), unknown.details()),
                         (NOT_FOUND, f"no postback '{self.us_quarantined:.20}' is in quarantine"))
        self.assertEqual(mine.call("DiscardQuarantined", ids=[self.us_quarantined]).discarded_count, 0)
        reprocess = mine.channel.unary_stream(
            "/mmsmo.v1.QuarantineService/ReprocessQuarantined",
            request_serializer=quarantine_service_pb2.ReprocessQuarantinedRequest.SerializeToString,
            response_deserializer=quarantine_service_pb2.ReprocessQuarantinedResponse.FromString)
        request = quarantine_service_pb2.ReprocessQuarantinedRequest
        self.assertEqual(self.code(lambda: list(reprocess(request(ids=[self.us_quarantined])))), NOT_FOUND)
        self.assertEqual([one.id for one in reprocess(request(all=True))], [self.eu_quarantined])
        self.assertEqual(mine.call("DiscardQuarantined", all=True).discarded_count, 1)
        self.assertEqual([one.id for one in everyones.call("ListQuarantined").postbacks], [self.us_quarantined])


class ChangesTest(IdentityTest):
    """What becomes of what is under way when a token is exchanged or taken away."""

    def stream(self, service, **source):
        """A stream that is known to be open."""
        stream = service.subscribe(timeout=120, **source)
        next(stream)
        return stream

    def end_of(self, stream):
        """How a stream ended that was revoked just now."""
        begin = time.monotonic()
        code = self.code(lambda: list(stream))
        self.assertLess(time.monotonic() - begin, REVOKED_WITHIN)
        return code

    def test_a_token_is_exchanged_without_losing_anybody(self):
        gateway = self.start(
            '[[identity]]\nname = "reader"\nallow = ["read"]\ntoken-file = [%r, %r]\n' % (
                self.write("new", "the-first-token-of-all"), self.write("old", "an-even-older-token")),
            self.identity("other", ["read"], "the-token-of-another"))
        first = self.as_token(gateway, "the-first-token-of-all")
        oldest = self.as_token(gateway, "an-even-older-token")
        other = self.as_token(gateway, "the-token-of-another")
        streams = [self.stream(service, start_position=earliest()) for service in (first, oldest, other)]
        # The new one is given out while the one before is valid still.
        self.write("old", "the-first-token-of-all")
        self.write("new", "the-second-token-of-all")
        self.assertEqual(self.end_of(streams[1]), UNAUTHENTICATED)
        second = self.as_token(gateway, "the-second-token-of-all")
        for service in (first, second, other):
            service.call("ListEvents")
        self.assertEqual(self.code(lambda: oldest.call("ListEvents")), UNAUTHENTICATED)
        self.accepted(gateway, "A")
        for stream in (streams[0], streams[2]):
            while not next(stream).batch.deliveries:
                pass
        self.write("old", "the-second-token-of-all")
        self.assertEqual(self.end_of(streams[0]), UNAUTHENTICATED)
        self.assertEqual(self.code(lambda: first.call("ListEvents")), UNAUTHENTICATED)
        second.call("ListEvents")
        other.call("ListEvents")
        streams[2].cancel()
        self.assertGreaterEqual(gateway.metric('mmsmo_access_reloads_total{result="changed"}'), 2)

    def test_a_broken_file_keeps_the_token(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        service = self.as_token(gateway, "a-token-of-the-reader")
        os.remove(os.path.join(self.directory, "reader"))
        self.until(lambda: gateway.metric('mmsmo_access_reloads_total{result="kept"}') == 1)
        service.call("ListEvents")
        self.write("reader", "")
        self.until(lambda: gateway.metric('mmsmo_access_reloads_total{result="kept"}') == 2)
        service.call("ListEvents")
        self.write("reader", "another-token-of-the-reader")
        self.until(lambda: gateway.metric('mmsmo_access_reloads_total{result="changed"}') == 1)
        self.assertEqual(self.code(lambda: service.call("ListEvents")), UNAUTHENTICATED)
        self.as_token(gateway, "another-token-of-the-reader").call("ListEvents")
        self.until(lambda: "identity 'reader': it keeps the tokens that it had" in gateway.log_text())

    def test_a_consumer_whose_token_is_gone_is_ended_though_it_does_not_read(self):
        gateway = self.start(self.identity("operator", ["admin"], "token-of-the-operator"),
                             self.identity("consumer", ["consume"], "token-of-a-consumer"))
        self.create(gateway, "token-of-the-operator", "orders")
        for i in range(300):
            self.accepted(gateway, f"A{i}", note="x" * 20000)
        stream = self.stream(self.as_token(gateway, "token-of-a-consumer"), subscription="orders")
        self.until(lambda: gateway.metric("mmsmo_streams") == 1)
        self.write("consumer", "another-token-than-before")
        self.until(lambda: gateway.metric("mmsmo_streams") == 0)
        stream.cancel()


class WrongCredentialsTest(IdentityTest):
    def test_are_answered_late_and_right_ones_never_wait(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        right, wrong = (self.as_token(gateway, token) for token in ("a-token-of-the-reader", "a-token-of-nobody-123"))
        right.call("ListEvents")
        begin = time.monotonic()
        self.assertEqual(self.code(lambda: wrong.call("ListEvents")), UNAUTHENTICATED)
        self.assertGreaterEqual(time.monotonic() - begin, 0.45)
        begin = time.monotonic()
        self.assertEqual(self.code(lambda: list(wrong.subscribe(start_position=earliest()))), UNAUTHENTICATED)
        self.assertGreaterEqual(time.monotonic() - begin, 0.45)
        # None of them holds a thread: right ones go on at their latency beside hundreds.
        channel = gateway.channel()
        self.addCleanup(channel.close)
        method = channel.unary_unary("/mmsmo.v1.MmsMoService/ListEvents")
        calls = [method.future(b"", metadata=bearer(f"guess-number-{i}"), timeout=60) for i in range(700)]
        times = []
        while len(times) < 20:
            begin = time.monotonic()
            right.call("ListEvents")
            times.append(time.monotonic() - begin)
        self.assertLess(sorted(times)[10], 0.4, times)
        self.assertEqual({call.code() for call in calls}, {UNAUTHENTICATED})

    def test_of_which_there_are_many_are_all_answered_alike(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        channel = gateway.channel()
        self.addCleanup(channel.close)
        method = channel.unary_unary("/mmsmo.v1.MmsMoService/ListEvents")
        answers = set()
        for _ in range(5):
            calls = [method.future(b"", metadata=bearer(os.urandom(16).hex()), timeout=60) for _ in range(2_000)]
            answers |= {(call.code(), call.details()) for call in calls}
        self.assertEqual(answers, {(UNAUTHENTICATED, "the token is no identity's")})
        self.assertEqual(gateway.metric('mmsmo_grpc_access_refused_total{reason="unknown"}'), 10_000)
        self.assertLess(gateway.log_text().count("a call was refused"), 200)

    def test_do_not_hold_up_the_end(self):
        gateway = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        channel = gateway.channel()
        self.addCleanup(channel.close)
        calls = [channel.unary_unary("/mmsmo.v1.MmsMoService/ListEvents").future(b"", metadata=bearer("x" * 20))
                 for _ in range(100)]
        self.until(lambda: gateway.metric('mmsmo_grpc_access_refused_total{reason="unknown"}') > 0)
        self.assertEqual(gateway.stop(), 0)
        self.assertTrue(all(call.code() is not None for call in calls))


class RateTest(IdentityTest):
    def test_calls_over_an_identitys_rate_are_refused_with_the_time_to_wait(self):
        gateway = self.start(self.identity("slow", ["read"], "the-token-of-a-slow-one", rate=5),
                             self.identity("quick", ["read"], "the-token-of-a-quick-one"))
        slow, quick = (self.as_token(gateway, f"the-token-of-a-{who}-one") for who in ("slow", "quick"))
        codes = [self.code_or_ok(lambda: slow.call("ListEvents")) for _ in range(40)]
        self.assertGreaterEqual(codes.count(grpc.StatusCode.OK), 5)
        self.assertGreaterEqual(codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED), 10)
        error = None
        while error is None or error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
            try:
                slow.call("ListEvents")
            except grpc.RpcError as refused:
                error = refused
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        retry = error_details_pb2.RetryInfo()
        found = [any_.Unpack(retry) for any_ in status_pb2.Status.FromString(details).details]
        self.assertIn(True, found)
        self.assertTrue(0 < retry.retry_delay.seconds * 10**9 + retry.retry_delay.nanos <= 10**9, retry)
        self.assertIn("slow", error.details())
        for _ in range(40):
            quick.call("ListEvents")
        self.assertGreater(gateway.metric('mmsmo_grpc_access_refused_total{reason="rate"}'), 0)
        self.assertEqual(gateway.metric('mmsmo_identity_calls_total{identity="quick"}'), 40)
        self.assertEqual(gateway.metric('mmsmo_identity_rate_limit{identity="slow"}'), 5)
        self.assertGreaterEqual(gateway.metric('mmsmo_identity_calls_total{identity="slow"}'), 5)


class AuditTest(IdentityTest):
    def records(self, gateway, token="token-of-the-operator"):
        token_file = self.write("token", token)
        printed = gateway.mmsmo("--token-file", token_file, "audit", "--json")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        return [json.loads(line) for line in printed.stdout.splitlines()]

    def test_every_change_is_on_record_and_outlives_a_kill(self):
        gateway = self.start(self.identity("operator", ["admin"], "token-of-the-operator"),
                             self.identity("manager", ["manage"], "token-of-a-manager"),
                             self.identity("keeper", ["quarantine"], "token-of-a-keeper"))
        manager = self.as_token(gateway, "token-of-a-manager", "SubscriptionService")
        quarantined = [gateway.post(b"<x%d/>" % i)[1]["quarantineId"] for i in range(3)]
        for name in ("orders", "billing"):
            self.create(gateway, "token-of-a-manager", name)
        manager.call("UpdateSubscription", subscription=subscription_pb2.Subscription(name="orders", max_attempts=3))
        manager.call("SeekSubscription", name="orders", target=latest())
        manager.call("DeleteSubscription", name="billing")
        keeper = self.as_token(gateway, "token-of-a-keeper", "QuarantineService")
        keeper.call("DiscardQuarantined", ids=quarantined[:2])
        keeper.call("DiscardQuarantined", all=True)
        # What is refused, or changes nothing, leaves nothing.
        self.code(lambda: manager.call("DeleteSubscription", name="billing"))
        keeper.call("DiscardQuarantined", ids=["x"])
        self.code(lambda: self.as_token(gateway, "token-of-a-keeper", "SubscriptionService").call(
            "DeleteSubscription", name="orders"))
        gateway.kill()
        gateway.start()
        records = self.records(gateway)
        self.assertEqual([(one["identity"], one["method"], one.get("subscription"), one.get("count")) for one in records], [
            ("manager", "CreateSubscription", "orders", None), ("manager", "CreateSubscription", "billing", None),
            ("manager", "UpdateSubscription", "orders", None), ("manager", "SeekSubscription", "orders", None),
            ("manager", "DeleteSubscription", "billing", None), ("keeper", "DiscardQuarantined", None, "2"),
            ("keeper", "DiscardQuarantined", None, "1")])
        self.assertTrue(all(one["peer"].startswith("ipv4:127.0.0.1:") for one in records))
        self.until(lambda: "audit: DeleteSubscription of subscription billing" in gateway.log_text())
        table = gateway.mmsmo("--token-file", os.path.join(self.directory, "token"), "audit")
        self.assertEqual(table.stdout.splitlines()[0].split(),
                         ["TIME", "IDENTITY", "FROM", "METHOD", "SUBSCRIPTION", "COUNT"])

    def test_only_an_administrator_reads_it(self):
        gateway = self.start(self.identity("all-but", ["read", "consume", "manage", "quarantine"], "the-token-of-all-but"))
        refused = gateway.mmsmo("audit", env={**os.environ, "MMSMO_TOKEN": "the-token-of-all-but"})
        self.assertEqual(refused.returncode, 1)
        self.assertIn("lacks the permission 'admin'", refused.stderr)

    def test_without_identities_it_says_where_from(self):
        gateway = self.start()
        self.assertEqual(gateway.mmsmo("subscription", "create", "orders", "--from", "earliest").returncode, 0)
        one = json.loads(gateway.mmsmo("audit", "--json").stdout)
        self.assertEqual((one["method"], one["subscription"], "identity" in one), ("CreateSubscription", "orders", False))


class CommandTest(IdentityTest):
    """The command and its token."""

    def setUp(self):
        super().setUp()
        self.server = self.start(self.identity("reader", ["read"], "a-token-of-the-reader"))
        self.accepted(self.server, "A")
        self.tail = ("tail", "--from", "earliest", "--until-caught-up", "--json")

    def test_shows_the_token_of_a_file_or_of_the_environment(self):
        path = self.write("token", "a-token-of-the-reader\n")
        for arguments, environment in ((("--token-file", path), {}), ((), {"MMSMO_TOKEN_FILE": path}),
                                       ((), {"MMSMO_TOKEN": "a-token-of-the-reader"})):
            listed = self.server.mmsmo(*arguments, *self.tail, env={**os.environ, **environment})
            self.assertEqual((listed.returncode, listed.stdout.count("\n")), (0, 1), listed.stderr)
        refused = self.server.mmsmo(*self.tail)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("this gateway has to know who calls", refused.stderr)

    def test_refuses_what_is_no_token_without_showing_it(self):
        for text in ("", "secret with spaces"):
            refused = self.server.mmsmo("--token-file", self.write("token", text), *self.tail)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("--token-file: ", refused.stderr)
            self.assertNotIn("secret", refused.stderr)

    def test_sends_no_token_in_plain_to_another_machine(self):
        path = self.write("token", "a-token-of-the-reader")
        for command in (self.tail, ("subscription", "list"), ("quarantine", "list"), ("get", "x")):
            refused = subprocess.run([COMMAND, "--grpc", "192.0.2.1:9090", "--token-file", path, *command],
                                     capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 2, refused)
            self.assertIn("--send-secret-unencrypted: the token would go to '192.0.2.1:9090' without", refused.stderr)

    def test_goes_on_with_the_next_token_when_its_own_is_taken_away(self):
        path = self.write("token", "a-token-of-the-reader")
        tail = subprocess.Popen([COMMAND, "--grpc", self.server.grpc, "--token-file", path, "tail", "--from", "earliest",
                                 "--count", "2", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tail.kill)
        self.assertIn('"A"', tail.stdout.readline())
        self.write("token", "the-next-token-of-the-reader")
        self.write("reader", "the-next-token-of-the-reader")
        self.until(lambda: self.server.metric('mmsmo_access_reloads_total{result="changed"}') == 1)
        self.accepted(self.server, "B")
        out, err = tail.communicate(timeout=60)
        self.assertIn('"B"', out)
        self.assertEqual(tail.returncode, 0, err)


@unittest.skipUnless(os.getuid() == 0, "only root can be others")
class UnixTest(IdentityTest):
    """Whoever is at the other end of a unix socket is known by its uid."""

    CLIENT = 3000  # no user's

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.address = "unix:" + os.path.join(self.directory, "gateway.sock")

    def tail(self, uid, *arguments):
        return subprocess.run([COMMAND, "--grpc", self.address, *arguments], capture_output=True, text=True, timeout=60,
                              user=uid, group=uid, extra_groups=[])

    def serve(self, *identities):
        return self.start(*identities, flags=("--grpc-socket-mode", "0666"), grpc_listen=self.address)

    def test_a_uid_is_an_identity(self):
        gateway = self.serve('[[identity]]\nname = "client"\nallow = ["read"]\nuid = [%d]\n' % self.CLIENT)
        self.accepted(gateway, "A")
        listed = self.tail(self.CLIENT, "tail", "--from", "earliest", "--until-caught-up", "--json")
        self.assertEqual((listed.returncode, listed.stdout.count("\n")), (0, 1), listed.stderr)
        self.assertIn("lacks the permission 'manage'", self.tail(self.CLIENT, "subscription", "list").stderr)
        for uid in (0, 65534):  # the gateway's own and root's are nobody's, unless they are named
            refused = self.tail(uid, "tail", "--from", "earliest", "--until-caught-up")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("this gateway has to know who calls", refused.stderr)

    def test_a_token_counts_before_the_uid(self):
        gateway = self.serve('[[identity]]\nname = "root"\nallow = ["admin"]\nuid = [0]\n',
                             self.identity("reader", ["read"], "a-token-of-the-reader"))
        reader = self.as_token(gateway, "a-token-of-the-reader", "SubscriptionService")
        self.assertEqual(self.code(lambda: reader.call("ListSubscriptions")), DENIED)
        nobody = self.as_token(gateway, "a-token-of-nobody-at-all", "SubscriptionService")
        self.assertEqual(self.code(lambda: nobody.call("ListSubscriptions")), UNAUTHENTICATED)

    def test_a_client_cannot_choose_what_it_is_taken_for(self):
        """It names its own socket, and says in metadata what it likes, while root is connected."""
        gateway = self.serve('[[identity]]\nname = "root"\nallow = ["admin"]\nuid = [0]\n')
        root = Service(gateway.channel(), subscription_service_pb2, "SubscriptionService")
        root.call("ListSubscriptions")
        forger = os.path.join(os.path.dirname(__file__), "forged_peer.py")
        shared = os.path.join(self.directory, "clients")
        os.mkdir(shared)
        os.chmod(shared, 0o777)
        result = subprocess.run(["/usr/bin/python3", forger, self.address[len("unix:"):], shared], capture_output=True,
                                text=True, timeout=60, user=self.CLIENT, group=self.CLIENT, extra_groups=[])
        self.assertEqual(result.returncode, 0, result.stderr)
        answers = result.stdout.split()
        self.assertGreaterEqual(len(answers), 10, result.stdout + result.stderr)
        self.assertEqual(set(answers), {"16"}, "UNAUTHENTICATED, all of them")
        root.call("ListSubscriptions")

    def test_connections_that_follow_each_other_quickly_are_not_confused(self):
        gateway = self.serve('[[identity]]\nname = "root"\nallow = ["read"]\nuid = [0]\n')
        stop = threading.Event()

        def connect_as_root():
            while not stop.is_set():
                channel = gateway.channel()
                Service(channel).call("ListEvents")
                channel.close()

        thread = threading.Thread(target=connect_as_root)
        thread.start()
        try:
            for _ in range(30):
                refused = self.tail(self.CLIENT, "tail", "--from", "earliest", "--until-caught-up")
                self.assertIn("has to know who calls", refused.stderr)
        finally:
            stop.set()
            thread.join()


if __name__ == "__main__":
    unittest.main()
