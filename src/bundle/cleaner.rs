//! Short texts that are no content (names, comments, where links lead), scrubbed and counted.

use super::counts::Counts;
use crate::sanitize::Sanitizer;
use crate::scan::Work;

/// Scrubs short texts.
pub(super) struct Cleaner<'s> {
    sanitizer: &'s Sanitizer,
    work: Work,
    found: Counts,
    /// Names go where they must be text.
    pub(super) names_are_text: bool,
}

impl<'s> Cleaner<'s> {
    pub(super) fn new(sanitizer: &'s Sanitizer, names_are_text: bool) -> Self {
        Self { sanitizer, work: Work::default(), found: Counts::default(), names_are_text }
    }

    /// The text, scrubbed.
    pub(super) fn clean(&mut self, text: &[u8]) -> Vec<u8> {
        let findings = self.sanitizer.scanner().scan_keyed(&[], text, &mut self.work);
        let mut clean = Vec::with_capacity(text.len());
        let found = &mut self.found;
        findings.iter().for_each(|finding| found.add(finding.rule));
        self.sanitizer.write_noting(
            text,
            findings,
            &mut |bytes| clean.extend_from_slice(bytes),
            &mut |rule, pseudonym| found.name(rule, pseudonym),
        );
        clean
    }

    /// What was found since this was last asked.
    pub(super) fn take_found(&mut self) -> Counts {
        std::mem::take(&mut self.found)
    }
}
