//! What fuzzing has found, replayed: every file in `tests/fuzz/regressions`.

use std::path::Path;

use super::{DEFAULT, STRICT};

#[path = "../fuzz/checks.rs"]
pub(crate) mod checks;

fn replay(target: &str, check: impl Fn(&[u8]) -> Result<(), String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("folder of regressions").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let text = std::fs::read(file.path()).expect("regression");
        let result = check(&text);
        assert!(result.is_ok(), "{}: {result:?}", file.path().display());
    }
}

#[test]
fn stream() {
    replay("stream", |text| {
        // Every single cut, then single bytes.
        let cuts = (0..text.len()).map(|at| vec![at]).chain([(0..text.len()).collect()]);
        cuts.take(2000).try_for_each(|cuts| checks::stream(&DEFAULT, text, &cuts))?;
        checks::stream(&STRICT, text, &[])
    });
}

#[test]
fn json() {
    replay("json", |text| checks::json(&DEFAULT, text).and_then(|()| checks::json(&STRICT, text)));
}

/// The first byte says which signal, the second which encoding.
#[test]
fn otlp() {
    let sanitizer = std::sync::Arc::new(kasm_scrub::Sanitizer::builtin());
    replay("otlp", |input| match input {
        [signal, is_json, body @ ..] => {
            let (signal, is_json) = (signal.wrapping_sub(b'0'), *is_json != b'0');
            checks::otlp(&sanitizer, signal, is_json, body)
                .and_then(|()| checks::answer(&sanitizer, signal, is_json, body))
                .and_then(|()| checks::transcode(&sanitizer, signal, body))
        }
        _ => Ok(()),
    });
}

#[test]
fn rules() {
    replay("rules", |text| {
        checks::rules(&String::from_utf8_lossy(text), b"password=hunter2 tok_abc 4111111111111111\n");
        Ok(())
    });
}

#[test]
fn audit() {
    replay("audit", checks::audit);
}

#[test]
fn learned() {
    replay("learned", |input| (0..input.len().min(300)).try_for_each(|cut| checks::learned(input, &[cut])));
}

#[test]
fn prefilter() {
    replay("prefilter", checks::prefilter);
}
