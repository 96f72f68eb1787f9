//! What must hold for every value, spelling and text.

use kasm_scrub::scan::{Format, Work};
use kasm_scrub::{Action, Key, Ruleset, Sanitizer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use serde_json::Value;

use super::spelling::{MARKER, clean, clean_pieces, holds, only, plain_markers, spelling, value, with};

fn times(cases: u32) -> Config {
    let defaults = Config { failure_persistence: None, max_global_rejects: u32::MAX, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { defaults } else { Config { cases, ..defaults } }
}

/// What stands around a value: bytes that are no part of any spelling of it.
fn edge() -> impl Strategy<Value = &'static str> {
    select(vec!["", " ", "a = ", " at ", "\"", "key=\"", "(", ") ok", "~", ": ", " ,", "é "])
}

/// All strings of a document, those of documents in strings as well.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            found.push(text.clone());
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                strings(&inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| strings(value, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.push(key.clone());
            strings(value, found);
        }),
        _ => {}
    }
}

/// Some bytes of the value are others.
fn near_miss(value: &str, at: usize) -> Option<String> {
    let chars: Vec<char> = value.chars().collect();
    // At the edges an escape may read as one of its letters, and of base64 only some bits of a byte decide. A backslash that
    // is doubled is not told from one that is an escape's.
    let at = 2 + at % (chars.len() - 4);
    if chars[at] == '\\' {
        return None;
    }
    let other = ['Z', 'Q', 'z'].into_iter().find(|other| !value.contains(*other))?;
    Some(chars.iter().enumerate().map(|(i, &char)| if i == at { other } else { char }).collect())
}

proptest! {
    #![proptest_config(times(3000))]

    #[test]
    fn each_spelling_is_replaced_and_nothing_else(
        value in value(), spelling in spelling(), front in edge(), behind in edge(), places in vec(any::<usize>(), 0..6),
    ) {
        let sanitizer = only(&[value.as_bytes()], Action::Replace, Format::Text);
        let [before, core, after] = spelling.write(&value, front, behind);
        // A backslash behind one that ends the value may be that one, doubled.
        prop_assume!(!value.ends_with('\\') || !after.starts_with(['%', '\\']));
        let text = format!("{before}{core}{after}");
        let got = clean(&sanitizer, text.as_bytes());
        let want = format!("{}{MARKER}{}", before.as_bytes().escape_ascii(), after.as_bytes().escape_ascii());
        prop_assert_eq!(plain_markers(&got), want, "{}", text);
        // However it is cut, and as a value alone; once more changes nothing.
        prop_assert_eq!(&got, &clean_pieces(&sanitizer, text.as_bytes().chunks(1)));
        let mut places: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
        places.sort_unstable();
        let ends = places.iter().copied().chain([text.len()]);
        let starts = std::iter::once(0).chain(places.iter().copied());
        prop_assert_eq!(&got, &clean_pieces(&sanitizer, starts.zip(ends).map(|(a, b)| &text.as_bytes()[a..b])));
        prop_assert_eq!(&got[..], &*sanitizer.clean(Key::None, text.as_bytes(), &mut Work::default()));
        prop_assert_eq!(&got[..], &*sanitizer.clean(Key::Name(b"name"), text.as_bytes(), &mut Work::default()));
        prop_assert_eq!(&got, &clean(&sanitizer, &got));
    }

    #[test]
    fn raw_values_are_found_behind_and_before_anything(value in value(), front in "\\PC{0,12}", behind in "\\PC{0,12}") {
        let sanitizer = only(&[value.as_bytes()], Action::Replace, Format::Text);
        let text = format!("{front}{value}{behind}");
        let got = clean(&sanitizer, text.as_bytes());
        prop_assert!(!holds(&got, value.as_bytes()), "{}", text);
        prop_assert!(got.starts_with(&front.as_bytes()[..front.len().saturating_sub(64)]));
        prop_assert_eq!(&got, &clean(&sanitizer, &got));
    }

    #[test]
    fn near_misses_stay(value in value(), spelling in spelling(), at in any::<usize>(), front in edge(), behind in edge()) {
        if let Some(other) = near_miss(&value, at) {
            let sanitizer = only(&[value.as_bytes()], Action::Replace, Format::Text);
            let text = spelling.write(&other, front, behind).concat();
            prop_assert_eq!(clean(&sanitizer, text.as_bytes()).escape_ascii().to_string(), text.as_bytes().escape_ascii().to_string());
        }
    }

    #[test]
    fn pseudonyms_are_those_of_the_value(value in value(), spelling in spelling()) {
        let sanitizer = only(&[value.as_bytes()], Action::Hash, Format::Text);
        let plain = clean(&sanitizer, format!("~ {value} ~").as_bytes());
        let [before, core, after] = spelling.write(&value, "~ ", " ~");
        let got = clean(&sanitizer, format!("{before}{core}{after}").as_bytes());
        let pseudonym = |text: &[u8]| {
            let text = text.escape_ascii().to_string().replace("%5B", "[").replace("%5D", "]");
            text.split("[learned-secret:k1:").nth(1).map(|rest| rest[..24].to_owned())
        };
        prop_assert!(pseudonym(&plain).is_some());
        prop_assert_eq!(pseudonym(&plain), pseudonym(&got));
    }

    #[test]
    fn documents_stay_documents(value in value(), front in edge(), behind in edge(), depth in 0..4) {
        let sanitizer = only(&[value.as_bytes()], Action::Replace, Format::Auto);
        let mut document = serde_json::json!({ "a": format!("{front}{value}{behind}"), "n": 1, (value.clone()): [value.clone()] });
        for _ in 0..depth {
            document = serde_json::json!({ "message": document.to_string(), "level": "info" });
        }
        let got = clean(&sanitizer, document.to_string().as_bytes());
        let read: Value = serde_json::from_slice(&got).expect("a document");
        let mut found = Vec::new();
        strings(&read, &mut found);
        prop_assert!(found.iter().all(|text| !text.contains(&value)), "{}", read);
        prop_assert!(found.iter().any(|text| *text == format!("{front}{MARKER}{behind}")), "{}", read);
    }
}

