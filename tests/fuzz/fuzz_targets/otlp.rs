//! Any request is clean, changed or refused; what comes out reads as what went in, is clean, and has the same outcome
//! whatever was seen before. So it is with what may be an answer. What JSON becomes in
//! protobuf is a request.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use kasm_scrub::Sanitizer;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

static SANITIZER: LazyLock<Arc<Sanitizer>> = LazyLock::new(|| Arc::new(Sanitizer::builtin()));

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    signal: u8,
    is_json: bool,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { signal, is_json, body } = input;
    let checked = checks::otlp(&SANITIZER, signal, is_json, body)
        .and_then(|()| checks::answer(&SANITIZER, signal, is_json, body))
        .and_then(|()| checks::transcode(&SANITIZER, signal, body));
    if let Err(what) = checked {
        panic!("{what}");
    }
});
