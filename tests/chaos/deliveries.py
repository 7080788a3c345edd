"""What consumers wrote down, compared with what was promised to them. See consumer.py for the lines of their ledgers."""
import glob
import os
from collections import Counter, defaultdict

# What a consumer of each kind may have unacknowledged.
WINDOWS = {"honest": 500, "liar": 500, "slow": 50}
ACK_DEADLINE, MAX_ATTEMPTS = 2.0, 1  # seconds; of the subscription with dead letters
INEXACT = 0.1  # seconds by which a lease may end early, as a consumer measures it
NEVER = float("inf")


class Delivery:
    """One that a consumer wrote down; `since` is when it was sent at the earliest."""

    def __init__(self, tracking_id, attempt, time, stream, since, chain):
        self.tracking_id, self.attempt, self.time, self.chain = tracking_id, attempt, time, chain
        self.stream, self.since = stream, since
        self.said = None  # the last thing that the consumer said of it
        self.acked, self.expired, self.buried = NEVER, NEVER, False

    def may_have_lapsed(self, by):
        return min(by, self.expired, self.chain.ended) - self.since >= ACK_DEADLINE - INEXACT

    def may_have_failed(self):
        """By what may be the consumer's doing; the end of its stream is only where this was all that it had in hand."""
        if self.acked < NEVER:
            return False
        return self.said == "refusing" or self.may_have_lapsed(NEVER) or self.chain.had_only(self)


class Chain:
    """What came in streams of which each resumed the one before."""

    def __init__(self):
        self.deliveries, self.ended = [], NEVER

    def had_only(self, delivery):
        """Whether that may have been so at the end."""
        return self.ended < NEVER and not any(
            other.said is None and other is not delivery and not other.may_have_lapsed(NEVER) for other in self.deliveries)


class Reader:
    """Reads one consumer's ledger."""

    def __init__(self, path):
        self.deliveries, self.believed, self.resumed = [], [], 0
        self.chain, self.newest, self.window, self.stream = Chain(), {}, 0, 0.0
        self.stall = (NEVER, 0)  # when the last one began, and how many deliveries there were before it
        self.ended = None  # the time, where it is not known yet whether the next stream has resumed the last
        with open(path) as lines:
            for line in lines:
                if line.endswith("\n"):
                    self.read(*line.split())

    def read(self, verb, *words):
        if verb == "resumed":
            self.ended, self.resumed = None, self.resumed + 1
            return
        if self.ended is not None and verb != "stream":
            self.end_chain()
        if verb == "begin":
            self.window = WINDOWS[words[1]]
            self.ended = float(words[0])
        elif verb == "ended":
            self.ended = float(words[0])
        elif verb == "stream":
            self.stream = float(words[0])
            self.ended = self.stream if self.ended is None else self.ended
        elif verb == "delivered":
            self.deliver(words[0], int(words[1]), float(words[2]))
        elif verb == "believed":
            self.believed.append(words[0] if words else "")
        elif verb == "acked":
            self.newest[words[0]].acked = float(words[1])
        elif verb == "expired":
            self.expire(self.newest[words[0]], float(words[1]))
        elif verb == "buried":
            self.newest[words[0]].buried = True
        else:
            self.newest[words[0]].said = verb

    def end_chain(self):
        self.chain.ended, self.ended = self.ended, None
        self.chain = Chain()

    def deliver(self, tracking_id, attempt, time):
        delivery = Delivery(tracking_id, attempt, time, self.stream, self.sent_since(time), self.chain)
        self.newest[tracking_id] = delivery
        self.deliveries.append(delivery)
        self.chain.deliveries.append(delivery)


    def expire(self, delivery, time):
        delivery.expired, delivery.since = time, delivery.stream
        self.stall = (delivery.stream, len(self.deliveries))

    def sent_since(self, time):
        """With a full window what comes next waits for what was there, unless the consumer stood still or is slow: then
        leases end, and there may be several windows on their way."""
        if self.deliveries and time > self.deliveries[-1].time + ACK_DEADLINE / 2:
            self.stall = (self.deliveries[-1].time, len(self.deliveries))
        since = max(self.stream, self.deliveries[-self.window].time if len(self.deliveries) >= self.window else 0.0)
        begin, count = self.stall
        return min(since, begin) if len(self.deliveries) < count + 6 * self.window else since


