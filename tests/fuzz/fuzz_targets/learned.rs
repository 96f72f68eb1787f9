//! Any values are learned or refused, and none that was learned comes out, whatever the text is and wherever it is cut.
//!
//! A regression is the values in one line, with tabs between them, and the text behind it.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    cuts: [u8; 3],
    text: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let cuts = input.cuts.map(usize::from);
    if let Err(what) = checks::learned(input.text, &cuts) {
        panic!("{what}");
    }
});
