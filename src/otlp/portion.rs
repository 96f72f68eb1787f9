//! How much of a request is noted before it is judged. A request may have millions of leaves in few bytes, and they take
//! more room than the bytes do; so they are judged in portions, wherever nothing is open that the next ones belong to.

use super::leaves::Leaves;
use super::refused::Refused;
use super::seen::Seen;

/// How much makes a portion: enough for one pass of the prefilter, and little enough to stay in the processor's cache.
pub(super) const PORTION: usize = 4 << 10;
/// The most that is noted where no portion can end: in one attribute, list, resource or scope.
const MOST: usize = 1 << 20;

/// Ends portions.
pub(super) struct Portions<'p> {
    /// How much makes one.
    pub(super) size: usize,
    /// Decides about the leaves, and forgets them.
    pub(super) judge: &'p mut dyn FnMut(&mut Leaves, &mut Seen) -> Result<(), Refused>,
}

impl Portions<'_> {
    /// Ends the portion if it is one. `is_open`: what was noted last is not whole yet.
    #[inline(always)]
    pub(super) fn check(
        &mut self,
        is_open: bool,
        leaves: &mut Leaves,
        seen: &mut Seen,
    ) -> Result<(), Refused> {
        if leaves.count() < self.size { Ok(()) } else { self.end(is_open, leaves, seen) }
    }

    #[cold]
    fn end(&mut self, is_open: bool, leaves: &mut Leaves, seen: &mut Seen) -> Result<(), Refused> {
        if !is_open {
            return (self.judge)(leaves, seen);
        }
        if leaves.count() > MOST { Err(Refused::TooMany { most: MOST }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;

    use crate::Sanitizer;
    use crate::otlp::json::text;
    use crate::otlp::schema::{Kind, Message};
    use crate::otlp::wire::put_varint;
    use crate::otlp::{Changed, Encoding, Malformed, Policy, Refused, Scrubbed, Scrubber, Signal, root};

    static SANITIZER: LazyLock<Arc<Sanitizer>> = LazyLock::new(|| Arc::new(Sanitizer::builtin()));

    const TEXTS: [&str; 8] =
        ["", "x", "password", "hunter2", "name", "value", "DB_PASSWORD", "password=hunter2"];

    /// Fields of a message as the tape says, on the wire and in JSON.
    fn fill(message: &Message, tape: &mut impl Iterator<Item = usize>, depth: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut wire, mut json) = (Vec::new(), b"{".to_vec());
        let fields: Vec<_> = message.all().collect();
        for _ in 0..tape.next().unwrap_or_default() % 5 {
            let (Some(which), Some(text)) = (tape.next(), tape.next()) else { break };
            let text = TEXTS[text % TEXTS.len()].as_bytes();
            // One more, which is not known.
            let (number, name, kind) = match fields.get(which % (fields.len() + 1)) {
                Some((number, field)) => (*number, field.name, field.kind),
                None => (19, "more", Kind::Unknown),
            };
            let (mut value, mut shown) = (text.to_vec(), b"\"".to_vec());
            match kind {
                Kind::Message(inner) if depth > 0 => (value, shown) = fill(inner, tape, depth - 1),
                Kind::Text | Kind::Key | Kind::Unknown => shown.extend(text),
                Kind::Bytes => text::to_base64(text, &mut shown),
                Kind::Id(_) => text.iter().for_each(|byte| shown.extend(format!("{byte:02x}").bytes())),
                Kind::Varint => {
                    shown = b"4711".to_vec();
                    value.clear();
                    put_varint(4711, &mut value);
                }
                _ => continue,
            }
            let is_number = matches!(kind, Kind::Varint);
            put_varint(u64::from(number << 3 | if is_number { 0 } else { 2 }), &mut wire);
            if !is_number {
                put_varint(value.len() as u64, &mut wire);
            }
            wire.extend(value);
            if shown[0] == b'"' {
                shown.push(b'"');
            }
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend([format!("\"{name}\":").as_bytes(), &shown].concat());
        }
        json.push(b'}');
        (wire, json)
    }

    fn outcome(size: usize, signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Scrubbed, Refused> {
        let mut scrubber = Scrubber::new(SANITIZER.clone(), Policy::default());
        scrubber.portion = size;
        scrubber.scrub(signal, encoding, body)
    }

    #[test]
    fn what_belongs_together_is_judged_together() {
        fn check(logs: &str, want: usize) {
            let json = format!(r#"{{"resourceLogs":[{logs}]}}"#);
            let of = |size| outcome(size, Signal::Logs, Encoding::Json, json.as_bytes());
            let count = |changed: &Changed| changed.findings.len() + changed.removed;
            assert!(matches!(of(1), Ok(Scrubbed::Changed(changed)) if count(&changed) == want), "{logs}");
            assert_eq!(of(1), of(usize::MAX), "{logs}");
        }
        let pair =
            |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
        let list = [pair("name", "DB_PASSWORD"), pair("x", "y"), pair("value", "hunter2")].join(",");
        let body = format!(r#"{{"body":{{"kvlistValue":{{"values":[{list}]}}}}}}"#);
        check(&format!(r#"{{"scopeLogs":[{{"logRecords":[{body}]}}]}}"#), 1);
        // Each of these goes with one comma.
        let gone = r#""f":{"password":"hunter2"}"#;
        check(
            &format!(r#"{{{gone},{gone},"schemaUrl":"x",{gone}}}, {{"schemaUrl":"x", {gone}, {gone}}}"#),
            5,
        );
    }

    #[test]
    fn what_was_stopped_is_neither_clean_nor_remembered_as_clean() {
        let pair = |number: usize, value: &str| {
            format!(r#"{{"key":"note.{number}","value":{{"stringValue":"{value}"}}}}"#)
        };
        let long = "password=hunter2 ".repeat(400);
        let pairs: Vec<String> = (0..40).map(|i| pair(i, ["x", "password=hunter2", "y"][i % 3])).collect();
        let record = format!(r#"{{"body":{{"stringValue":"{long}"}},"attributes":[{}]}}"#, pairs.join(","));
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
        let wire = crate::otlp::to_protobuf(Signal::Logs, json.as_bytes()).expect("OTLP");
        for (encoding, body) in [(Encoding::Json, json.as_bytes()), (Encoding::Protobuf, &wire)] {
            let want = outcome(3, Signal::Logs, encoding, body);
            assert!(matches!(&want, Ok(Scrubbed::Changed(changed)) if changed.findings.len() == 413));
            let mut stopped = 0;
            for most in 0.. {
                let mut scrubber = Scrubber::new(SANITIZER.clone(), Policy::default());
                scrubber.portion = 3;
                let asked = AtomicUsize::new(0);
                let stop = Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= most);
                let outcome = scrubber.scrub_until(Signal::Logs, encoding, body, stop);
                assert_eq!(scrubber.scrub(Signal::Logs, encoding, body), want, "nothing is left of it");
                if outcome == want {
                    break;
                }
                assert_eq!(outcome, Err(Refused::Stopped));
                stopped += 1;
            }
            // Between portions, and within the long text.
            assert!(stopped > 10, "{stopped}");
        }
    }

    proptest! {
        #[test]
        fn where_portions_end_does_not_show(
            tape in prop::collection::vec(0..1000usize, 0..600),
            signal in prop::sample::select(vec![Signal::Traces, Signal::Logs, Signal::Metrics]),
            size in 1..10usize,
        ) {
            let message = root(signal).expect("a signal");
            let (wire, json) = fill(message, &mut tape.into_iter(), 12);
            for (encoding, body) in [(Encoding::Protobuf, wire), (Encoding::Json, json)] {
                let want = outcome(usize::MAX, signal, encoding, &body);
                let is_json = !matches!(want, Err(Refused::Malformed { what: Malformed::Json, .. }));
                prop_assert!(is_json, "{}", body.escape_ascii());
                prop_assert_eq!(outcome(size, signal, encoding, &body), want);
            }
        }
    }
}
