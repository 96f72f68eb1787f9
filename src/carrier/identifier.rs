//! Values by which records are joined and ordered: traces, spans and times. They are digits, and some of them pass the
//! checks of card and telephone numbers.

use std::ops::Range;

use super::key::MAX_KEY;
use super::quote;
use super::tie::blanks_before;

/// Keys that end so, written in any way.
const ENDINGS: [&str; 6] = ["traceid", "spanid", "parentid", "traceparent", "timestamp", "unixnano"];
/// Keys that read so, all of them.
const WHOLE: [&str; 13] = [
    "time",
    "ts",
    "epoch",
    "epochms",
    "epochmillis",
    "epochseconds",
    "datetime",
    "starttime",
    "endtime",
    "eventtime",
    "observedtime",
    "b3",
    "date",
];
/// The most of a value that may stand before the digits: the version and trace of a `traceparent`.
const VALUE: usize = 64;

/// Whether `range` of `line` is made of hex digits and belongs to a key that names a trace, a span or a time.
pub fn is_named(line: &[u8], range: Range<usize>) -> bool {
    let is_part = |b: &u8| b.is_ascii_hexdigit() || *b == b'-';
    if !line[range.clone()].iter().all(is_part) {
        return false;
    }
    let before = &line[..range.start];
    let value = range.start - before.iter().rev().take(VALUE).take_while(|b| is_part(b)).count();
    let at = value - quote::before(line, value).map_or(0, quote::Quote::width);
    let at = at - blanks_before(line, at);
    let Some(operator) = at.checked_sub(1).filter(|&i| matches!(line[i], b'=' | b':')) else { return false };
    let end = operator - blanks_before(line, operator);
    let end = end - quote::before(line, end).map_or(0, quote::Quote::width);
    let mut name = [0; MAX_KEY];
    let mut from = name.len();
    for &byte in line[..end].iter().rev().take(MAX_KEY) {
        match byte {
            b'_' | b'-' | b'.' | b'@' => {}
            _ if byte.is_ascii_alphanumeric() => {
                from -= 1;
                name[from] = byte.to_ascii_lowercase();
            }
            _ => break,
        }
    }
    let name = &name[from..];
    ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
        || WHOLE.iter().any(|whole| name == whole.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: bool) {
        let at = line.find("4111").expect("digits");
        assert_eq!(is_named(line.as_bytes(), at..at + 16), want, "{line}");
    }

    #[test]
    fn keys_of_traces_and_times() {
        check("span_id=4111111111111111", true);
        check(r#"{"traceId":"00000000000000004111111111111111"}"#, true);
        check(r#"{\"parentSpanId\": \"4111111111111111\"}"#, true);
        check("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-4111111111111111-01", true);
        check("dd.span_id: 4111111111111111", true);
        check(r#"{"@timestamp":4111111111111111}"#, true);
        check(r#"{"startTimeUnixNano":"4111111111111111"}"#, true);
        check("ts = 4111111111111111", true);
        check("X-B3-SpanId: 4111111111111111", true);
    }

    #[test]
    fn other_keys() {
        check("card=4111111111111111", false);
        check("4111111111111111", false);
        check("lifetime=4111111111111111", false);
        check("paid on time 4111111111111111", false);
        check("time: x 4111111111111111", false);
    }
}
