"""What was promised to whoever sends: compared with what the gateway has."""
import json
from collections import Counter


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
    cursors, time = {}, 0
    for event in events:
        tracking_id = event.mms_mo.tracking_id
        if tracking_id in cursors:
            findings.add("duplicated", f"{tracking_id} has two events")
        cursors[tracking_id] = event.cursor
        before, time = time, event.accept_time.ToMicroseconds()
        if time < before:
            findings.add("misdated", f"{tracking_id} is {(before - time) / 1e6:.6f} s older than the event before it")
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
