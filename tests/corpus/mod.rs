//! A labelled corpus of log records, and the scoring of a scrubber on it.
//!
//! Every secret's byte range is known, because records are built from a family of values (`families`) and a
//! way to carry them (`carriers`), or from a whole line's template (`templates`). `negatives` are records
//! that must come out as they went in. `score` says what a scrubber left of the secrets and did to the rest.
//!
//! The corpus knows nothing of the engine: it shares no rule, checksum or example with it. All values are
//! made up from a seed, with the right shapes and check digits, when a test runs; the same seed gives the
//! same records everywhere.
//!
//! Read `text` first, then `slots`, `families`, `carriers`, `score`.

// The tests and the leak table each use a part of this.
#![allow(dead_code)]

mod carriers;
mod checksum;
mod families;
mod negatives;
mod random;
mod score;
mod shape;
mod slots;
mod table;
mod templates;
mod text;
mod tokens;

use std::ops::Range;

use random::Random;

#[allow(unused_imports)]
pub(crate) use {
    negatives::negatives,
    score::{Outcome, changed, judge, score},
    table::{Count, Table},
};

/// A log record whose secrets are known.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// What is secret in it, or for a negative what it looks like.
    pub(crate) family: &'static str,
    /// How the secret is carried.
    pub(crate) carrier: &'static str,
    /// One line or several, without a last newline.
    pub(crate) bytes: Vec<u8>,
    /// The secrets' byte ranges in `bytes`, as carried, in order and apart.
    pub(crate) secrets: Vec<Range<usize>>,
    /// Per secret, the values it stands for, before any encoding.
    pub(crate) plain: Vec<Vec<Vec<u8>>>,
    /// Ranges that may go with the secrets or stay.
    pub(crate) soft: Vec<Range<usize>>,
    /// True if the record is one JSON document.
    pub(crate) json: bool,
}

impl Record {
    /// The ranges that must come through: all but the secrets and what is soft.
    pub(crate) fn context_ranges(&self) -> Vec<Range<usize>> {
        let mut holes: Vec<&Range<usize>> = self.secrets.iter().chain(&self.soft).collect();
        holes.sort_by_key(|range| range.start);
        self.between(&holes)
    }

    /// The text that must come through.
    pub(crate) fn context(&self) -> Vec<&[u8]> {
        self.context_ranges().into_iter().map(|range| &self.bytes[range]).collect()
    }

    /// The text that is no secret, soft parts included.
    fn harmless(&self) -> Vec<&[u8]> {
        let holes: Vec<&Range<usize>> = self.secrets.iter().collect();
        self.between(&holes).into_iter().map(|range| &self.bytes[range]).collect()
    }

    fn between(&self, holes: &[&Range<usize>]) -> Vec<Range<usize>> {
        let mut at = 0;
        let mut ranges = Vec::new();
        for hole in holes {
            ranges.push(at..hole.start);
            at = hole.end;
        }
        ranges.push(at..self.bytes.len());
        ranges.retain(|range| !range.is_empty());
        ranges
    }
}

/// How often a value is drawn again that its carrier cannot hold, before the cell stays empty.
const DRAWS: usize = 12;

/// `n` records for every family and every carrier that can hold it, and `n` of every whole-record template.
/// `n` is at least 1.
pub(crate) fn records(seed: u64, n: usize) -> Vec<Record> {
    let carriers = carriers::carriers();
    let mut records = Vec::new();
    for family in families::families() {
        for carrier in &carriers {
            for number in 0..n.max(1) {
                let mut random = Random::of(seed, &[family.name, carrier.name], number);
                let drawn = (0..DRAWS).map(|_| family.draw(&mut random)).find(|secret| carrier.holds(secret));
                let Some(secret) = drawn else { break };
                records.push(carrier.carry(&mut random, &secret).record(
                    family.name,
                    carrier.name,
                    carrier.json,
                ));
            }
        }
    }
    records.extend(templates::records(seed, n));
    records
}

#[cfg(test)]
mod tests {

    use super::*;

