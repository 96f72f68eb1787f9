//! What became of the files of a bundle, in numbers and clean names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::counts::Counts;
use super::fault::Why;
use crate::audit::{Held, Trail};
use crate::finding::RuleIndex;
use crate::rules::Ruleset;
use crate::sanitize::Sanitizer;

/// What became of one input, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Files and entries that were scrubbed, those without a finding included.
    pub scrubbed: u64,
    /// Bytes of text that were scrubbed.
    pub bytes: u64,
    /// Those with findings.
    pub(super) changed: Vec<(String, Counts)>,
    /// What was found beside content: in names, comments, owners, and where links lead.
    pub(super) beside: Vec<(String, Counts)>,
    /// Names that were changed, as they are now.
    pub renamed: Vec<String>,
    /// What was left out, and why.
    pub left: Vec<(String, Why)>,
    /// What was copied as it was, because that was asked for, and how many findings it would have had.
    pub raw: Vec<(String, u64)>,
    /// Whether there is a bundle.
    pub written: bool,
}

/// A place in an account to go back to: of an archive that is left out, nothing inside counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64, u64, [usize; 5]);

impl Account {
    /// Adds what became of another input.
    pub(super) fn add(&mut self, other: Self) {
        let Self { scrubbed, bytes, changed, beside, renamed, left, raw, written: _ } = other;
        self.scrubbed += scrubbed;
        self.bytes += bytes;
        self.changed.extend(changed);
        self.beside.extend(beside);
        self.renamed.extend(renamed);
        self.left.extend(left);
        self.raw.extend(raw);
    }

    /// Where it stands.
    pub(super) fn mark(&self) -> Mark {
        let Self { scrubbed, bytes, changed, beside, renamed, left, raw, written: _ } = self;
        Mark(*scrubbed, *bytes, [changed.len(), beside.len(), renamed.len(), left.len(), raw.len()])
    }

    /// Forgets what came since.
    pub(super) fn go_back(&mut self, Mark(scrubbed, bytes, lens): Mark) {
        (self.scrubbed, self.bytes) = (scrubbed, bytes);
        self.changed.truncate(lens[0]);
        self.beside.truncate(lens[1]);
        self.renamed.truncate(lens[2]);
        self.left.truncate(lens[3]);
        self.raw.truncate(lens[4]);
    }

    /// Notes what was found in something of `label` that is no content.
    pub(super) fn note(&mut self, label: &str, what: &str, found: Counts) {
        if !found.is_empty() {
            self.beside.push((format!("{label} ({what})"), found));
        }
    }

    /// All that something was found in.
    fn found(&self) -> impl Iterator<Item = &(String, Counts)> {
        self.changed.iter().chain(&self.beside)
    }

    /// How many findings there were, in content and beside it.
    pub fn findings(&self) -> u64 {
        self.found().map(|(_, counts)| counts.sum()).sum()
    }

    /// Whether something was found.
    pub fn has_findings(&self) -> bool {
        self.found().next().is_some()
    }

    /// How many of what was left out should not have been.
    pub fn bad(&self) -> usize {
        self.left.iter().filter(|(_, why)| why.is_bad()).count()
    }

    /// Notes all of it in an audit trail, by file, and has it written.
    /// # Errors
    /// It could not be written.
    pub fn note_in(&self, trail: &Trail, sanitizer: &Sanitizer) -> Result<(), Held> {
        /// What waits has a limit, beyond which files would be counted together.
        const TOGETHER: usize = 512;
        let (digest, rules) = (sanitizer.digest(), sanitizer.rules());
        let (mut noted, mut written) = (0, Ok(()));
        for (label, counts) in self.found() {
            let source = format!("file:{label}");
            for (rule, pseudonym, count) in counts.by_name() {
                let pseudonym = pseudonym.map(|pseudonym| sanitizer.spell(rule, pseudonym));
                trail.note(&source, &rules[rule].id, digest, pseudonym.as_deref(), count);
                noted += 1;
                if noted % TOGETHER == 0 {
                    written = written.and(trail.flush());
                }
            }
        }
        written.and(trail.flush())
    }

