//! Inputs of the sidecar and their outputs, from outside: the program is started, lines with secrets in them are written, and
//! every line is counted.
//!
//! Every test ends with [`process::Process::close`] or `end`, which look for what was planted in all that came out.

#[path = "inputs/configuration.rs"]
mod configuration;
#[path = "inputs/faults.rs"]
mod faults;
#[path = "inputs/fifo.rs"]
mod fifo;
#[path = "inputs/files.rs"]
mod files;
#[path = "inputs/lines.rs"]
mod lines;
#[path = "inputs/outage.rs"]
mod outage;
#[path = "inputs/process.rs"]
mod process;
#[path = "inputs/syslog.rs"]
mod syslog;
#[path = "inputs/tail.rs"]
mod tail;
#[path = "inputs/upstream.rs"]
mod upstream;