class Subscription:
    """Everything that the consumers of one subscription wrote down. `restarts` are the times at which their gateway
    went away."""

    def __init__(self, directory, name, restarts):
        readers = [Reader(path) for path in sorted(glob.glob(os.path.join(glob.escape(directory), name + ".consumer-*")))
                   if not path.endswith(".err")]
        self.name, self.restarts = name, restarts
        self.deliveries = [delivery for reader in readers for delivery in reader.deliveries]
        self.believed = [ack_id for reader in readers for ack_id in reader.believed]
        self.resumed = sum(reader.resumed for reader in readers)
        self.by_id = defaultdict(list)
        for delivery in self.deliveries:
            self.by_id[delivery.tracking_id].append(delivery)
        self._bound_times(readers)

    def check(self, events, dead_letters, ordered, power_was_cut, findings):
        for ack_id in self.believed:
            findings.add("believed", f"a forged ack id of {self.name}: {ack_id}")
        self._check_all_handled(events, dead_letters, findings)
        for deliveries in self.by_id.values():
            self._check_acknowledged(deliveries, findings)
            if not power_was_cut:  # which may cost an attempt that was not synced
                self._check_attempts(deliveries, findings)
        self._check_dead_letters(dead_letters, findings)
        if ordered:
            self._check_senders(events, findings)

    def _check_all_handled(self, events, dead_letters, findings):
        for event in events:
            tracking_id = event.mms_mo.tracking_id
            if tracking_id in dead_letters:
                continue
            if not any(delivery.said == "acking" for delivery in self.by_id.get(tracking_id, ())):
                findings.add("lost", f"{tracking_id}, which nobody of {self.name} acknowledged")

    def _bound_times(self, readers):
        """An attempt was sent before any later one was read, and what a consumer read before it was sent before that, however
        late it reads."""
        sent_by = {}
        for deliveries in self.by_id.values():
            latest = NEVER
            for delivery in sorted(deliveries, key=lambda one: -one.attempt):
                sent_by[delivery] = latest
                latest = min(latest, delivery.time)
        for reader in readers:
            latest = NEVER
            for delivery in reversed(reader.deliveries):
                latest = min(latest, sent_by[delivery])
                delivery.since = min(delivery.since, latest)

    def _check_acknowledged(self, deliveries, findings):
        acked = min(delivery.acked for delivery in deliveries)
        for delivery in deliveries:
            if delivery.stream > acked:
                findings.add("forgotten", f"{self.name} was given {delivery.tracking_id} again after its acknowledgement")

        for delivery in deliveries:
            if delivery.expired < NEVER and not self._was_given_back(delivery, delivery.expired):
                findings.add("refused", f"{self.name} would not have {delivery.tracking_id} acknowledged in time")

    def _check_attempts(self, deliveries, findings):
        by_attempt = defaultdict(list)
        for delivery in deliveries:
            by_attempt[delivery.attempt].append(delivery)
        for attempt, same in by_attempt.items():
            what = f"attempt {attempt} of {same[0].tracking_id} in {self.name}"
            if len(same) > 1:
                findings.add("duplicated", f"{what}, {len(same)} times")
            elif not all(self._was_given_back(before, same[0].time) for before in by_attempt.get(attempt - 1, ())):
                findings.add("repeated", f"{what}, though the one before was in hand")

    def _was_given_back(self, before, time):
        """Whether it may have come to be delivered again at that time; one that is read only after that, who knows when it
        was sent."""
        return (before.time > time or before.said in ("refusing", "releasing") or before.may_have_lapsed(time)
                or before.chain.ended <= time + ACK_DEADLINE
                or any(before.since <= restart <= time for restart in self.restarts))

    def _check_dead_letters(self, dead_letters, findings):
        """`dead_letters` by tracking id. Each must have had its failures, and what was answered must be there."""
        for tracking_id, dead_letter in dead_letters.items():
            deliveries = self.by_id.get(tracking_id, ())
            if any(delivery.acked < NEVER for delivery in deliveries):
                findings.add("forgotten", f"{tracking_id} is a dead letter of {self.name} after its acknowledgement")
            unknown = max(dead_letter.attempts - len({delivery.attempt for delivery in deliveries}), 0)
            failures = sum(delivery.may_have_failed() for delivery in deliveries)
            if dead_letter.reason == "max_attempts":
                if unknown + failures < MAX_ATTEMPTS:
                    findings.add("punished", f"{tracking_id} is a dead letter of {self.name} without a failure")
            elif not any(delivery.said == "burying" for delivery in deliveries):
                findings.add("punished", f"{tracking_id} is a dead letter of {self.name} that nobody asked for")
        for tracking_id, deliveries in self.by_id.items():
            if any(delivery.buried for delivery in deliveries) and tracking_id not in dead_letters:
                findings.add("lost", f"the dead letter {tracking_id} of {self.name}, which was answered OK")

    def _check_senders(self, events, findings):
        """That events of one sender were first delivered in the order of the log."""
        by_sender = defaultdict(list)
        for event in events:
            by_sender[event.mms_mo.sender.value].append(event.mms_mo.tracking_id)
        first = {tracking_id: min(delivery.time for delivery in deliveries)
                 for tracking_id, deliveries in self.by_id.items()}
        for tracking_ids in by_sender.values():
            for before, after in zip(tracking_ids, tracking_ids[1:]):
                if first.get(before, 0) > first.get(after, NEVER):
                    findings.add("reordered", f"{self.name} was given {after} before {before}")
