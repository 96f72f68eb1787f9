//! Findings of one stream, counted beside it: no lock and no allocation for each, so that the trail costs next to nothing
//! where there is one, and nothing where there is none.

use std::collections::HashMap;
use std::sync::Arc;

use super::pending::MOST_NAMED;
use super::trail::{Held, Trail};
use crate::finding::{Finding, RuleIndex};
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;

/// What was found since [`Trail::take`](super::Trail::take) took it last. All of it is by the same rules. It holds as many
/// pseudonyms as a trail has room for; findings beyond are counted without.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By rule: findings without a pseudonym, and those whose pseudonym had no room.
    counts: Vec<(u64, u64)>,
    /// Rules with a count.
    touched: Vec<RuleIndex>,
    named: Vec<(RuleIndex, Pseudonym)>,
}

impl Found {
    /// Counts a finding and the pseudonym in the marker that stands in its place, if it has one: for
    /// [`Out::replaced`](crate::Out::replaced).
    pub fn replaced(&mut self, sanitizer: &Sanitizer, finding: &Finding, marker: &[u8]) {
        match sanitizer.pseudonym(finding.rule, marker) {
            Some(pseudonym) => self.named(finding.rule, pseudonym),
            None => self.count(finding.rule).0 += 1,
        }
    }

    /// Counts a finding whose pseudonym, if it has one, the trail has no room for: it is not even read.
    fn replaced_beyond(&mut self, sanitizer: &Sanitizer, finding: &Finding) {
        let (plain, more) = self.count(finding.rule);
        *if sanitizer.has_pseudonyms(finding.rule) { more } else { plain } += 1;
    }

    /// Counts a finding that has no pseudonym.
    pub fn found(&mut self, rule: RuleIndex) {
        self.count(rule).0 += 1;
    }

    /// Counts a finding that has this pseudonym.
    pub fn named(&mut self, rule: RuleIndex, pseudonym: Pseudonym) {
        if self.named.len() < MOST_NAMED {
            self.named.push((rule, pseudonym));
        } else {
            self.count(rule).1 += 1;
        }
    }

    /// Of findings and the pseudonyms that some of them got.
    pub fn of(findings: &[RuleIndex], pseudonyms: &[(RuleIndex, Pseudonym)]) -> Self {
        let mut own = Self::default();
        let mut with = HashMap::new();
        for &(rule, pseudonym) in pseudonyms {
            own.named(rule, pseudonym);
            *with.entry(rule).or_insert(0_u64) += 1;
        }
        for rule in findings {
            match with.get_mut(rule) {
                Some(left @ 1..) => *left -= 1,
                _ => own.found(*rule),
            }
        }
        own
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.named.is_empty()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.touched.drain(..).for_each(|rule| self.counts[rule.0 as usize] = (0, 0));
        self.named.clear();
    }

    fn count(&mut self, rule: RuleIndex) -> &mut (u64, u64) {
        let at = rule.0 as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, (0, 0));
        }
        let count = &mut self.counts[at];
        if *count == (0, 0) {
            self.touched.push(rule);
        }
        count
    }

    /// The rules with findings: how many without a pseudonym, and how many whose pseudonym had no room.
    pub(super) fn counts(&self) -> impl Iterator<Item = (RuleIndex, u64, u64)> {
        self.touched.iter().map(|&rule| {
            let (plain, more) = self.counts[rule.0 as usize];
            (rule, plain, more)
        })
    }

    /// The pseudonyms, one for each finding.
    pub(super) fn pseudonyms(&mut self) -> &mut [(RuleIndex, Pseudonym)] {
        &mut self.named
    }
}

/// One stream's share in a trail: counts beside the stream, noted block by block.
#[derive(Debug)]
pub struct Stream {
    trail: Arc<Trail>,
    source: Box<str>,
    sanitizer: Arc<Sanitizer>,
    found: Found,
}

impl Stream {
    /// The share of a stream with this label, which is clean, scrubbed by these rules.
    pub fn new(trail: Arc<Trail>, source: &str, sanitizer: Arc<Sanitizer>) -> Self {
        Self { trail, source: source.into(), sanitizer, found: Found::default() }
    }

    /// Counts a finding: for [`Out::replaced`](crate::Out::replaced).
    pub fn replaced(&mut self, finding: &Finding, marker: &[u8]) {
        if self.trail.is_full() {
            self.found.replaced_beyond(&self.sanitizer, finding);
        } else {
            self.found.replaced(&self.sanitizer, finding, marker);
        }
    }

    /// Notes what was counted. A block is over.
    pub fn end_block(&mut self) {
        self.trail.take(&self.source, &self.sanitizer, &mut self.found);
    }

    /// Whether records may pass.
    /// # Errors
    /// They may not; see [`Trail::pass`].
    pub fn pass(&self) -> Result<(), Held> {
        self.trail.pass()
    }
}
