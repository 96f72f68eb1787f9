//! What goes wrong in other readers of OTLP, each as a test.

use std::sync::Arc;

use kasm_scrub::otlp::{Encoding, Malformed, Policy, Refused, Scrubbed, Scrubber, Signal, Unknown};
use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Action, HashKey, Profile, Ruleset, Sanitizer};

use super::payload::{Dice, request};
use super::{SANITIZER, SIGNALS, forwarded, holds, scrubber};

/// A field with a length.
pub(super) fn len(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    super::tree::varint(u64::from(number << 3 | 2), 0, &mut out);
    super::tree::varint(content.len() as u64, 0, &mut out);
    [out, content.to_vec()].concat()
}

pub(super) fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    super::tree::varint(u64::from(number << 3), 0, &mut out);
    super::tree::varint(value, 0, &mut out);
    out
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [len(1, key.as_bytes()), len(2, value)].concat()
}

fn string(text: &str) -> Vec<u8> {
    len(1, text.as_bytes())
}

/// A request with this log record.
fn log(record: &[u8]) -> Vec<u8> {
    len(1, &len(2, &len(2, record)))
}

/// A request with this span.
fn trace(span: &[u8]) -> Vec<u8> {
    log(span)
}

/// A request with this body of a log record.
fn body(value: &[u8]) -> Vec<u8> {
    log(&len(5, value))
}

fn out(signal: Signal, request: &[u8]) -> Vec<u8> {
    forwarded(&mut scrubber(), signal, Encoding::Protobuf, request).expect("valid")
}

#[track_caller]
fn becomes(signal: Signal, request: &[u8], want: &[u8]) {
    let got = out(signal, request);
    assert!(got == want, "{}\nwant {}", got.escape_ascii(), want.escape_ascii());
}

#[track_caller]
fn is_clean(signal: Signal, request: &[u8]) {
    let got = out(signal, request);
    assert!(got == request, "{}", got.escape_ascii());
    assert_eq!(scrubber().scrub(signal, Encoding::Protobuf, request), Ok(Scrubbed::Clean));
}

#[track_caller]
fn refused(signal: Signal, request: &[u8], want: Malformed) {
    match scrubber().scrub(signal, Encoding::Protobuf, request) {
        Err(Refused::Malformed { what, .. }) => assert_eq!(what, want),
        other => panic!("{other:?}"),
    }
}

const SECRET: &str = "password=hunter2";
const MARKED: &str = "password=[REDACTED:password]";

#[test]
fn clean_requests_stay_as_they_are() {
    let mut dice = Dice(7);
    for signal in SIGNALS {
        let mut scrubber = scrubber();
        for size in [0, 1 << 10, 16 << 10, 64 << 10, 16 << 10] {
            let request = request(signal, size, None, &mut dice);
            assert_eq!(scrubber.scrub(signal, Encoding::Protobuf, &request), Ok(Scrubbed::Clean));
        }
    }
    is_clean(Signal::Traces, b"");
}

#[test]
fn realistic_secrets_are_found_and_all_else_stays() {
    let mut dice = Dice(7);
    for signal in SIGNALS {
        let mut scrubber = scrubber();
        for _ in 0..5 {
            let request = request(signal, 64 << 10, Some(10), &mut dice);
            let before = request.windows(4).filter(|w| w == b"Dead").count();
            let Ok(Scrubbed::Changed(changed)) = scrubber.scrub(signal, Encoding::Protobuf, &request) else {
                panic!("{signal:?}")
            };
            let left = changed.body.windows(60).find(|text| text.starts_with(b"Dead"));
            assert!(before > 0 && left.is_none(), "{signal:?} {}", left.unwrap_or_default().escape_ascii());
            assert!(changed.findings.len() >= before);
            assert_eq!(scrubber.scrub(signal, Encoding::Protobuf, &changed.body), Ok(Scrubbed::Clean));
        }
    }
}

/// A request with this data point of a histogram.
fn histogram(point: &[u8]) -> Vec<u8> {
    len(1, &len(2, &len(2, &len(9, &len(1, point)))))
}

