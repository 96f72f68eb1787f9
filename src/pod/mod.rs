//! How what a container says reaches us: files, FIFOs and syslog, and the program itself, whose parent we are.
//!
//! The path of a byte: an input reads it (one thread each), [`Lines`] scrubs it and fills a [`Batch`], [`House::deliver`]
//! gives that to the [`Output`] and returns when it is where it is kept. Only then may an input forget it: a tail moves its
//! checkpoint, a socket reads on. So whatever holds the output up holds the inputs up too, and nothing is dropped.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files, pipes, sockets and clocks are dealt with here"
)]

mod batch;
pub mod fifo;
mod guard;
mod house;
mod inputs;
mod lines;
mod metrics;
pub mod output;
#[cfg(target_os = "linux")]
pub mod run;
pub mod syslog;
pub mod tail;
pub mod time;
mod whole;

pub use batch::{Batch, Details, Origin, Record};
pub use guard::{Draft, Guard};
pub use house::{Counts, Gauges, House, Output, Stopped, Stopping};
pub use inputs::{Input, Inputs, Settings, Unfinished};
pub use lines::Lines;
pub use metrics::Metrics;
pub use whole::{Piece, Whole};
