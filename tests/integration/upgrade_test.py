"""Data directories that earlier gateways have written: what was promised then holds now. See tests/fixtures."""
import json
import os
import shutil
import tarfile
import unittest

from tests.integration.gateway import Service, TestCase, after, earliest
from mmsmo.v1 import quarantine_service_pb2, subscription_service_pb2

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
NAMES = ("data-d4cce7d-killed", "data-d4cce7d-stopped")


class UpgradeTest(TestCase):
    def open(self, name):
        """A gateway over a copy, and what was written down of it."""
        shutil.rmtree(os.path.join(self.directory, "data"), ignore_errors=True)
        with tarfile.open(os.path.join(FIXTURES, name + ".tar.gz")) as archive:
            archive.extractall(self.directory)
        with open(os.path.join(FIXTURES, name + ".json")) as file:
            self.written = json.load(file)
        self.server = self.gateway("--retention-age", "0s", "--quarantine-age", "0s")
        self.rpc = self.service(self.server)
        self.admin = Service(self.rpc.channel, subscription_service_pb2, "SubscriptionService")
        self.quarantine = Service(self.rpc.channel, quarantine_service_pb2, "QuarantineService")

    def each(self):
        for name in NAMES:
            with self.subTest(name):
                self.open(name)
                yield
                self.server.stop()

    def post(self, post, replace=(b"", b"")):
        return self.server.post(post["body"].encode("latin-1").replace(*replace), post["content_type"])[1]

    def accepted_before(self):
        return [post for post in self.written["posts"] if post["answer"]["outcome"] == "accepted"]

    def stream(self):
        stream = self.rpc.subscribe(subscription="plain", max_outstanding_messages=1000)
        self.addCleanup(stream.cancel)
        self.assertEqual(next(stream).WhichOneof("content"), "started")
        return stream

    def deliveries(self, stream, last):
        """By tracking id, until the last one has come."""
        found = {}
        while last not in found:
            found.update((d.event.mms_mo.tracking_id, d) for d in next(stream).batch.deliveries)
        return found

    def test_every_cursor_resumes_where_it_did(self):
        for _ in self.each():
            log = [(event["cursor"], event["tracking_id"]) for event in self.written["earliest_to_newest"]]
            for restarted in (False, True):
                if restarted:
                    self.server.stop()
                    self.server.start()
                events = [(event.cursor, event.mms_mo.tracking_id) for event in self.rpc.events(earliest())]
                self.assertEqual(events[:len(log)], log)
                for i, (cursor, _) in enumerate(log):
                    self.assertEqual([event.cursor for event in self.rpc.events(after(cursor))],
                                     [cursor for cursor, _ in events[i + 1:]])
                    self.assertEqual(self.rpc.call("GetEvent", cursor=cursor).event.cursor, cursor)
                self.assertEqual(self.rpc.call("GetRawPostback", cursor=log[0][0]).body,
                                 self.written["posts"][0]["body"].encode("latin-1"))
                self.accepted(self.server, f"NEW{restarted}")

    def test_what_was_accepted_is_a_duplicate_with_its_cursor(self):
        for _ in self.each():
            for post in self.accepted_before():
                self.assertEqual(self.post(post), {"outcome": "duplicate", "cursor": post["answer"]["cursor"]})
            first = self.accepted_before()[0]
            answer = self.post(first, (b"subject 0", b"another subject"))
            self.assertEqual((answer["outcome"], answer["reason"]), ("quarantined", "id_conflict"))

    def test_another_recipient_makes_another_event(self):
        for _ in self.each():
            first = self.accepted_before()[0]
            group = next(post for post in self.accepted_before() if post["name"] == "group-1")
            for post, to, other in ((first, b"28444", b"28445"), (group, b"18885551234", b"18885551235")):
                answer = self.post(post, (to, other))
                self.assertEqual(answer["outcome"], "accepted")
                repeated = {"outcome": "duplicate", "cursor": answer["cursor"]}
                for restarted in (False, True):
                    if restarted:
                        self.server.stop()
                        self.server.start()
                    self.assertEqual(self.post(post, (to, other)), repeated)
                    self.assertEqual(self.post(post, (to, other + b"/TYPE=PLMN")), repeated)
                    self.assertEqual(self.post(post), {"outcome": "duplicate", "cursor": post["answer"]["cursor"]})
            for to in (b"28444", b"28445"):
                body = first["body"].encode("latin-1").replace(b"subject 0", b"another subject").replace(b"28444", to)
                self.assertEqual(self.server.post(body, first["content_type"])[1]["reason"], "id_conflict")

    def test_the_quarantine_is_there(self):
        for _ in self.each():
            kept = [post for post in self.written["posts"] if "quarantineId" in post["answer"]]
            page = self.quarantine.call("ListQuarantined", page_size=100).postbacks
            self.assertEqual({(postback.id, postback.reason) for postback in page},
                             {(post["answer"]["quarantineId"], post["answer"]["reason"]) for post in kept})
            for post in kept:
                found = self.quarantine.call("GetQuarantined", id=post["answer"]["quarantineId"])
                self.assertEqual(found.body, post["body"].encode("latin-1"))

    def test_the_acknowledged_stay_so_and_the_held_are_delivered_again(self):
        for _ in self.each():
            plain = self.written["plain"]
            held = [delivery["tracking_id"] for delivery in plain["held_when_it_stopped"]]
            found = self.deliveries(self.stream(), self.written["earliest_to_newest"][-1]["tracking_id"])
            self.assertEqual([found[tracking_id].attempt for tracking_id in held], [2] * len(held))
            self.assertFalse(found.keys() & {*plain["acknowledged"], plain["dead_letter"]})
            letters = self.admin.call("ListDeadLetters", subscription="plain", page_size=100).dead_letters
            self.assertEqual([letter.event.mms_mo.tracking_id for letter in letters], [plain["dead_letter"]])

    def test_ack_ids_of_what_was_held_hold(self):
        for _ in self.each():
            held = self.written["plain"]["held_when_it_stopped"]
            answer = self.rpc.call("Acknowledge", subscription="plain", ack_ids=[d["ack_id"] for d in held])
            self.assertEqual(list(answer.failures), [])
            found = self.deliveries(self.stream(), self.written["earliest_to_newest"][-1]["tracking_id"])
            self.assertFalse(found.keys() & {delivery["tracking_id"] for delivery in held})

    def test_a_dead_letter_is_replayed_by_its_cursor(self):
        for _ in self.each():
            letter, = self.admin.call("ListDeadLetters", subscription="plain", page_size=100).dead_letters
            answer = self.admin.call("ReplayDeadLetters", subscription="plain", cursors=[letter.event.cursor])
            self.assertEqual(answer.replayed_count, 1)


if __name__ == "__main__":
    unittest.main()
