//! The signals that this process gets, and which of them are the program's.
//!
//! Not caught: what tells a process of its own fault (`SIGSEGV` …), and `SIGPIPE`, which the runtime ignores: a write says
//! the same. Caught and kept: `SIGCHLD`, and `SIGXCPU` and `SIGXFSZ`, which tell of limits of ours.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use rustix_libc_wrappers::process::SignalExt;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

/// What is neither caught nor forwarded.
const LEFT: &[Signal] = &[
    Signal::KILL,
    Signal::STOP,
    Signal::ILL,
    Signal::FPE,
    Signal::SEGV,
    Signal::BUS,
    Signal::TRAP,
    Signal::ABORT,
    Signal::SYS,
    Signal::PIPE,
];
/// The greatest number of a signal.
const MOST: i32 = 64;
/// `si_code` of signals that the kernel made: of terminals and limits.
const SI_KERNEL: i32 = 0x80;

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    pub(super) signal: Signal,
    /// Nobody sent it: a terminal's key was pressed, its window changed, or it was hung up.
    pub(super) is_by_kernel: bool,
}

/// Signals are kept from the moment that this is made.
pub struct Signals {
    delivery: SignalDelivery<UnixStream, WithRawSiginfo>,
    /// Ignored when we were started. The program inherits that, so they are caught when it has started.
    ignored: Vec<Signal>,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("ignored", &self.ignored).finish_non_exhaustive()
    }
}

impl Signals {
    /// Catches all that can be forwarded. Those that come before the program runs wait for it.
    /// # Errors
    /// The system has no descriptors left, or takes no handlers.
    pub fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let all = (1..=MOST).filter_map(Signal::from_raw).filter(|signal| !LEFT.contains(signal));
        // Who ignores the deaths of children is not told how they ended.
        let (ignored, caught): (Vec<_>, Vec<_>) =
            all.partition(|&signal| signal != Signal::CHILD && ignored.contains(&signal.as_raw()));
        let (read, write) = UnixStream::pair()?;
        let numbers = caught.iter().map(|signal| signal.as_raw());
        let delivery = SignalDelivery::with_pipe(read, write, WithRawSiginfo, numbers)?;
        Ok(Self { delivery, ignored })
    }

    /// The program has started: what it ignores, unless it chooses otherwise, can be caught now.
    pub(super) fn started(&mut self) -> io::Result<()> {
        let handle = self.delivery.handle();
        self.ignored.drain(..).try_for_each(|signal| handle.add_signal(signal.as_raw()))
    }

    /// Readable when signals have come.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }

    /// The signals that have come.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Caught> {
        self.delivery.pending().filter_map(|info| {
            let signal = Signal::from_raw(info.si_signo)?;
            Some(Caught { signal, is_by_kernel: info.si_code == SI_KERNEL })
        })
    }
}

/// The numbers of signals that this process ignores.
fn ignored() -> BTreeSet<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=MOST).filter(|number| mask >> (number - 1) & 1 == 1).collect()
}