    /// Replaces exactly the labelled ranges, as a scrubber that knows everything would.
    fn perfect(record: &Record) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        for range in &record.secrets {
            out.extend_from_slice(&record.bytes[at..range.start]);
            let bare_number = record.json && !in_string(&record.bytes[..range.start]);
            out.extend_from_slice(if bare_number { b"\"[REDACTED:x]\"" } else { b"[REDACTED:x]" });
            at = range.end;
        }
        out.extend_from_slice(&record.bytes[at..]);
        out
    }

    /// True if JSON text stops inside a string.
    fn in_string(json: &[u8]) -> bool {
        let mut inside = false;
        let mut at = 0;
        while at < json.len() {
            match json[at] {
                b'\\' => at += 1,
                b'"' => inside = !inside,
                _ => {}
            }
            at += 1;
        }
        inside
    }

    #[test]
    fn same_seed_same_records() {
        let bytes = |seed| records(seed, 1).into_iter().map(|record| record.bytes).collect::<Vec<_>>();
        assert_eq!(bytes(7), bytes(7));
        let (one, two) = (bytes(7), bytes(8));
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same * 100 < one.len(), "{same} records do not vary with the seed");
    }

    #[test]
    fn ranges_point_at_the_secrets() {
        for record in records(11, 1) {
            assert!(!record.secrets.is_empty(), "{} in {} has no secret", record.family, record.carrier);
            let mut end = 0;
            for (range, plain) in record.secrets.iter().zip(&record.plain) {
                assert!(end <= range.start && range.start < range.end && range.end <= record.bytes.len());
                end = range.end;
                assert!(plain.iter().all(|value| value.len() >= 4), "{}: too short to judge", record.family);
                let carried = &record.bytes[range.clone()];
                let plainly_carried = plain.iter().any(|value| value == carried);
                let encodes = [
                    "json", "pair", "python", "query", "form", "referer", "xml", "yaml", "flag", "trace",
                    "equals", "logfmt", "text",
                ];
                assert!(
                    plainly_carried || encodes.iter().any(|start| record.carrier.starts_with(start)),
                    "{} in {}",
                    record.family,
                    record.carrier
                );
            }
        }
    }

    #[test]
    fn json_records_parse_and_are_one_line() {
        for record in records(12, 2).into_iter().filter(|record| record.json) {
            let text = String::from_utf8_lossy(&record.bytes);
            assert!(shape::shape(&record.bytes).is_some(), "{} in {}: {text}", record.family, record.carrier);
            assert!(!text.contains('\n'), "{} in {}", record.family, record.carrier);
        }
    }

    #[test]
    fn doing_nothing_leaks_and_knowing_all_does_not() {
        let records = records(13, 1);
        let nothing = score(&records, &mut |bytes| bytes.to_vec());
        let total = nothing.total();
        assert_eq!(total.leaked, total.records, "{} records leak nothing", total.records - total.leaked);
        assert_eq!((total.broken_json, total.lost, total.context_damaged, total.unstable), (0, 0, 0, 0));
        for record in &records {
            let outcome = judge(record, &perfect(record));
            let text = String::from_utf8_lossy(&record.bytes);
            assert!(outcome.is_clean(), "{} in {}: {outcome:?}\n{text}", record.family, record.carrier);
        }
        let dropped = score(&records, &mut |_| Vec::new()).total();
        assert_eq!((dropped.leaked, dropped.lost), (0, total.records));
    }

    #[test]
    fn every_family_and_carrier_meets() {
        let records = records(14, 1);
        let seen: std::collections::BTreeSet<_> =
            records.iter().flat_map(|record| [record.family, record.carrier]).collect();
        for family in families::families() {
            assert!(seen.contains(family.name), "{} stands nowhere", family.name);
        }
        for carrier in carriers::carriers() {
            assert!(seen.contains(carrier.name), "{} carries nothing", carrier.name);
        }
        let names: std::collections::BTreeSet<_> =
            families::families().iter().map(|family| family.name).collect();
        assert_eq!(names.len(), families::families().len(), "family names repeat");
    }

    #[test]
    fn a_half_scrubbed_secret_is_a_leak() {
        let record =
            text::secret("abcdefghijklmnop").within("password=", " status=200").record("f", "c", false);
        let leaked = |out: &str| judge(&record, out.as_bytes()).leaked;
        assert!(leaked("password=[REDACTED:x]ijklmnop status=200"));
        assert!(!leaked("password=[REDACTED:x]jklmnop status=200"));
        let damaged = |out: &str| judge(&record, out.as_bytes()).context_damaged;
        assert!(damaged("password=[REDACTED:x]"));
        assert!(damaged("[REDACTED:x] status=200"));
        assert!(!damaged("password=[REDACTED:x] status=200\n"));
    }

    #[test]
    fn negatives_vary_and_hold_no_secret() {
        let records = negatives(15, 2);
        let kinds: std::collections::BTreeSet<_> = records.iter().map(|record| record.family).collect();
        assert!(kinds.len() >= 120, "only {} kinds", kinds.len());
        assert!(records.iter().all(|record| record.secrets.is_empty() && !record.bytes.is_empty()));
        for record in records.iter().filter(|record| record.json) {
            assert!(shape::shape(&record.bytes).is_some(), "{}", String::from_utf8_lossy(&record.bytes));
        }
        assert!(changed(&records, &mut |bytes| bytes.to_vec()).is_empty());
    }

    #[test]
    fn the_table_prints() {
        let table = score(&records(16, 1), &mut |bytes| bytes.to_vec());
        let text = table.to_string();
        assert!(text.contains("github") && text.contains("kasm-db-init") && text.contains("100.00"));
        assert!(serde_json::from_str::<serde_json::Value>(&table.to_json()).is_ok());
    }
}
