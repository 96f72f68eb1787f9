//! The labelled corpus: how much of it survives, and what must never change.

use kasm_scrub::{Sanitizer, Scrubber};

use crate::corpus;

fn scrub(sanitizer: &Sanitizer, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(sanitizer);
    scrubber.push(bytes, &mut out);
    scrubber.finish(&mut out);
    out
}

#[test]
fn at_most_one_record_in_a_thousand_leaks_or_is_damaged() {
    let sanitizer = Sanitizer::builtin();
    let records = corpus::records(1, 1);
    let table = corpus::score(&records, &mut |bytes| scrub(&sanitizer, bytes));
    let total = table.total();
    assert!(total.leaked * 1000 <= total.records, "{table}");
    assert!(total.context_damaged * 1000 <= total.records, "{table}");
    assert_eq!(total.lost, 0, "{table}");
    assert_eq!(total.broken_json, 0, "{table}");
    assert_eq!(total.unstable, 0, "{table}");
}

#[test]
fn hard_negatives_never_change() {
    let sanitizer = Sanitizer::builtin();
    for seed in 1..4 {
        let negatives = corpus::negatives(seed, 2);
        let changed = corpus::changed(&negatives, &mut |bytes| scrub(&sanitizer, bytes));
        let kinds: Vec<_> = changed.iter().map(|&i| negatives[i].family).collect();
        assert!(kinds.is_empty(), "changed: {kinds:?}");
    }
}
