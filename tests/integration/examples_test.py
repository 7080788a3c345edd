"""The examples receive everything once, also across a kill of the gateway."""
import os
import subprocess
import sys
import time
import unittest

from tests.integration.gateway import TestCase, xml

PYTHON = "client/python/examples/subscriber.py"
CPP = os.path.join(os.path.dirname(os.environ["MMSMO_COMMAND"]), "example_subscriber")
MEASURED = os.path.join(os.path.dirname(os.environ["MMSMO_COMMAND"]), "example_measured_subscriber")
NAMED = os.path.join(os.path.dirname(os.environ["MMSMO_COMMAND"]), "example_named_subscriber")


class ExamplesTest(TestCase):
    def receives_each_message_once(self, *command, subscription=None):
        gateway = self.gateway()
        self.accepted(gateway, "P1", message_subject="hello")
        arguments = [gateway.grpc]
        if subscription:
            created = gateway.mmsmo("subscription", "create", subscription, "--from", "earliest")
            self.assertEqual(created.returncode, 0, created.stderr)
            arguments.append(subscription)
        example = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True, env={**os.environ, "PYTHONPATH": "client/python"})
        self.addCleanup(example.stdout.close)
        self.addCleanup(example.wait)
        self.addCleanup(example.kill)
        first = example.stdout.readline()
        self.accepted(gateway, "P2")
        received = [first.split()[0], example.stdout.readline().split()[0]]
        if subscription:  # what is not acknowledged comes again
            backlog = f'mmsmo_subscription_backlog{{subscription="{subscription}"}}'
            deadline = time.monotonic() + 30
            while gateway.metric(backlog) > 0:
                self.assertLess(time.monotonic(), deadline, "not acknowledged")
        gateway.kill()
        gateway.start()
        self.accepted(gateway, "P3")
        received.append(example.stdout.readline().split()[0])
        self.assertEqual(received, ["P1", "P2", "P3"])
        return first

    def test_python(self):
        self.assertEqual(self.receives_each_message_once(sys.executable, PYTHON),
                         "P1 14082257140 hello https://a.example/1.jpg\n")
        with open(PYTHON) as example:
            self.assertLessEqual(len(example.readlines()), 20)

    def test_cpp(self):
        self.assertEqual(self.receives_each_message_once(CPP), "P1 hello\n")

    def test_cpp_on_a_named_subscription(self):
        self.assertEqual(self.receives_each_message_once(NAMED, subscription="billing"), "P1\n")

    def test_cpp_tells_of_each_handler(self):
        gateway = self.gateway()
        created = gateway.mmsmo("subscription", "create", "billing", "--from", "earliest", "--min-backoff", "100ms")
        self.assertEqual(created.returncode, 0, created.stderr)
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.assertEqual(gateway.post(xml("P1", message_subject="hello"), traceparent=parent)[0], 200)
        self.accepted(gateway, "P2")
        example = subprocess.Popen([MEASURED, gateway.grpc, "billing"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True)
        self.addCleanup(example.stdout.close)
        self.addCleanup(example.wait)
        self.addCleanup(example.kill)
        told = [example.stdout.readline().split() for _ in range(3)]
        self.assertEqual(told[0][:2] + told[0][3:], ["P1", "done", parent])
        self.assertEqual([one[:2] for one in told[1:]], [["P2", "failed"]] * 2, "its handler throws, and it comes again")


if __name__ == "__main__":
    unittest.main()