#[test]
fn packed_numbers_are_no_messages() {
    let numbers = [7u64, 1, 0x7061_7373_776F_7264];
    let packed: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let single: Vec<u8> =
        numbers.iter().flat_map(|number| [&[6 << 3 | 1][..], &number.to_le_bytes()].concat()).collect();
    let attribute = |text| len(9, &pair("a", &string(text)));
    for counts in [len(6, &packed), single, [len(6, &packed), len(7, &packed)].concat()] {
        is_clean(Signal::Metrics, &histogram(&counts));
        becomes(
            Signal::Metrics,
            &histogram(&[counts.clone(), attribute(SECRET)].concat()),
            &histogram(&[counts, attribute(MARKED)].concat()),
        );
    }
    refused(Signal::Metrics, &histogram(&len(6, &packed[1..])), Malformed::Packed);
    let buckets = |field: Vec<u8>| len(1, &len(2, &len(2, &len(10, &len(1, &len(8, &field))))));
    is_clean(Signal::Metrics, &buckets(len(2, &[1, 0x80, 1, 0xFF, 0x7F])));
    is_clean(Signal::Metrics, &buckets([varint(2, 1), varint(2, 300)].concat()));
    refused(Signal::Metrics, &buckets(len(2, &[1, 0x80])), Malformed::Packed);
}

#[test]
fn every_occurrence_is_scrubbed() {
    // The first, the last, and what is merged.
    let both = |text| [string(text), string("x"), string(text)].concat();
    becomes(Signal::Logs, &body(&both(SECRET)), &body(&both(MARKED)));
    let lists = |text| {
        [len(6, &len(1, &pair("a", &string(text)))), len(6, &len(1, &pair("b", &string(text))))].concat()
    };
    becomes(Signal::Logs, &body(&lists(SECRET)), &body(&lists(MARKED)));
    let variants = |text| [string(text), varint(3, 7), len(7, text.as_bytes())].concat();
    becomes(Signal::Logs, &body(&variants(SECRET)), &body(&variants(MARKED)));
    let resources = |text| {
        let resource = len(1, &len(1, &pair("a", &string(text))));
        len(1, &[resource.clone(), resource].concat())
    };
    becomes(Signal::Logs, &resources(SECRET), &resources(MARKED));
    // A value in two parts, and a key that comes behind its value, or twice.
    let parts = |text| len(6, &[len(1, b"a"), len(2, &string("x")), len(2, &string(text))].concat());
    becomes(Signal::Logs, &log(&parts(SECRET)), &log(&parts(MARKED)));
    let late = |text| len(6, &[len(2, &string(text)), len(1, b"password")].concat());
    becomes(Signal::Logs, &log(&late("hunter2")), &log(&late("[REDACTED:password]")));
    for keys in [["password", "a"], ["a", "password"]] {
        let twice = |text| {
            len(6, &[len(1, keys[0].as_bytes()), len(2, &string(text)), len(1, keys[1].as_bytes())].concat())
        };
        becomes(Signal::Logs, &log(&twice("hunter2")), &log(&twice("[REDACTED:password]")));
    }
    let many: Vec<u8> = (0..9).flat_map(|_| len(1, b"a")).collect();
    refused(Signal::Logs, &log(&len(6, &many)), Malformed::Keys);
}

