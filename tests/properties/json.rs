//! JSON in, JSON out: the same keys, the same shape, and scalars that are either as they were or redacted.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value};

use super::regressions::checks;
use super::text::{key, line};
use super::{DEFAULT, STRICT, clean, times};

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
        let spaced = spaced(&text);
        let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
        prop_assert_eq!(
            parse(&clean(&DEFAULT, text.as_bytes())),
            parse(&clean(&DEFAULT, spaced.as_bytes())),
            "{}", text
        );
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

/// A document with a blank behind every `:` and `,` that is not in a string, as Python's `json.dumps` writes it.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for letter in text.chars() {
        out.push(letter);
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            ':' | ',' if !in_string => out.push(' '),
            _ => {}
        }
    }
    out
}
