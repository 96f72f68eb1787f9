//! All integration tests, as one binary: it links once.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests read the tree, start the program and fail loudly"
)]

mod allocations;
mod audit;
mod clean_log;
mod cli;
mod corpus;
#[cfg(feature = "pod")]
mod deploy;
mod example_log;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "pod")]
mod inputs;
mod leaks;
mod learned;
mod otlp;
mod properties;
#[cfg(feature = "otlp")]
mod relay;
mod rules;
#[cfg(all(feature = "pod", target_os = "linux"))]
mod run;
mod structure;
#[cfg(feature = "pod")]
mod tail;
mod trail;