#[test]
fn unknown_fields_go_when_something_is_in_them() {
    let strict =
        || Scrubber::new(SANITIZER.clone(), Policy { unknown: Unknown::Remove, ..Policy::default() });
    let known = len(12, b"event");
    for (content, is_kept) in [
        (b"nothing".to_vec(), true),
        (SECRET.as_bytes().to_vec(), false),
        // An attribute of a field to come; the key and its value have no sign between them.
        (pair("password", &string("hunter2")), false),
        (len(3, &len(4, &pair("a", &string(SECRET)))), false),
    ] {
        let record = [known.clone(), len(77, &content), known.clone()].concat();
        let without = log(&[known.clone(), known.clone()].concat());
        let want = if is_kept { log(&record) } else { without.clone() };
        becomes(Signal::Logs, &log(&record), &want);
        let Ok(Scrubbed::Changed(changed)) = strict().scrub(Signal::Logs, Encoding::Protobuf, &log(&record))
        else {
            panic!("strict removes what is not known")
        };
        assert_eq!((changed.body, changed.removed), (without, 1));
    }
    let numbers = log(&[varint(70, 5), vec![71 << 3 & 0x7F | 0x80 | 5, 4, 0, 0, 0, 0]].concat());
    is_clean(Signal::Logs, &numbers);
    assert_ne!(strict().scrub(Signal::Logs, Encoding::Protobuf, &numbers), Ok(Scrubbed::Clean));
}

#[test]
fn indexes_before_the_key_hide_nothing() {
    let attribute =
        |text| len(6, &[varint(3, 5), pair("password", &[varint(8, 3), string(text)].concat())].concat());
    becomes(Signal::Logs, &log(&attribute("hunter2")), &log(&attribute("[REDACTED:password]")));
}

#[test]
fn what_parsers_disagree_about_is_refused() {
    // Groups, known or not.
    for number in [1, 5, 77] {
        let mut group = Vec::new();
        super::tree::varint(number << 3 | 3, 0, &mut group);
        super::tree::varint(number << 3 | 4, 0, &mut group);
        refused(Signal::Logs, &log(&group), Malformed::Group);
    }
    refused(Signal::Logs, &log(&varint(5, 1)), Malformed::WireType);
    refused(Signal::Logs, &log(&len(1, b"12345678")), Malformed::WireType);
    refused(Signal::Logs, &log(&varint(3, 1)), Malformed::WireType);
    refused(Signal::Logs, &[2, 0], Malformed::FieldZero);
    refused(Signal::Logs, &log(&[0x1A, 5, b'x']), Malformed::Length);
    refused(
        Signal::Logs,
        &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        Malformed::Length,
    );
    refused(
        Signal::Logs,
        &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
        Malformed::Number,
    );
    refused(Signal::Logs, &[0x8A, 0x80, 0x80, 0x80, 0x80, 0x01, 0], Malformed::Number);
    // Longer than it needs is allowed everywhere.
    is_clean(Signal::Logs, &[0x8A, 0x00, 0x80, 0x80, 0x00]);
    for signal in SIGNALS {
        let whole = request(signal, 2000, None, &mut Dice(3));
        for cut in 1..whole.len() {
            if let Ok(result) = scrubber().scrub(signal, Encoding::Protobuf, &whole[..cut]) {
                panic!("{cut}: {result:?}");
            }
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels| (0..levels).fold(string("x"), |value, _| len(5, &len(1, &value)));
    is_clean(Signal::Logs, &body(&nested(40)));
    let too_deep = |encoding, request: &[u8]| {
        let result = scrubber().scrub(Signal::Logs, encoding, request);
        assert!(matches!(result, Err(Refused::TooDeep { .. })), "{result:?}");
    };
    too_deep(Encoding::Protobuf, &body(&nested(60)));
    too_deep(Encoding::Protobuf, &body(&nested(3000)));
    let json = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{close}}}]}}]}}]}}"#)
    };
    assert_eq!(scrubber().scrub(Signal::Logs, Encoding::Json, json(40).as_bytes()), Ok(Scrubbed::Clean));
    too_deep(Encoding::Json, json(3000).as_bytes());
    too_deep(Encoding::Json, format!("{{\"x\":{}", "[".repeat(100_000)).as_bytes());
    let mut small = Scrubber::new(SANITIZER.clone(), Policy { most_bytes: 10, ..Policy::default() });
    assert_eq!(small.scrub(Signal::Logs, Encoding::Protobuf, &[0; 11]), Err(Refused::TooLarge { most: 10 }));
}

