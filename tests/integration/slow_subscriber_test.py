"""A subscriber that stops reading costs a cursor: no memory, no delay for others, nothing lost."""
import subprocess
import unittest

from tests.integration.gateway import COMMAND, SANITIZED, TestCase, earliest, is_ordered

COUNT = 20_000 if SANITIZED else 200_000
MAX_EXTRA_BYTES = 16 << 20


class SlowSubscriberTest(TestCase):
    def run_load(self, gateway):
        """Sends the postbacks while another subscriber reads; returns the most memory seen after it read all."""
        reader = subprocess.Popen([COMMAND, "--grpc", gateway.grpc, "tail", "--from", "earliest", "--json", "--count",
                                   str(COUNT)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        sent = subprocess.run([COMMAND, "send", "--url", gateway.url(), "--tracking-id", "SLOW", "--count", str(COUNT),
                               "--connections", "64"], capture_output=True, text=True, timeout=300)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        lines = sum(1 for _ in reader.stdout)
        reader.stdout.close()
        self.assertEqual((reader.wait(60), lines), (0, COUNT), "the other subscriber was kept waiting")
        return gateway.resident_bytes()

    def test_costs_a_cursor(self):
        without = self.gateway()
        baseline = self.run_load(without)
        self.assertEqual(without.stop(), 0)
        self.doCleanups()

        self.setUp()
        gateway = self.gateway()
        # grpcio reads on only as the iterator is advanced, up to HTTP/2's window.
        stream = self.service(gateway).subscribe(start_position=earliest(), timeout=300)
        self.assertEqual(next(stream).WhichOneof("content"), "started")
        loaded = self.run_load(gateway)
        extra = loaded - baseline
        print(f"resident after {COUNT} postbacks: {baseline >> 20} MiB without, {loaded >> 20} MiB with")
        if not SANITIZED:
            self.assertLess(extra, MAX_EXTRA_BYTES)

        cursors = []
        for frame in stream:
            cursors += [delivery.event.cursor for delivery in frame.batch.deliveries]
            if len(cursors) >= COUNT:
                break
        stream.cancel()
        self.assertEqual(len(cursors), COUNT)
        self.assertTrue(is_ordered(cursors))


if __name__ == "__main__":
    unittest.main()
