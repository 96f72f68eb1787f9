//! What an upstream answers: no string of it lets a secret through, what is clean stays, and so does the delay after which
//! to try again.

use std::time::Duration;

use kasm_scrub::otlp::{
    Answer, Encoding, Malformed, Policy, Refused, Scrubbed, Scrubber, Signal, Unknown, answer_to_json,
    retry_delay, write_status, write_status_json,
};
use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Profile, Ruleset, Sanitizer};
use proptest::prelude::*;
use prost::Message;

use super::traps::{len, varint};
use super::{SANITIZER, SIGNALS, holds, scrubber};

const CANARY: &str = "hunterCanary7dead9";
const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

fn answers() -> impl Iterator<Item = Answer> {
    SIGNALS.into_iter().map(Answer::Export).chain([Answer::Status])
}

/// Scrubs as a user with the strictest settings would, too.
fn scrubbers() -> [Scrubber; 2] {
    let rules = Ruleset::builtin().into_profile(Profile::Strict, |_| true);
    let strict = Sanitizer::new(Parts { rules, ..Parts::default() }).expect("no pseudonyms");
    let policy = Policy { unknown: Unknown::Remove, ..Policy::default() };
    [scrubber(), Scrubber::new(strict.into(), policy)]
}

#[track_caller]
fn is_clean(answer: Answer, encoding: Encoding, body: &[u8]) {
    for mut scrubber in scrubbers() {
        let result = scrubber.scrub_answer(answer, encoding, body);
        assert_eq!(result, Ok(Scrubbed::Clean), "{}", body.escape_ascii());
    }
}

#[track_caller]
fn becomes(answer: Answer, encoding: Encoding, body: &[u8], want: &[u8]) {
    let mut scrubber = scrubber();
    match scrubber.scrub_answer(answer, encoding, body) {
        Ok(Scrubbed::Changed(changed)) => {
            assert!(changed.body == want, "{}", changed.body.escape_ascii());
            assert_eq!(scrubber.scrub_answer(answer, encoding, want), Ok(Scrubbed::Clean));
        }
        other => panic!("{other:?}"),
    }
}

fn partial(rejected: u64, message: &str) -> Vec<u8> {
    len(1, &[varint(1, rejected), len(2, message.as_bytes())].concat())
}

/// A detail of a status.
fn detail(name: &[u8], value: &[u8]) -> Vec<u8> {
    len(3, &[len(1, name), len(2, value)].concat())
}

fn retry_info(seconds: u64, nanos: u64) -> Vec<u8> {
    detail(RETRY_INFO, &len(1, &[varint(1, seconds), varint(2, nanos)].concat()))
}

#[test]
fn clean_answers_stay_as_they_are() {
    for answer in answers() {
        is_clean(answer, Encoding::Protobuf, b"");
        is_clean(answer, Encoding::Json, b" {\n} ");
        let text = "resource exhausted: 12 of 40 records are older than 2 h";
        let body = if answer == Answer::Status {
            [varint(1, 8), len(2, text.as_bytes()), retry_info(1, 500_000_000), varint(9, 7)].concat()
        } else {
            [partial(12, text), len(77, b"a field to come"), varint(78, 5)].concat()
        };
        is_clean(answer, Encoding::Protobuf, &body);
        is_clean(answer, Encoding::Json, &answer_to_json(answer, &body).expect("valid"));
    }
    is_clean(
        Answer::Status,
        Encoding::Json,
        br#"{"code":8,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"},null,{}],"future":{"a":1}}"#,
    );
}

