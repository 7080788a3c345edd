"""OpenTelemetry's spans of what is handled; needs opentelemetry-api."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, Optional

from opentelemetry import trace
from opentelemetry.propagate import extract

from ._deliveries import Delivery
from .observer import Observer


class Spans(Observer):
    """A span around each handler, linked to the trace of the postback that brought its event."""

    def __init__(self, tracer: Optional[Any] = None) -> None:
        self._tracer = tracer or trace.get_tracer("mmsmo")

    @contextlib.contextmanager
    def handling(self, delivery: Delivery) -> Iterator[Any]:
        context = trace.get_current_span(extract({"traceparent": delivery.event.trace_parent})).get_span_context()
        links = [trace.Link(context)] if context.is_valid else []
        attributes = {
            "messaging.system": "mmsmo",
            "messaging.operation.type": "process",
            "messaging.message.id": delivery.event.mms_mo.tracking_id,
            "mmsmo.attempt": delivery.attempt,
        }
        kind = trace.SpanKind.CONSUMER
        with self._tracer.start_as_current_span("mmsmo process", kind=kind, links=links, attributes=attributes) as span:
            yield span
