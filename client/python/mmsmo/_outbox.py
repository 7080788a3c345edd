"""What the gateway is to be told about deliveries: gathered into calls, and kept until answered. No I/O and no clock:
its owner makes the calls and says what time it is, in seconds."""

from __future__ import annotations

import enum
import math
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from . import defaults
from ._backoff import Backoff
from .errors import Error, FinalError
from .verdict import Kind as VerdictKind
from .verdict import Verdict


class Kind(enum.IntEnum):
    ACK = 0
    EXTEND = 1
    RETRY = 2  # by the subscription's backoff
    REDELIVER = 3  # after a time
    RELEASE = 4  # it was not begun
    DEAD_LETTER = 5
    LEAVE = 6  # of a stream; never in the outbox


class Update(NamedTuple):
    """One change of a delivery's state; deliveries of equal updates share a call."""

    kind: Kind
    seconds: float = 0.0  # of EXTEND and REDELIVER
    reason: str = ""  # of DEAD_LETTER


ACK, RETRY, RELEASE = Update(Kind.ACK), Update(Kind.RETRY), Update(Kind.RELEASE)


def update_of(verdict: Verdict) -> Update:
    if verdict.kind == VerdictKind.ACK:
        return ACK
    if verdict.kind == VerdictKind.RETRY:
        return RETRY
    if verdict.kind == VerdictKind.RETRY_AFTER:
        return Update(Kind.REDELIVER, seconds=verdict.delay)
    return Update(Kind.DEAD_LETTER, reason=verdict.reason)


class Call(NamedTuple):
    update: Update
    ack_ids: List[str]  # at most MAX_ACK_IDS
    stream_id: str = ""  # of LEAVE, as what follows
    received_frames: int = 0


class AckFailure(NamedTuple):
    """An Ack or a DeadLetter that had no effect. `why` is EXPIRED: the event is delivered again, or was already;
    INVALID: the gateway doesn't know the ack_id; or the code that the call failed with for good."""

    ack_id: str
    why: str


class _Group:
    __slots__ = ("ack_ids", "due")

    def __init__(self, due: float) -> None:
        self.ack_ids: List[str] = []
        self.due = due


# AckFailureReason
_EXPIRED, _TRANSIENT = 2, 3


class Outbox:
    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._linger = defaults.ACK_LINGER_MS / 1000
        self._groups: Dict[Update, _Group] = {}  # none empty
        self._paused_until = -math.inf

    def add(self, update: Update, ack_id: str, now: float) -> bool:
        """Returns whether due() has come nearer."""
        group = self._groups.get(update)
        is_new = group is None
        if group is None:
            group = self._groups[update] = _Group(now + self._linger)
        group.ack_ids.append(ack_id)
        enough = len(group.ack_ids) == defaults.ACK_BATCH
        if enough:
            group.due = min(group.due, now)
        return is_new or enough

    def add_all(self, update: Update, ack_ids: List[str], now: float) -> None:
        """Without waiting for others."""
        if not ack_ids:
            return
        group = self._groups.setdefault(update, _Group(now))
        group.due = now
        group.ack_ids.extend(ack_ids)

    def hurry(self, now: float) -> None:
        """From now on nothing waits for others."""
        self._linger = 0.0
        for group in self._groups.values():
            group.due = min(group.due, now)

    def due(self) -> float:
        """When take has something; infinite where there is nothing."""
        if not self._groups:
            return math.inf
        return max(min(group.due for group in self._groups.values()), self._paused_until)

    def take(self, now: float) -> Optional[Call]:
        if self.due() > now:
            return None
        # The one that is due for longest, so that no kind of update crowds out another.
        update = min(self._groups, key=lambda one: self._groups[one].due)
        group = self._groups[update]
        if len(group.ack_ids) <= defaults.MAX_ACK_IDS:
            del self._groups[update]
            return Call(update, group.ack_ids)
        taken = group.ack_ids[: defaults.MAX_ACK_IDS]
        del group.ack_ids[: defaults.MAX_ACK_IDS]
        return Call(update, taken)

    def on_answer(self, call: Call, error: Optional[Error], failures: Iterable[Any], now: float) -> List[AckFailure]:
        """What may pass is put back. Returns the acks and dead letters that had no effect; that other updates had none
        harms nobody, since their events are delivered again anyway."""
        if call.update.kind == Kind.EXTEND:
            return []  # the next round prolongs again whatever is still here
        reported = call.update.kind in (Kind.ACK, Kind.DEAD_LETTER)
        if isinstance(error, FinalError):
            return [AckFailure(ack_id, error.code) for ack_id in call.ack_ids] if reported else []
        if error:
            self._try_again(call.update, call.ack_ids, error.retry_delay, now)
            return []
        again, failed = [], []
        for failure in failures:
            if failure.reason == _TRANSIENT:
                again.append(failure.ack_id)
            elif reported:
                failed.append(AckFailure(failure.ack_id, "EXPIRED" if failure.reason == _EXPIRED else "INVALID"))
        if again:
            self._try_again(call.update, again, 0.0, now)
        else:
            self._backoff.reset()
        return failed

    def __len__(self) -> int:
        return sum(len(group.ack_ids) for group in self._groups.values())

    def __bool__(self) -> bool:
        return bool(self._groups)

    def _try_again(self, update: Update, ack_ids: List[str], delay: float, now: float) -> None:
        # Calls that were under way together fail together: that is one failure.
        if now >= self._paused_until:
            self._paused_until = now + max(self._backoff.next(), delay)
        self.add_all(update, ack_ids, now)
