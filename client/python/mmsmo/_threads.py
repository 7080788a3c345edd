"""A connection, and the reading of streams, with threads."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any, Callable, Optional, Protocol

import grpc

from . import defaults
from ._backoff import Backoff
from ._connection import channel_arguments, complete
from .errors import Error, FinalError, Unauthenticated, error_of_call
from .options import Options
from .v1 import mms_mo_service_pb2_grpc as pb_grpc


def new_channel(options: Options) -> grpc.Channel:
    arguments = channel_arguments(options)
    if options.tls:
        return grpc.secure_channel(options.target, options.tls.credentials(), arguments)
    return grpc.insecure_channel(options.target, arguments)


class Connection:
    """The gateway's methods, over a connection that can be given up for a new one. Thread-safe."""

    def __init__(self, options: Options) -> None:
        self._options, self.token = options, options.token_source()
        self._lock = threading.Lock()
        self._channel = new_channel(options)
        self._stub = pb_grpc.MmsMoServiceStub(self._channel)

    def subscribe(self, request: Any) -> Any:
        metadata = self.token.metadata() if self.token else None
        with self._lock:
            return self._stub.Subscribe(request, metadata=metadata)

    def begin(self, method: str, request: Any) -> Any:
        """A future, whose call takes as long as that of an acknowledgement may."""
        metadata = self.token.metadata() if self.token else None
        with self._lock:
            call = getattr(self._stub, method)
            return call.future(request, timeout=defaults.ACK_CALL_TIMEOUT_MS / 1000, metadata=metadata)

    def renew(self) -> None:
        """From now on there is a new connection, and calls over the old one have failed. What leads nowhere without
        saying so, such as a connection whose packets are dropped, would otherwise be used until TCP gives up on it."""
        channel = new_channel(self._options)
        with self._lock:
            old, self._channel = self._channel, channel
            self._stub = pb_grpc.MmsMoServiceStub(channel)
        old.close()

    def close(self) -> None:
        with self._lock:
            self._channel.close()


class Sink(Protocol):
    """What the streams are for. Called on the thread of StreamLoop.run."""

    def next_request(self) -> Any: ...

    def on_frame(self, frame: Any) -> None:
        """One that is slow is not taken for a silent gateway."""

    def on_stream_end(self) -> None: ...


class Watchdog:
    """Calls `bark`, on a thread of its own, when the deadline is over. A deadline that only moves away, as one does
    with each frame, doesn't wake it."""

    def __init__(self, bark: Callable[[], None]) -> None:
        self._bark = bark
        self._changed = threading.Condition()
        self._deadline = self._sleeps_until = math.inf
        self._done = False
        self._thread = threading.Thread(target=self._watch, name="mmsmo-watchdog", daemon=True)
        self._thread.start()

    def set(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._sleeps_until:
            with self._changed:
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._done:
                    return
                # In this order: whoever sets a deadline after it was read finds that it is nearer.
                self._sleeps_until = math.inf
                self._sleeps_until = deadline = self._deadline
                left = deadline - time.monotonic()
                if left > 0:
                    self._changed.wait(None if left == math.inf else left)
                    continue
                self._deadline = math.inf
            self._bark()


class StreamLoop:
    """Reads streams one after the other: one that fails, ends, or is silent for three heartbeats is replaced, after a
    wait that grows from failure to failure. Thread-safe, but for run, which is called once."""

    def __init__(self, options: Options, connection: Connection, sink: Sink, logger: logging.Logger) -> None:
        self._options, self._connection, self._sink, self._logger = options, connection, sink, logger
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._call: Any = None
        self._was_silent = self._got_frame = False
        self._silence = options.connect_timeout

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends run soon. Also before it."""
        with self._lock:
            self._stopped.set()
            if self._call is not None:
                self._call.cancel()

    def run(self) -> None:
        """Until stop; else raises what is final."""
        backoff = Backoff(self._options.min_backoff, self._options.max_backoff)
        watchdog = Watchdog(self._on_silence)
        try:
            while True:
                token = self._token()
                error = self._read_stream(watchdog)
                if self.stopped:
                    return
                # What has failed waits in gRPC, too, for up to seconds before it connects again.
                if self._was_silent or not self._got_frame:
                    self._connection.renew()
                self._sink.on_stream_end()
                has_new_token = isinstance(error, Unauthenticated) and self._token() != token
                if isinstance(error, FinalError) and not has_new_token:
                    raise error
                if self._got_frame:
                    backoff.reset()
                self._logger.info("the stream ended and is replaced: %s: %s", error.code, error)
                self._options.observer.disconnected(error)
                self._stopped.wait(max(backoff.next(), error.retry_delay))
        finally:
            watchdog.close()

    def _token(self) -> Optional[str]:
        try:
            return self._connection.token.get() if self._connection.token else None
        except Exception:
            return None  # which the call says

    def _read_stream(self, watchdog: Watchdog) -> Error:
        """Why it ended."""
        self._was_silent = self._got_frame = False
        self._silence = self._options.connect_timeout
        request = complete(self._sink.next_request(), self._options)
        try:
            with self._lock:
                if self.stopped:
                    return Error("stopped", "CANCELLED")
                call = self._call = self._connection.subscribe(request)
        except Error as error:  # of the token
            return error
        try:
            while not self.stopped:
                frame = self._next_frame(call, watchdog)
                if isinstance(frame, Error):
                    return frame
                self._on_frame(frame)
            return Error("stopped", "CANCELLED")
        finally:
            call.cancel()
            with self._lock:
                self._call = None

    def _next_frame(self, call: Any, watchdog: Watchdog) -> Any:
        """Or why there is none. The gateway has to say something now; it has not while the sink works."""
        watchdog.set(time.monotonic() + self._silence)
        try:
            frame = next(call, None)
        except grpc.RpcError as failure:
            if self._was_silent:
                return Error("the gateway gave no sign of life", "DEADLINE_EXCEEDED")
            return error_of_call(failure)
        finally:
            watchdog.set(math.inf)
        return Error("the gateway ended the stream", "UNAVAILABLE") if frame is None else frame

    def _on_frame(self, frame: Any) -> None:
        self._got_frame = True
        self._sink.on_frame(frame)
        content = frame.WhichOneof("content")
        if content == "started":
            interval = frame.started.heartbeat_interval.ToNanoseconds() / 1e9
            self._silence = defaults.SILENT_HEARTBEATS * interval
            self._options.observer.connected()
        elif content == "caught_up":
            self._options.observer.caught_up()

    def _on_silence(self) -> None:
        with self._lock:
            if self._call is not None:
                self._was_silent = True
                self._call.cancel()
