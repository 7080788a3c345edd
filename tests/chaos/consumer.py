"""A consumer of a named subscription that writes down what it does before the next thing can happen, so that also one
that is killed has said it: python3 -m tests.chaos.consumer TARGET SUBSCRIPTION LEDGER honest|liar SEED

Lines of the ledger: "stream TIME", "delivered TRACKING_ID ATTEMPT TIME", "acking TRACKING_ID", "acked TRACKING_ID TIME"
once that was answered OK, "believed ACK_ID" where a forged one was taken for good.
"""
import os
import random
import string
import sys
import time

sys.path.insert(0, os.environ["MMSMO_PYTHON"])

import grpc  # noqa: E402
from google.protobuf import duration_pb2  # noqa: E402
from tests.integration.gateway import Service  # noqa: E402


class Consumer:
    def __init__(self, target, subscription, ledger, liar, seed):
        self.channel = grpc.insecure_channel(target, [("grpc.max_reconnect_backoff_ms", 100)])
        self.service, self.subscription = Service(self.channel), subscription
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.liar, self.chance = liar, random.Random(seed)

    def run(self):
        while True:
            try:
                self.note(f"stream {time.monotonic():.6f}")
                for frame in self.service.subscribe(timeout=None, subscription=self.subscription,
                                                    max_outstanding_messages=500, max_batch_size=100):
                    self.handle(frame.batch.deliveries)
            except grpc.RpcError:
                time.sleep(0.02)  # the gateway is away

    def note(self, *lines):
        os.write(self.ledger, "".join(line + "\n" for line in lines).encode())

    def handle(self, deliveries):
        if not deliveries:
            return
        now = time.monotonic()
        self.note(*(f"delivered {d.event.mms_mo.tracking_id} {d.attempt} {now:.6f}" for d in deliveries))
        refused = [d for d in deliveries if self.chance.random() < 0.02]
        done = [d for d in deliveries if d not in refused]
        if refused:
            # Once more, now or a little later.
            self.service.call("ModifyAckDeadline", subscription=self.subscription,
                              ack_ids=[d.ack_id for d in refused],
                              redeliver_after=duration_pb2.Duration(nanos=self.chance.choice((0, 50_000_000))))
        self.note(*(f"acking {d.event.mms_mo.tracking_id}" for d in done))
        if self.liar:
            self.lie(done)
        failed = self.acknowledge([d.ack_id for d in done])
        now = time.monotonic()
        self.note(*(f"acked {d.event.mms_mo.tracking_id} {now:.6f}" for d in done if d.ack_id not in failed))

    def acknowledge(self, ack_ids):
        if not ack_ids:
            return set()
        response = self.service.call("Acknowledge", subscription=self.subscription, ack_ids=ack_ids)
        return {failure.ack_id for failure in response.failures}

    def lie(self, deliveries):
        """Acknowledges what it was not given: made up, or another's with a character changed."""
        alphabet = string.ascii_letters + string.digits + "-_"
        forged = ["".join(self.chance.choices(alphabet, k=42)), "", "x" * 500]
        for delivery in deliveries[:3]:
            at = self.chance.randrange(len(delivery.ack_id))
            other = self.chance.choice(alphabet.replace(delivery.ack_id[at], ""))
            forged.append(delivery.ack_id[:at] + other + delivery.ack_id[at + 1:])
        believed = set(forged) - self.acknowledge(forged)
        self.note(*("believed " + ack_id for ack_id in believed))
        if deliveries:
            # Said twice it is as good as said once.
            again = [deliveries[0].ack_id]
            self.acknowledge(again)
            self.acknowledge(again)


def main():
    target, subscription, ledger, kind, seed = sys.argv[1:]
    Consumer(target, subscription, ledger, kind == "liar", int(seed)).run()


if __name__ == "__main__":
    main()
