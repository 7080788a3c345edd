"""What was promised, to whom: compared with what the gateway has, and with what its consumers were given."""
import glob
import json
import os
from collections import Counter, defaultdict


class Findings(Counter):
    """How often each kind of promise was broken, and some examples."""

    def __init__(self):
        super().__init__()
        self.examples = []

    def add(self, kind, what):
        self[kind] += 1
        if self[kind] <= 3:
            self.examples.append(f"{kind}: {what}")


class Answers:
    """What one `mmsmo send --answers` was answered. `prefix` is what its tracking ids begin with, `sender` the number that
    it sends from; `in_order` says that it waits for each answer before it sends the next."""

    def __init__(self, path, prefix, sender, in_order):
        self.path, self.prefix, self.sender, self.in_order = path, prefix, sender, in_order

    def subject(self):
        return f"Greetings from {self.prefix}"

    def read(self):
        """(tracking id, outcome, cursor) of each 200."""
        with open(self.path) as lines:
            words = [line.split() for line in lines if line.endswith("\n")]
        return [(tracking_id, outcome, cursor) for tracking_id, status, outcome, cursor in words if status == "200"]


def check_log(answers, events, quarantined, findings):
    """`events` are all of the log's, in its order; `quarantined` the tracking ids that the quarantine has."""
    cursors = {}
    for event in events:
        tracking_id = event.mms_mo.tracking_id
        if tracking_id in cursors:
            findings.add("duplicated", f"{tracking_id} has two events")
        cursors[tracking_id] = event.cursor
    for sent in answers:
        for tracking_id, outcome, cursor in sent.read():
            if outcome == "quarantined":
                if tracking_id not in quarantined:
                    findings.add("lost", f"{tracking_id}, which was quarantined")
            elif cursors.get(tracking_id) != cursor:
                findings.add("lost", f"{tracking_id}, which was answered {outcome}")
        _check_events_of(sent, events, findings)


def _check_events_of(sent, events, findings):
    """That events say what was sent, and those of a sender that waits for its answers stand in its order."""
    prefix, last = sent.prefix + "-", 0
    for event in events:
        message = event.mms_mo
        if not message.tracking_id.startswith(prefix):
            continue
        if (message.sender.value, message.subject) != (sent.sender, sent.subject()):
            findings.add("corrupted", message.tracking_id)
        number = int(message.tracking_id[len(prefix):])
        if sent.in_order and number < last:
            findings.add("reordered", f"{message.tracking_id} comes after {number}")
        last = number


def tracking_ids(listed):
    """Of what `mmsmo quarantine list --json` has printed."""
    return {json.loads(line).get("trackingId") for line in listed.splitlines()}


def check_consumers(directory, subscription, events, ordered, power_was_cut, findings):
    """Returns how many deliveries there were."""
    first, attempts, acking, acked, begun = {}, Counter(), set(), {}, []
    for path in sorted(glob.glob(os.path.join(directory, subscription + ".consumer-*"))):
        stream = 0.0
        with open(path) as lines:
            for verb, *words in (line.split() for line in lines if line.endswith("\n")):
                if verb == "stream":
                    stream = float(words[0])
                elif verb == "delivered":
                    tracking_id, attempt, time = words[0], int(words[1]), float(words[2])
                    first[tracking_id] = min(first.get(tracking_id, time), time)
                    attempts[tracking_id, attempt] += 1
                    begun.append((tracking_id, stream))
                elif verb == "acking":
                    acking.add(words[0])
                elif verb == "acked":
                    acked[words[0]] = min(acked.get(words[0], float("inf")), float(words[1]))
                else:
                    findings.add("believed", f"a forged ack id of {subscription}: {words[0]}")
    for event in events:
        if event.mms_mo.tracking_id not in acking:
            findings.add("lost", f"{event.mms_mo.tracking_id}, which nobody of {subscription} acknowledged")
    for tracking_id, stream in begun:
        if stream > acked.get(tracking_id, float("inf")):
            findings.add("forgotten", f"{subscription} was given {tracking_id} again after its acknowledgement")
    if not power_was_cut:  # which may cost an attempt that was not synced
        for (tracking_id, attempt), times in attempts.items():
            if times > 1:
                findings.add("duplicated", f"attempt {attempt} of {tracking_id} in {subscription}, {times} times")
    if ordered:
        _check_senders(subscription, events, first, findings)
    return sum(attempts.values())


def _check_senders(subscription, events, first, findings):
    """That events of one sender were first delivered in the order of the log."""
    by_sender = defaultdict(list)
    for event in events:
        by_sender[event.mms_mo.sender.value].append(event.mms_mo.tracking_id)
    for tracking_ids in by_sender.values():
        for before, after in zip(tracking_ids, tracking_ids[1:]):
            if first.get(before, 0) > first.get(after, float("inf")):
                findings.add("reordered", f"{subscription} was given {after} before {before}")
