//! Requests as the components of Kasm Workspaces and the SDKs of OpenTelemetry send them: what is the same in all of
//! them is the same here, what differs differs.

use kasm_scrub::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};
use prost::Message;

/// Random numbers (Marsaglia's xorshift64), the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'t>(&mut self, words: &[&'t str]) -> &'t str {
        words[(self.next() % words.len() as u64) as usize]
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

const START: u64 = 1_790_000_000_000_000_000;

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(key: &str, value: u64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value as i64)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource(service: &str) -> Resource {
    let attributes = vec![
        text("service.name", service),
        text("service.version", "1.18.0"),
        text("telemetry.sdk.language", "python"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.27.0"),
        text("k8s.namespace.name", "kasm"),
        text("k8s.pod.name", format!("{service}-7d9f8b6c5-x2x9z")),
        text("k8s.node.name", "worker-3"),
        text("deployment.environment.name", "production"),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), version: "0.48b0".to_owned(), ..Default::default() }
}

const ROUTES: [&str; 6] = [
    "/api/public/get_kasms",
    "/api/public/request_kasm",
    "/api/kasm_connect/",
    "/api/get_zones",
    "/api/public/keepalive",
    "/manager_api/api/v1/heartbeat",
];

const STATEMENTS: [&str; 3] = [
    "SELECT kasms.kasm_id, kasms.user_id, kasms.image_id, kasms.start_date FROM kasms WHERE kasms.user_id = %(user_id_1)s",
    "UPDATE kasms SET keepalive_date=%(keepalive_date)s WHERE kasms.kasm_id = %(kasms_kasm_id)s",
    "SELECT zones.zone_id, zones.zone_name FROM zones ORDER BY zones.zone_name",
];

const MESSAGES: [&str; 6] = [
    "session created on zone default",
    "container is healthy, waiting for the first frame",
    "image kasmweb/desktop:1.17.0 is present on the agent",
    "heartbeat received, 12 of 40 cores and 31 of 96 GiB in use",
    "usage limit checked for group All Users",
    "no autoscale action needed",
];

/// What a span or record that holds a secret has beside the others: what every real leak of Kasm's looks like.
fn secret(dice: &mut Dice) -> KeyValue {
    let n = dice.next();
    match n % 3 {
        0 => text("http.request.header.authorization", format!("Bearer Dead{n:016x}")),
        1 => text(
            "url.full",
            format!("https://kasm.example.com/vnc.html?autoconnect=1&password=Dead{n:x}&path=x"),
        ),
        _ => text("db.password", format!("Dead{n:x}")),
    }
}

fn span(dice: &mut Dice) -> Span {
    let n = dice.next();
    let route = dice.pick(&ROUTES);
    let start = START + n % 1_000_000_000_000;
    let mut attributes;
    let mut events = Vec::new();
    let mut status = None;
    let name = if n.is_multiple_of(3) {
        attributes = vec![
            text("db.system", "postgresql"),
            text("db.name", "kasm"),
            text("db.user", "kasmapp"),
            text("db.statement", dice.pick(&STATEMENTS)),
            text("net.peer.name", "db"),
            int("net.peer.port", 5432),
        ];
        "SELECT kasm".to_owned()
    } else {
        attributes = vec![
            text("http.request.method", "POST"),
            text("url.scheme", "https"),
            text("url.path", route),
            text("http.route", route),
            text("server.address", "kasm-api"),
            int("server.port", 8080),
            text("client.address", "172.18.0.11"),
            int("client.port", n >> 20 & 0xFFFF),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            ),
            text("network.protocol.version", "1.1"),
            int("http.response.status_code", if n.is_multiple_of(50) { 500 } else { 200 }),
            text("kasm.workspace", format!("{:016x}{:016x}", dice.next(), dice.next())),
        ];
        format!("POST {route}")
    };
    if n.is_multiple_of(50) {
        attributes.push(text("error.type", "KeyError"));
        status = Some(Status { message: "KeyError: 'zone_id'".to_owned(), code: 2 });
        events.push(Event {
            time_unix_nano: start + 5,
            name: "exception".to_owned(),
            attributes: vec![
                text("exception.type", "KeyError"),
                text("exception.message", "'zone_id'"),
                text("exception.stacktrace", "Traceback (most recent call last):\n  File \"cherrypy/_cprequest.py\", line 659, in respond\n    self.hooks.run('before_handler')\n  File \"client_api.py\", line 812, in request_kasm\nKeyError: 'zone_id'\n"),
            ],
            ..Event::default()
        });
    }
    Span {
        trace_id: dice.id(16),
        span_id: dice.id(8),
        parent_span_id: dice.id(8),
        flags: 257,
        name,
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + (n >> 30) % 100_000_000,
        attributes,
        events,
        status,
        ..Span::default()
    }
}

