//! JSON in, JSON out: the same keys, the same shape, and scalars that are either as they were or redacted.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value};

use super::regressions::checks;
use super::text::{key, line};
use super::{DEFAULT, STRICT, clean, show, times};

fn value() -> BoxedStrategy<Value> {
    let scalar = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => any::<i64>().prop_map(Value::from),
        1 => (0..10_000u32).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::from(4_111_111_111_111_111u64)),
        6 => line(6).prop_map(Value::String),
        1 => any::<String>().prop_map(Value::String),
    ];
    scalar
        .prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                4 => vec((key(), inner.clone()), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
                2 => vec(inner.clone(), 0..5).prop_map(Value::Array),
                1 => inner.prop_map(|inner| Value::String(inner.to_string())),
            ]
        })
        .boxed()
}

fn document() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => vec((key(), value()), 1..6).prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        1 => vec(value(), 0..4).prop_map(Value::Array),
    ]
}

proptest! {
    #![proptest_config(times(3000))]

    #[test]
    fn documents_keep_their_keys_and_shape(document in document()) {
        let text = document.to_string();
        let shown = checks::json(&DEFAULT, text.as_bytes());
        prop_assert!(shown.is_ok(), "{text}: {shown:?}");
        let shown = checks::json(&STRICT, text.as_bytes());
        prop_assert!(shown.is_ok(), "with every rule: {text}: {shown:?}");
    }

    #[test]
    fn blanks_between_tokens_change_nothing(fields in vec((key(), value()), 1..4)) {
        let document = Value::Object(fields.into_iter().collect());
        let text = document.to_string();
        // As Python's `json.dumps` writes it.
        let spaced = spaced(&text, "", " ");
        let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
        prop_assert_eq!(
            parse(&clean(&DEFAULT, text.as_bytes())),
            parse(&clean(&DEFAULT, spaced.as_bytes())),
            "{}", text
        );
    }

    #[test]
    fn blanks_between_tokens_of_a_document_in_a_string_change_nothing(
        // What is escaped once more inside values is another matter.
        fields in vec((key(), "[A-Za-z0-9]{1,24}".prop_map(Value::String)), 1..6),
        before in select(&["", " ", "\n", "\t"][..]),
        behind in select(&["", " ", "\n", "\t", "\r\n  "][..]),
    ) {
        let text = Value::Object(fields.into_iter().collect()).to_string();
        let inner_of = |inner: &str| {
            let out = clean(&DEFAULT, serde_json::json!({ "m": inner }).to_string().as_bytes());
            let outer = serde_json::from_slice::<Value>(&out).ok()?;
            serde_json::from_str::<Value>(outer["m"].as_str()?).ok()
        };
        prop_assert_eq!(inner_of(&text), inner_of(&spaced(&text, before, behind)), "{}", text);
    }

    #[test]
    fn a_document_in_a_string_stays_one(inner in document(), depth in 1..4usize) {
        let mut text = inner.to_string();
        for _ in 0..depth {
            text = serde_json::json!({ "level": "info", "message": text }).to_string();
        }
        let mut out = String::from_utf8(clean(&DEFAULT, text.as_bytes())).expect("valid UTF-8 stays so");
        for level in 0..depth {
            let parsed = serde_json::from_str::<Value>(&out);
            prop_assert!(parsed.is_ok(), "{text} became {out} at level {level}");
            out = parsed.expect("checked")["message"].as_str().unwrap_or_default().to_owned();
        }
        let parsed = serde_json::from_str::<Value>(&out);
        prop_assert!(parsed.is_ok(), "{text} became {out} inside");
    }
}

/// Text as records have it that no key is made of.
fn harmless() -> BoxedStrategy<Value> {
    let run = "[A-Za-z0-9+=]{0,24}";
    prop_oneof![
        3 => "[a-z]{0,12}( [A-Z]?[a-z]{1,12}){0,8}".prop_map(Value::String),
        2 => "(/[A-Za-z]?[a-z]{2,10}([A-Z][a-z]{4,8})?){1,9}".prop_map(Value::String),
        2 => "[A-Z][a-z]{4,9}([A-Z][a-z]{4,9}){0,8}".prop_map(Value::String),
        2 => "[0-9a-f]{1,64}".prop_map(Value::String),
        2 => run.prop_map(Value::String),
        2 => any::<u32>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::Bool),
    ]
    .prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            2 => vec((key(), inner.clone()), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            1 => vec(inner.clone(), 0..4).prop_map(Value::Array),
            1 => (key(), inner).prop_map(|(key, inner)| Value::String(serde_json::json!({ key: inner }).to_string())),
        ]
    })
    .boxed()
}

/// A line that leaves a private key open.
fn open_label() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "-----BEGIN PRIVATE KEY-----\n",
            "2026-03-01T12:00:00Z app: -----BEGIN RSA PRIVATE KEY-----\n",
            "{\"msg\":\"cannot parse key: -----BEGIN PRIVATE KEY-----\"}\n",
            "{\"log\":\"{\\\"message\\\":\\\"-----BEGIN EC PRIVATE KEY-----\\\"}\\n\"}\n",
        ][..],
    )
}

/// The names of all objects in a document, in order.
fn names(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.push(name.clone());
                names(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(times(3000))]

    #[test]
    fn records_without_body_are_the_same_behind_an_open_key(
        label in open_label(),
        records in vec(vec((key(), harmless()), 1..5), 1..6),
    ) {
        let record = |fields: Vec<_>| format!("{}\n", Value::Object(fields.into_iter().collect()));
        let text: String = records.into_iter().map(record).collect();
        let alone = clean(&DEFAULT, text.as_bytes());
        let behind = clean(&DEFAULT, [label, &text].concat().as_bytes());
        prop_assert_eq!(show(&behind), show(&[label.as_bytes(), &alone].concat()));
    }

    #[test]
    fn records_behind_an_open_key_keep_their_keys(
        label in open_label(),
        body in select(&[
            "", "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead\n",
            "{\"message\":\"DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead\"}\n",
            "{\"a\":\"DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead\"}\n",
        ][..]),
        records in vec(document(), 1..5),
    ) {
        let text: String = records.iter().map(|record| format!("{record}\n")).collect();
        let lines = |text: &[u8]| -> Vec<Vec<String>> {
            let names = |line: &str| {
                let mut found = Vec::new();
                names(&serde_json::from_str(line).expect("a document"), &mut found);
                found
            };
            String::from_utf8_lossy(text).lines().map(names).collect()
        };
        let alone = clean(&DEFAULT, text.as_bytes());
        let front = clean(&DEFAULT, [label, body].concat().as_bytes());
        let behind = clean(&DEFAULT, [label, body, &text].concat().as_bytes());
        prop_assert_eq!(lines(&behind[front.len()..]), lines(&alone), "{}", text);
    }
}

/// A document with blanks in front of every `:` that is not in a string, and behind every `:` and `,`.
fn spaced(text: &str, before: &str, behind: &str) -> String {
    let mut out = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for letter in text.chars() {
        let is_free = !in_string && !escaped;
        if is_free && letter == ':' {
            out.push_str(before);
        }
        out.push(letter);
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            ':' | ',' if is_free => out.push_str(behind),
            _ => {}
        }
    }
    out
}
