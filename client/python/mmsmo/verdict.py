"""What the handler of a named subscription says of a delivery."""

from __future__ import annotations

import datetime
import enum
from typing import NamedTuple, Union


class Kind(enum.IntEnum):
    ACK = 0
    RETRY = 1
    RETRY_AFTER = 2
    DEAD_LETTER = 3


class Verdict(NamedTuple):
    """Ack, Retry, RetryAfter(…) or DeadLetter(…)."""

    kind: Kind
    delay: float = 0.0  # seconds, of RETRY_AFTER
    reason: str = ""  # of DEAD_LETTER


# The event is done with.
Ack = Verdict(Kind.ACK)

# Deliver it again after the backoff that the subscription's retry policy has for this attempt.
Retry = Verdict(Kind.RETRY)


def RetryAfter(delay: Union[float, datetime.timedelta]) -> Verdict:
    """Deliver it again after `delay`, in seconds; 0: at once. ValueError where it is negative."""
    seconds = delay.total_seconds() if isinstance(delay, datetime.timedelta) else float(delay)
    if not seconds >= 0:
        raise ValueError(f"a delay of {delay} is none")
    return Verdict(Kind.RETRY_AFTER, delay=seconds)


def DeadLetter(reason: str) -> Verdict:
    """Do not deliver it again: it becomes a dead letter, which says `reason`."""
    return Verdict(Kind.DEAD_LETTER, reason=reason)
