//! What a run did, in numbers: for `--report` and for whoever watches. Counts only; no text of any record.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Finding;
use crate::rules::{Profile, Ruleset};

/// Counts of a run while it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Lines read; a last one without a newline counts.
    pub lines: u64,
    findings: Vec<u64>,
}

impl Tally {
    /// A tally of nothing, for this many rules.
    pub fn new(rules: usize) -> Self {
        Self { findings: vec![0; rules], ..Self::default() }
    }

    /// Counts a finding.
    pub fn count(&mut self, finding: &Finding) {
        if let Some(count) = self.findings.get_mut(finding.rule.0 as usize) {
            *count += 1;
        }
    }

    /// How many findings there were.
    pub fn findings(&self) -> u64 {
        self.findings.iter().sum()
    }

    /// The report on a run with these rules.
    pub fn report<'r>(&self, profile: Profile, rules: &'r Ruleset) -> Report<'r> {
        let mut by_rule = BTreeMap::new();
        for (rule, &count) in rules.rules().iter().zip(&self.findings).filter(|(_, count)| **count > 0) {
            *by_rule.entry(&*rule.id).or_default() += count;
        }
        Report {
            version: env!("CARGO_PKG_VERSION"),
            profile: profile.name(),
            rules: rules.rules().len(),
            rules_sha256: rules.digest().iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            lines: self.lines,
            findings: self.findings(),
            findings_by_rule: by_rule,
        }
    }
}

/// The report on a run, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'r> {
    version: &'static str,
    profile: &'static str,
    rules: usize,
    /// [`Ruleset::digest`], in hex.
    rules_sha256: String,
    bytes_in: u64,
    bytes_out: u64,
    lines: u64,
    findings: u64,
    findings_by_rule: BTreeMap<&'r str, u64>,
}

impl Report<'_> {
    /// The report as indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        // Strings and numbers only: writing them cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