proptest! {
    #![proptest_config(times(2000))]

    /// Values and texts of bytes that escapes are made of, in pieces: nothing panics, whatever is read into them.
    #[test]
    fn hostile_text(
        values in vec("[a-c%25u0\\\\\"+n41x]{8,11}", 1..3),
        pieces in vec((any::<usize>(), any::<usize>(), "[a-c%25u0\\\\\"+n41x{}]{0,9}", spelling()), 0..12),
        cut in any::<usize>(),
    ) {
        let bytes: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        for format in [Format::Text, Format::Auto] {
            let sanitizer = only(&bytes, Action::Replace, format);
            let text: String = pieces.iter().map(|(which, from, noise, spelling)| {
                let value = &values[which % values.len()];
                let part = if from % 3 == 0 { &value[from / 3 % value.len()..] } else { value };
                spelling.write(part, noise, "").concat()
            }).collect();
            let got = clean(&sanitizer, text.as_bytes());
            let (front, behind) = text.as_bytes().split_at(cut % (text.len() + 1));
            prop_assert_eq!(&got, &clean_pieces(&sanitizer, [front, behind]));
            let learned = super::spelling::learn(&bytes);
            for value in values.iter().filter(|value| learned.count() == values.len() && !value.contains(['[', ']'])) {
                prop_assert!(!holds(&got, value.as_bytes()), "{}", text);
            }
            prop_assert_eq!(clean(&sanitizer, &got).escape_ascii().to_string(), got.escape_ascii().to_string(), "{}", text);
        }
    }
}

fn builtin(value: &str, action: Action) -> Sanitizer {
    let rules = Ruleset::builtin().into_profile(kasm_scrub::Profile::Default, |_| true);
    with(rules, &[value.as_bytes()], action, Format::Auto)
}

proptest! {
    #![proptest_config(times(60))]

    /// Beside all other rules, and in lines that they know.
    #[test]
    fn other_rules_make_no_difference(
        value in value(), spelling in spelling(), line in select(LINES.to_vec()), places in vec(any::<usize>(), 0..4),
    ) {
        for action in [Action::Replace, Action::Mask { keep: 4 }] {
            let sanitizer = builtin(&value, action);
            let core = spelling.write(&value, "", "").concat();
            let text = line.replace('@', &core);
            let got = clean(&sanitizer, text.as_bytes());
            prop_assert!(!holds(&got, value.as_bytes()) && !holds(&got, core.as_bytes()), "{} -> {}", text, got.escape_ascii());
            prop_assert_eq!(clean(&sanitizer, &got).escape_ascii().to_string(), got.escape_ascii().to_string(), "{}", text);
            let cut = places.first().map_or(0, |place| place % text.len());
            let pieces = [&text.as_bytes()[..cut], &text.as_bytes()[cut..]];
            prop_assert_eq!(&got, &clean_pieces(&sanitizer, pieces));
        }
    }
}

const LINES: [&str; 10] = [
    "2026-11-20 16:54:23 connected with @ to db",
    "postgres://kasm:@/kasm",
    "password=@ user=kasm",
    r#"{"password":"@","user":"kasm"}"#,
    r#"{"message":"GET /api?token=@&x=1 HTTP/1.1","n":1}"#,
    "Authorization: Basic @",
    "GET /a?b=@&c=d HTTP/1.1",
    "x@x@@",
    "[REDACTED:password]@[password:k1:0123456789abcdef01234567]",
    "--password @ --user kasm",
];