fn record(dice: &mut Dice) -> LogRecord {
    let n = dice.next();
    // One in two messages says something that no other does.
    let body = if n.is_multiple_of(2) {
        dice.pick(&MESSAGES).to_owned()
    } else {
        format!(
            "Authenticated kasm_connect request for kasm {:016x}{:016x} in {} ms",
            dice.next(),
            dice.next(),
            n >> 40 & 0xFFF
        )
    };
    LogRecord {
        time_unix_nano: START + n % 1_000_000_000_000,
        observed_time_unix_nano: START + n % 1_000_000_000_000,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes: vec![
            text("code.file.path", "/src/client_api.py"),
            text("code.function.name", dice.pick(&["request_kasm", "keepalive", "login"])),
            int("code.line.number", n >> 8 & 0xFF),
            text("application", "kasm_api"),
        ],
        flags: 1,
        trace_id: dice.id(16),
        span_id: dice.id(8),
        ..LogRecord::default()
    }
}

fn metric(dice: &mut Dice, points: usize) -> Metric {
    let attributes = |dice: &mut Dice| {
        vec![
            text("http.request.method", dice.pick(&["GET", "POST"])),
            text("http.route", dice.pick(&ROUTES)),
            int("http.response.status_code", 200),
            text("server.address", "kasm-api"),
        ]
    };
    let n = dice.next();
    if n.is_multiple_of(2) {
        let data_points = (0..points)
            .map(|_| NumberDataPoint {
                attributes: attributes(dice),
                start_time_unix_nano: START,
                time_unix_nano: START + n % 1_000_000,
                value: Some(number_data_point::Value::AsInt((n >> 7) as i64)),
                ..NumberDataPoint::default()
            })
            .collect();
        return Metric {
            name: "http.server.active_requests".to_owned(),
            description: "Number of active HTTP server requests.".to_owned(),
            unit: "{request}".to_owned(),
            data: Some(Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })),
            ..Metric::default()
        };
    }
    let data_points = (0..points)
        .map(|_| HistogramDataPoint {
            attributes: attributes(dice),
            start_time_unix_nano: START,
            time_unix_nano: START + n % 1_000_000,
            count: 150,
            sum: Some(dice.next() as f64 / 1e17),
            bucket_counts: (0..15).map(|_| dice.next() % 20).collect(),
            explicit_bounds: [
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
            ]
            .to_vec(),
            ..HistogramDataPoint::default()
        })
        .collect();
    Metric {
        name: "http.server.request.duration".to_owned(),
        description: "Duration of HTTP server requests.".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(Histogram { data_points, aggregation_temporality: 2 })),
        ..Metric::default()
    }
}

/// A request of about so many bytes. One span, record or point in `every` holds a secret.
pub(crate) fn request(signal: Signal, size: usize, every: Option<usize>, dice: &mut Dice) -> Vec<u8> {
    let mut number = dice.next() as usize % 97;
    let mut is_due = || {
        number += 1;
        every.is_some_and(|every| number.is_multiple_of(every))
    };
    match signal {
        Signal::Traces => {
            let (mut spans, mut bytes) = (Vec::new(), 0);
            while bytes < size {
                let mut span = span(dice);
                if is_due() {
                    span.attributes.push(secret(dice));
                }
                bytes += span.encoded_len() + 3;
                spans.push(span);
            }
            let scope = Some(scope("opentelemetry.instrumentation.cherrypy"));
            let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
            let resource = Some(resource("kasm-api"));
            let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
            ExportTraceServiceRequest { resource_spans }.encode_to_vec()
        }
        Signal::Logs => {
            let (mut log_records, mut bytes) = (Vec::new(), 0);
            while bytes < size {
                let mut record = record(dice);
                if is_due() {
                    record.attributes.push(secret(dice));
                }
                bytes += record.encoded_len() + 3;
                log_records.push(record);
            }
            let scope = Some(scope("client_api_server"));
            let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
            let resource = Some(resource("kasm-api"));
            let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec()
        }
        _ => {
            let (mut metrics, mut bytes) = (Vec::new(), 0);
            while bytes < size {
                let mut metric = metric(dice, 6);
                if is_due() {
                    metric.metadata.push(secret(dice));
                }
                bytes += metric.encoded_len() + 3;
                metrics.push(metric);
            }
            let scope = Some(scope("opentelemetry.instrumentation.cherrypy"));
            let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
            let resource = Some(resource("kasm-api"));
            let resource_metrics =
                vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
        }
    }
}
