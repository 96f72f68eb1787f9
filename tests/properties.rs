//! What must hold for every input, each checked on thousands of generated ones.
//!
//! A property says nothing about what is found (the rules' examples and the corpus do that), only about what can never
//! happen. A failing case is shrunk and printed; it then becomes a unit test or a file in `tests/fuzz/regressions`.
//! `PROPTEST_CASES=100000` runs each property that often.

#[path = "properties/anchors.rs"]
mod anchors;
#[path = "properties/findings.rs"]
mod findings;
#[path = "properties/found.rs"]
mod found;
#[path = "properties/json.rs"]
mod json;
#[path = "properties/model.rs"]
mod model;
#[path = "properties/parallel.rs"]
mod parallel;
#[path = "properties/regressions.rs"]
mod regressions;
#[path = "properties/sample.rs"]
mod sample;
#[path = "properties/stream.rs"]
mod stream;
#[path = "properties/text.rs"]
mod text;
#[path = "properties/values.rs"]
mod values;

use std::sync::LazyLock;

use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Profile, Ruleset, Sanitizer, Scrubber};
use proptest::test_runner::Config;

/// The built-in rules of the default profile.
static DEFAULT: LazyLock<Sanitizer> = LazyLock::new(Sanitizer::builtin);

/// Every built-in rule.
static STRICT: LazyLock<Sanitizer> = LazyLock::new(|| {
    let rules = Ruleset::builtin().into_profile(Profile::Strict, |_| true);
    Sanitizer::new(Parts { rules, ..Parts::default() }).expect("no built-in rule hashes")
});

/// Runs a property `cases` times, or as often as the environment says.
fn times(cases: u32) -> Config {
    let from_environment = std::env::var_os("PROPTEST_CASES").is_some();
    let defaults = Config {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        // A few of every hundred cases: as many cases, as many of them.
        max_global_rejects: u32::MAX,
        ..Config::default()
    };
    if from_environment { defaults } else { Config { cases, ..defaults } }
}

/// `text`, cleaned in one piece.
fn clean(sanitizer: &Sanitizer, text: &[u8]) -> Vec<u8> {
    clean_pieces(sanitizer, [text])
}

/// The pieces of a text, cleaned as they come.
fn clean_pieces<'t>(sanitizer: &Sanitizer, pieces: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(sanitizer);
    for piece in pieces {
        scrubber.push(piece, &mut out);
    }
    scrubber.finish(&mut out);
    out
}

/// Bytes as a failing case shows them.
fn show(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}
