"""Spans, where OpenTelemetry's SDK is there."""

from __future__ import annotations

import unittest

try:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
except ImportError as missing:
    raise unittest.SkipTest("opentelemetry-sdk is not installed") from missing

from mmsmo import Delivery
from mmsmo.otel import Spans
from mmsmo.v1 import event_pb2

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class SpansTest(unittest.TestCase):
    def spans_of(self, trace_parent):
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        delivery = Delivery(event_pb2.Event(trace_parent=trace_parent), 2)
        with Spans(provider.get_tracer("test")).handling(delivery):
            pass
        return exporter.get_finished_spans()

    def test_is_linked_to_the_trace_of_the_postback(self):
        [span] = self.spans_of(f"00-{TRACE}-{SPAN}-01")
        [link] = span.links
        self.assertEqual((f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}"), (TRACE, SPAN))
        self.assertEqual(span.attributes["mmsmo.attempt"], 2)

    def test_a_postback_without_a_trace(self):
        for trace_parent in ("", "nonsense"):
            [span] = self.spans_of(trace_parent)
            self.assertFalse(span.links)


if __name__ == "__main__":
    unittest.main()
