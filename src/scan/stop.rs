//! Ending a scan before its end: when whoever asked for it has gone, or when it takes too long. What was found until then is
//! of no use, and says nothing of the rest, so who asks for an end must ask as well whether there was one.

use std::fmt;
use std::sync::Arc;

use super::Work;

/// Whether to stop. It is asked often, from the thread that scans.
pub type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

/// How many places are looked at between two questions: few enough to take no time that matters, and many enough for the
/// question to take none.
const EVERY: u32 = 128;

/// Asks whether to stop, now and then, and keeps in mind that it was told so.
#[derive(Default)]
pub(super) struct Stop {
    ask: Option<Ask>,
    since: u32,
    is_told: bool,
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("is_told", &self.is_told).finish_non_exhaustive()
    }
}

impl Stop {
    /// Whether to stop, before the next place is looked at.
    #[inline]
    pub(super) fn is_told(&mut self) -> bool {
        match &self.ask {
            None => false,
            Some(_) if self.is_told => true,
            Some(ask) => {
                self.since += 1;
                if self.since >= EVERY {
                    self.since = 0;
                    self.is_told = ask();
                }
                self.is_told
            }
        }
    }
}

impl Work {
    /// Has scans with this working memory end early once `ask` says so; `None`: they do not. Findings of a scan after which
    /// [`is_stopped`](Self::is_stopped) says so are not all there are.
    pub fn stop_when(&mut self, ask: Option<Ask>) {
        self.line.buffers.stop = Stop { ask, ..Stop::default() };
    }

    /// Whether a scan has ended early since [`stop_when`](Self::stop_when); all later ones do, too.
    pub fn is_stopped(&self) -> bool {
        self.line.buffers.stop.is_told
    }

    /// Asks whether to stop, where much was done without asking; whether a scan would end early.
    pub fn should_stop(&mut self) -> bool {
        let stop = &mut self.line.buffers.stop;
        stop.is_told = stop.is_told || stop.ask.as_ref().is_some_and(|ask| ask());
        stop.is_told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Sanitizer;

    /// How often it was asked in a scan that is stopped at the second question.
    fn check(text: &str) {
        let sanitizer = Sanitizer::builtin();
        let all = sanitizer.scan_block(text.as_bytes(), &mut Work::default()).len();
        let asked = Arc::new(AtomicU32::new(0));
        let own = asked.clone();
        let mut work = Work::default();
        work.stop_when(Some(Arc::new(move || own.fetch_add(1, Ordering::Relaxed) > 0)));
        assert!(sanitizer.scan_block(text.as_bytes(), &mut work).len() < all.max(1));
        assert!(work.is_stopped());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "it is not asked again, nor is there much more to do");
        // Until it is told otherwise.
        sanitizer.scan_block(b"password=hunter2", &mut work);
        assert!(work.is_stopped() && work.should_stop() && work.findings().is_empty());
        work.stop_when(None);
        assert!(!work.is_stopped() && !work.should_stop());
        assert_eq!(sanitizer.scan_block(text.as_bytes(), &mut work).len(), all);
    }

    #[test]
    fn a_scan_ends_between_lines_and_within_one() {
        check(&"password=hunter2\n".repeat(1000));
        check(&"password=hunter2 ".repeat(1000));
        check(&"jane.doe@example.com ".repeat(1000));
        check(&"\"password\":\"hunter2\",".repeat(1000));
    }
}
