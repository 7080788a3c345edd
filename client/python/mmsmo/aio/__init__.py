"""Consumers of mmsmo-gateway, with asyncio. Handlers are coroutines; verdicts, options, positions and errors are those
of mmsmo."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import Any, Awaitable, Callable, Iterator, Optional

from .._connection import check_token
from .._deliveries import Delivery
from .._session import StopMode
from ..options import Options
from ..subscriber import Position
from ._connection import Connection, StreamLoop
from ._services import Services
from ._subscription_run import Handler, SubscriptionRun

__all__ = ["Services", "Subscriber", "stop_on_signals"]


class Subscriber:
    """`await Subscriber("localhost:9090").run("billing", handler)`. Its settings are those of mmsmo.Options, by their
    names. One of run and follow is called, once. Belongs to its event loop: not thread-safe."""

    def __init__(self, target: str, *, logger: Optional[logging.Logger] = None, **options: Any) -> None:
        self.options = Options(target, **options)
        self._logger = logger or logging.getLogger("mmsmo")
        self._stopped = False
        self._stop: Optional[Callable[[StopMode, float], None]] = None
        self._position = Position(None, self.options)
        self._run: Optional[SubscriptionRun] = None

    async def run(self, subscription: str, handler: Handler) -> None:
        """As mmsmo.Subscriber.run, with `concurrency` handlers at once in this event loop. A handler whose time is up
        is cancelled. Cancelling run itself cancels the handlers and ends the stream at once; a stop is kinder."""
        check_token(self.options)
        self._run = run = SubscriptionRun(subscription, self.options, handler, self._logger)
        with self._stopped_by(run.stop):
            await run.run()

    async def follow(self, start: Any, handler: Callable[[Delivery], Awaitable[object]]) -> None:
        """As mmsmo.Subscriber.follow."""
        check_token(self.options)
        self._position = Position(start, self.options)
        connection = Connection(self.options)
        sink = _Follower(self._position, handler)
        sink.loop = loop = StreamLoop(self.options, connection, sink, self._logger)
        try:
            with self._stopped_by(lambda _mode, _timeout: loop.stop()):
                await loop.run()
        finally:
            await connection.close()

    def stop(self, mode: StopMode = StopMode.RELEASE, timeout: Optional[float] = None) -> None:
        """As mmsmo.Subscriber.stop."""
        self._stopped = True
        if self._stop:
            self._stop(mode, self.options.stop_timeout if timeout is None else timeout)

    @property
    def cursor(self) -> str:
        """As mmsmo.Subscriber.cursor."""
        return self._position.cursor

    @property
    def failed_acks(self) -> int:
        """How many Acks and DeadLetters had no effect; Observer.ack_failed hears of each."""
        return self._run.failed_acks if self._run else 0

    def services(self) -> Services:
        """The gateway's other methods, over a connection of their own."""
        return Services(self.options)

    @contextlib.contextmanager
    def _stopped_by(self, stop: Callable[[StopMode, float], None]) -> Iterator[None]:
        self._stop = stop
        if self._stopped:
            stop(StopMode.RELEASE, 0)
        try:
            yield
        finally:
            self._stop = None


class _Follower:
    loop: StreamLoop

    def __init__(self, position: Position, handler: Callable[[Delivery], Awaitable[object]]) -> None:
        self._position, self._handler = position, handler
        self.next_request = position.next_request

    async def on_frame(self, frame: Any) -> None:
        for message in frame.batch.deliveries:
            if self.loop.stopped:
                return  # the rest of the frame is not handed over
            await self._handler(Delivery(message.event, 0))
            self._position.cursor = message.event.cursor
        if frame.cursor:  # which filtered events may have moved on
            self._position.cursor = frame.cursor

    def on_stream_end(self) -> None:
        pass


@contextlib.contextmanager
def stop_on_signals(subscriber: Subscriber, timeout: Optional[float] = None) -> Iterator[None]:
    """SIGTERM and SIGINT stop it: the first finishes, the second releases. In the main thread's running event loop."""
    loop, received = asyncio.get_running_loop(), []

    def on_signal(number: int) -> None:
        received.append(number)
        subscriber.stop(StopMode.FINISH if len(received) == 1 else StopMode.RELEASE, timeout)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