#[test]
fn text_stays_text_and_odd_bytes_stay() {
    for (text, want) in [
        (&b"\xFF\xFE password=hunter2 \xC3"[..], &b"\xFF\xFE password=[REDACTED:password] \xC3"[..]),
        ("ä password=größ€ ö".as_bytes(), "ä password=[REDACTED:password] ö".as_bytes()),
    ] {
        becomes(Signal::Logs, &body(&len(1, text)), &body(&len(1, want)));
    }
}

#[test]
fn bytes_are_text_and_ids_are_not() {
    becomes(Signal::Logs, &body(&len(7, SECRET.as_bytes())), &body(&len(7, MARKED.as_bytes())));
    // The digits of a card, where an id stands.
    let ids = |trace: &[u8]| trace_with(&[len(1, trace), len(2, b"41111111"), len(4, b"41111111")].concat());
    is_clean(Signal::Traces, &ids(b"4111111111111111"));
    becomes(Signal::Traces, &ids(b"4111111111111111 "), &ids(b"[REDACTED:payment-card] "));
}

fn trace_with(span: &[u8]) -> Vec<u8> {
    trace(span)
}

#[test]
fn numbers_stay_but_below_keys_of_rules() {
    let with = |key, value: Vec<u8>| log(&len(6, &pair(key, &value)));
    let double = [&[4 << 3 | 1][..], &4711.0f64.to_le_bytes()].concat();
    for value in [varint(3, 4711), double.clone()] {
        is_clean(Signal::Logs, &with("count", value.clone()));
        becomes(Signal::Logs, &with("pin", value), &with("pin", string("[REDACTED:one-time-code]")));
    }
    is_clean(Signal::Logs, &with("password", varint(2, 1)));
    is_clean(Signal::Logs, &with("span_id", string("4111111111111111")));
    let list = |values: [Vec<u8>; 2]| len(5, &[len(1, &values[0]), len(1, &values[1])].concat());
    becomes(
        Signal::Logs,
        &with("pin", list([varint(3, 4711), string("4712")])),
        &with("pin", list([string("[REDACTED:one-time-code]"), string("[REDACTED:one-time-code]")])),
    );
}

fn hashing() -> Arc<Sanitizer> {
    let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
    let actions = vec![Some(Action::Hash); rules.rules().len()];
    let key = HashKey::new("k1", b"0123456789abcdef0123456789abcdef").expect("a key");
    Arc::new(
        Sanitizer::new(Parts { rules, actions, key: Some(key), ..Parts::default() }).expect("a key is given"),
    )
}

#[test]
fn pseudonyms_keep_series_and_keys_apart() {
    let point = |mail: &str| len(1, &len(7, &pair("user", &string(mail))));
    let metric = [point("a@example.com"), point("b@example.com"), point("a@example.com")].concat();
    let request = len(1, &len(2, &len(2, &len(5, &metric))));
    let mut scrubber = Scrubber::new(hashing(), Policy::default());
    let out = forwarded(&mut scrubber, Signal::Metrics, Encoding::Protobuf, &request).expect("valid");
    let text = String::from_utf8_lossy(&out).into_owned();
    let names: Vec<&str> = text.match_indices("[email").map(|(at, _)| &text[at..at + 30]).collect();
    assert_eq!(names.len(), 3, "{text}");
    assert!(names[0] == names[2] && names[0] != names[1]);
    // As in text.
    let line = hashing()
        .clean(kasm_scrub::Key::None, b"a@example.com", &mut kasm_scrub::Work::default())
        .into_owned();
    assert!(line.starts_with(names[0].as_bytes()));
    let keys =
        log(&[len(6, &pair("a@example.com", &string("x"))), len(6, &pair("b@example.com", &string("x")))]
            .concat());
    let out = forwarded(&mut scrubber, Signal::Logs, Encoding::Protobuf, &keys).expect("valid");
    assert!(
        !holds(&out, b"@example") && holds(&out, names[0].as_bytes()) && holds(&out, names[1].as_bytes())
    );
}

