//! Any bytes, cut anywhere: the same comes out, cleaning twice is cleaning once, and nothing panics.
//!
//! A regression is the text alone (`cargo fuzz fmt` shows it): the replay tries all cuts.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use kasm_scrub::Sanitizer;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

static SANITIZER: LazyLock<Sanitizer> = LazyLock::new(Sanitizer::builtin);

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    cuts: [u8; 4],
    text: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let cuts = input.cuts.map(usize::from);
    if let Err(what) = checks::stream(&SANITIZER, input.text, &cuts) {
        panic!("{what}");
    }
});
