//! The audit trail: what was found where, by which rule of which rules, how often; never what it was. Lines of JSON, each
//! chained to the one before by a hash, with checkpoints under a key: what was edited, cut out, moved or put in is found.
//!
//! The path of a finding: an adapter counts it in a [`Found`] and gives that to the [`Trail`] after each block or batch.
//! Once a second what was noted is written, with a checkpoint behind it. Adapters ask [`Trail::pass`] before records leave:
//! while the trail cannot be written, none do.
//!
//! `chain` ties lines together, `entry` says what is in them, `verify` reads them again: these know bytes only. `file` and
//! `trail` deal with files, clocks and a thread.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a file is written, with times, by a thread"
)]

mod chain;
mod entry;
mod file;
mod found;
mod pending;
mod tail;
mod time;
mod trail;
mod verify;

pub use chain::{Hash, Key};
pub use entry::{Entry, Id, Kind, MOST_LINE, Name};
pub use file::{Anchor, CannotOpen, Limits};
pub use found::{Found, Stream};
pub use time::Time;
pub use trail::{Held, Listener, Options, Told, Trail, WhenFull};
pub use verify::{Broken, Fault, Summary, Verifier, Wanted};

/// What time it is. A clock that stands before 1970 stands at 1970.
fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
