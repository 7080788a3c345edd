"""Receives events from a gateway, and goes on where it was after any failure; with threads."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from typing import Any, Callable, Iterator, Optional

from ._connection import check_token
from ._deliveries import Delivery
from ._services import Services
from ._session import StopMode
from ._subscription_run import Handler, SubscriptionRun
from ._threads import Connection, StreamLoop
from .options import Options
from .start import StartPosition, after_cursor
from .v1 import mms_mo_service_pb2 as pb


class Position:
    """Of a program that follows: where it began, and what it has handled."""

    def __init__(self, start: Any, options: Options) -> None:
        self._start, self._filter, self.cursor = start, options.filter, ""

    def next_request(self) -> Any:
        position = after_cursor(self.cursor) if self.cursor else self._start
        return pb.SubscribeRequest(start_position=position, filter=self._filter)


class Subscriber:
    """`Subscriber("localhost:9090").run("billing", handler)`. Its settings are those of Options, by their names. One of
    run and follow is called, once; everything else is thread-safe."""

    def __init__(self, target: str, *, logger: Optional[logging.Logger] = None, **options: Any) -> None:
        self.options = Options(target, **options)
        self._logger = logger or logging.getLogger("mmsmo")
        self._lock = threading.Lock()
        self._stopped = False
        self._stop: Optional[Callable[[StopMode, float], None]] = None
        self._position = Position(None, self.options)
        self._run: Optional[SubscriptionRun] = None

    def run(self, subscription: str, handler: Handler) -> None:
        """Calls `handler` for each delivery of a named subscription, on threads of its own, and tells the gateway what
        it returns, in batches, again until that is answered. Leases are prolonged while a delivery waits here or is
        handled. One that raises is a Retry. Streams are replaced, each resuming the one before, so that a lost
        connection costs no delivery and no attempt. An event can come more than once: delivery.attempt counts.

        Returns after stop, once the last handler has returned. Else raises why it makes no sense to try again, as a
        FinalError: NotFound, PermissionDenied, InvalidArgument, Unimplemented, FailedPrecondition, OutOfRange, or
        Unauthenticated, unless the source of the token gives another by then."""
        check_token(self.options)
        self._run = run = SubscriptionRun(subscription, self.options, handler, self._logger)
        with self._stopped_by(run.stop):
            run.run()

    def follow(self, start: Any, handler: Callable[[Delivery], object]) -> None:
        """Calls `handler` for each event from `start` on, in order, on this thread; its delivery has no attempt, and
        what it returns doesn't matter. A stream that ends is replaced by one that begins after the last event that was
        handed over. Returns after stop; else raises as run does, CursorExpired where the position is no longer
        retained, or what the handler raised: then `cursor` is before its event."""
        check_token(self.options)
        self._position = Position(start, self.options)
        connection = Connection(self.options)
        sink = _Follower(self._position, handler)
        sink.loop = loop = StreamLoop(self.options, connection, sink, self._logger)
        try:
            with self._stopped_by(lambda _mode, _timeout: loop.stop()):
                loop.run()
        finally:
            connection.close()

    def stop(self, mode: StopMode = StopMode.RELEASE, timeout: Optional[float] = None) -> None:
        """Ends run, after the handlers that are running; returns at once. The gateway delivers nothing more, and gives
        what is on its way to others. What has arrived is handed back, or with FINISH handled for up to `timeout`
        seconds, by default stop_timeout: then the rest is handed back, and the handlers that still run are told. Also
        before run; and once more, which only makes it sooner."""
        with self._lock:
            self._stopped = True
            stop = self._stop
        if stop:
            stop(mode, self.options.stop_timeout if timeout is None else timeout)

    @property
    def cursor(self) -> str:
        """The position of what was handed over: after_cursor(cursor) goes on from here. Empty before the first frame,
        and with a named subscription."""
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
        with self._lock:
            self._stop = stop
            stopped = self._stopped
        if stopped:
            stop(StopMode.RELEASE, 0)
        try:
            yield
        finally:
            with self._lock:
                self._stop = None


class _Follower:
    loop: StreamLoop

    def __init__(self, position: Position, handler: Callable[[Delivery], object]) -> None:
        self._position, self._handler = position, handler
        self.next_request = position.next_request

    def on_frame(self, frame: Any) -> None:
        for message in frame.batch.deliveries:
            if self.loop.stopped:
                return  # the rest of the frame is not handed over
            self._handler(Delivery(message.event, 0))
            self._position.cursor = message.event.cursor
        if frame.cursor:  # which filtered events may have moved on
            self._position.cursor = frame.cursor

    def on_stream_end(self) -> None:
        pass


@contextlib.contextmanager
def stop_on_signals(subscriber: Subscriber, timeout: Optional[float] = None) -> Iterator[None]:
    """SIGTERM and SIGINT stop it: the first finishes, the second releases. On the main thread only, as signals are."""
    received = []

    def on_signal(number: int, frame: object) -> None:
        received.append(number)
        mode = StopMode.FINISH if len(received) == 1 else StopMode.RELEASE
        # On another thread: this one may hold what a stop needs.
        threading.Thread(target=subscriber.stop, args=(mode, timeout), daemon=True).start()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["StartPosition", "Subscriber", "stop_on_signals"]