#[test]
fn a_pair_may_name_another() {
    let entry = |key: &str, text: &str| len(1, &pair(key, &string(text)));
    let list = |name: &str, text: &str| body(&len(6, &[entry("name", name), entry("value", text)].concat()));
    let turned =
        |name: &str, text: &str| body(&len(6, &[entry("value", text), entry("name", name)].concat()));
    let mut scrubber = scrubber();
    for request in [&list as &dyn Fn(&str, &str) -> Vec<u8>, &turned] {
        for _ in 0..3 {
            let clean = request("DB_HOST", "hunter2");
            assert_eq!(scrubber.scrub(Signal::Logs, Encoding::Protobuf, &clean), Ok(Scrubbed::Clean));
            let out = forwarded(
                &mut scrubber,
                Signal::Logs,
                Encoding::Protobuf,
                &request("DB_PASSWORD", "hunter2"),
            );
            assert_eq!(out, Ok(request("DB_PASSWORD", "[REDACTED:password]")));
        }
    }
    let json = |name: &str, text: &str| {
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"kvlistValue":{{"values":[{{"key":"value","value":{{"stringValue":"{text}"}}}},{{"key":"name","value":{{"stringValue":"{name}"}}}}]}}}}}}]}}]}}]}}"#
        )
    };
    for _ in 0..3 {
        let clean = json("DB_HOST", "hunter2");
        assert_eq!(scrubber.scrub(Signal::Logs, Encoding::Json, clean.as_bytes()), Ok(Scrubbed::Clean));
        let out =
            forwarded(&mut scrubber, Signal::Logs, Encoding::Json, json("DB_PASSWORD", "hunter2").as_bytes());
        assert_eq!(out.map(String::from_utf8), Ok(Ok(json("DB_PASSWORD", "[REDACTED:password]"))));
    }
}

#[test]
fn what_was_clean_as_one_message_may_not_be_as_another() {
    // The name of a scope and an attribute, with the bytes of an attribute of a resource, of all of it, or of a pair in a
    // list.
    let attribute = |text: &str| len(1, &pair("password", &string(text)));
    let resource = |text| len(1, &len(1, &attribute(text)));
    let list = |text| body(&len(6, &attribute(text)));
    for text in ["hunter2", &"hunter2".repeat(20)] {
        let scope = len(1, &len(2, &len(1, &attribute(text))));
        let record = log(&len(6, &attribute(text)));
        let mut scrubber = scrubber();
        let mut out = |request: &[u8]| forwarded(&mut scrubber, Signal::Logs, Encoding::Protobuf, request);
        for clean in [&scope, &record].repeat(4) {
            assert_eq!(out(clean).as_ref(), Ok(clean));
        }
        assert_eq!(out(&resource(text)), Ok(resource("[REDACTED:password]")));
        assert_eq!(out(&list(text)), Ok(list("[REDACTED:password]")));
    }
}

#[test]
fn one_leaf_says_nothing_of_the_next() {
    let key = "-----BEGIN RSA PRIVATE KEY-----";
    let line = "AAAApAIBAAKCAQEAdeaddeaddeaddeaddeaddeaddeaddeaddeaddeaddeaddead";
    let records = |texts: [&str; 2]| {
        len(1, &len(2, &[len(2, &len(5, &string(texts[0]))), len(2, &len(5, &string(texts[1])))].concat()))
    };
    is_clean(Signal::Logs, &records([key, line]));
    is_clean(Signal::Logs, &records(["name: DB_PASSWORD", "value: hunter2"]));
    let whole = format!("{key}\n{line}\n-----END RSA PRIVATE KEY-----");
    let got = out(Signal::Logs, &body(&string(&whole)));
    assert!(!holds(&got, b"dEaD"), "{}", got.escape_ascii());
    assert_ne!(
        out(Signal::Logs, &body(&string("name: DB_PASSWORD\nvalue: hunter2"))),
        body(&string("name: DB_PASSWORD\nvalue: hunter2"))
    );
}

