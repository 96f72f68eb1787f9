//! How long one request is scrubbed: no longer than its limit, and no longer than somebody waits for it.
//!
//! What is counted is the time of the processor, not of the clock: so a machine that is busy, or a container that is held
//! back, refuses nothing that it would take at another time, and what took too long would take as long again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::scan::Ask;

/// The most time that a request may take on the thread that all share. What is not done by then starts anew on one of those
/// for large requests.
pub(super) const SHORT: Duration = Duration::from_millis(5);
/// The most time that a request may take on a thread for large requests: some times what one of the usual text takes, if it is
/// as large as any. What is not done by then starts anew on the thread for slow ones.
pub(super) const LONG: Duration = Duration::from_millis(500);

/// How long one request is scrubbed.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    most: Duration,
    is_over: Arc<AtomicBool>,
}

/// Who waits for a request to be scrubbed. With this, the waiting ends.
#[derive(Debug)]
pub(super) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Patience {
    /// So long at most.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, is_over: Arc::default() }
    }

    /// So long at most, and as long as somebody waits.
    pub(super) fn while_waiting(most: Duration) -> (Self, Waiting) {
        let own = Self::new(most);
        let waiting = Waiting(own.is_over.clone());
        (own, waiting)
    }

    /// Whether it is over, as the thread that this is called on is to ask: its time counts from now.
    pub(super) fn ask(&self) -> Ask {
        let Self { most, is_over } = self.clone();
        let start = of_thread();
        Arc::new(move || is_over.load(Ordering::Relaxed) || of_thread().saturating_sub(start) >= most)
    }
}

/// The time that the processor has spent on this thread.
fn of_thread() -> Duration {
    // Neither is ever negative.
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_who_waits() {
        let (patience, waiting) = Patience::while_waiting(Duration::MAX);
        let is_over = patience.ask();
        assert!(!is_over());
        drop(waiting);
        assert!(is_over());
    }

    #[test]
    fn it_ends_with_its_time_on_the_processor() {
        assert!(Patience::new(Duration::ZERO).ask()());
        let is_over = Patience::new(Duration::from_millis(2)).ask();
        // As long as it takes: what waits takes none of the processor's time.
        let mut sum = 0u64;
        while !is_over() {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(of_thread() >= Duration::from_millis(2));
    }
}
