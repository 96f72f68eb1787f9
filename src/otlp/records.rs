//! Requests of logs, written: records of other origins as an `ExportLogsServiceRequest` on the wire. What is put in is clean.

use super::wire::{put_varint, varint_len};

/// A log record.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'r> {
    /// When it was made, in nanoseconds since 1970; 0: not known.
    pub time: u64,
    /// When it was read.
    pub observed: u64,
    /// How severe it is; 0: not known.
    pub severity: u8,
    /// Its text; what is no UTF-8 goes as bytes.
    pub body: &'r [u8],
}

/// Records of one resource, as they are written one after the other.
#[derive(Debug)]
pub struct Records {
    resource: Vec<u8>,
    /// Fields `log_records` of `ScopeLogs`.
    records: Vec<u8>,
    count: usize,
}

// As in the protocol's files.
const RESOURCE_LOGS: u8 = 1;
const RESOURCE: u8 = 1;
const SCOPE_LOGS: u8 = 2;
const SCOPE: u8 = 1;
const LOG_RECORDS: u8 = 2;
const ATTRIBUTES_OF_RESOURCE: u8 = 1;
const ATTRIBUTES_OF_RECORD: u8 = 6;

impl Records {
    /// No record yet of a resource with these attributes.
    pub fn new<'a>(resource: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut attributes = Vec::new();
        resource.for_each(|(key, value)| attribute(ATTRIBUTES_OF_RESOURCE, key, value, &mut attributes));
        Self { resource: attributes, records: Vec::new(), count: 0 }
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many bytes the records take.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record with attributes of its own.
    pub fn push<'a>(&mut self, record: &LogRecord<'_>, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
        let LogRecord { time, observed, severity, body } = *record;
        let mut message = Vec::with_capacity(body.len() + 64);
        fixed64(1, time, &mut message);
        if severity > 0 {
            message.extend_from_slice(&[2 << 3, severity.min(24)]);
            bytes(3, severity_text(severity).as_bytes(), &mut message);
        }
        // `AnyValue`: text, or bytes where it is none.
        let kind = if std::str::from_utf8(body).is_ok() { 1 } else { 7 };
        value(5, kind, body, &mut message);
        attributes.for_each(|(key, value)| attribute(ATTRIBUTES_OF_RECORD, key, value, &mut message));
        fixed64(11, observed, &mut message);
        bytes(LOG_RECORDS, &message, &mut self.records);
        self.count += 1;
    }

    /// The request, and no record any more.
    pub fn take(&mut self) -> Vec<u8> {
        let mut scope = Vec::new();
        bytes(1, env!("CARGO_PKG_NAME").as_bytes(), &mut scope);
        bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
        let scope_len = field_len(scope.len()) + self.records.len();
        let resource_len = field_len(self.resource.len()) + field_len(scope_len);
        let mut out = Vec::with_capacity(field_len(resource_len));
        head(RESOURCE_LOGS, resource_len, &mut out);
        bytes(RESOURCE, &self.resource, &mut out);
        head(SCOPE_LOGS, scope_len, &mut out);
        bytes(SCOPE, &scope, &mut out);
        out.append(&mut self.records);
        self.count = 0;
        out
    }
}

/// The name of a severity: that of the first of its four numbers.
pub fn severity_text(severity: u8) -> &'static str {
    match severity {
        0 => "",
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21.. => "FATAL",
    }
}

/// How many bytes a field with a length takes whose number is below 16.
fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn head(field: u8, len: usize, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(len as u64, out);
}

fn bytes(field: u8, value: &[u8], out: &mut Vec<u8>) {
    head(field, value.len(), out);
    out.extend_from_slice(value);
}

fn fixed64(field: u8, value: u64, out: &mut Vec<u8>) {
    if value > 0 {
        out.push(field << 3 | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// An `AnyValue` of one kind.
fn value(field: u8, kind: u8, text: &[u8], out: &mut Vec<u8>) {
    head(field, field_len(text.len()), out);
    bytes(kind, text, out);
}

fn attribute(field: u8, key: &str, text: &str, out: &mut Vec<u8>) {
    let value_len = field_len(text.len());
    head(field, field_len(key.len()) + field_len(value_len), out);
    bytes(1, key.as_bytes(), out);
    value(2, 1, text.as_bytes(), out);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use prost::Message;

    use super::*;

    #[test]
    fn what_is_written_is_what_a_receiver_reads() {
        let mut records = Records::new([("file.path", "/a"), ("k", &"v".repeat(300))].into_iter());
        assert!(records.is_empty());
        let long = "x".repeat(70_000);
        for (body, severity) in [(&b"one"[..], 0), (b"", 9), (b"\xff\xfe", 17), (long.as_bytes(), 24)] {
            let record = LogRecord { time: u64::from(severity), observed: 7, severity, body };
            records.push(&record, [("own", "label")].into_iter());
        }
        assert_eq!(records.count(), 4);
        let request = ExportLogsServiceRequest::decode(&*records.take()).expect("a request");
        let [logs] = &request.resource_logs[..] else { panic!("one resource") };
        let attributes = &logs.resource.as_ref().expect("a resource").attributes;
        assert_eq!(attributes.iter().map(|pair| &*pair.key).collect::<Vec<_>>(), ["file.path", "k"]);
        let [scope] = &logs.scope_logs[..] else { panic!("one scope") };
        assert_eq!(scope.scope.as_ref().expect("a scope").name, "kasm-scrub");
        let got: Vec<_> = scope.log_records.iter().collect();
        let body = |at: usize| got[at].body.clone().and_then(|body| body.value).expect("a body");
        assert_eq!(body(0), Value::StringValue("one".to_owned()));
        assert_eq!(body(1), Value::StringValue(String::new()));
        assert_eq!(body(2), Value::BytesValue(vec![0xFF, 0xFE]));
        assert_eq!(body(3), Value::StringValue(long.clone()));
        assert_eq!((got[2].severity_number, &*got[2].severity_text), (17, "ERROR"));
        assert_eq!((got[2].time_unix_nano, got[2].observed_time_unix_nano), (17, 7));
        assert!(got.iter().all(|record| record.attributes[0].key == "own"));
        assert!(records.is_empty(), "nothing is left");
        assert_eq!(records.len(), 0);
    }
}
