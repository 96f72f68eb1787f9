//! Clean logs leave early: hardly a line of them has an anchor that asks for a look at it.

use std::time::Duration;

use kasm_scrub::scan::Scanner;
use kasm_scrub::{Format, Profile, Ruleset, Work};

/// Lines as common software writes them: sshd, the kernel, nginx, the kubelet, HDFS, PostgreSQL, Kasm. None has a secret,
/// many have words of secrets.
const LOG: &str = include_str!("data/clean.log");

/// How many of a hundred lines may be looked at.
const PERCENT: usize = 2;

#[test]
fn hardly_a_clean_line_is_looked_at() {
    let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
    let count = rules.rules().len();
    let scanner = Scanner::new(rules, Vec::new(), Format::Auto);
    let looked_at = |text: &str| {
        let mut work = Work::counting(count, || Duration::ZERO);
        assert!(scanner.scan_block(text.as_bytes(), &mut work).is_empty(), "{text}");
        work.costs().map_or(0, |costs| costs.lines()) as usize
    };
    let lines: Vec<&str> = LOG.split_inclusive('\n').collect();
    let seen: Vec<&str> = lines.iter().copied().filter(|line| looked_at(line) > 0).collect();
    assert!(seen.len() * 100 <= lines.len() * PERCENT, "{} of {} lines: {seen:#?}", seen.len(), lines.len());
    // What an anchor reaches may stand in the next line; that is seldom, too.
    assert!(looked_at(LOG) * 100 <= lines.len() * PERCENT, "{} of {} lines", looked_at(LOG), lines.len());
}
