"""A consumer of a named subscription that writes down what it does before the next thing can happen, so that also one
that is killed has said it: python3 -m tests.chaos.consumer TARGET SUBSCRIPTION LEDGER honest|liar|slow SEED

Lines of the ledger: "begin TIME KIND" of the process, "stream TIME", "resumed" where that has the deliveries of the one before,
"ended TIME", "delivered TRACKING_ID ATTEMPT TIME"; then what it says of a delivery, "refusing", "releasing", "burying" or
"acking TRACKING_ID", and what that was answered, "acked TRACKING_ID TIME", "expired TRACKING_ID TIME" or "buried
TRACKING_ID"; "believed ACK_ID" where a forged one was taken for good.
"""
import os
import random
import string
import sys
import time

sys.path.insert(0, os.environ["MMSMO_PYTHON"])

import grpc  # noqa: E402
from google.protobuf import duration_pb2, empty_pb2  # noqa: E402
from mmsmo.v1 import mms_mo_service_pb2 as service_pb2  # noqa: E402
from tests.chaos.deliveries import WINDOWS  # noqa: E402
from tests.integration.gateway import Service  # noqa: E402

# How a delivery is not acknowledged, and what that is called.
RETURNS = (
    ("refusing", lambda: {"redeliver_after": duration_pb2.Duration()}),
    ("refusing", lambda: {"redeliver_after": duration_pb2.Duration(nanos=50_000_000)}),
    ("refusing", lambda: {"retry": empty_pb2.Empty()}),
    ("releasing", lambda: {"release": empty_pb2.Empty()}),
)


class Consumer:
    def __init__(self, target, subscription, ledger, kind, seed):
        self.channel = grpc.insecure_channel(target, [("grpc.max_reconnect_backoff_ms", 100)])
        self.service, self.subscription = Service(self.channel), subscription
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.kind, self.chance = kind, random.Random(seed)
        self.last_stream, self.frames = "", 0

    def run(self):
        self.note(f"begin {time.monotonic():.6f} {self.kind}")
        while True:
            self.note(f"stream {time.monotonic():.6f}")
            try:
                self.read(self.service.subscribe(
                    timeout=None, subscription=self.subscription, max_outstanding_messages=WINDOWS[self.kind],
                    max_batch_size=100, resume_stream_id=self.last_stream, received_frames=self.frames))
            except grpc.RpcError:
                self.note(f"ended {time.monotonic():.6f}")
                time.sleep(0.02)  # the gateway is away

    def read(self, stream):
        for frame in stream:
            if frame.HasField("started"):
                self.last_stream, self.frames = frame.started.stream_id, 0
                if frame.started.resumed:
                    self.note("resumed")
            self.frames += 1
            self.handle(frame.batch.deliveries)

    def note(self, *lines):
        os.write(self.ledger, "".join(line + "\n" for line in lines).encode())

    def handle(self, deliveries):
        if not deliveries:
            return
        now = time.monotonic()
        self.note(*(f"delivered {d.event.mms_mo.tracking_id} {d.attempt} {now:.6f}" for d in deliveries))
        if self.kind == "slow":
            time.sleep(self.chance.uniform(0, 0.3))
        returned = [d for d in deliveries if self.chance.random() < 0.02]
        if returned:
            self.give_back(returned)
        done = [d for d in deliveries if d not in returned]
        self.note(*(f"acking {d.event.mms_mo.tracking_id}" for d in done))
        if self.kind == "liar":
            self.lie(done)
        failed = self.acknowledge([d.ack_id for d in done])
        now = time.monotonic()
        self.note(*(f"acked {d.event.mms_mo.tracking_id} {now:.6f}" for d in done if d.ack_id not in failed))
        self.note(*(f"expired {d.event.mms_mo.tracking_id} {now:.6f}" for d in done if d.ack_id in failed))

    def give_back(self, deliveries):
        if self.kind == "slow" and self.chance.random() < 0.3:
            self.note(*(f"burying {d.event.mms_mo.tracking_id}" for d in deliveries))
            failed = self.say("ModifyAckDeadline", [d.ack_id for d in deliveries], dead_letter_reason="unwanted")
            return self.note(*(f"buried {d.event.mms_mo.tracking_id}" for d in deliveries if d.ack_id not in failed))
        verb, change = self.chance.choice(RETURNS)
        self.note(*(f"{verb} {d.event.mms_mo.tracking_id}" for d in deliveries))
        self.say("ModifyAckDeadline", [d.ack_id for d in deliveries], **change())

    def acknowledge(self, ack_ids):
        return self.say("Acknowledge", ack_ids) if ack_ids else set()

    def say(self, method, ack_ids, **change):
        """Until it is answered, also by a gateway that was away; returns what had no effect."""
        while True:
            try:
                response = self.service.call(method, subscription=self.subscription, ack_ids=ack_ids, **change)
                transient = {f.ack_id for f in response.failures if f.reason == service_pb2.ACK_FAILURE_REASON_TRANSIENT}
                if not transient:
                    return {failure.ack_id for failure in response.failures}
            except grpc.RpcError:
                pass
            time.sleep(0.02)

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
    Consumer(target, subscription, ledger, kind, int(seed)).run()


if __name__ == "__main__":
    main()
