//! Timing for the benches: run a few times, show the fastest and the middle run. No statistics beyond that.

use std::time::{Duration, Instant};

/// How long each of several runs took, shortest first.
pub(crate) struct Runs(Vec<Duration>);

/// A first run that takes this long is the only one.
const LONG: Duration = Duration::from_secs(2);

/// Runs `work` once to warm up and `times` times for the clock.
pub(crate) fn runs(times: usize, work: impl FnMut()) -> Runs {
    runs_and_clear(times, work, || {})
}

/// As [`runs`], with `clear` after each run, off the clock.
pub(crate) fn runs_and_clear(times: usize, mut work: impl FnMut(), mut clear: impl FnMut()) -> Runs {
    let mut run = || {
        let start = Instant::now();
        work();
        let took = start.elapsed();
        clear();
        took
    };
    let first = run();
    if first > LONG {
        return Runs(vec![first]);
    }
    let mut took: Vec<Duration> = (0..times.max(1)).map(|_| run()).collect();
    took.sort_unstable();
    Runs(took)
}

impl Runs {
    /// MB (10^6 bytes) per second of the fastest run.
    pub(crate) fn best(&self, bytes: usize) -> f64 {
        speed(bytes, self.0[0])
    }

    /// The same for the run in the middle.
    pub(crate) fn middle(&self, bytes: usize) -> f64 {
        speed(bytes, self.0[self.0.len() / 2])
    }
}

fn speed(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9)
}

/// A number from the environment, or what is usual.
pub(crate) fn setting(name: &str, usual: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")),
        Err(_) => usual,
    }
}
