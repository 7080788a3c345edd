"""The gateway's other methods, typed."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import grpc

from ._connection import check_token
from ._threads import new_channel
from .options import Options
from .token import Token
from .v1 import (
    audit_service_pb2_grpc,
    mms_mo_service_pb2_grpc,
    quarantine_service_pb2_grpc,
    subscription_service_pb2_grpc,
)


class Services:
    """A connection with the subscriber's settings and token, and a stub of each service. Closes it at the end of a
    `with`. Calls raise grpc.RpcError."""

    def __init__(self, options: Options) -> None:
        check_token(options)
        self.channel: Any = new_channel(options)
        token = options.token_source()
        if token:
            self.channel = grpc.intercept_channel(self.channel, _AddsToken(token))
        self.messages = mms_mo_service_pb2_grpc.MmsMoServiceStub(self.channel)
        self.subscriptions = subscription_service_pb2_grpc.SubscriptionServiceStub(self.channel)
        self.quarantine = quarantine_service_pb2_grpc.QuarantineServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Details(grpc.ClientCallDetails):  # type: ignore[misc]
    """Those of a call, with more metadata."""

    def __init__(self, details: Any, metadata: List[Tuple[str, Any]]) -> None:
        self.method, self.timeout, self.credentials = details.method, details.timeout, details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = getattr(details, "compression", None)
        self.metadata = [*(details.metadata or ()), *metadata]


class _AddsToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def __init__(self, token: Token) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(Details(details, self._token.metadata()), request)

    intercept_unary_stream = intercept_unary_unary
