//! Any bytes are verified as an audit trail or refused; nothing panics, and nothing passes that the key did not make.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

fuzz_target!(|text: &[u8]| {
    if let Err(what) = checks::audit(text) {
        panic!("{what}");
    }
});
