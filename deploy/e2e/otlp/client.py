"""A component that is instrumented with OpenTelemetry's SDK and says too much.

client.py PROTOCOL COMPRESSION PORT SECRET MARK COUNT (PORT may be unix:/PATH): COUNT spans, records and points, each with its own mark MARK-i, and
the secret in all the places where such secrets are seen."""

import logging
import sys

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

protocol, compression, port, secret, mark, count = sys.argv[1:]
if protocol == "grpc":
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def options(_):
        how = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        return {
            "endpoint": port if port.startswith("unix:") else f"http://127.0.0.1:{port}",
            "insecure": True,
            "headers": (("x-tenant", "kasm"),),
            "compression": how,
            "timeout": 60,
        }
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def options(signal):
        return {
            "endpoint": f"http://127.0.0.1:{port}/v1/{signal}",
            "headers": {"x-tenant": "kasm"},
            "compression": Compression.Gzip if compression == "gzip" else Compression.NoCompression,
            "timeout": 60,
        }


resource = Resource.create({"service.name": "kasm_api", "service.db.password": secret})

spans = TracerProvider(resource=resource)
spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**options("traces"))))
tracer = spans.get_tracer("kasm", "1.18.0", attributes={"scope.password": secret})
link = Link(SpanContext(1, 1, True, TraceFlags(1)), {"peer.password": secret})
for i in range(int(count)):
    with tracer.start_as_current_span(f"GET /api/login?password={secret}&mark={mark}-span-{i}-", links=[link]) as span:
        span.set_attribute("db.password", secret)
        span.set_attribute("argv", ["--user", "ada", f"--password={secret}"])
        span.set_attribute("url.full", f"https://kasm.invalid/vnc.html?password={secret}&path=x")
        span.add_event(f"retry with password={secret}", {"password": secret})
        span.set_status(Status(StatusCode.ERROR, f"login failed: password={secret}"))
spans.shutdown()

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**options("logs"))))
logger = logging.getLogger("kasm")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(LoggingHandler(logger_provider=logs))
for i in range(int(count)):
    logger.info('{"mark": "%s-record-%d-", "password": "%s"}', mark, i, secret, extra={"redis_password": secret})
logs.shutdown()

reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")), export_interval_millis=3_600_000)
metrics = MeterProvider(resource=resource, metric_readers=[reader])
counter = metrics.get_meter("kasm").create_counter("logins", description=f"of {mark}; password={secret}")
for i in range(int(count)):
    counter.add(1, {"mark": f"{mark}-point-{i}-", "password": secret})
metrics.shutdown()
