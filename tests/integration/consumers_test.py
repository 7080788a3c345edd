"""Two consumers share a subscription; one is killed again and again, and so is the gateway: nothing is lost, and no more
comes twice than was leased at the kills."""
import os
import random
import re
import subprocess
import time
import unittest

from tests.integration.gateway import COMMAND, SANITIZED, TestCase

COUNT = 10_000 if SANITIZED else 100_000
CONSUMER_KILLS, GATEWAY_KILLS = 10, 5
MAX_OUTSTANDING = 2000


class Consumer:
    """`mmsmo subscribe`, each run of it with an output of its own."""

    def __init__(self, test, gateway, name):
        self.test, self.gateway, self.name, self.outputs, self.process = test, gateway, name, [], None
        test.addCleanup(self.kill)

    def start(self):
        self.outputs.append(os.path.join(self.test.directory, f"{self.name}.{len(self.outputs)}"))
        with open(self.outputs[-1], "wb") as out, open(self.outputs[-1] + ".err", "wb") as err:
            self.process = subprocess.Popen([COMMAND, "--grpc", self.gateway.grpc, "subscribe", "work", "--json"],
                                            stdout=out, stderr=err)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.test.assertEqual(self.process.wait(60), 0, open(self.outputs[-1] + ".err").read())

    def handled(self):
        ids = []
        for output in self.outputs:
            with open(output) as lines:
                # The last line of a killed one may be cut: what it says was not handled.
                ids += [re.search('"trackingId":"([^"]+)"', line)[1] for line in lines if line.endswith("}\n")]
        return ids


class ConsumersTest(TestCase):
    def test_every_event_is_handled_whoever_is_killed(self):
        gateway = self.gateway()
        created = gateway.mmsmo("subscription", "create", "work", "--from", "earliest", "--max-outstanding",
                                str(MAX_OUTSTANDING))
        self.assertEqual(created.returncode, 0, created.stderr)
        steady, killed = (Consumer(self, gateway, name) for name in ("steady", "killed"))
        steady.start()
        killed.start()
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        kills = ["consumer"] * CONSUMER_KILLS + ["gateway"] * GATEWAY_KILLS
        chance.shuffle(kills)
        sending = subprocess.Popen(
            [COMMAND, "send", "--url", gateway.url(), "--tracking-id", "WORK", "--count", str(COUNT), "--connections",
             "64", "--retry-for", "120"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(sending.stderr.close)
        self.addCleanup(sending.kill)
        for victim in kills:
            # A moment of the load, chosen by the seed; not a wait for anything.
            time.sleep(chance.uniform(0.02, 0.15))
            if victim == "gateway":
                gateway.kill()
                gateway.start()
            else:
                killed.kill()
                killed.start()
        self.assertEqual(sending.wait(300), 0, sending.stderr.read())
        self.wait_until_acknowledged(gateway)
        steady.stop()
        killed.stop()

        wanted = {f"WORK-{i + 1}" for i in range(COUNT)}
        handled = steady.handled() + killed.handled()
        self.assertEqual(len(wanted - set(handled)), 0, "lost")
        self.assertEqual(len(set(handled) - wanted), 0, "never sent")
        duplicates = len(handled) - COUNT
        print(f"{len(kills)} kills, {duplicates} of {COUNT} events handled again")
        self.assertLess(duplicates, len(kills) * MAX_OUTSTANDING)

    def wait_until_acknowledged(self, gateway):
        deadline = time.monotonic() + 300
        while gateway.metric('mmsmo_subscription_backlog{subscription="work"}') > 0:
            self.assertLess(time.monotonic(), deadline, "the subscription does not come to its end")
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