#[test]
fn what_is_found_is_replaced_where_it_stands() {
    for signal in SIGNALS {
        becomes(
            Answer::Export(signal),
            Encoding::Protobuf,
            &partial(3, "bad label password=hunter2"),
            &partial(3, "bad label password=[REDACTED:password]"),
        );
    }
    becomes(
        Answer::Export(Signal::Logs),
        Encoding::Json,
        br#"{"partial_success":{"rejectedLogRecords":"3","errorMessage":"bad label password=hunter2"}}"#,
        br#"{"partial_success":{"rejectedLogRecords":"3","errorMessage":"bad label password=[REDACTED:password]"}}"#,
    );
    // Beside it the delay stays, byte by byte, and what says something in a message of its own goes.
    let status = |text: &str, detail: &[u8]| {
        let text = text.as_bytes();
        [varint(1, 8), len(2, text), retry_info(1, 5), len(3, detail), varint(9, 7)].concat()
    };
    let name = len(1, b"type.googleapis.com/google.rpc.DebugInfo");
    becomes(
        Answer::Status,
        Encoding::Protobuf,
        &status("password=hunter2", &[name.clone(), len(2, &len(2, b"password=hunter2"))].concat()),
        &status("password=[REDACTED:password]", &name),
    );
    becomes(
        Answer::Status,
        Encoding::Json,
        br#"{"message":"password=hunter2","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"1.5s"},{"@type":"x/google.rpc.DebugInfo","detail":"password=hunter2"}]}"#,
        br#"{"message":"password=[REDACTED:password]","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"1.5s"},{"@type":"x/google.rpc.DebugInfo"}]}"#,
    );
}

