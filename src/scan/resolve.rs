//! Findings of one line that overlap become one finding.
//!
//! The range is the union, so that no byte any rule found is left behind; the rule that names it is the most specific
//! one, then the one that found more, then the one that comes first.

use crate::finding::Finding;
use crate::rules::Ruleset;

/// Sorts `findings` by their place and unites those that overlap.
pub(super) fn resolve(rules: &Ruleset, findings: &mut Vec<Finding>) {
    if findings.len() < 2 {
        return;
    }
    findings.sort_unstable_by_key(|f| (f.start, f.end, f.rule));
    let mut kept = 0;
    let mut named_len = findings[0].end - findings[0].start;
    for next in 1..findings.len() {
        let (last, finding) = (findings[kept], findings[next]);
        if finding.start < last.end {
            let len = finding.end - finding.start;
            let rank = |f: &Finding, len: usize| (rules[f.rule].precedence, len, std::cmp::Reverse(f.rule));
            let wins = rank(&finding, len) > rank(&last, named_len);
            if wins {
                named_len = len;
            }
            let named = if wins { finding } else { last };
            findings[kept] = Finding { start: last.start, end: last.end.max(finding.end), ..named };
        } else {
            kept += 1;
            named_len = finding.end - finding.start;
            findings[kept] = finding;
        }
    }
    findings.truncate(kept + 1);
}
