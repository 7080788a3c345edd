"""The command's subscriptions, dead letters and consumers, against the real gateway."""
import json
import os
import unittest

from tests.integration.gateway import TestCase


class CommandsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.gateway()

    def run_ok(self, *arguments, **options):
        result = self.server.mmsmo(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def json_lines(self, *arguments):
        return [json.loads(line) for line in self.run_ok(*arguments).splitlines()]

    def fails(self, code, part, *arguments):
        result = self.server.mmsmo(*arguments)
        self.assertEqual(result.returncode, code, result)
        self.assertIn(part, result.stderr)

    def ids(self, *arguments):
        return [event["mmsMo"]["trackingId"] for event in self.json_lines(*arguments)]

    def test_an_event_that_always_fails_becomes_a_dead_letter_and_can_be_replayed(self):
        self.run_ok("subscription", "create", "orders", "--from", "earliest", "--max-attempts", "3", "--min-backoff",
                    "1ms", "--max-backoff", "10ms")
        for name in ("A", "BAD", "B"):
            self.accepted(self.server, name)
        # Three attempts of the one, and one of each of its neighbours.
        handled = self.server.mmsmo("subscribe", "orders", "--count", "5", "--exec",
                                    "tee -a \"$LOG\" | grep -qv BAD",
                                    env={**os.environ, "LOG": self.directory + "/log"})
        self.assertEqual(handled.returncode, 0, handled.stderr)
        self.assertEqual(handled.stderr.count("exit code 1"), 3, handled.stderr)
        with open(self.directory + "/log") as log:
            seen = [json.loads(line)["mmsMo"]["trackingId"] for line in log]
        self.assertEqual(sorted(seen), ["A", "B", "BAD", "BAD", "BAD"])
        dead = self.json_lines("dead-letters", "list", "orders", "--json")
        self.assertEqual([(d["event"]["mmsMo"]["trackingId"], d["attempts"], d["reason"]) for d in dead],
                         [("BAD", 3, "max_attempts")])
        self.assertIn("max_attempts", self.run_ok("dead-letters", "list", "orders"))
        self.run_ok("dead-letters", "replay", "orders", dead[0]["event"]["cursor"])
        self.assertEqual(self.run_ok("dead-letters", "list", "orders", "--json"), "")
        self.assertEqual(self.ids("subscribe", "orders", "--json", "--count", "1"), ["BAD"])
        subscription, = self.json_lines("subscription", "get", "orders", "--json")
        self.assertNotIn("backlogCount", subscription, "nothing is left")

    def test_manages_subscriptions(self):
        self.accepted(self.server, "M0", keyword="stop")
        self.run_ok("subscription", "create", "a", "--from", "earliest", "--keyword", "stop", "--ack-deadline", "45s")
        self.run_ok("subscription", "create", "b", "--from", "latest", "--order-by-sender", "--expiration-ttl", "7d")
        self.assertEqual([s["name"] for s in self.json_lines("subscription", "list", "--json")], ["a", "b"])
        table = self.run_ok("subscription", "list").splitlines()
        self.assertEqual((len(table), table[1].split()[0], table[2].split()[0]), (3, "a", "b"))
        changed, = self.json_lines("subscription", "update", "a", "--max-attempts", "7", "--no-filter", "--json")
        self.assertEqual((changed["maxAttempts"], changed["ackDeadline"], changed.get("filter", {})), (7, "45s", {}))
        self.assertEqual(self.ids("subscribe", "a", "--json", "--count", "1"), ["M0"])
        self.run_ok("subscription", "seek", "a", "--to", "earliest")
        self.assertEqual(self.ids("subscribe", "a", "--json", "--count", "1"), ["M0"])
        self.run_ok("subscription", "delete", "b")
        self.fails(1, "'b'", "subscription", "get", "b")
        self.fails(1, "max_attempts", "subscription", "create", "a", "--from", "earliest", "--ack-deadline", "45s")
        self.fails(2, "--ack-deadline", "subscription", "create", "c", "--from", "earliest", "--ack-deadline", "45")
        self.fails(1, "after_cursor", "subscription", "create", "c", "--from", "now")
        self.fails(1, "name", "subscription", "create", "Orders", "--from", "earliest")
        self.fails(1, "'nobody'", "subscribe", "nobody")


if __name__ == "__main__":
    unittest.main()
