"""kill -9 under load: what was answered 200 is delivered exactly once, in order, and is a duplicate when sent again."""
import os
import random
import subprocess
import time
import unittest

from tests.integration.gateway import COMMAND, SANITIZED, TestCase, earliest, is_ordered

KILLS = 20
COUNT = 20_000 if SANITIZED else 100_000


def answers(path):
    """(tracking id, status, outcome, cursor) of each answer."""
    with open(path) as lines:
        return [tuple(line.split()) for line in lines]


class CrashTest(TestCase):
    def send(self, gateway, tracking_id, path, wait=True):
        process = subprocess.Popen(
            [COMMAND, "send", "--url", gateway.url(), "--tracking-id", tracking_id, "--count", str(COUNT),
             "--connections", "64", "--retry-for", "120", "--answers", path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        if wait:
            self.assertEqual(process.wait(300), 0, process.stderr.read())
        return process

    def test_nothing_that_was_answered_is_lost_or_repeated(self):
        gateway = self.gateway()
        first, second = (os.path.join(self.directory, name) for name in ("first", "second"))
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        sending = self.send(gateway, "CRASH", first, wait=False)
        kills = 0
        while sending.poll() is None:
            # A moment of the load, chosen by the seed; not a wait for anything.
            time.sleep(chance.uniform(0.02, 0.12))
            if kills < KILLS + 5:
                gateway.kill()
                kills += 1
                gateway.start()
        self.assertEqual(sending.wait(), 0, sending.stderr.read())
        while kills < KILLS:  # a fast machine: the rest while idle
            gateway.kill()
            kills += 1
            gateway.start()

        sent = answers(first)
        self.assertEqual(len(sent), COUNT)
        self.assertEqual({status for _, status, _, _ in sent}, {"200"})
        events = self.service(gateway).events(earliest())
        cursors = [event.cursor for event in events]
        self.assertEqual(len(set(cursors)), COUNT, "as many events as postbacks")
        self.assertEqual(len(cursors), COUNT, "each once")
        self.assertTrue(is_ordered(cursors), "in the order of the log")
        # Also where the answer was lost and the next was "duplicate": the cursor is the event's.
        self.assertTrue({event.mms_mo.tracking_id: event.cursor for event in events} ==
                        {tracking_id: cursor for tracking_id, _, _, cursor in sent}, "each under its cursor")

        self.send(gateway, "CRASH", second)
        again = answers(second)
        self.assertEqual({outcome for _, _, outcome, _ in again}, {"duplicate"})
        self.assertTrue({(i, cursor) for i, _, _, cursor in again} == {(i, cursor) for i, _, _, cursor in sent},
                        "with the cursors of the first")
        print(f"{kills} kills, {sum(outcome == 'duplicate' for _, _, outcome, _ in sent)} answers lost to them")


if __name__ == "__main__":
    unittest.main()
