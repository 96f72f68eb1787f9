//! Memory has a bound whatever a request holds, and a scrubber keeps little of it.

use kasm_scrub::otlp::{Encoding, Policy, Refused, Scrubbed, Scrubber, Signal, Unknown};

use super::SANITIZER;
use super::traps::{len, varint};
use crate::allocations::held;

/// Bytes of a request, and what is needed beside it.
const SIZE: usize = 8 << 20;
const BESIDE: usize = 64 << 20;
/// Bytes that a scrubber keeps.
const KEPT: usize = 2 << 20;

#[track_caller]
fn check(unknown: Unknown, body: &[u8], want: Result<bool, Refused>) {
    let encoding = if body[0] == b'{' { Encoding::Json } else { Encoding::Protobuf };
    // Twice: regexes are made where they are needed first.
    for is_warm in [false, true] {
        let (mut scrubber, mut is_changed) = (None, Ok(false));
        let (most, rest) = held(|| {
            let policy = Policy { unknown, ..Policy::default() };
            let scrubber = scrubber.insert(Scrubber::new(SANITIZER.clone(), policy));
            is_changed =
                scrubber.scrub(Signal::Logs, encoding, body).map(|outcome| outcome != Scrubbed::Clean);
        });
        assert_eq!(is_changed, want);
        assert!(most < 3 * body.len() + BESIDE, "{most} bytes for {}", body.len());
        assert!(rest < KEPT || !is_warm, "{rest} bytes are kept");
    }
}

/// A request with a log record of one field after the other, as many as there is room for.
fn wire(field: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut fields = Vec::new();
    for i in 0.. {
        fields.extend(field(i));
        if fields.len() >= SIZE {
            break;
        }
    }
    len(1, &len(2, &len(2, &fields)))
}

/// A request of JSON with this member of a log record, which holds an element as often as there is room for.
fn json(member: &str, element: &str) -> Vec<u8> {
    let elements = vec![element; SIZE / element.len()].join(",");
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"{member}":[{elements}]}}]}}]}}]}}"#)
        .into_bytes()
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [len(1, key.as_bytes()), len(2, value)].concat()
}

const TOO_MANY: Refused = Refused::TooMany { most: 1 << 20 };

#[test]
fn many_leaves_in_few_bytes() {
    let number = |i: u32| format!("{i:x}").into_bytes();
    check(Unknown::Scan, &wire(|_| len(3, b"")), Ok(false));
    check(Unknown::Scan, &wire(|i| len(3, &number(i))), Ok(false));
    check(Unknown::Scan, &wire(|_| len(6, b"")), Ok(false));
    check(Unknown::Scan, &wire(|i| len(6, &pair("a", &len(1, &number(i))))), Ok(false));
    // Unknown fields, one by one and in one.
    check(Unknown::Scan, &wire(|i| len(13, &number(i))), Ok(false));
    check(Unknown::Scan, &wire(|_| len(13, &len(1, b"x").repeat(SIZE / 6))), Ok(false));
    check(Unknown::Scan, &json("severityText", r#""""#), Ok(false));
    check(Unknown::Scan, &json("severityText", r#""x""#), Ok(false));
    check(Unknown::Scan, &json("attributes", "{}"), Ok(false));
    check(Unknown::Scan, &json("attributes", r#"{"key":"a","value":{"stringValue":"x"}}"#), Ok(false));
    check(Unknown::Scan, &json("attributes", r#"{"more":"x"}"#), Ok(false));
}

#[test]
fn what_cannot_be_portioned_is_refused() {
    let list = |inner: &[u8]| wire(|_| len(5, &len(6, &len(1, inner).repeat(SIZE / (2 + inner.len())))));
    check(Unknown::Scan, &list(b""), Err(TOO_MANY));
    check(Unknown::Scan, &list(&pair("a", &len(1, b"b"))), Err(TOO_MANY));
    check(Unknown::Scan, &list(&len(1, b"").repeat(8)), Err(TOO_MANY));
    let array = |inner: &[u8]| len(5, &len(1, inner).repeat(SIZE / (2 + inner.len())));
    check(Unknown::Scan, &wire(|_| len(6, &pair("a", &array(&len(1, b"x"))))), Err(TOO_MANY));
    // What is beside a value may tell what it is.
    check(Unknown::Scan, &wire(|_| len(5, &array(&len(1, b"x")))), Err(TOO_MANY));
}

#[test]
fn many_changes() {
    let unknown = len(13, b"");
    check(Unknown::Remove, &wire(|i| len(if i < 1 << 20 { 13 } else { 3 }, b"")), Ok(true));
    check(Unknown::Remove, &wire(|_| unknown.clone()), Err(TOO_MANY));
    let deep = (0..45).fold(unknown, |value, _| len(5, &len(1, &value)));
    check(Unknown::Remove, &wire(|_| len(5, &deep)), Err(Refused::TooMany { most: 2 << 20 }));
    let pin = len(6, &pair("pin", &varint(3, 4711)));
    check(Unknown::Scan, &wire(|i| if i % 100 == 0 { pin.clone() } else { len(3, &[b'x'; 200]) }), Ok(true));
}

#[test]
fn many_keys_in_a_map_in_which_one_changes() {
    let token = "password=DeadBeef7712x";
    let attribute = |key: &str| len(6, &pair(key, b""));
    check(
        Unknown::Scan,
        &wire(|i| attribute(&if i == 9 { token.to_owned() } else { format!("{i:x}") })),
        Ok(true),
    );
    let members = format!(r#"{{"key":"{token}"}},{{}},{{}}"#);
    let all = format!("{members}{}", ",{}".repeat(SIZE / 3));
    let record = format!(r#"{{"attributes":[{all}]}}"#);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    check(Unknown::Scan, body.as_bytes(), Ok(true));
}