#[test]
fn no_string_of_an_answer_lets_a_canary_through() {
    let text = format!("login password={CANARY} ok");
    let text = text.as_bytes();
    let entry = [len(1, b"password"), len(2, CANARY.as_bytes())].concat();
    let name = b"type.googleapis.com/google.rpc.ErrorInfo";
    let mut bodies = Vec::new();
    for signal in SIGNALS {
        let answer = Answer::Export(signal);
        for body in [len(1, &len(2, text)), len(1, &len(9, text)), len(9, text), len(9, &len(3, &entry))] {
            bodies.push((answer, body));
        }
        bodies.push((answer, [len(1, &len(2, text)), len(1, &len(2, b"x"))].concat()));
    }
    for value in [text.to_vec(), len(1, text), len(3, &entry), len(1, &len(2, &len(3, &entry)))] {
        bodies.push((Answer::Status, detail(name, &value)));
        bodies
            .push((Answer::Status, [detail(name, b"x"), detail(name, &value), detail(b"", &value)].concat()));
        bodies.push((Answer::Status, detail(RETRY_INFO, &value)));
        bodies.push((Answer::Status, len(9, &value)));
        bodies.push((Answer::Status, len(3, &len(9, &value))));
    }
    for body in [len(2, text), detail(text, b""), [len(2, text), len(2, b"x")].concat()] {
        bodies.push((Answer::Status, body));
    }
    let count = bodies.len();
    let json = |answer, fields: &str| {
        let text = fields.replace("$", std::str::from_utf8(text).expect("text")).replace('\'', "\"");
        (answer, Encoding::Json, text.into_bytes())
    };
    let mut all: Vec<_> =
        bodies.into_iter().map(|(answer, body)| (answer, Encoding::Protobuf, body)).collect();
    for signal in SIGNALS {
        for fields in [
            "{'partialSuccess':{'errorMessage':'$'}}",
            "{'partial_success':{'error_message':'$','error_message':'x'}}",
            "{'partialSuccess':{'rejectedSpans':'$','rejectedLogRecords':'$','rejectedDataPoints':'$'}}",
            "{'partialSuccess':{'future':{'a':['$']}}}",
            "{'error':'$'}",
        ] {
            all.push(json(Answer::Export(signal), fields));
        }
    }
    for fields in [
        "{'code':'$'}",
        "{'message':'$','message':'x'}",
        "{'details':[{'@type':'$'},{'@type':'x','detail':'$'}]}",
        "{'details':[{'@type':'x/google.rpc.RetryInfo','retryDelay':'$'}]}",
        "{'details':[{'typeUrl':'$','value':'$'}]}",
        "{'details':[{'@type':'x','value':{'password':'hunterCanary7dead9'}}]}",
        "{'error':{'message':'$'}}",
    ] {
        all.push(json(Answer::Status, fields));
    }
    for (answer, encoding, body) in all {
        for mut scrubber in scrubbers() {
            let Ok(Scrubbed::Changed(changed)) = scrubber.scrub_answer(answer, encoding, &body) else {
                panic!("{answer:?} {}", body.escape_ascii())
            };
            assert!(!holds(&changed.body, CANARY.as_bytes()), "{answer:?} {}", changed.body.escape_ascii());
            let again = scrubber.scrub_answer(answer, encoding, &changed.body);
            assert_eq!(again, Ok(Scrubbed::Clean), "{}", changed.body.escape_ascii());
        }
    }
    assert!(count >= 38, "only {count} places");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let refused = |answer, encoding, body: &[u8]| match scrubber().scrub_answer(answer, encoding, body) {
        Err(Refused::Malformed { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let wire = |answer, body: &[u8]| {
        let what = refused(answer, Encoding::Protobuf, body);
        assert!(
            matches!(answer_to_json(answer, body), Err(Refused::Malformed { what: same, .. }) if same == what)
        );
        what
    };
    assert_eq!(wire(Answer::Status, &len(1, b"x")), Malformed::WireType);
    assert_eq!(wire(Answer::Status, &varint(2, 1)), Malformed::WireType);
    assert_eq!(wire(Answer::Status, &[0x12, 5, b'x']), Malformed::Length);
    // The message of a detail is a field that is not known, so it may be of any wire type.
    let odd = len(3, &[len(1, b"google.rpc.RetryInfo"), varint(2, 7)].concat());
    assert_eq!(scrubber().scrub_answer(Answer::Status, Encoding::Protobuf, &odd), Ok(Scrubbed::Clean));
    assert_eq!(
        answer_to_json(Answer::Status, &odd),
        Ok(br#"{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0s"}]}"#
            .to_vec())
    );
    assert_eq!(retry_delay(&odd), Some(Duration::ZERO));
    assert_eq!(wire(Answer::Export(Signal::Logs), &varint(1, 1)), Malformed::WireType);
    assert_eq!(wire(Answer::Export(Signal::Logs), &len(1, &[2, 0])), Malformed::FieldZero);
    for body in ["", "[]", "{\"message\":{}}", "{\"details\":1}", "{} x"] {
        let what = refused(Answer::Status, Encoding::Json, body.as_bytes());
        assert!(matches!(what, Malformed::Json | Malformed::JsonKind));
    }
    let profiles = Answer::Export(Signal::Profiles);
    assert_eq!(scrubber().scrub_answer(profiles, Encoding::Json, b"{}"), Err(Refused::Profiles));
    assert_eq!(answer_to_json(profiles, b""), Err(Refused::Profiles));
    let mut small = Scrubber::new(SANITIZER.clone(), Policy { most_bytes: 10, ..Policy::default() });
    let result = small.scrub_answer(Answer::Status, Encoding::Protobuf, &[0; 11]);
    assert_eq!(result, Err(Refused::TooLarge { most: 10 }));
}

#[test]
fn answers_in_json() {
    let check = |answer, body: &[u8], want: &str| {
        let got = answer_to_json(answer, body).expect("valid");
        assert_eq!(String::from_utf8_lossy(&got), want);
    };
    check(Answer::Export(Signal::Traces), b"", "{}");
    check(Answer::Export(Signal::Traces), &len(1, b""), r#"{"partialSuccess":{}}"#);
    check(
        Answer::Export(Signal::Traces),
        &partial(u64::MAX, "a \"b\"\n"),
        r#"{"partialSuccess":{"rejectedSpans":"-1","errorMessage":"a \"b\"\n"}}"#,
    );
    check(
        Answer::Export(Signal::Logs),
        &len(1, &varint(1, 1 << 60)),
        r#"{"partialSuccess":{"rejectedLogRecords":"1152921504606846976"}}"#,
    );
    // Of what is given twice the last counts, messages are one.
    check(
        Answer::Export(Signal::Metrics),
        &[partial(1, "x"), len(7, b"?"), len(1, &varint(1, 2))].concat(),
        r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"x"}}"#,
    );
    check(Answer::Status, b"", "{}");
    check(Answer::Status, &len(2, b"\xFF!"), "{\"message\":\"\u{FFFD}!\"}");
    check(
        Answer::Status,
        &[detail(b"x/google.rpc.DebugInfo", &len(2, b"x")), retry_info(2, 0), varint(1, 14)].concat(),
        r#"{"code":14,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}"#,
    );
}

#[test]
fn delays() {
    let check = |status: &[u8], want: Option<Duration>| assert_eq!(retry_delay(status), want);
    check(b"", None);
    check(&retry_info(0, 1), Some(Duration::from_nanos(1)));
    check(&[retry_info(3, 0), retry_info(9, 0)].concat(), Some(Duration::from_secs(3)));
    check(&detail(b"google.rpc.RetryInfo", b""), Some(Duration::ZERO));
    check(&detail(b"x/google.rpc.DebugInfo", &len(1, &varint(1, 5))), None);
    check(&[len(3, &len(2, b"")), retry_info(5, 0)].concat(), Some(Duration::from_secs(5)));
    // Less than zero, more than there is, and no duration.
    check(&retry_info(u64::MAX, 0), None);
    check(&retry_info(0, -1i64 as u64), None);
    check(&retry_info(1, 1_000_000_000), None);
    check(&retry_info(315_576_000_001, 0), None);
    check(&detail(RETRY_INFO, b"\xFF"), None);
    check(&retry_info(1, 0)[1..], None);
}

#[test]
fn statuses_are_written_in_both_encodings() {
    let delays = [None, Some(Duration::ZERO), Some(Duration::from_millis(1500)), Some(Duration::MAX)];
    let wants = [
        "",
        r#","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0s"}]"#,
        r#","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]"#,
        r#","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"315576000000s"}]"#,
    ];
    for (retry, want) in delays.into_iter().zip(wants) {
        let status = write_status(14, "try \"again\"\u{1}", retry);
        assert_eq!(retry_delay(&status), retry.map(|delay| delay.min(Duration::from_secs(315_576_000_000))));
        let json = write_status_json(14, "try \"again\"\u{1}", retry);
        assert_eq!(
            String::from_utf8_lossy(&json),
            format!(r#"{{"code":14,"message":"try \"again\"\u0001"{want}}}"#)
        );
        assert_eq!(answer_to_json(Answer::Status, &status), Ok(json));
        is_clean(Answer::Status, Encoding::Protobuf, &status);
    }
    assert_eq!(write_status(3, "no", None), [varint(1, 3), len(2, b"no")].concat());
    // As the usual parsers read it.
    let status = write_status(8, "", Some(Duration::new(1, 5)));
    let any = prost_types::Any::decode(&status[6..]).expect("an Any");
    assert_eq!(any.type_url.as_bytes(), RETRY_INFO);
    let delay = prost_types::Duration::decode(&any.value[2..]).expect("a Duration");
    assert_eq!((delay.seconds, delay.nanos), (1, 5));
}

/// Bytes that are nearly an answer.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let text = "login password=hunter2 ok";
    let statuses = vec![
        [write_status(8, text, Some(Duration::from_millis(7))), detail(b"x", &len(1, text.as_bytes()))]
            .concat(),
        partial(7, text),
        write_status_json(8, text, Some(Duration::from_millis(7))),
        format!(r#"{{"partialSuccess":{{"rejectedSpans":"7","errorMessage":"{text}"}}}}"#).into_bytes(),
    ];
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let odd = (prop::sample::select(statuses), cuts, any::<prop::sample::Index>()).prop_map(
        |(mut body, cuts, end)| {
            cuts.into_iter().for_each(|(at, byte)| {
                let at = at.index(body.len());
                body[at] = byte;
            });
            // One in so many is cut.
            body.truncate(end.index(body.len() * 4).max(1));
            body
        },
    );
    prop_oneof![4 => odd, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_answer_is_too_odd(body in odd()) {
        let mut scrubber = scrubber();
        for answer in answers() {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                if let Ok(Scrubbed::Changed(changed)) = scrubber.scrub_answer(answer, encoding, &body) {
                    prop_assert_eq!(scrubber.scrub_answer(answer, encoding, &changed.body), Ok(Scrubbed::Clean));
                }
            }
            // What can be read on the wire can be written in JSON.
            let is_readable = scrubber.scrub_answer(answer, Encoding::Protobuf, &body).is_ok();
            if let Ok(json) = answer_to_json(answer, &body) {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
                prop_assert!(scrubber.scrub_answer(answer, Encoding::Json, &json).is_ok());
            } else {
                prop_assert!(!is_readable);
            }
        }
        retry_delay(&body);
    }
}
