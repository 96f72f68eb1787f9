//! Any anchors in any text: every way of reading text finds them where they stand, and nowhere else.
//!
//! A regression is the bytes of the input: the replay reads anchors and text from them as this target does.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

fuzz_target!(|input: &[u8]| {
    if let Err(what) = checks::prefilter(input) {
        panic!("{what}");
    }
});
