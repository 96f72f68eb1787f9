//! How long to wait before the next try: longer each time, up to a limit, and not for all at the same time.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait, when nobody says how long.
const MOST: Duration = Duration::from_secs(30);
/// The longest wait that another may ask for.
const MOST_TOLD: Duration = Duration::from_secs(300);

/// Waits that grow.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    tries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST, tries: 0 }
    }
}

impl Backoff {
    /// How many waits there were.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// The next wait; `told` is how long the other side wants to be left alone.
    pub(super) fn next(&mut self, told: Option<Duration>) -> Duration {
        let own = self.next.mul_f64(0.5 + random() / 2.0);
        self.next = (self.next * 2).min(MOST);
        self.tries += 1;
        match told {
            // Not all at the same moment behind it, and never before.
            Some(told) => told.min(MOST_TOLD).mul_f64(1.0 + random() / 10.0).max(FIRST / 2),
            None => own,
        }
    }
}

/// Something from 0 to 1. The system seeds it anew for every call.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0);
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_what_is_told_is_kept() {
        let mut backoff = Backoff::default();
        let mut most = FIRST;
        for _ in 0..20 {
            let wait = backoff.next(None);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(MOST);
        }
        let told = backoff.next(Some(Duration::from_secs(7)));
        assert!(told >= Duration::from_secs(7) && told < Duration::from_secs(8), "{told:?}");
        assert!(backoff.next(Some(Duration::ZERO)) > Duration::ZERO);
        assert!(backoff.next(Some(Duration::MAX)) < MOST_TOLD * 2);
        assert_eq!(backoff.tries(), 23);
    }
}
