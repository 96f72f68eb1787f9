//! What was found and is not written yet: counts, by source, rules and rule. Bounded.

use std::collections::HashMap;

use super::chain::Hash;
use super::entry::{Kind, Name};
use super::found::Found;
use crate::sanitize::Sanitizer;

/// The most counts of one period, without pseudonyms; beyond it, sources are joined under [`OTHERS`].
pub(super) const MOST_KINDS: usize = 4096;
/// The most counts of one period with a pseudonym; beyond it, findings are counted without.
pub(super) const MOST_NAMED: usize = 1024;
/// The source of what has none of its own any more.
const OTHERS: &str = "others";

/// Counts of one period.
#[derive(Debug, Default)]
pub(super) struct Pending {
    sources: HashMap<Box<str>, Vec<ByRules>>,
    kinds: usize,
    named: usize,
}

/// Counts of one source, by one set of rules.
#[derive(Debug)]
struct ByRules {
    rules: [u8; 32],
    counts: HashMap<Box<str>, Count>,
}

#[derive(Debug, Default)]
struct Count {
    plain: u64,
    more: u64,
    named: HashMap<Box<str>, u64>,
}

impl Pending {
    /// Whether there is no room for another pseudonym.
    pub(super) fn is_full(&self) -> bool {
        self.named >= MOST_NAMED
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds == 0
    }

    /// Takes findings; the list of pseudonyms is put in order for that.
    pub(super) fn take(&mut self, source: &str, sanitizer: &Sanitizer, found: &mut Found) {
        let (digest, rules) = (sanitizer.digest(), sanitizer.rules());
        for (rule, plain, more) in found.counts() {
            let count = self.count(source, digest, &rules[rule].id);
            count.plain += plain;
            count.more += more;
        }
        let named = found.pseudonyms();
        named.sort_unstable();
        for run in named.chunk_by(|a, b| a == b) {
            let (rule, pseudonym) = run[0];
            if self.is_full() {
                // Whether it is among those that are there is not worth spelling it.
                self.count(source, digest, &rules[rule].id).more += run.len() as u64;
            } else {
                let spelled = sanitizer.spell(rule, pseudonym);
                self.note(source, digest, &rules[rule].id, Some(&spelled), run.len() as u64);
            }
        }
    }

    pub(super) fn note(&mut self, source: &str, rules: &[u8; 32], rule: &str, name: Option<&str>, more: u64) {
        let has_room = !self.is_full();
        let count = self.count(source, rules, rule);
        let Some(name) = name else {
            count.plain += more;
            return;
        };
        if let Some(named) = count.named.get_mut(name) {
            *named += more;
        } else if has_room {
            count.named.insert(name.into(), more);
            self.named += 1;
        } else {
            count.more += more;
        }
    }

    /// The counts of a rule in a source; of another source if there are too many.
    fn count(&mut self, source: &str, rules: &[u8; 32], rule: &str) -> &mut Count {
        let is_known = self
            .sources
            .get(source)
            .is_some_and(|all| all.iter().any(|by| by.rules == *rules && by.counts.contains_key(rule)));
        let source = if is_known || self.kinds < MOST_KINDS { source } else { OTHERS };
        if !self.sources.contains_key(source) {
            self.sources.insert(source.into(), Vec::new());
        }
        let all = self.sources.entry(source.into()).or_default();
        let at = all.iter().position(|by| by.rules == *rules).unwrap_or_else(|| {
            all.push(ByRules { rules: *rules, counts: HashMap::new() });
            all.len() - 1
        });
        let counts = &mut all[at].counts;
        if !counts.contains_key(rule) {
            self.kinds += 1;
        }
        counts.entry(rule.into()).or_default()
    }

    /// Takes all of another.
    pub(super) fn merge(&mut self, other: Self) {
        for (source, all) in other.sources {
            for ByRules { rules, counts } in all {
                for (rule, Count { plain, more, named }) in counts {
                    let count = self.count(&source, &rules, &rule);
                    count.plain += plain;
                    count.more += more;
                    for (name, times) in named {
                        self.note(&source, &rules, &rule, Some(&name), times);
                    }
                }
            }
        }
    }

    /// What is to be written, in an order that depends on nothing else.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for (source, all) in &self.sources {
            for ByRules { rules, counts } in all {
                for (rule, Count { plain, more, named }) in counts {
                    let found = |count: u64, name| Kind::Found {
                        source: source.to_string(),
                        rule: rule.to_string(),
                        rules: Hash(*rules),
                        count,
                        name,
                    };
                    let named = named.iter().map(|(name, &count)| (count, Name::Pseudonym(name.to_string())));
                    let all = named.chain([(*plain, Name::None), (*more, Name::More)]);
                    kinds.extend(all.filter(|(count, _)| *count > 0).map(|(count, name)| found(count, name)));
                }
            }
        }
        kinds.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        kinds
    }
}

fn key(kind: &Kind) -> (&str, &[u8], &str, &Name) {
    match kind {
        Kind::Found { source, rule, rules, name, count: _ } => (source, &rules.0, rule, name),
        _ => ("", &[], "", &Name::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [u8; 32] = [1; 32];

    fn total(pending: &Pending) -> u64 {
        let counts = pending.kinds().into_iter();
        counts.map(|kind| if let Kind::Found { count, .. } = kind { count } else { 0 }).sum()
    }

    #[test]
    fn counts_are_joined_and_none_is_lost() {
        let mut pending = Pending::default();
        for i in 0..3 * MOST_KINDS as u64 {
            pending.note(&format!("file:{i}"), &RULES, "email", None, 2);
            pending.note("stdin", &RULES, "password", Some(&format!("[password:k1:{i:024x}]")), 1);
        }
        assert_eq!(total(&pending), 9 * MOST_KINDS as u64);
        assert!(pending.kinds().len() <= MOST_KINDS + MOST_NAMED + 4, "{}", pending.kinds().len());
        let mut other = Pending::default();
        other.note("stdin", &RULES, "password", None, 5);
        other.merge(pending);
        assert_eq!(total(&other), 9 * MOST_KINDS as u64 + 5);
    }

    #[test]
    fn what_is_the_same_is_one_entry() {
        let mut pending = Pending::default();
        for _ in 0..3 {
            pending.note("stdin", &RULES, "email", None, 2);
            pending.note("stdin", &RULES, "email", Some("[email:k1:0]"), 1);
            pending.note("stdin", &[2; 32], "email", None, 1);
        }
        assert_eq!((pending.kinds().len(), total(&pending)), (3, 12));
    }
}
