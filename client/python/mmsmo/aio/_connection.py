"""A connection, and the reading of streams, with asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Optional, Protocol

import grpc
import grpc.aio

from .. import defaults
from .._backoff import Backoff
from .._connection import channel_arguments, complete
from ..errors import Error, FinalError, Unauthenticated, error_of
from ..options import Options
from ..v1 import mms_mo_service_pb2_grpc as pb_grpc


def new_channel(options: Options, interceptors: Any = None) -> Any:
    arguments = channel_arguments(options)
    if options.tls:
        credentials = options.tls.credentials()
        return grpc.aio.secure_channel(options.target, credentials, arguments, interceptors=interceptors)
    return grpc.aio.insecure_channel(options.target, arguments, interceptors=interceptors)


def error_of_failure(error: Any) -> Error:
    return error_of(error.code().name, error.details() or "", error.trailing_metadata())


class Connection:
    """The gateway's methods, over a connection that can be given up for a new one."""

    def __init__(self, options: Options) -> None:
        self._options, self.token = options, options.token_source()
        self._channel = new_channel(options)
        self._stub = pb_grpc.MmsMoServiceStub(self._channel)

    def subscribe(self, request: Any) -> Any:
        return self._stub.Subscribe(request, metadata=self.token.metadata() if self.token else None)

    async def call(self, method: str, request: Any) -> Any:
        """Takes as long as an acknowledgement may. Raises Error."""
        metadata, channel = self.token.metadata() if self.token else None, self._channel
        call = getattr(self._stub, method)(request, timeout=defaults.ACK_CALL_TIMEOUT_MS / 1000, metadata=metadata)
        try:
            return await call
        except grpc.RpcError as failure:
            raise error_of_failure(failure) from None
        except asyncio.CancelledError:
            if channel is self._channel:
                raise
            raise Error("the connection was given up", "CANCELLED") from None

    async def renew(self) -> None:
        """From now on there is a new connection, and calls over the old one have failed. What leads nowhere without
        saying so, such as a connection whose packets are dropped, would otherwise be used until TCP gives up on it."""
        old = self._channel
        self._channel = new_channel(self._options)
        self._stub = pb_grpc.MmsMoServiceStub(self._channel)
        await old.close()

    async def close(self) -> None:
        await self._channel.close()


class Sink(Protocol):
    """What the streams are for."""

    def next_request(self) -> Any: ...

    async def on_frame(self, frame: Any) -> None:
        """One that is slow is not taken for a silent gateway."""

    def on_stream_end(self) -> None: ...


class StreamLoop:
    """Reads streams one after the other: one that fails, ends, or is silent for three heartbeats is replaced, after a
    wait that grows from failure to failure."""

    def __init__(self, options: Options, connection: Connection, sink: Sink, logger: logging.Logger) -> None:
        self._options, self._connection, self._sink, self._logger = options, connection, sink, logger
        self._stopped = asyncio.Event()
        self._call: Any = None
        self._was_silent = self._got_frame = False
        self._silence = options.connect_timeout

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends run soon. Also before it."""
        self._stopped.set()
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        """Until stop; else raises what is final."""
        backoff = Backoff(self._options.min_backoff, self._options.max_backoff)
        while not self.stopped:
            token = self._token()
            error = await self._read_stream()
            if self.stopped:
                return
            # What has failed waits in gRPC, too, for up to seconds before it connects again.
            if self._was_silent or not self._got_frame:
                await self._connection.renew()
            self._sink.on_stream_end()
            has_new_token = isinstance(error, Unauthenticated) and self._token() != token
            if isinstance(error, FinalError) and not has_new_token:
                raise error
            if self._got_frame:
                backoff.reset()
            self._logger.info("the stream ended and is replaced: %s: %s", error.code, error)
            self._options.observer.disconnected(error)
            await self._sleep(max(backoff.next(), error.retry_delay))

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _token(self) -> Optional[str]:
        try:
            return self._connection.token.get() if self._connection.token else None
        except Exception:
            return None  # which the call says

    async def _read_stream(self) -> Error:
        """Why it ended."""
        self._was_silent = self._got_frame = False
        self._silence = self._options.connect_timeout
        try:
            call = self._call = self._connection.subscribe(complete(self._sink.next_request(), self._options))
        except Error as error:  # of the token
            return error
        try:
            while not self.stopped:
                frame = await self._next_frame(call)
                if isinstance(frame, Error):
                    return frame
                await self._on_frame(frame)
            return Error("stopped", "CANCELLED")
        finally:
            self._call = None
            call.cancel()

    async def _next_frame(self, call: Any) -> Any:
        """Or why there is none. The gateway has to say something now; it has not while the sink works."""
        watchdog = asyncio.get_running_loop().call_later(self._silence, self._on_silence)
        try:
            frame = await call.read()
        except grpc.RpcError as failure:
            return error_of_failure(failure)
        except asyncio.CancelledError:  # of the call, or of this task
            if self._was_silent:
                return Error("the gateway gave no sign of life", "DEADLINE_EXCEEDED")
            if self.stopped:
                return Error("stopped", "CANCELLED")
            raise
        finally:
            watchdog.cancel()
        return Error("the gateway ended the stream", "UNAVAILABLE") if frame is grpc.aio.EOF else frame

    async def _on_frame(self, frame: Any) -> None:
        self._got_frame = True
        await self._sink.on_frame(frame)
        content = frame.WhichOneof("content")
        if content == "started":
            interval = frame.started.heartbeat_interval.ToNanoseconds() / 1e9
            self._silence = defaults.SILENT_HEARTBEATS * interval
            self._options.observer.connected()
        elif content == "caught_up":
            self._options.observer.caught_up()

    def _on_silence(self) -> None:
        self._was_silent = True
        if self._call is not None:
            self._call.cancel()
