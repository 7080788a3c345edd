"""The quarantine, over gRPC and with the command: list, show, discard, reprocess."""
import json
import subprocess
import threading
import unittest

from tests.integration.gateway import COMMAND, Service, TestCase, earliest, grpc, latest, xml

from mmsmo.v1 import quarantine_service_pb2 as quarantine_pb2

CONFLICT = "id_conflict"


class Quarantine:
    """mmsmo.v1.QuarantineService over a channel, without generated stubs."""

    def __init__(self, channel):
        self.channel = channel

    def method(self, kind, name):
        return kind("/mmsmo.v1.QuarantineService/" + name,
                    request_serializer=getattr(quarantine_pb2, name + "Request").SerializeToString,
                    response_deserializer=getattr(quarantine_pb2, name + "Response").FromString)

    def call(self, name, **fields):
        request = getattr(quarantine_pb2, name + "Request")(**fields)
        return self.method(self.channel.unary_unary, name)(request, timeout=60)

    def list(self, **fields):
        return self.call("ListQuarantined", **fields)

    def ids(self):
        return [postback.id for postback in self.list(page_size=1000).postbacks]

    def get(self, postback_id):
        return self.call("GetQuarantined", id=postback_id)

    def discard(self, *ids, **fields):
        return self.call("DiscardQuarantined", ids=ids, **fields).discarded_count

    def reprocess(self, *ids, **fields):
        request = quarantine_pb2.ReprocessQuarantinedRequest(ids=ids, **fields)
        return self.method(self.channel.unary_stream, "ReprocessQuarantined")(request, timeout=60)


class QuarantineTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.gateway(*self.flags())
        self.channel = self.server.channel()
        self.addCleanup(self.channel.close)
        self.quarantine, self.rpc = Quarantine(self.channel), Service(self.channel)

    def flags(self):
        return []

    def keep(self, body, content_type="application/xml", **headers):
        """Posts one that must not be published; returns its id in quarantine."""
        _, answer, _ = self.server.post(body, content_type, **headers)
        self.assertIn(answer["outcome"], ("quarantined", "rejected"), answer)
        return answer["quarantineId"]

    def keep_conflict(self, tracking_id):
        return self.keep(xml(tracking_id, keyword="other"))

    def keep_encoded(self, tracking_id):
        """One that is never understood: its encoding is kept with it."""
        return self.keep(xml(tracking_id), **{"Content-Encoding": "br"})

    def send(self, count, tracking_id, *flags):
        result = self.server.mmsmo("send", "--url", self.server.url(), "--count", str(count), "--tracking-id",
                                   tracking_id, *flags)
        self.assertEqual(result.returncode, 0, result)

    def listed(self):
        """The ids that the command lists, over a connection of its own."""
        return [json.loads(line)["id"] for line in self.mmsmo("list", "--json").stdout.splitlines()]

    def events(self):
        return [event.mms_mo.tracking_id for event in self.rpc.events(earliest())]

    def fails(self, code, text, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        self.assertIn(text, caught.exception.details())

    def mmsmo(self, *arguments, code=0):
        result = self.server.mmsmo("quarantine", *arguments)
        self.assertEqual(result.returncode, code, result)
        return result


class RpcTest(QuarantineTestCase):
    def test_lists_page_by_page_and_by_reason(self):
        self.accepted(self.server, "A")
        ids = [self.keep(b"{", "application/json"), self.keep_conflict("A"),
               self.keep(b"<postback><origin>MMS_MT</origin><from>1</from></postback>"), self.keep(b"<a")]
        token, found = "", []
        while True:
            page = self.quarantine.list(page_size=3, page_token=token)
            found += page.postbacks
            token = page.next_page_token
            if not token:
                break
        self.assertEqual([postback.id for postback in found], ids)
        self.assertEqual([(p.reason, p.http_status) for p in found],
                         [("bad_json", 400), (CONFLICT, 200), ("not_mms_mo", 200), ("bad_xml", 400)])
        self.assertEqual([p.id for p in self.quarantine.list(reason=CONFLICT).postbacks], [ids[1]])
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        self.fails(invalid, "page_size", lambda: self.quarantine.list(page_size=-1))
        self.fails(invalid, "page_token", lambda: self.quarantine.list(page_token="?"))

    def test_has_a_default_page_size_and_a_ceiling(self):
        for keyword in ("first", "other"):
            self.send(1001, "P", "--keyword", keyword)
        self.assertEqual(len(self.quarantine.list().postbacks), 100)
        self.assertEqual(len(self.quarantine.list(page_size=5000).postbacks), 1000)

    def test_shows_and_discards(self):
        body = b"<postback>\x00\xff"
        keep, drop = self.keep(body, "text/xml"), self.keep(b"<b", "text/xml")
        got = self.quarantine.get(keep)
        self.assertEqual((got.body, got.postback.content_type, got.postback.body_bytes, got.postback.endpoint),
                         (body, "text/xml", len(body), "mms-mo"))
        self.assertEqual(self.quarantine.discard(drop, "unknown", drop, ""), 1)
        self.assertEqual(self.quarantine.ids(), [keep])
        for unknown in (drop, "unknown", "x" * 100_000):
            self.fails(grpc.StatusCode.NOT_FOUND, unknown[:12], lambda u=unknown: self.quarantine.get(u))
        self.assertEqual(self.server.metric('mmsmo_quarantine_bytes{shelf="rejected"}'), len(body))

    def test_discards_all_or_those_with_a_reason(self):
        self.accepted(self.server, "A")
        self.keep_conflict("A")
        for _ in range(2):
            self.keep(b"<a")
        kept = self.keep_encoded("N")
        self.assertEqual(self.quarantine.discard(all=True, reason="nonsense"), 0)
        self.assertEqual(self.quarantine.discard(all=True, reason="bad_xml"), 2)
        self.assertEqual(self.quarantine.discard(all=True, reason=CONFLICT), 1)
        self.assertEqual(self.quarantine.ids(), [kept])
        self.assertEqual(self.quarantine.discard(all=True), 1)
        self.assertEqual(self.quarantine.ids(), [])

    def test_says_which_ids_or_all(self):
        kept = self.keep(b"<a")
        for method in (self.quarantine.discard, lambda *ids, **fields: list(self.quarantine.reprocess(*ids, **fields))):
            for ids, fields, named in (([], {}, "ids, all"), ([kept], {"all": True}, "ids, all"),
                                       ([kept], {"reason": "bad_xml"}, "reason"), ([], {"reason": "bad_xml"}, "ids, all")):
                self.fails(grpc.StatusCode.INVALID_ARGUMENT, named, lambda: method(*ids, **fields))
        self.assertEqual(self.quarantine.ids(), [kept])

    def test_keeps_what_a_postback_came_with(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        postback = self.quarantine.get(self.keep(xml("A"), **{"Content-Encoding": "br", "traceparent": parent})).postback
        self.assertEqual((postback.content_encoding, postback.trace_parent), ("br", parent))
        self.accepted(self.server, "B")
        conflict = self.keep(xml("B", keyword="other"), traceparent=parent)
        list(self.quarantine.reprocess(conflict, publish_conflicts=True))
        self.assertEqual(self.rpc.events(earliest())[1].trace_parent, parent)

    def test_reprocesses_in_order_and_says_what_became_of_each(self):
        self.accepted(self.server, "A")
        ids = [self.keep_conflict("A"), self.keep(b"<a"), self.keep_conflict("A"), self.keep_encoded("N")]
        self.assertEqual([(response.id, response.outcome, response.reason) for response in self.quarantine.reprocess(*ids)],
                         [(ids[0], "quarantined", CONFLICT), (ids[1], "quarantined", "bad_xml"),
                          (ids[2], "quarantined", CONFLICT), (ids[3], "quarantined", "unsupported_media_type")])
        self.assertEqual(self.quarantine.ids(), ids)
        responses = list(self.quarantine.reprocess(*ids, publish_conflicts=True))
        self.assertEqual([response.id for response in responses], ids)
        self.assertEqual([response.outcome for response in responses],
                         ["accepted", "quarantined", "duplicate", "quarantined"])
        self.assertEqual(responses[0].cursor, self.rpc.events(earliest())[1].cursor)
        self.assertEqual(responses[2].cursor, responses[0].cursor)
        stayed = [ids[1], ids[3]]
        self.assertEqual(self.quarantine.ids(), stayed)
        # Again: those that are left, all of them or by reason.
        self.assertEqual([response.id for response in self.quarantine.reprocess(all=True)], stayed)
        self.assertEqual([response.id for response in self.quarantine.reprocess(all=True, reason="bad_xml")], [ids[1]])
        self.assertEqual(self.events(), ["A", "A"])

    def test_publishes_a_conflict_by_force(self):
        first = self.accepted(self.server, "A")
        conflict = self.keep_conflict("A")
        stream = self.rpc.subscribe(start_position=latest())
        self.assertEqual([next(stream).WhichOneof("content") for _ in range(2)], ["started", "caught_up"])
        response, = self.quarantine.reprocess(conflict, publish_conflicts=True)
        event = next(stream).batch.deliveries[0].event
        stream.cancel()
        self.assertEqual((response.outcome, response.cursor), ("accepted", event.cursor))
        self.assertEqual((event.mms_mo.tracking_id, event.mms_mo.keyword), ("A", "other"))
        self.assertEqual(self.quarantine.ids(), [])
        for body, cursor in ((xml("A", keyword="other"), event.cursor), (xml("A"), first)):
            status, answer, _ = self.server.post(body)
            self.assertEqual((status, answer["outcome"], answer["cursor"]), (200, "duplicate", cursor))

    def test_does_nothing_where_an_id_is_unknown(self):
        kept = self.keep_encoded("N")
        self.fails(grpc.StatusCode.NOT_FOUND, "'unknown'", lambda: list(self.quarantine.reprocess(kept, "unknown")))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "reason",
                   lambda: list(self.quarantine.reprocess(kept, reason="bad_xml")))
        self.assertEqual(self.quarantine.ids(), [kept])
        self.assertEqual(self.events(), [])

    def test_waits_for_a_client_that_does_not_read_and_stops_when_it_cancels(self):
        for keyword in ("first", "other"):
            self.send(1000, "P", "--keyword", keyword)
        # A window of HTTP/2 that a few responses fill.
        options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
        with grpc.insecure_channel(self.server.grpc, options) as channel:
            stream = Quarantine(channel).reprocess(all=True, publish_conflicts=True)
            self.assertEqual(next(stream).outcome, "accepted")
            self.send(200, "MEANWHILE", "--connections", "1")  # more syncs one by one than all would need
            left = self.listed()
            self.assertGreater(len(left), 500)
            stream.cancel()
            self.send(200, "AFTERWARDS", "--connections", "1")
            self.assertEqual(self.listed(), left)

    def test_survives_a_kill(self):
        for tracking_id in ("A", "N"):
            self.accepted(self.server, tracking_id)
        conflict, other, broken, discarded = (self.keep_conflict("A"), self.keep_conflict("N"), self.keep(b"<a"),
                                              self.keep(b"<b"))
        self.assertEqual(self.quarantine.discard(discarded), 1)
        responses = list(self.quarantine.reprocess(other, conflict, publish_conflicts=True))
        self.assertEqual([response.outcome for response in responses], ["accepted", "accepted"])
        self.server.kill()
        self.server.start()
        self.assertEqual(self.listed(), [broken])
        tail = self.server.mmsmo("tail", "--from", "earliest", "--until-caught-up", "--json")
        events = [json.loads(line) for line in tail.stdout.splitlines()]
        self.assertEqual([event["mmsMo"]["trackingId"] for event in events], ["A", "N", "N", "A"])
        for shelf, count in (("rejected", 1), ("kept", 0)):
            self.assertEqual(self.server.metric(f'mmsmo_quarantine_postbacks{{shelf="{shelf}"}}'), count)
        self.assertEqual(self.server.metric('mmsmo_quarantine_bytes{shelf="rejected"}'), 2)


class DrainTest(QuarantineTestCase):
    def flags(self):
        return ["--drain-timeout", "10s"]

    def test_reprocesses_nothing_while_it_drains(self):
        kept = self.keep_encoded("N")
        stream = self.rpc.subscribe(start_position=latest())
        self.assertEqual([next(stream).WhichOneof("content") for _ in range(2)], ["started", "caught_up"])
        with self.server.connect() as half:  # what it has begun to read keeps the gateway
            half.sendall(b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n<")
            ending = threading.Thread(target=self.server.stop)
            ending.start()
            self.assertEqual(next(stream).WhichOneof("content"), "draining")
            self.fails(grpc.StatusCode.UNAVAILABLE, "shutting down", lambda: list(self.quarantine.reprocess(kept)))
            self.assertEqual(self.quarantine.ids(), [kept])
            self.channel.close()
            half.sendall(b"a")
        ending.join()
        self.assertEqual(self.server.process.returncode, 0)


class CommandTest(QuarantineTestCase):
    def test_lists_for_people_and_for_programs(self):
        self.assertEqual(self.mmsmo("list").stdout, "")
        self.accepted(self.server, "A")
        broken, conflict = self.keep(b"<a"), self.keep_conflict("A")
        heading, *rows = self.mmsmo("list").stdout.splitlines()
        self.assertEqual(heading.split(), ["ID", "ACCEPTED", "REASON", "STATUS", "BYTES", "TRACKING", "ID"])
        self.assertEqual([[row.split()[i] for i in (0, 2, 3, 4)] for row in rows],
                         [[broken, "bad_xml", "400", "2"],
                          [conflict, CONFLICT, "200", str(len(xml("A", keyword="other")))]])
        self.assertTrue(rows[1].endswith("  A"))
        objects = [json.loads(line) for line in self.mmsmo("list", "--reason", CONFLICT, "--json").stdout.splitlines()]
        self.assertEqual([(o["id"], o["reason"], o["trackingId"]) for o in objects], [(conflict, CONFLICT, "A")])

    def test_follows_pages(self):
        for keyword in ("first", "other"):
            self.send(2500, "P", "--keyword", keyword)
        self.assertEqual(len(set(self.listed())), 2500)
        result = self.mmsmo("reprocess", "--reason", CONFLICT, "--publish-conflicts", "--json")
        self.assertEqual({json.loads(line)["outcome"] for line in result.stdout.splitlines()}, {"accepted"})
        self.assertEqual(result.stderr, "2500 accepted, 0 duplicate, 0 still in quarantine\n")
        self.assertEqual(self.quarantine.ids(), [])

    def test_shows_one_and_its_body_only_when_asked(self):
        body = b"<postback><code>N401</code><tracking-id>\x1b[2J\xc2\x9b</tracking-id>\r\n\xff"
        kept = self.keep(body, "text/xml")
        shown = self.mmsmo("show", kept).stdout
        for part in (kept, "bad_encoding", "400", "text/xml", "mms-mo", str(len(body))):
            self.assertIn(part, shown)
        self.assertNotIn("N401", shown)
        self.assertEqual(json.loads(self.mmsmo("show", kept, "--json").stdout)["id"], kept)
        raw = subprocess.run([COMMAND, "--grpc", self.server.grpc, "quarantine", "show", kept, "--raw"],
                             capture_output=True, timeout=60)
        self.assertEqual((raw.returncode, raw.stdout), (0, body))
        self.assertIn("'nonsense'", self.mmsmo("show", "nonsense", code=1).stderr)
        self.mmsmo("show", kept, "--raw", "--json", code=2)

    def test_discards(self):
        one, other = self.keep(b"<a"), self.keep(b"<b")
        self.assertEqual(self.mmsmo("discard", one).stdout, "1 discarded\n")
        result = self.mmsmo("discard", one, other, code=1)
        self.assertEqual((result.stdout, result.stderr), ("1 discarded\n", "1 not in quarantine\n"))
        self.mmsmo("discard", code=2)

    def test_reprocesses(self):
        self.accepted(self.server, "A")
        encoded, broken, conflict = self.keep_encoded("N"), self.keep(b"<a"), self.keep_conflict("A")
        self.mmsmo("reprocess", code=2)
        self.mmsmo("reprocess", "--all", encoded, code=2)
        result = self.mmsmo("reprocess", conflict, broken, "--publish-conflicts")
        cursor = self.rpc.events(earliest())[1].cursor
        self.assertEqual([line.split() for line in result.stdout.splitlines()],
                         [[conflict, "accepted", cursor], [broken, "quarantined", "bad_xml"]])
        self.assertEqual(result.stderr, "1 accepted, 0 duplicate, 1 still in quarantine\n")
        again = self.keep(xml("A", keyword="third"))
        self.mmsmo("reprocess", "--all", "--publish-conflicts")
        self.assertEqual(self.events(), ["A", "A", "A"])
        self.assertEqual(self.quarantine.ids(), [encoded, broken])
        self.assertEqual(self.mmsmo("reprocess", again, code=1).stderr, f"no postback '{again}' is in quarantine\n")
        self.assertEqual(self.mmsmo("reprocess", conflict, code=1).stderr,
                         f"no postback '{conflict}' is in quarantine\n")


if __name__ == "__main__":
    unittest.main()
