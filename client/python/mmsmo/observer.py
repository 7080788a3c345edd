"""What a program may want to hear of a run, for its metrics and spans. Its methods are called on the run's threads and
should return soon; what they raise is logged."""

from __future__ import annotations

import contextlib
from typing import ContextManager, Optional

from ._deliveries import Delivery
from ._outbox import AckFailure
from .errors import Error
from .verdict import Verdict


class Observer:
    """Override what you want to hear."""

    def connected(self) -> None:
        """A stream began."""

    def disconnected(self, error: Error) -> None:
        """A stream ended and will be tried again."""

    def caught_up(self) -> None:
        """Everything that the gateway had was received."""

    def received(self, count: int) -> None:
        """So many deliveries arrived."""

    def handling(self, delivery: Delivery) -> ContextManager[object]:
        """Is entered around the handler: a place for a span."""
        return contextlib.nullcontext()

    def handled(self, delivery: Delivery, verdict: Verdict, seconds: float, error: Optional[BaseException]) -> None:
        """A handler ended after so long, or raised `error`, which is a Retry."""

    def acknowledged(self, count: int) -> None:
        """So many verdicts were answered."""

    def ack_failed(self, failure: AckFailure) -> None:
        """An Ack or a DeadLetter had no effect."""
