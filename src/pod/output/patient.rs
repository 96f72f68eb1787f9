//! Writing that does not give up: interruptions, full pipes and full disks are waited out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::pod::house::Stopping;
use crate::pod::metrics::Metrics;

/// Why writing ended before all was written.
#[derive(Debug)]
pub(super) enum Broken {
    /// The time to drain is over.
    Stopped,
    /// Nobody will ever read there.
    Gone(io::Error),
}

/// How often a disk is tried again that had no room.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a full pipe is waited for before it is asked whether there is time left.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Writes all of `bytes`, going on where a write has stopped: nothing is doubled. `name` is what the log calls the place.
pub(super) fn write_all(
    to: impl AsFd,
    name: &str,
    mut bytes: &[u8],
    stopping: &Stopping,
    metrics: &Metrics,
) -> Result<(), Broken> {
    let to = to.as_fd();
    let mut is_waiting = false;
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(0) => wait(Errno::AGAIN, name, &mut is_waiting, stopping, metrics)?,
            Ok(written) => {
                bytes = &bytes[written..];
                if is_waiting && bytes.is_empty() {
                    tracing::info!(output = name, "there is room again; going on");
                }
            }
            Err(Errno::INTR) => {}
            // A pipe whose reader is slow: that is what holds inputs up, and nothing to be said.
            Err(Errno::AGAIN) => readied(to, stopping)?,
            Err(error @ (Errno::PIPE | Errno::BADF | Errno::INVAL)) => {
                return Err(Broken::Gone(error.into()));
            }
            Err(error) => wait(error, name, &mut is_waiting, stopping, metrics)?,
        }
    }
    Ok(())
}

fn readied(to: BorrowedFd<'_>, stopping: &Stopping) -> Result<(), Broken> {
    let mut polled = [PollFd::new(&to, PollFlags::OUT)];
    // Whatever it says, the write is tried again.
    let _ = poll(&mut polled, Some(&LOOK));
    if stopping.is_over() { Err(Broken::Stopped) } else { Ok(()) }
}

/// Waits before a write is tried again; says so the first time.
fn wait(
    error: Errno,
    name: &str,
    is_waiting: &mut bool,
    stopping: &Stopping,
    metrics: &Metrics,
) -> Result<(), Broken> {
    if !*is_waiting {
        let error = io::Error::from(error);
        tracing::error!(output = name, %error, "cannot write; waiting, and holding inputs up");
        metrics.event("output_waiting");
        *is_waiting = true;
    }
    metrics.event("output_retried");
    stopping.wait(AGAIN);
    if stopping.is_over() { Err(Broken::Stopped) } else { Ok(()) }
}
