"""The command's subscriptions, dead letters and consumers, against the real gateway."""
import json
import os
import pty
import subprocess
import unittest

from tests.integration.gateway import COMMAND, TestCase, xml
from tests.integration.ports import free_port


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

    def test_shows_a_subscription_for_people(self):
        self.run_ok("subscription", "create", "a", "--from", "2026-04-24T18:34:00Z", "--media-kind", "image", "--sender",
                    "14082257140", "--max-attempts", "5", "--expiration-ttl", "7d")
        self.assertRegex(self.run_ok("subscription", "get", "a"),
                         r"(?s)^a\n  filter +sender 14082257140; media image\n  start +2026-04-24T18:34:00Z\n.*"
                         r"max attempts +5\n.*expiration ttl +7d\n")
        cursor = self.accepted(self.server, "P1")
        self.run_ok("subscription", "create", "b", "--from", cursor)
        self.assertIn(f"after {cursor}\n", self.run_ok("subscription", "get", "b"))

    def test_sends_one_postback_and_prints_its_answer(self):
        send = ("send", "--url", self.server.url(), "--tracking-id", "ONE")
        status, answer = self.run_ok(*send).split(" ", 1)
        self.assertEqual((status, json.loads(answer)["outcome"]), ("200", "accepted"))
        answer = json.loads(self.run_ok(*send, "--json").split(" ", 1)[1])
        self.assertEqual(answer["outcome"], "duplicate", "in the other format too")
        refused = self.server.mmsmo("send", "--url", self.server.url() + "/nothing")
        self.assertEqual((refused.returncode, refused.stdout[:4]), (1, "404 "))
        printed = self.run_ok(*send, "--print", "--json", "--subject", "hi")
        self.assertEqual(json.loads(printed)["message-subject"], "hi")
        self.fails(2, "--url", "send", "--url", "ftp://gateway/")
        self.fails(1, "cannot connect to 127.0.0.1", "send", "--url", f"http://127.0.0.1:{free_port()}/")

    def test_sends_many_and_says_what_became_of_them(self):
        answers = os.path.join(self.directory, "answers")
        send = ("send", "--url", self.server.url(), "--tracking-id", "MANY")
        self.assertIn("200: 3 (3 accepted,", self.run_ok(*send, "--count", "3", "--rate", "1000", "--answers", answers))
        with open(answers) as lines:
            lines = sorted(line.split() for line in lines)
        self.assertEqual([line[:3] for line in lines], [[f"MANY-{i}", "200", "accepted"] for i in (1, 2, 3)])
        self.assertIn("200: 4 (1 accepted, 3 duplicate,", self.run_ok(*send, "--count", "4"))
        self.fails(1, "--answers: cannot write /no/such", *send, "--count", "2", "--answers", "/no/such/file")
        self.fails(1, "/dev/full is incomplete", *send, "--count", "2", "--answers", "/dev/full")
        unserved = self.server.mmsmo("send", "--url", f"http://127.0.0.1:{free_port()}/", "--count", "2", "--retry-for",
                                     "0.1")
        self.assertEqual(unserved.returncode, 1)
        self.assertIn("unanswered: 2", unserved.stdout)
        self.assertIn("cannot connect", unserved.stderr)

    def test_prints_one_event_and_its_body(self):
        cursor = self.accepted(self.server, "G1", what_is_this="new")
        event, = self.json_lines("get", cursor, "--json")
        self.assertEqual(event["mmsMo"]["trackingId"], "G1")
        self.assertRegex(self.run_ok("get", cursor), r"G1\n(?s:.*)  extra +what-is-this = new\n")
        self.assertEqual(self.run_ok("raw", cursor).encode(), xml("G1", what_is_this="new"))
        self.fails(1, "cursor", "get", "nonsense")
        self.fails(2, "--from", "tail", "--from", "now!")

    def test_prints_bodies_and_events_of_any_size(self):
        self.server.stop()
        self.server.flags = ("--max-body-bytes", "1MiB")
        self.server.start()
        body = xml("BIG", message_subject="x" * 1_000_000)
        status, answer, _ = self.server.post(body)
        self.assertEqual((status, answer["outcome"]), (200, "accepted"))
        self.assertEqual(self.run_ok("raw", answer["cursor"]).encode(), body)
        self.assertEqual(len(self.json_lines("get", answer["cursor"], "--json")[0]["mmsMo"]["subject"]), 1_000_000)
        self.assertEqual(self.ids("tail", "--from", "earliest", "--json", "--count", "1"), ["BIG"])

    def test_tail_goes_on_after_its_gateway_was_killed(self):
        self.accepted(self.server, "T1")
        tail = subprocess.Popen([COMMAND, "--grpc", self.server.grpc, "tail", "--from", "earliest", "--json", "--count",
                                 "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tail.kill)
        first = tail.stdout.readline()
        self.server.kill()
        self.server.start()
        self.accepted(self.server, "T2")
        rest, errors = tail.communicate(timeout=60)
        self.assertEqual([json.loads(line)["mmsMo"]["trackingId"] for line in [first] + rest.splitlines()],
                         ["T1", "T2"])
        self.assertEqual(tail.returncode, 0)
        self.assertIn("; trying again\n", errors)

    def test_does_not_acknowledge_what_it_could_not_print(self):
        self.run_ok("subscription", "create", "orders", "--from", "earliest")
        self.accepted(self.server, "F1")
        with open("/dev/full", "w") as full:
            failed = subprocess.run([COMMAND, "--grpc", self.server.grpc, "subscribe", "orders", "--count", "1"],
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("No space left", failed.stderr)
        self.assertEqual(self.ids("subscribe", "orders", "--json", "--count", "1"), ["F1"])

    def test_says_that_its_output_cannot_be_written(self):
        cursor = self.accepted(self.server, "W1")
        self.server.post(b"{", "application/json")
        quarantined, = self.json_lines("quarantine", "list", "--json")
        self.run_ok("subscription", "create", "s", "--from", "earliest")
        url = ("--url", self.server.url())
        for arguments in (("--help",), ("--version",), ("tail", "--help"), ("tail", "--from", "earliest"),
                          ("tail", "--from", "earliest", "--json"), ("get", cursor), ("raw", cursor),
                          ("send", "--print"), ("send", *url), ("send", *url, "--count", "3"),
                          ("send", "--url", self.server.url() + "/nothing"),
                          ("quarantine", "list"), ("quarantine", "list", "--json"),
                          ("quarantine", "show", quarantined["id"]), ("quarantine", "show", "--raw", quarantined["id"]),
                          ("quarantine", "reprocess", "--all"), ("quarantine", "discard", quarantined["id"]),
                          ("subscription", "list"), ("subscription", "get", "s"),
                          ("subscription", "create", "t", "--from", "latest"),
                          ("subscription", "update", "s", "--max-attempts", "7"),
                          ("subscription", "seek", "s", "--to", "earliest"), ("subscribe", "s"),
                          ("dead-letters", "list", "s"), ("dead-letters", "replay", "s", "--all"),
                          ("dead-letters", "discard", "s", "--all")):
            for output, why in self.outputs():
                with self.subTest(arguments=arguments, why=why):
                    failed = subprocess.run([COMMAND, "--grpc", self.server.grpc, *arguments], stdout=output,
                                            stderr=subprocess.PIPE, text=True, timeout=60)
                    os.close(output)
                    if arguments[:2] == ("quarantine", "discard") and why != "No space left on device":
                        continue  # it is gone
                    self.assertEqual(failed.returncode, 1, failed)
                    self.assertEqual(failed.stderr.count("standard output: " + why), 1, failed)

    def outputs(self):
        reader, writer = os.pipe()
        os.close(reader)
        return (os.open("/dev/full", os.O_WRONLY), "No space left on device"), (writer, "Broken pipe")

    def test_takes_no_connection_for_an_output_that_is_closed(self):
        self.accepted(self.server, "W1")
        closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", COMMAND, "--grpc", self.server.grpc, "tail", "--from",
                                 "earliest", "--count", "1"], stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(closed.returncode, 1, closed)
        self.assertIn("standard output: Bad file descriptor", closed.stderr)

    def test_goes_on_without_a_standard_error(self):
        self.accepted(self.server, "W1")
        with open("/dev/full", "w") as full:
            failed = subprocess.run([COMMAND, "--grpc", self.server.grpc, "get", "nonsense"], stderr=full, timeout=60)
        self.assertEqual(failed.returncode, 1)

    def test_asks_no_proxy_for_what_is_on_this_machine(self):
        cursor = self.accepted(self.server, "P1")
        proxy = f"http://127.0.0.1:{free_port()}"  # where nobody is
        names = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        environment = {**{k: v for k, v in os.environ.items() if "no_proxy" not in k.lower()},
                       **{name: proxy for name in names}}
        self.assertIn("P1", self.run_ok("get", cursor, env=environment))
        self.assertIn("P1", self.run_ok("tail", "--from", "earliest", "--until-caught-up", env=environment))
        self.assertIn("200", self.run_ok("send", "--url", self.server.url(), env=environment))
        self.run_ok("subscription", "list", env=environment)

    def test_shows_how_far_a_replay_is_on_a_terminal(self):
        self.run_ok("subscription", "create", "orders", "--from", "earliest", "--max-attempts", "1")
        self.accepted(self.server, "R1")
        self.run_ok("subscribe", "orders", "--count", "1", "--exec", "exit 1")
        terminal, stderr = pty.openpty()
        self.addCleanup(os.close, terminal)
        replay = subprocess.run([COMMAND, "--grpc", self.server.grpc, "dead-letters", "replay", "orders", "--all"],
                                stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60)
        os.close(stderr)
        self.assertEqual((replay.returncode, replay.stdout), (0, "1 of 1 replayed\n"))
        self.assertIn(b"] 0 of 1", os.read(terminal, 4096))
        self.fails(1, "'nobody'", "dead-letters", "replay", "nobody", "--all")


if __name__ == "__main__":
    unittest.main()
