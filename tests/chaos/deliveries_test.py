"""That the ledger of consumers notices what must not be, and nothing else."""
import os
import tempfile
import unittest
from types import SimpleNamespace

from tests.chaos.deliveries import Subscription
from tests.chaos.ledger import Findings


def event(tracking_id):
    return SimpleNamespace(mms_mo=SimpleNamespace(tracking_id=tracking_id, sender=SimpleNamespace(value="1")))


def dead_letter(reason, attempts=1):
    return SimpleNamespace(reason=reason, attempts=attempts)


class DeliveriesTest(unittest.TestCase):
    def findings(self, *ledgers, events=("A",), dead_letters=None, ordered=False, restarts=()):
        """What is found where each consumer wrote down such lines."""
        found = Findings()
        with tempfile.TemporaryDirectory() as directory:
            for i, lines in enumerate(ledgers):
                with open(os.path.join(directory, f"work.consumer-{i}"), "w") as file:
                    file.write("\n".join(("begin 1 slow", "stream 1", *lines, "")))
            Subscription(directory, "work", restarts).check(
                [event(tracking_id) for tracking_id in events], dead_letters or {}, ordered, False, found)
        return dict(found)

    HANDLED = ("delivered A 1 2", "acking A", "acked A 2.1")

    def test_finds_nothing_where_all_is_well(self):
        self.assertEqual(self.findings(self.HANDLED), {})
        self.assertEqual(self.findings(("delivered A 1 2", "refusing A", "delivered A 2 2.1", "acking A")), {})
        self.assertEqual(self.findings(("delivered A 1 2", "stream 2.2", "delivered A 2 3", "acking A")), {})

    def test_finds_what_nobody_acknowledged(self):
        self.assertEqual(self.findings(("delivered A 1 2",)), {"lost": 1})

    def test_finds_what_comes_back_after_its_acknowledgement(self):
        self.assertEqual(self.findings((*self.HANDLED, "stream 3", "delivered A 2 3.1")), {"forgotten": 1})

    def test_finds_what_comes_twice_where_a_stream_was_resumed(self):
        resumed = ("delivered A 1 2", "ended 2.1", "stream 2.2", "resumed")
        self.assertEqual(self.findings((*resumed, "delivered A 2 2.3", "acking A")), {"repeated": 1})
        self.assertEqual(self.findings((*resumed, "delivered A 1 2.3", "acking A")), {"duplicated": 1})
        self.assertEqual(self.findings((*resumed, "delivered A 2 2.3", "acking A"), restarts=[2.05]), {})

    def test_finds_nothing_where_a_consumer_reads_late(self):
        late = (*(f"delivered {i} 1 19.9" for i in range(60)), "delivered A 1 20", "delivered A 2 20.5")
        self.assertEqual(self.findings((*late, "acking A")), {"repeated": 1})
        self.assertEqual(self.findings(late, ("delivered A 3 5", "acking A")), {})
        then = ("delivered B 1 20.6", "refusing B")
        self.assertEqual(self.findings((*late, "acking A", *then), ("delivered B 2 5",)), {})

    def test_finds_an_acknowledgement_in_time_that_had_no_effect(self):
        self.assertEqual(self.findings(("delivered A 1 2", "acking A", "expired A 2.1")), {"refused": 1})
        self.assertEqual(self.findings(("delivered A 1 2", "acking A", "expired A 4.5")), {})

    def test_finds_dead_letters_without_a_failure(self):
        dead = {"A": dead_letter("max_attempts")}
        others = ("delivered A 1 2", "delivered B 1 2")
        end = ("ended 2.1", "stream 5", "delivered C 1 5")
        for lines, wanted in (((*others, *end), {"punished": 1}),
                              ((*others, "refusing A", *end), {}),
                              ((*others, "ended 4.5", *end[1:]), {}),
                              ((others[0], *end), {}),  # alone in hand
                              (self.HANDLED, {"forgotten": 1, "punished": 1})):
            with self.subTest(lines):
                self.assertEqual(self.findings(lines, dead_letters=dead), wanted)

    def test_finds_dead_letters_that_nobody_asked_for_or_that_are_not_there(self):
        asked = ("delivered A 1 2", "burying A", "buried A")
        self.assertEqual(self.findings(asked, dead_letters={"A": dead_letter("unwanted")}), {})
        self.assertEqual(self.findings(asked), {"lost": 2})
        self.assertEqual(self.findings(("delivered A 1 2",), dead_letters={"A": dead_letter("unwanted")}), {"punished": 1})

    def test_finds_a_sender_out_of_order(self):
        lines = ("delivered B 1 2", "acking B", "delivered A 1 3", "acking A")
        self.assertEqual(self.findings(lines, events="AB", ordered=True), {"reordered": 1})


if __name__ == "__main__":
    unittest.main()
