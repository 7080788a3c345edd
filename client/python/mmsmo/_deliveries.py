"""The deliveries that this program holds: those that wait for a handler, and those in one."""

from __future__ import annotations

import collections
import math
import threading
from typing import Any, Deque, Dict, Iterable, List, Optional


class Delivery:
    """One hand-over of one event, as its handler sees it."""

    __slots__ = ("event", "attempt", "cancelled", "_ack_id", "_worker")

    def __init__(self, event: Any, attempt: int, ack_id: str = "") -> None:
        self.event = event  # mmsmo.v1.Event
        self.attempt = attempt  # counts deliveries of this event, from 1; 0 where a position is followed
        # Set when the handler's time is up: what it returns then changes nothing. An async handler is cancelled too.
        self.cancelled = threading.Event()
        self._ack_id = ack_id
        self._worker: Any = None  # the task that handles it, of asyncio


class Deliveries:
    """Not thread-safe; times are seconds of its owner's clock. A delivery is held while its ack_id is."""

    def __init__(self) -> None:
        self._waiting: Deque[Any] = collections.deque()  # of mmsmo.v1.Delivery
        self._held: Dict[str, None] = {}
        self._drop_at = math.inf
        self._draining = self.closed = False

    def push(self, messages: Iterable[Any]) -> None:
        """What a frame brings. Nothing after drain or close."""
        if self._draining:
            return
        for message in messages:
            self._held[message.ack_id] = None
            self._waiting.append(message)

    def take(self) -> Optional[Delivery]:
        """The next that waits. None after close."""
        if self.closed or not self._waiting:
            return None
        message = self._waiting.popleft()
        return Delivery(message.event, message.attempt, message.ack_id)

    def finish(self, delivery: Delivery) -> str:
        """The ack_id of what was taken, which is not held any more; empty after a disown. Also before the handler has
        returned: then it is called disowning."""
        ack_id, delivery._ack_id = delivery._ack_id, ""
        self._held.pop(ack_id, None)
        return ack_id

    disown = finish

    def drop_waiting(self) -> None:
        for message in self._waiting:
            self._held.pop(message.ack_id, None)
        self._waiting.clear()
        self._drop_at = math.inf

    def drop_waiting_at(self, when: float) -> None:
        """Unless keep_waiting is called before, what waits is forgotten then."""
        self._drop_at = when

    def keep_waiting(self) -> None:
        self._drop_at = math.inf

    def drop_at(self) -> float:
        return self._drop_at

    def drain(self) -> None:
        """Nothing comes any more."""
        self._draining = True

    def close(self) -> None:
        """And nothing is taken any more."""
        self._draining = self.closed = True

    def is_over(self) -> bool:
        """Whether nothing will be taken any more."""
        return self.closed or (self._draining and not self._waiting)

    def take_back(self) -> List[str]:
        """The ack_ids of what waits, which is forgotten."""
        ack_ids = [message.ack_id for message in self._waiting]
        self.drop_waiting()
        return ack_ids

    def waiting(self) -> int:
        return len(self._waiting)

    def held_ack_ids(self) -> List[str]:
        return list(self._held)
