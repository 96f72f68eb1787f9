//! Learned values in lines of text.

use kasm_scrub::rules::allow::Allowlist;
use kasm_scrub::sanitize::Parts;
use kasm_scrub::scan::Format;
use kasm_scrub::stream::{AHEAD, SEGMENT};
use kasm_scrub::{Action, Profile, RuleIndex, Ruleset, Sanitizer};

use super::spelling::{MARKER, clean, clean_pieces, holds, learn, only, with};

const PASSWORD: &str = "4f2e9a7c-dead-4bee-8f00-0123456789ab";
const OTHER: &str = "4f2e9a7c-dead-4bee-8f00-0123456789ac";

fn default_rules() -> Ruleset {
    Ruleset::builtin().into_profile(Profile::Default, |_| true)
}

fn check(text: &str, want: &str) {
    let sanitizer = with(default_rules(), &[PASSWORD.as_bytes()], Action::Replace, Format::Auto);
    let fill = |text: &str| text.replace("{p}", PASSWORD).replace("{o}", OTHER).replace("{m}", MARKER);
    let got = clean(&sanitizer, fill(text).as_bytes());
    assert_eq!(String::from_utf8_lossy(&got), fill(want), "{text}");
}

#[test]
fn bare_passwords_that_are_uuids() {
    check("session {o} opened with {p}", "session {o} opened with {m}");
    check(r#"{"kasm_id":"{o}","x":"{p}"}"#, r#"{"kasm_id":"{o}","x":"{m}"}"#);
    check(r#"{"{p}":1}"#, r#"{"{m}":1}"#);
    check("a {p}{p} {p}", "a {m}{m} {m}");
    // Keys that say that a value is an identifier are no reason to leave a value that is known.
    check(r#"{"trace_id":"{p}","request_id":"{o}"}"#, r#"{"trace_id":"{m}","request_id":"{o}"}"#);
    check("GET /a?b={p}&c={o} HTTP/1.1", "GET /a?b=%5BREDACTED:learned-secret%5D&c={o} HTTP/1.1");
    // Who knows it best names it.
    check("password={p} x", "password={m} x");
    check("postgres://kasm:{p}@db/kasm", "postgres://kasm:%5BREDACTED:learned-secret%5D@db/kasm");
}

#[test]
fn numbers_become_strings_in_documents() {
    let sanitizer = only(&[b"471100471100"], Action::Replace, Format::Auto);
    let got = clean(&sanitizer, br#"{"pin":471100471100,"n":[471100471100,1]}"#);
    let want = format!(r#"{{"pin":"{MARKER}","n":["{MARKER}",1]}}"#);
    assert_eq!(String::from_utf8_lossy(&got), want);
}

#[test]
fn nothing_of_a_value_stays_in_a_mask() {
    let sanitizer = with(default_rules(), &[b"Dead12Beef34"], Action::Mask { keep: 4 }, Format::Auto);
    let got = clean(&sanitizer, b"password=Dead12Beef34 and Dead12Beef34 and password=Other12Beef56");
    assert_eq!(
        String::from_utf8_lossy(&got),
        "password=**** and **** and password=****ef56".replace("ef56", "f56")
    );
}

#[test]
fn only_what_names_the_rule_is_allowed() {
    let mut rules = default_rules();
    rules.add_learned();
    let index = RuleIndex(rules.rules().len() as u32 - 1);
    let list = || Allowlist { stopwords: vec![b"dead12".to_vec().into()], ..Allowlist::default() };
    let sanitizer = |rules: Ruleset, named: Vec<RuleIndex>| {
        let learned = Some(learn(&[b"Dead12Beef34"]));
        Sanitizer::new(Parts { rules, allow: vec![(named, list())], learned, ..Parts::default() })
            .expect("no key is needed")
    };
    let mut again = default_rules();
    again.add_learned();
    assert!(holds(&clean(&sanitizer(again, Vec::new()), b"a Dead12Beef34"), MARKER.as_bytes()));
    assert_eq!(
        clean(&sanitizer(rules, vec![index]), b"a Dead12Beef34 %44ead12Beef34"),
        b"a Dead12Beef34 %44ead12Beef34"
    );
}

#[test]
fn several_values_and_the_rule_that_is_switched_off() {
    let sanitizer = only(&[b"Dead12Beef34", b"12Beef34Dead56"], Action::Replace, Format::Auto);
    assert_eq!(clean(&sanitizer, b"xDead12Beef34Dead56x"), format!("x{MARKER}x").as_bytes());
    let parts = Parts { learned: Some(learn(&[b"Dead12Beef34"])), ..Parts::default() };
    let none = Sanitizer::new(parts).expect("no key is needed");
    assert_eq!(clean(&none, b"Dead12Beef34"), b"Dead12Beef34");
}

/// Long lines are decided in segments: a value may stand over any of their borders.
#[test]
fn values_over_the_borders_of_segments() {
    let sanitizer = only(&[PASSWORD.as_bytes()], Action::Replace, Format::Text);
    let encoded = PASSWORD.replace('-', "%2D");
    for core in [PASSWORD, &encoded] {
        for border in [SEGMENT, SEGMENT + AHEAD, 2 * SEGMENT, 2 * SEGMENT + AHEAD] {
            for before in [0, 1, 17, core.len() - 1, core.len()] {
                let front = ".".repeat(border - before);
                let text = format!("{front}{core} and {}", ".".repeat(2 * SEGMENT));
                let want = format!("{front}{MARKER} and {}", ".".repeat(2 * SEGMENT));
                for size in [text.len(), 64 << 10, 4099] {
                    let got = clean_pieces(&sanitizer, text.as_bytes().chunks(size));
                    assert!(got == want.as_bytes(), "{core} at {border} - {before}, {size} at once");
                }
            }
        }
    }
}

/// A value that is larger than what is looked ahead goes as a whole.
#[test]
fn the_longest_values() {
    let mut dice = 1_u64;
    let mut letter = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(dice >> 59) as usize])
    };
    let value: String = (0..60_000).map(|_| letter()).collect();
    let sanitizer = only(&[value.as_bytes()], Action::Replace, Format::Text);
    for front in [0, 10, SEGMENT - 30_000, SEGMENT - 1, SEGMENT + 100] {
        let front = ".".repeat(front);
        let got = clean(&sanitizer, format!("{front} {value} and more").as_bytes());
        assert!(got.starts_with(format!("{front} {MARKER}").as_bytes()), "{}", front.len());
        for part in value.as_bytes().chunks(16) {
            assert!(!holds(&got[front.len()..], part), "{}", front.len());
        }
    }
}
