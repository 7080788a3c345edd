"""One run on a named subscription, without its I/O: from the stream's frames to the handlers, and from what they say
to the calls that tell the gateway. Threads and asyncio drive the same session; it is not thread-safe."""

from __future__ import annotations

import collections
import enum
import math
import time
from typing import Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import defaults
from ._backoff import Backoff
from ._deliveries import Deliveries, Delivery
from ._outbox import RELEASE, RETRY, AckFailure, Call, Kind, Outbox, Update, update_of
from .errors import Error, FinalError
from .options import Options
from .v1 import mms_mo_service_pb2 as pb
from .verdict import Verdict


class StopMode(enum.Enum):
    """What becomes of the deliveries that have arrived and that no handler has begun."""

    RELEASE = "release"  # they go to others at once
    FINISH = "finish"  # they are handled first


class Work(NamedTuple):
    """What a session's driver has to do."""

    calls: List[Call]
    told: List[Delivery]  # whose handlers' time is up


class Session:
    def __init__(self, subscription: str, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._subscription, self._options, self._clock = subscription, options, clock
        self._outbox = Outbox(self._backoff())
        self._deliveries = Deliveries()
        self._running: Dict[Delivery, None] = {}
        self._ceilings: Deque[Tuple[float, Delivery]] = collections.deque()
        self._under_way = 0  # calls that say what became of deliveries
        self._ack_deadline = 0.0
        self._next_extension = math.inf
        # Of the stream that is read, or was read last: what the next one resumes.
        self._stream_id, self._frames, self._connected = "", 0, False
        self._stopping, self._stop_by, self._give_up = False, math.inf, math.inf
        self._left, self._leaving, self._leave_due = "", False, -math.inf
        self._leave_backoff = self._backoff()

    def _backoff(self) -> Backoff:
        return Backoff(self._options.min_backoff, self._options.max_backoff)

    # --- The stream.

    def next_request(self) -> Any:
        return pb.SubscribeRequest(
            subscription=self._subscription,
            max_outstanding_messages=self._options.max_outstanding_messages,
            max_outstanding_bytes=self._options.max_outstanding_bytes,
            resume_stream_id=self._stream_id,
            received_frames=self._frames if self._stream_id else 0,
        )

    def on_frame(self, frame: Any) -> int:
        """Returns how many deliveries it brought."""
        content = frame.WhichOneof("content")
        if content == "started":
            self._on_started(frame.started)
        elif not self._stopping:  # else it counts as not received
            self._frames += 1
            if content == "batch":
                self._deliveries.push(frame.batch.deliveries)
                return len(frame.batch.deliveries)
        return 0

    def _on_started(self, started: Any) -> None:
        self._stream_id, self._frames, self._connected = started.stream_id, 1, True
        self._leave_due = -math.inf
        if started.resumed:
            self._deliveries.keep_waiting()
        else:
            self._deliveries.drop_waiting()
        self._ack_deadline = started.ack_deadline.ToMilliseconds() / 1000
        self._extend_later(self._clock())

    def _extend_later(self, now: float) -> None:
        self._next_extension = math.inf
        if self._ack_deadline > 0:
            self._next_extension = now + self._ack_deadline / defaults.EXTENSIONS_PER_DEADLINE

    def on_stream_end(self) -> None:
        """What waits here is still this program's, but for a short time only, unless the next stream resumes it."""
        self._connected = False
        self._deliveries.drop_waiting_at(self._clock() + defaults.RESUME_WINDOW_MS / 1000)

    # --- The handlers.

    def take(self) -> Optional[Delivery]:
        """What a handler is to begin with. None where nothing waits: for now, unless handlers_are_over."""
        if self._deliveries.drop_at() < math.inf:
            self._drop_if_due(self._clock())
        delivery = self._deliveries.take()
        if delivery:
            self._running[delivery] = None
            if self._options.max_handler_time > 0:
                self._ceilings.append((self._clock() + self._options.max_handler_time, delivery))
        return delivery

    def finish(self, delivery: Delivery, verdict: Verdict) -> bool:
        """Returns whether there is something to do sooner than due() said."""
        del self._running[delivery]
        ack_id = self._deliveries.finish(delivery)
        sooner = bool(ack_id) and self._outbox.add(update_of(verdict), ack_id, self._clock())
        return sooner or self._stopping

    def handlers_are_over(self) -> bool:
        return self._deliveries.is_over()

    # --- What the gateway is told.

    def poll(self) -> Work:
        """What has to be done now. Each call's answer goes to on_answer."""
        now = self._clock()
        self._drop_if_due(now)
        told = self._over_their_time(now)
        if self._stopping:
            told += self._hand_back(now)
        calls = self._extensions(now) if now >= self._next_extension else []
        calls += self._leave(now)
        while self._under_way < defaults.MAX_ACKS_UNDER_WAY:
            call = self._outbox.take(now)
            if call is None:
                break
            self._under_way += 1
            calls.append(call)
        return Work(calls, told)

    def due(self) -> float:
        """When to poll again, unless something happens before."""
        has_room = self._under_way < defaults.MAX_ACKS_UNDER_WAY
        return min(
            self._outbox.due() if has_room else math.inf,
            self._next_extension,
            self._ceilings[0][0] if self._ceilings else math.inf,
            self._deliveries.drop_at(),
            self._stop_by if self._stopping and not self._deliveries.closed else math.inf,
            self._leave_due if self._has_to_leave() and not self._leaving else math.inf,
            self._give_up,
        )

    def on_answer(self, call: Call, error: Optional[Error], failures: Iterable[Any] = ()) -> List[AckFailure]:
        """Returns what had no effect, for good."""
        now = self._clock()
        if call.update.kind == Kind.LEAVE:
            self._on_leave_answer(call, error, now)
            return []
        if call.update.kind != Kind.EXTEND:
            self._under_way -= 1
        return self._outbox.on_answer(call, error, failures, now)

    def _drop_if_due(self, now: float) -> None:
        if now >= self._deliveries.drop_at():
            self._deliveries.drop_waiting()

    def _over_their_time(self, now: float) -> List[Delivery]:
        told = []
        while self._ceilings and (self._ceilings[0][0] <= now or self._ceilings[0][1] not in self._running):
            delivery = self._ceilings.popleft()[1]
            if delivery in self._running:
                self._outbox.add_all(RETRY, [self._deliveries.disown(delivery)], now)
                told.append(delivery)
        return told

    def _extensions(self, now: float) -> List[Call]:
        # Beside the limit of calls under way: leases do not wait until a slow gateway has answered.
        self._extend_later(now)
        held, update = self._deliveries.held_ack_ids(), Update(Kind.EXTEND, seconds=self._ack_deadline)
        size = defaults.MAX_ACK_IDS
        return [Call(update, held[begin : begin + size]) for begin in range(0, len(held), size)]

    # --- The stop.

    def stop(self, mode: StopMode, timeout: float) -> None:
        """Once more only makes it sooner. The gateway gives what is on its way to others, and is told what becomes of
        what has arrived while the stream stays open, because its end would take the leases away."""
        now = self._clock()
        self._stop_by = min(self._stop_by, now + timeout) if mode == StopMode.FINISH else -math.inf
        self._stopping = True
        self._outbox.hurry(now)
        self._deliveries.drain()
        if mode == StopMode.RELEASE:
            self._deliveries.close()

    def is_over(self) -> bool:
        """Whether nothing is left to be done, or the time for it is over."""
        if not self._stopping or self._deliveries.waiting() or self._running:
            return False
        now = self._clock()
        if self._give_up == math.inf:
            self._give_up = now + self._options.stop_timeout
        if now >= self._give_up:
            return True
        return not (self._outbox or self._under_way or self._leaving or self._has_to_leave())

    def _hand_back(self, now: float) -> List[Delivery]:
        """At the stop's time: what has not begun goes to others."""
        if now < self._stop_by or not (self._deliveries.waiting() or self._running):
            return []
        told: List[Delivery] = []
        if not self._deliveries.closed:
            self._deliveries.close()
            told = list(self._running)
        self._outbox.add_all(RELEASE, self._deliveries.take_back(), now)
        return told

    def _has_to_leave(self) -> bool:
        return self._stopping and self._stream_id != self._left

    def _leave(self, now: float) -> List[Call]:
        if not self._has_to_leave() or self._leaving or now < self._leave_due:
            return []
        self._leaving = True
        return [Call(Update(Kind.LEAVE), [], self._stream_id, self._frames)]

    def _on_leave_answer(self, call: Call, error: Optional[Error], now: float) -> None:
        self._leaving = False
        stream_is_lost = not self._connected and call.stream_id == self._stream_id
        if error is None or isinstance(error, FinalError) or stream_is_lost:
            self._left = call.stream_id
        else:
            self._leave_due = now + max(self._leave_backoff.next(), error.retry_delay)


def request_of(subscription: str, call: Call) -> Tuple[str, Any]:
    """The method's name and its request."""
    update = call.update
    if update.kind == Kind.ACK:
        return "Acknowledge", pb.AcknowledgeRequest(subscription=subscription, ack_ids=call.ack_ids)
    request = pb.ModifyAckDeadlineRequest(
        subscription=subscription,
        ack_ids=call.ack_ids,
        stream_id=call.stream_id,
        received_frames=call.received_frames,
    )
    if update.kind == Kind.EXTEND:
        request.extend_by.FromNanoseconds(round(update.seconds * 1e9))
    elif update.kind == Kind.REDELIVER:
        request.redeliver_after.SetInParent()
        request.redeliver_after.FromNanoseconds(round(update.seconds * 1e9))
    elif update.kind == Kind.RETRY:
        request.retry.SetInParent()
    elif update.kind == Kind.DEAD_LETTER:
        request.dead_letter_reason = update.reason
    else:
        request.release.SetInParent()
    return "ModifyAckDeadline", request