    fn by_rule(counts: impl IntoIterator<Item = (RuleIndex, u64)>, rules: &Ruleset) -> BTreeMap<&str, u64> {
        let mut by_rule = BTreeMap::new();
        for (rule, count) in counts {
            *by_rule.entry(&*rules[rule].id).or_default() += count;
        }
        by_rule
    }

    /// The report, for machines.
    pub fn to_json(&self, rules: &Ruleset) -> String {
        let all = self.found().flat_map(|(_, counts)| counts.by_rule());
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            rules_sha256: rules.digest().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
            scrubbed: self.scrubbed,
            bytes: self.bytes,
            findings: self.findings(),
            findings_by_rule: Self::by_rule(all, rules),
            files: self
                .found()
                .map(|(name, counts)| Changed {
                    name,
                    findings: counts.sum(),
                    by_rule: Self::by_rule(counts.by_rule(), rules),
                })
                .collect(),
            renamed: &self.renamed,
            left_out: self
                .left
                .iter()
                .map(|(name, why)| LeftOut { name, why: *why, bad: why.is_bad() })
                .collect(),
            not_scrubbed: self.raw.iter().map(|(name, findings)| Raw { name, findings: *findings }).collect(),
            written: self.written,
        };
        // Strings and numbers only: writing them cannot fail.
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    }

    /// The summary, for people: numbers, rules, the files with most findings, and all that was left out.
    pub fn to_text(&self, rules: &Ruleset) -> String {
        const WORST: usize = 10;
        let mut text = String::new();
        let clean = self.scrubbed - self.changed.len() as u64;
        let _ = writeln!(
            text,
            "{} files scrubbed: {} changed, {clean} clean; {} left out; {} findings",
            self.scrubbed,
            self.changed.len(),
            self.left.len(),
            self.findings()
        );
        let all = self.found().flat_map(|(_, counts)| counts.by_rule());
        let mut by_rule: Vec<_> = Self::by_rule(all, rules).into_iter().collect();
        by_rule.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        section(&mut text, "by rule", by_rule.iter().map(|(rule, count)| format!("{count:>8}  {rule}")));
        let mut worst: Vec<_> = self.found().map(|(name, counts)| (counts.sum(), name)).collect();
        worst.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
        let more = worst.len().saturating_sub(WORST);
        worst.truncate(WORST);
        section(&mut text, "by file", worst.iter().map(|(count, name)| format!("{count:>8}  {name}")));
        if more > 0 {
            let _ = writeln!(text, "          and {more} more; --format json lists all");
        }
        section(&mut text, "names that were changed", self.renamed.iter().map(|name| format!("  {name}")));
        section(&mut text, "left out", self.left.iter().map(|(name, why)| format!("  {name}: {why}")));
        section(
            &mut text,
            "NOT scrubbed, as --keep-binary asks",
            self.raw.iter().map(|(name, findings)| match findings {
                0 => format!("  {name}"),
                _ => format!("  {name}: {findings} findings are still in it"),
            }),
        );
        text
    }
}

fn section(text: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) {
    if lines.len() > 0 {
        let _ = writeln!(text, "{title}:");
        lines.for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
    }
}

#[derive(Serialize)]
struct Report<'r> {
    version: &'static str,
    /// [`Ruleset::digest`], in hex.
    rules_sha256: String,
    scrubbed: u64,
    bytes: u64,
    findings: u64,
    findings_by_rule: BTreeMap<&'r str, u64>,
    files: Vec<Changed<'r>>,
    renamed: &'r [String],
    left_out: Vec<LeftOut<'r>>,
    not_scrubbed: Vec<Raw<'r>>,
    /// Whether there is a bundle.
    written: bool,
}

#[derive(Serialize)]
struct Raw<'r> {
    name: &'r str,
    findings: u64,
}

#[derive(Serialize)]
struct Changed<'r> {
    name: &'r str,
    findings: u64,
    by_rule: BTreeMap<&'r str, u64>,
}

#[derive(Serialize)]
struct LeftOut<'r> {
    name: &'r str,
    why: Why,
    bad: bool,
}
