//! Any JSON document on one line comes out as one, with its keys and its shape.
#![no_main]

use std::sync::LazyLock;

use kasm_scrub::Sanitizer;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

static SANITIZER: LazyLock<Sanitizer> = LazyLock::new(Sanitizer::builtin);

fuzz_target!(|text: &[u8]| {
    if let Err(what) = checks::json(&SANITIZER, text) {
        panic!("{what}");
    }
});
