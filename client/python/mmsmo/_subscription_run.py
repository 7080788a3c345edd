"""One run on a named subscription, with threads: one reads the stream, one tells the gateway, and the others handle."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any, Callable, List, Optional, Tuple

import grpc

from ._deliveries import Delivery
from ._outbox import AckFailure, Call, Kind
from ._session import Session, StopMode, request_of
from ._threads import Connection, StreamLoop
from .errors import Error, error_of_call
from .options import Options
from .verdict import Retry, Verdict

Handler = Callable[[Delivery], Verdict]


class SubscriptionRun:
    def __init__(self, subscription: str, options: Options, handler: Handler, logger: logging.Logger) -> None:
        self._subscription, self._options, self._handler, self._logger = subscription, options, handler, logger
        self._session = Session(subscription, options)
        self._lock = threading.Lock()  # of the session, and of what follows
        self._has_work = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)
        self._answers: List[Tuple[Call, Any]] = []
        self._has_changed = False
        self._failure: Optional[BaseException] = None
        self.failed_acks = 0
        self._connection = Connection(options)
        self._loop = StreamLoop(options, self._connection, self, logger)

    def run(self) -> None:
        """Until stop; else raises what is final. Called once."""
        threads = [threading.Thread(target=self._tell_gateway, name="mmsmo-acknowledger", daemon=True)]
        threads += [
            threading.Thread(target=self._handle_all, name=f"mmsmo-handler-{number}", daemon=True)
            for number in range(self._options.concurrency)
        ]
        for thread in threads:
            thread.start()
        try:
            self._loop.run()
        finally:
            self.stop(StopMode.RELEASE, 0)
            for thread in threads:
                thread.join()
            self._connection.close()
        if self._failure:
            raise self._failure

    def stop(self, mode: StopMode, timeout: float) -> None:
        """As Subscriber.stop. Also before run."""
        with self._lock:
            self._session.stop(mode, timeout)
            self._has_work.notify_all()
            self._wake()

    def _wake(self) -> None:
        self._has_changed = True
        self._changed.notify()

    # --- Of the stream.

    def next_request(self) -> Any:
        with self._lock:
            return self._session.next_request()

    def on_frame(self, frame: Any) -> None:
        with self._lock:
            count = self._session.on_frame(frame)
            if count:
                self._has_work.notify(min(count, self._options.concurrency))
            else:
                self._wake()  # there may be a lease to keep
        if count:
            self._options.observer.received(count)

    def on_stream_end(self) -> None:
        with self._lock:
            self._session.on_stream_end()
            self._wake()

    # --- The handlers.

    def _handle_all(self) -> None:
        with self._lock:
            while True:
                delivery = self._session.take()
                if delivery is None:
                    if self._session.handlers_are_over():
                        self._has_work.notify_all()
                        return
                    self._has_work.wait()
                    continue
                self._lock.release()
                try:
                    verdict = self._handle(delivery)
                finally:
                    self._lock.acquire()
                if self._session.finish(delivery, verdict):
                    self._wake()

    def _handle(self, delivery: Delivery) -> Verdict:
        begin, error = time.monotonic(), None
        try:
            with self._options.observer.handling(delivery):
                verdict = checked(self._handler(delivery))
        except BaseException as raised:  # also SystemExit: a thread that ends would end the consumer silently
            error, verdict = raised, Retry
            self._logger.warning("the handler failed, which is a retry", exc_info=True)
        try:
            self._options.observer.handled(delivery, verdict, time.monotonic() - begin, error)
        except Exception:
            self._logger.exception("the observer failed")
        return verdict

    # --- What the gateway is told.

    def _tell_gateway(self) -> None:
        try:
            while True:
                failed, acknowledged = self._take_answers()
                self._report(failed, acknowledged)
                with self._lock:
                    if self._session.is_over():
                        return
                    self._has_changed = False
                    work = self._session.poll()
                for delivery in work.told:
                    delivery.cancelled.set()
                for call in work.calls:
                    self._begin(call)
                with self._lock:
                    if not (self._answers or self._has_changed or self._session.is_over()):
                        left = self._session.due() - time.monotonic()
                        if left > 0:
                            self._changed.wait(None if left == math.inf else left)
        except BaseException as failure:  # which run raises
            self._failure = failure
        finally:
            self._loop.stop()

    def _begin(self, call: Call) -> None:
        try:
            future = self._connection.begin(*request_of(self._subscription, call))
        except Exception as error:  # of the token, or of what gRPC does not take
            answer = error if isinstance(error, Error) else Error(str(error))
            with self._lock:
                self._answers.append((call, answer))
            return
        future.add_done_callback(lambda done: self._on_done(call, done))

    def _on_done(self, call: Call, future: Any) -> None:
        with self._lock:
            self._answers.append((call, future))
            self._changed.notify()

    def _take_answers(self) -> Tuple[List[AckFailure], int]:
        with self._lock:
            answers, self._answers = self._answers, []
        failed, acknowledged = [], 0
        for call, answer in answers:
            error, failures = outcome_of(answer)
            with self._lock:
                failed += self._session.on_answer(call, error, failures)
            if error is None and call.update.kind not in (Kind.EXTEND, Kind.LEAVE):
                acknowledged += len(call.ack_ids) - len(failures)
        return failed, acknowledged

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


def outcome_of(answer: Any) -> Tuple[Optional[Error], Any]:
    if isinstance(answer, Error):
        return answer, ()
    if answer.code() == grpc.StatusCode.OK:
        return None, answer.result().failures
    return error_of_call(answer), ()


def checked(verdict: Any) -> Verdict:
    if isinstance(verdict, Verdict):
        return verdict
    raise TypeError(f"a handler returns Ack, Retry, RetryAfter(…) or DeadLetter(…), and not {verdict!r}")
