//! Signals that end a command, caught: what it has begun is written to its end, and then it ends by the signal, as it would
//! have without this.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

/// How long the end may take: what waits for a reader would wait for ever.
const MOST: Duration = Duration::from_secs(5);
/// How often it is looked whether it has come.
const LOOK: Duration = Duration::from_millis(20);

/// Signals are caught for as long as this is held.
pub(super) struct Ending {
    handle: Handle,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The signal that came; 0: none.
    caught: AtomicI32,
    is_done: AtomicBool,
}

impl Ending {
    /// Calls `stop` when a signal comes; `finish` if the command has not ended after a while, or another signal comes.
    pub(super) fn catch(
        stop: impl FnOnce() + Send + 'static,
        finish: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let ignored = ignored();
        // Who was started to outlive a terminal does.
        let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let mut signals = Signals::new(signals)?;
        let handle = signals.handle();
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            own.caught.store(signal, Ordering::Relaxed);
            stop();
            let until = Instant::now() + MOST;
            while signals.pending().next().is_none() && Instant::now() < until {
                if own.is_done.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(LOOK);
            }
            finish();
            let _ = emulate_default_handler(signal);
        })?;
        Ok(Self { handle, shared })
    }

    /// The command has ended; if a signal came, the process does so by that.
    pub(super) fn end(self) {
        self.shared.is_done.store(true, Ordering::Relaxed);
        self.handle.close();
        match self.shared.caught.load(Ordering::Relaxed) {
            0 => {}
            // If it cannot, the exit code has to do.
            signal => drop(emulate_default_handler(signal)),
        }
    }
}

/// Signals that this process was told to ignore, a bit each, as far as the system tells.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
