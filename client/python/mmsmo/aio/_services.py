"""The gateway's other methods, typed."""

from __future__ import annotations

from typing import Any, Callable

import grpc.aio

from .._connection import check_token
from .._services import Details
from ..options import Options
from ..token import Token
from ..v1 import (
    audit_service_pb2_grpc,
    mms_mo_service_pb2_grpc,
    quarantine_service_pb2_grpc,
    subscription_service_pb2_grpc,
)
from ._connection import new_channel


class Services:
    """A connection with the subscriber's settings and token, and a stub of each service. Closes it at the end of an
    `async with`. Calls raise grpc.RpcError."""

    def __init__(self, options: Options) -> None:
        check_token(options)
        token = options.token_source()
        self.channel = new_channel(options, [_AddsToken(token), _AddsTokenToStreams(token)] if token else None)
        self.messages: Any = mms_mo_service_pb2_grpc.MmsMoServiceStub(self.channel)
        self.subscriptions: Any = subscription_service_pb2_grpc.SubscriptionServiceStub(self.channel)
        self.quarantine: Any = quarantine_service_pb2_grpc.QuarantineServiceStub(self.channel)
        self.audit: Any = audit_service_pb2_grpc.AuditServiceStub(self.channel)

    async def close(self) -> None:
        await self.channel.close()

    async def __aenter__(self) -> Services:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _AddsToken(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    def __init__(self, token: Token) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return await continuation(_with_token(details, self._token), request)


class _AddsTokenToStreams(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def __init__(self, token: Token) -> None:
        self._token = token

    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return await continuation(_with_token(details, self._token), request)


def _with_token(details: Any, token: Token) -> Any:
    metadata = grpc.aio.Metadata(*Details(details, token.metadata()).metadata)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )
