"""Runs the real gateway under load through everything that can happen to it, and compares what it promised with what it
has: nothing that was answered 200 or acknowledged may be lost, doubled or out of order, and nothing become a dead letter
that has not failed.

    script/chaos [--minutes N] [--seed N] [--faults NAME,…]

A round is half a minute or so with a data directory of its own. Its seed decides what happens when, in so far as that is
chance and not the machine's. Exit code 1: something was found; the directory of that round is kept.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter

import grpc

from tests.chaos import deliveries, ledger
from tests.chaos.disk import Disk
from tests.chaos.faults import FAULTS
from tests.chaos.proxy import Proxy
from tests.chaos.scenarios import SCENARIOS
from tests.integration.gateway import COMMAND, SANITIZED, Gateway, Service, earliest
from mmsmo.v1 import subscription_service_pb2

LIBRARY = os.environ["MMSMO_FAULTS_LIBRARY"]
SENDERS = [f"1408225714{i}" for i in range(1, 5)]  # who wait for each answer
OF_SENDERS = [word for sender in SENDERS for word in ("--sender", sender)]
SUBSCRIPTIONS = {
    "work": [],
    "ordered": ["--order-by-sender", *OF_SENDERS],
    "once": ["--max-attempts", str(deliveries.MAX_ATTEMPTS), *OF_SENDERS],
}
READY_SECONDS = 30
LONG_MINUTES = 5  # from which on scenarios take the time that they take at their worst


class Consumer:
    """A process of consumer.py, which writes one ledger after the other."""

    def __init__(self, round_, name, subscription, kind):
        self.round, self.subscription, self.kind = round_, subscription, kind
        self.ledger = os.path.join(round_.directory, f"{subscription}.consumer-{name}")
        self.start()

    def start(self):
        with open(self.ledger + ".err", "ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.consumer", self.round.proxy.address, self.subscription, self.ledger,
                 self.kind, str(self.round.chance.randrange(1 << 32))], stderr=err)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def crash(self):
        self.stop()
        self.start()

    def complaint(self):
        """Where it ended by itself, why."""
        with open(self.ledger + ".err", errors="replace") as err:
            text = err.read()
        return text if "Traceback" in text else ""


class Round:
    def __init__(self, seed, long=False):
        self.chance = random.Random(seed)
        self.findings, self.happened = ledger.Findings(), Counter()
        self.directory = tempfile.mkdtemp(prefix="mmsmo-chaos-")
        data = os.path.join(self.directory, "data")
        self.disk = Disk(self.directory, data, LIBRARY)
        self.gateway = Gateway(self.directory, environment=self.disk.environment())
        self.proxy = Proxy(self.gateway.grpc)
        self.consumers, self.senders, self.answers, self.held = [], [], [], []
        self.power_was_cut, self.dropped = False, 0
        self.restarts = []  # the times at which the gateway went away
        self.long, self.measured = long, []  # whether there is time; what scenarios have to report
        self.starved = None  # the process that was once out of memory

    def run(self, seconds, faults):
        """Returns a line about what there was."""
        report = "it ended early"
        try:
            self.gateway.start()
            self.subscribe()
            self.send()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                fault = self.chance.choice(faults)
                self.happened[fault.__name__] += 1
                fault(self)
                time.sleep(self.chance.uniform(0.05, 0.5))
            self.settle()
            report = self.check()
            # What is there now must be there without anything that was not synced.
            self.cut_power()
            self.check()
            self.damage()
        except Stop:
            pass
        except OSError as error:
            self.findings.add("stuck", f"somebody gets no answer: {''.join(traceback.format_exception(error))}")
            self.keep_stacks()
        finally:
            self.end()
        return report

    def end(self):
        for process in (*self.senders, *(consumer.process for consumer in self.consumers), self.gateway.process):
            process.kill()
            process.wait()
        self.proxy.close()
        if not self.findings:
            shutil.rmtree(self.directory)

    # What there is to happen to.

    def subscribe(self):
        for name, flags in SUBSCRIPTIONS.items():
            made = self.gateway.mmsmo("subscription", "create", name, "--from", "earliest", "--ack-deadline", "2s",
                                      "--min-backoff", "20ms", "--max-backoff", "200ms", *flags)
            if made.returncode != 0:
                raise RuntimeError(made.stderr)
        for i, (subscription, kind) in enumerate((("work", "honest"), ("work", "liar"), ("ordered", "honest"),
                                                  ("ordered", "liar"), ("once", "slow"), ("once", "slow"))):
            self.consumers.append(Consumer(self, i, subscription, kind))

    def send(self):
        """A crowd, the same in the other format and so often a duplicate, what is not understood, and some senders that
        wait for each answer."""
        slower = 5 if SANITIZED else 1
        self.send_as("crowd", "14082257140", "--connections", "32", "--rate", str(1000 // slower))
        self.send_as("crowd", "14082257140", "--json", "--connections", "8", "--rate", str(700 // slower), again=True)
        self.send_as("unclear", "", "--connections", "2", "--rate", str(50 // slower))
        for i, sender in enumerate(SENDERS):
            self.send_as(f"one-{i}", sender, "--rate", str(60 // slower), in_order=True)

    def send_as(self, prefix, sender, *flags, in_order=False, again=False):
        path = os.path.join(self.directory, prefix)
        answers = ledger.Answers(path + ".again" if again else path, prefix, sender, in_order)
        connections = ["--connections", "1"] if in_order else []
        self.senders.append(subprocess.Popen(
            [COMMAND, "send", "--url", self.gateway.url(), "--tracking-id", prefix, "--from", sender, "--subject",
             answers.subject(), "--count", "10000000", "--retry-for", "60", "--timeout", "15", "--answers", answers.path,
             *connections, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.answers.append(answers)

    # What happens in the end.

    def settle(self):
        self.disk.heal()
        for held in self.held:
            held.close()
        self.expect_ready()
        for sender in self.senders:
            sender.terminate()
        for sender in self.senders:
            sender.wait(90)
        while left := self.backlogs():
            self.expect(lambda: self.backlogs() != left, 60, lambda: f"a backlog of {left} stays")
        for consumer in self.consumers:
            consumer.stop()

    def backlogs(self):
        """Of the subscriptions that have one."""
        backlogs = {name: self.gateway.metric(f'mmsmo_subscription_backlog{{subscription="{name}"}}')
                    for name in SUBSCRIPTIONS}
        return {name: backlog for name, backlog in backlogs.items() if backlog > 0}

    def read(self):
        """The log's events, and what came of listing the quarantine."""
        with self.gateway.channel() as channel:
            events = Service(channel).events(earliest())
        return events, self.gateway.mmsmo("quarantine", "list", "--json")

    def dead_letters(self, name):
        """By tracking id."""
        found, token = {}, ""
        with self.gateway.channel() as channel:
            admin = Service(channel, subscription_service_pb2, "SubscriptionService")
            while True:
                page = admin.call("ListDeadLetters", subscription=name, page_token=token)
                for dead_letter in page.dead_letters:
                    found[dead_letter.event.mms_mo.tracking_id] = dead_letter
                token = page.next_page_token
                if not token:
                    return found

    def check(self):
        events, listed = self.read()
        if listed.returncode != 0:
            self.findings.add("stuck", f"the quarantine cannot be listed: {listed.stderr}")
        quarantined = ledger.tracking_ids(listed.stdout)
        ledger.check_log(self.answers, events, quarantined, self.findings)
        for complaint in filter(None, (consumer.complaint() for consumer in self.consumers)):
            self.findings.add("unclear", f"a consumer ended by itself: {complaint}")
        counts = Counter()
        for name in SUBSCRIPTIONS:
            wanted = events if name == "work" else [e for e in events if e.mms_mo.sender.value in SENDERS]
            try:
                dead_letters = self.dead_letters(name)
            except grpc.RpcError as error:
                self.findings.add("lost", f"what the subscription {name} had: {error.details()}")
                continue
            subscription = deliveries.Subscription(self.directory, name, self.restarts)
            subscription.check(wanted, dead_letters, name == "ordered", self.power_was_cut, self.findings)
            counts.update(deliveries=len(subscription.deliveries), resumed=subscription.resumed, dead=len(dead_letters))
        return (f"{sum(len(answers.read()) for answers in self.answers)} answered 200, {len(events)} events, "
                f"{len(quarantined)} quarantined, {counts['deliveries']} deliveries, {counts['dead']} dead letters, "
                f"{counts['resumed']} streams resumed, {self.dropped} bytes not synced were dropped")

    def damage(self):
        """A bit flips while the gateway is away: it may cost what was there, but not silently."""
        self.gateway.kill()
        path = self.disk.flip_bit(self.chance)
        begin = len(self.gateway.log_text())
        self.gateway.start(wait=False)
        findings, said = ledger.Findings(), ""
        try:
            while self.gateway.process.poll() is None and not self.gateway.is_ready():
                time.sleep(0.02)
            events, listed = self.read()
            said = listed.stderr
            ledger.check_log(self.answers, events, ledger.tracking_ids(listed.stdout), findings)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DATA_LOSS or self.gateway.process.poll() is not None:
                findings.add("lost", "what cannot be read")
            else:
                self.findings.add("unclear", f"{os.path.basename(path)} is damaged, but a reader is told {error.code()}")
        said += self.gateway.log_text()[begin:]
        if findings and "damaged" not in said and "Corruption" not in said:
            self.findings.add("silent", f"{os.path.basename(path)} is damaged: {findings.examples[0]}")

    # How it ends and begins again.

    def start(self):
        self.gateway.start(wait=False)
        self.expect_ready()

    def kill(self):
        self.restarts.append(time.monotonic())
        self.gateway.kill()
        self.start()

    def terminate(self):
        self.restarts.append(time.monotonic())
        code = self.gateway.stop()
        if code not in (0, -signal.SIGTERM):  # which ends it at once while it opens its data anew
            self.findings.add("died", f"after SIGTERM it ended with {code}")
        self.start()

    def cut_power(self):
        self.restarts.append(time.monotonic())
        self.gateway.kill()
        self.power_was_cut = True
        self.dropped += self.disk.cut_power(self.chance)
        self.start()

    def expect_ready(self):
        self.expect(self.gateway.is_ready, READY_SECONDS, lambda: "the gateway does not become ready")

    def keep_stacks(self):
        if shutil.which("gdb"):
            with open(os.path.join(self.directory, "stacks"), "w") as stacks:
                subprocess.run(["gdb", "-p", str(self.gateway.process.pid), "-batch", "-ex", "thread apply all backtrace"],
                               stdout=stacks, stderr=subprocess.DEVNULL)

    def expect(self, condition, seconds, otherwise):
        end = time.monotonic() + seconds
        while not condition():
            if self.gateway.process.poll() is not None and self.gateway.process.pid == self.starved:
                self.gateway.start(wait=False)
            if self.gateway.process.poll() is not None:
                self.findings.add("died", f"the gateway ended by itself: {self.gateway.log_text()[-2000:]}")
                raise Stop
            if time.monotonic() > end:
                self.findings.add("stuck", f"{otherwise()}: {self.gateway.log_text()[-2000:]}")
                self.keep_stacks()
                raise Stop
            time.sleep(0.02)


