//! A record as a line: JSON, or its bare text.

use super::Format;
use crate::otlp::severity_text;
use crate::pod::batch::{Batch, Details};
use crate::pod::time::write_rfc3339;

/// Writes all records of a batch, each on a line of its own (in `Raw` a text with newlines is several).
pub(super) fn write(format: Format, batch: &Batch, read: u64, out: &mut Vec<u8>) {
    for (record, text) in batch.records() {
        write_record(format, batch, &record.details, text, read, out);
    }
}

/// Writes a record; `read` is when it was read, for one that does not say when it was made.
pub(super) fn write_record(
    format: Format,
    batch: &Batch,
    details: &Details,
    text: &[u8],
    read: u64,
    out: &mut Vec<u8>,
) {
    if format == Format::Raw {
        out.extend_from_slice(text);
        out.push(b'\n');
        return;
    }
    out.extend_from_slice(b"{\"time\":\"");
    write_rfc3339(details.time.unwrap_or(read), out);
    out.push(b'"');
    if details.severity > 0 {
        field("severity", severity_text(details.severity), out);
    }
    key("message", out);
    string(text, out);
    field("input", batch.origin.input, out);
    let own = |name: &str| details.labels.iter().any(|(other, _)| other == name);
    let of_origin = batch.origin.labels.iter().filter(|(name, _)| !own(name));
    for (name, value) in of_origin.chain(&details.labels) {
        field(name, value, out);
    }
    out.extend_from_slice(b"}\n");
}

fn key(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    string(name.as_bytes(), out);
    out.push(b':');
}

fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    key(name, out);
    string(value.as_bytes(), out);
}

/// Writes a text as a string of JSON. What is no UTF-8 in it becomes U+FFFD.
fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        escape(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.push(b'"');
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut done = 0;
    for (at, &byte) in text.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text[done..at]);
        if escaped.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escaped);
        }
        done = at + 1;
    }
    out.extend_from_slice(&text[done..]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pod::batch::Origin;
    use crate::sanitize::Sanitizer;

    fn check(format: Format, text: &[u8], details: Details, want: &str) {
        let labels = vec![("file.path".into(), "/a \"b\"".to_owned()), ("k".into(), "origin".to_owned())];
        let origin = Arc::new(Origin { input: "file", labels });
        let mut batch = Batch::new(origin, Arc::new(Sanitizer::builtin()));
        batch.push_record(text, &[], &[], details);
        let mut out = Vec::new();
        write(format, &batch, 1_000_000_000, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), want);
        if format == Format::Json {
            serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
        }
    }

    #[test]
    fn records_as_lines() {
        check(
            Format::Json,
            b"a \"b\"\\\n\x01\x7f\xff\xfe\xc3\xa4",
            Details::default(),
            "{\"time\":\"1970-01-01T00:00:01.000000000Z\",\"message\":\"a \\\"b\\\"\\\\\\n\\u0001\u{7f}\u{FFFD}\u{FFFD}ä\",\
             \"input\":\"file\",\"file.path\":\"/a \\\"b\\\"\",\"k\":\"origin\"}\n",
        );
        let labels = vec![("k".into(), "record".to_owned())];
        check(
            Format::Json,
            b"",
            Details { time: Some(2), severity: 10, labels },
            "{\"time\":\"1970-01-01T00:00:00.000000002Z\",\"severity\":\"INFO\",\"message\":\"\",\
             \"input\":\"file\",\"file.path\":\"/a \\\"b\\\"\",\"k\":\"record\"}\n",
        );
        check(Format::Raw, b"two\nlines", Details::default(), "two\nlines\n");
    }
}
