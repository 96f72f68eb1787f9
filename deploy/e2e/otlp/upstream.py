"""An upstream that keeps what it takes: OTLP/gRPC by grpcio, OTLP/HTTP by Python's own server.

upstream.py GRPC_PORT HTTP_PORT FILE: a line of JSON in FILE for each request, with its message, decoded, as text."""

import gzip
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SERVICES = {
    "traces": (trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse),
    "logs": (logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse),
    "metrics": (metrics_service_pb2.ExportMetricsServiceRequest, metrics_service_pb2.ExportMetricsServiceResponse),
}
lock = threading.Lock()


def keep(out, signal, protocol, headers, message):
    line = {
        "signal": signal,
        "protocol": protocol,
        "tenant": headers.get("x-tenant"),
        "message": json_format.MessageToJson(message, indent=None),
        "raw": message.SerializeToString().decode("latin-1"),
    }
    with lock:
        out.write(json.dumps(line) + "\n")
        out.flush()


def servicer(base, signal, out):
    class Servicer(base):
        def Export(self, request, context):
            keep(out, signal, "grpc", dict(context.invocation_metadata()), request)
            return SERVICES[signal][1]()

    return Servicer()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        signal = self.path.rsplit("/", 1)[-1]
        request, response = (kind() for kind in SERVICES[signal])
        is_json = self.headers["content-type"].startswith("application/json")
        if is_json:
            # OTLP's ids are hexadecimal, protobuf's JSON has base64: only the text counts here.
            text = body.decode()
            with lock:
                self.server.out.write(json.dumps({"signal": signal, "protocol": "http", "message": text, "raw": text}) + "\n")
                self.server.out.flush()
        else:
            request.ParseFromString(body)
            keep(self.server.out, signal, "http", {name.lower(): value for name, value in self.headers.items()}, request)
        answer = b"{}" if is_json else response.SerializeToString()
        self.send_response(200)
        self.send_header("content-type", self.headers["content-type"])
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    grpc_port, http_port, file = sys.argv[1:]
    out = open(file, "a", encoding="utf-8")
    server = grpc.server(futures.ThreadPoolExecutor(8))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        servicer(trace_service_pb2_grpc.TraceServiceServicer, "traces", out), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        servicer(logs_service_pb2_grpc.LogsServiceServicer, "logs", out), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        servicer(metrics_service_pb2_grpc.MetricsServiceServicer, "metrics", out), server
    )
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", int(http_port)), Handler)
    http.out = out
    print("ready", flush=True)
    http.serve_forever()


main()