class Stop(Exception):
    """Nothing more can be learnt from this round."""


def main():
    parser = argparse.ArgumentParser(prog="script/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=0, help="rounds begin for so long; default: one round")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the first round")
    parser.add_argument("--seconds", type=float, default=20, help="of faults in a round")
    parser.add_argument("--faults", default=",".join((*FAULTS, *SCENARIOS)), help="which, by name; one named twice is twice as likely")
    parser.add_argument("--expect", help="succeed if this is found, and only then: for gateways with a defect")
    options = parser.parse_args()
    everything = {**FAULTS, **SCENARIOS}
    unknown = set(options.faults.split(",")) - set(everything)
    if unknown:
        parser.error(f"--faults: {', '.join(sorted(unknown))} is none of {', '.join(everything)}")
    faults = [everything[name] for name in options.faults.split(",")]

    end = time.monotonic() + options.minutes * 60
    total, seed = Counter(), options.seed
    while True:
        chaos = Round(seed, long=options.minutes >= LONG_MINUTES)
        report = chaos.run(options.seconds, faults)
        print(f"seed {seed}: {report}", flush=True)
        print("  " + ", ".join(f"{name} {count}" for name, count in sorted(chaos.happened.items())), flush=True)
        for line in chaos.measured:
            print("  " + line, flush=True)
        if chaos.findings:
            print(f"  kept in {chaos.directory}", *chaos.findings.examples, sep="\n  ", flush=True)
        total.update(chaos.findings)
        seed += 1
        if time.monotonic() >= end:
            break
    for kind in ("lost", "duplicated", "reordered", *sorted(set(total) - {"lost", "duplicated", "reordered"})):
        print(f"{kind} {total[kind]}")
    if total:
        print(f"Repeat with: script/chaos --seed SEED --seconds {options.seconds:g} --faults {options.faults}")
    sys.exit(0 if options.expect in total or not (options.expect or total) else 1)


if __name__ == "__main__":
    main()