#[test]
fn lengths_grow_over_their_width() {
    // A message of 120 bytes whose length then needs two bytes, and all around it.
    for filler in 60..130 {
        let record = |text: &str| {
            log(&[
                len(5, &string(&"x".repeat(filler))),
                len(6, &pair("password", &string(text))),
                varint(2, 9),
            ]
            .concat())
        };
        becomes(Signal::Logs, &record("dead1"), &record("[REDACTED:password]"));
        becomes(Signal::Logs, &record(&"dead1 x".repeat(40)), &record("[REDACTED:password]"));
    }
}

#[test]
fn profiles_are_refused_and_refusals_say_nothing_of_the_request() {
    assert_eq!(scrubber().scrub(Signal::Profiles, Encoding::Protobuf, b""), Err(Refused::Profiles));
    let refusals = [
        scrubber().scrub(Signal::Logs, Encoding::Json, br#"{"hunter2":"#),
        scrubber().scrub(Signal::Logs, Encoding::Protobuf, b"hunter2"),
        scrubber().scrub(Signal::Profiles, Encoding::Json, b"hunter2"),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("refused");
        let text = format!("{refusal} {refusal:?}");
        assert!(!text.contains("hunter"), "{text}");
        assert!(refusal.to_string().starts_with(char::is_lowercase), "{text}");
    }
    let Ok(changed @ Scrubbed::Changed(_)) =
        scrubber().scrub(Signal::Logs, Encoding::Protobuf, &body(&string("password=dead1 x")))
    else {
        panic!()
    };
    assert!(!format!("{changed:?}").contains("REDACTED"));
}

#[test]
fn json_as_json() {
    let around =
        |record: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    #[track_caller]
    fn check(request: &str, want: &str) {
        let got =
            forwarded(&mut scrubber(), Signal::Logs, Encoding::Json, request.as_bytes()).expect("valid");
        assert_eq!(String::from_utf8_lossy(&got), want);
    }
    let checked = |record: &str, want: &str| check(&around(record), &around(want));
    checked(
        r#"{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"4111111111111111"}"#,
        r#"{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"4111111111111111"}"#,
    );
    checked(
        r#"{"body":{"stringValue":"a\/b p\u0061ssword=hunter2 \u00e9"}}"#,
        r#"{"body":{"stringValue":"a\/b p\u0061ssword=[REDACTED:password] \u00e9"}}"#,
    );
    checked(
        r#"{"body":{"bytesValue":"cGFzc3dvcmQ9aHVudGVyMg=="}}"#,
        r#"{"body":{"bytesValue":"cGFzc3dvcmQ9W1JFREFDVEVEOnBhc3N3b3JkXQ=="}}"#,
    );
    checked(
        r#"{"attributes":[{"value" : {"string_value":"hunter2"},"key":"pass\u0077ord"}]}"#,
        r#"{"attributes":[{"value" : {"string_value":"[REDACTED:password]"},"key":"pass\u0077ord"}]}"#,
    );
    checked(
        r#"{"attributes":[{"key":"pin","value":{"intValue": "4711"}},{"key":"pin","value":{"doubleValue":4711}},{"key":"n","value":{"intValue":"4711"}}]}"#,
        r#"{"attributes":[{"key":"pin","value":{"stringValue":"[REDACTED:one-time-code]"}},{"key":"pin","value":{"stringValue":"[REDACTED:one-time-code]"}},{"key":"n","value":{"intValue":"4711"}}]}"#,
    );
    // What is read counts, however it is written.
    for number in ["4711.0", "4.711e3", "\"4711.00\"", "47110E-1"] {
        for name in ["intValue", "doubleValue"] {
            let pin = |value: &str| format!(r#"{{"attributes":[{{"key":"pin","value":{{{value}}}}}]}}"#);
            let marked = r#""stringValue":"[REDACTED:one-time-code]""#;
            checked(&pin(&format!("\"{name}\":{number}")), &pin(marked));
        }
    }
    // A document in a string keeps being one.
    checked(
        r#"{"body":{"stringValue":"{\"pin\":4711}"}}"#,
        r#"{"body":{"stringValue":"{\"pin\":\"[REDACTED:one-time-code]\"}"}}"#,
    );
    // Unknown members.
    let secret = r#""f":{"password":"hunter2"}"#;
    checked(&format!("{{{secret}}}"), "{}");
    checked(&format!("{{{secret},{secret} , \"eventName\":\"x\"}}"), "{ \"eventName\":\"x\"}");
    checked(&format!("{{\"eventName\":\"x\", {secret} ,{secret}}}"), "{\"eventName\":\"x\" }");
    checked(&format!("{{{secret},\"eventName\":\"x\",{secret},\"g\":1}}"), "{\"eventName\":\"x\",\"g\":1}");
    checked(r#"{"f":[{"key":"password","value":{"stringValue":"hunter2"}}],"g":null}"#, r#"{"g":null}"#);
    checked(
        r#"{"severityNumber":"SEVERITY_NUMBER_INFO","timeUnixNano":"1544712660300000000","flags":1,"body":null}"#,
        r#"{"severityNumber":"SEVERITY_NUMBER_INFO","timeUnixNano":"1544712660300000000","flags":1,"body":null}"#,
    );
    for wrong in [
        "",
        "[]",
        "{",
        "{}x",
        "{\"resourceLogs\":1}",
        "{\"resourceLogs\":[[]]}",
        "{\"resourceLogs\":\"x\"}",
        &around(r#"{"body":{"stringValue":1}}"#),
        &around(r#"{"body":{"bytesValue":"?"}}"#),
        &around(r#"{"traceId":"xyz"}"#),
        &around(r#"{"severityNumber":{}}"#),
        &around(r#"{"eventName":"x" "y":1}"#),
        "{\"a\":\"\u{1}\"}",
    ] {
        let result = scrubber().scrub(Signal::Logs, Encoding::Json, wrong.as_bytes());
        assert!(matches!(result, Err(Refused::Malformed { .. })), "{wrong}: {result:?}");
    }
}

/// What was clean before makes nothing clean that may be secret by itself.
#[test]
fn a_number_that_was_learned_is_found_whatever_was_before() {
    let sanitizer = Arc::new(crate::learned::spelling::with(
        Ruleset::builtin().into_profile(Profile::Default, |_| true),
        &[b"48151623421234"],
        Action::Replace,
        kasm_scrub::Format::default(),
    ));
    let mut scrubber = Scrubber::new(sanitizer, Policy::default());
    let count = |number: u64| trace(&len(9, &pair("queue.count", &varint(3, number))));
    for _ in 0..4 {
        for number in 1..4 {
            assert_eq!(
                scrubber.scrub(Signal::Traces, Encoding::Protobuf, &count(number)),
                Ok(Scrubbed::Clean)
            );
        }
        let found = scrubber.scrub(Signal::Traces, Encoding::Protobuf, &count(48_151_623_421_234));
        assert!(matches!(found, Ok(Scrubbed::Changed(_))), "{found:?}");
    }
}

/// A kind of value that is not known here, below a key that is: whatever is in it goes.
#[test]
fn what_is_not_known_below_a_secret_key_goes() {
    let secret = b"DeadBeef7712DeadBeef";
    for unknown in [len(20, secret), len(20, &len(1, secret))] {
        let attribute = |key: &str| [len(1, key.as_bytes()), len(2, &unknown)].concat();
        assert!(!holds(&out(Signal::Traces, &trace(&len(9, &attribute("password")))), secret));
        assert!(holds(&out(Signal::Traces, &trace(&len(9, &attribute("k8s.pod.name")))), secret));
    }
    for value in [
        r#""value":{"newValue":"DeadBeef7712DeadBeef"}"#,
        r#""value":{"newValue":{"text":"DeadBeef7712DeadBeef"}}"#,
        r#""val":{"stringValue":"DeadBeef7712DeadBeef"}"#,
    ] {
        let request =
            format!(r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{{value},"key":"password"}}]}}}}]}}"#);
        let got =
            forwarded(&mut scrubber(), Signal::Logs, Encoding::Json, request.as_bytes()).expect("valid");
        assert!(!holds(&got, secret), "{value}");
        assert!(serde_json::from_slice::<serde_json::Value>(&got).is_ok());
    }
}
