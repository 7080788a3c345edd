"""One run on a named subscription, with asyncio: one task reads the stream, one tells the gateway, and the others
handle."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any, Awaitable, Callable, List, Optional, Set

from .._deliveries import Delivery
from .._outbox import AckFailure, Call, Kind
from .._session import Session, StopMode, request_of
from .._subscription_run import checked
from ..errors import Error
from ..options import Options
from ..verdict import Retry, Verdict
from ._connection import Connection, StreamLoop

Handler = Callable[[Delivery], Awaitable[Verdict]]

# A handler that never waits gives way to everything else after so many seconds.
_SLICE = 0.005


class SubscriptionRun:
    def __init__(self, subscription: str, options: Options, handler: Handler, logger: logging.Logger) -> None:
        self._subscription, self._options, self._handler, self._logger = subscription, options, handler, logger
        self._session = Session(subscription, options)
        self._has_work, self._changed = asyncio.Event(), asyncio.Event()
        self._calls: Set[Any] = set()
        self._cancelled = False
        self.failed_acks = 0
        self._connection = Connection(options)
        self._loop = StreamLoop(options, self._connection, self, logger)

    async def run(self) -> None:
        """Until stop; else raises what is final. Called once. Cancelled, it cancels the handlers."""
        tasks = [asyncio.ensure_future(self._tell_gateway())]
        tasks += [asyncio.ensure_future(self._handle_all()) for _ in range(self._options.concurrency)]
        try:
            try:
                await self._loop.run()
            finally:
                self.stop(StopMode.RELEASE, 0)
            await asyncio.gather(*tasks)
        except Exception:
            await asyncio.gather(*tasks)
            raise
        finally:
            self._cancelled = True
            for task in [*tasks, *self._calls]:
                task.cancel()
            await asyncio.gather(*tasks, *self._calls, return_exceptions=True)
            await self._connection.close()

    def stop(self, mode: StopMode, timeout: float) -> None:
        """As Subscriber.stop. Also before run."""
        self._session.stop(mode, timeout)
        self._has_work.set()
        self._changed.set()

    # --- Of the stream.

    def next_request(self) -> Any:
        return self._session.next_request()

    async def on_frame(self, frame: Any) -> None:
        count = self._session.on_frame(frame)
        if count:
            self._has_work.set()
            self._options.observer.received(count)
        else:
            self._changed.set()  # there may be a lease to keep

    def on_stream_end(self) -> None:
        self._session.on_stream_end()
        self._changed.set()

    # --- The handlers.

    async def _handle_all(self) -> None:
        worker, slice_ends = asyncio.current_task(), 0.0
        while True:
            delivery = self._session.take()
            if delivery is None:
                if self._session.handlers_are_over():
                    self._changed.set()
                    return
                self._has_work.clear()
                await self._has_work.wait()
                continue
            delivery._worker = worker
            begin = time.monotonic()
            verdict = await self._handle(delivery, begin)
            delivery._worker = None
            if self._session.finish(delivery, verdict):
                self._changed.set()
            if begin > slice_ends:
                await asyncio.sleep(0)
                slice_ends = time.monotonic() + _SLICE

    async def _handle(self, delivery: Delivery, begin: float) -> Verdict:
        error: Optional[BaseException] = None
        try:
            with self._options.observer.handling(delivery):
                verdict = checked(await self._handler(delivery))
        except asyncio.CancelledError as cancelled:
            if self._cancelled:
                raise
            error, verdict = cancelled, Retry
            _take_cancellation_back()
        except Exception as raised:
            error, verdict = raised, Retry
            self._logger.warning("the handler failed, which is a retry", exc_info=True)
        try:
            self._options.observer.handled(delivery, verdict, time.monotonic() - begin, error)
        except Exception:
            self._logger.exception("the observer failed")
        return verdict

    # --- What the gateway is told.

    async def _tell_gateway(self) -> None:
        try:
            while not self._session.is_over():
                self._changed.clear()
                work = self._session.poll()
                for delivery in work.told:
                    delivery.cancelled.set()
                    if delivery._worker is not None:
                        delivery._worker.cancel()
                for call in work.calls:
                    task = asyncio.ensure_future(self._tell(call))
                    self._calls.add(task)
                    task.add_done_callback(self._calls.discard)
                await self._until_due()
        finally:
            self._loop.stop()

    async def _until_due(self) -> None:
        left = self._session.due() - time.monotonic()
        if left <= 0:
            await asyncio.sleep(0)
            return
        alarm = None
        if left < math.inf:
            alarm = asyncio.get_running_loop().call_later(left, self._changed.set)
        await self._changed.wait()
        if alarm:
            alarm.cancel()

    async def _tell(self, call: Call) -> None:
        error: Optional[Error] = None
        failures: Any = ()
        try:
            failures = (await self._connection.call(*request_of(self._subscription, call))).failures
        except Error as failure:
            error = failure
        failed = self._session.on_answer(call, error, failures)
        self._changed.set()
        told = call.update.kind not in (Kind.EXTEND, Kind.LEAVE)
        self._report(failed, len(call.ack_ids) - len(failures) if told and error is None else 0)

    def _report(self, failed: List[AckFailure], acknowledged: int) -> None:
        self.failed_acks += len(failed)
        try:
            if acknowledged:
                self._options.observer.acknowledged(acknowledged)
            for failure in failed:
                self._logger.warning("an acknowledgement had no effect: %s", failure.why)
                self._options.observer.ack_failed(failure)
        except Exception:
            self._logger.exception("the observer failed")


def _take_cancellation_back() -> None:
    """The worker goes on: it was its handler that was cancelled. Before Python 3.11 a task doesn't count that."""
    uncancel = getattr(asyncio.current_task(), "uncancel", None)
    if uncancel:
        uncancel()
